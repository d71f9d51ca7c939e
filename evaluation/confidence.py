"""The expected CIDEr of a caption, from its log-probability: calibrated on the validation images (docs/captioning.md).

    python -m evaluation.confidence --job_dir runs/demo/full

captions the validation images and fits the CIDEr of each caption as a rising function of its mean log-probability per
word, by isotonic regression (scikit-learn). It writes RUN/confidence.json, or confidence_DECODE.json for another
decoding than beam3, which caption.py reads.

Shapes: N captions, P points of the function.
"""

import dataclasses
import os

import numpy as np

import cli
import registry
from captioning.decode import DecodingFlags, decoding_of, file_stem
from evaluation import scoring
from evaluation.metrics import tokenizers
from formats import captions, readers, writing
from training import rankings

FOLDS = 5  # of the cross-validation
LEAST = 20  # validation images


@dataclasses.dataclass(frozen=True)
class Options(DecodingFlags):
    """Flags of evaluation.confidence."""

    job_dir: str = cli.field("runs/full", "run directory")
    data_dir: str = cli.field("", "data folder; empty = the one that the run was trained on")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    tokenizer: str = cli.choice("auto", tokenizers.CHOICES, tokenizers.HELP)
    encoder: str | None = cli.field(None, "the run's encoder with its new path, if it has moved")
    system: tuple[str, ...] = registry.packages_field()
    multi_gpu: bool = cli.field(False, "caption on all visible GPUs")
    devices: tuple[str, ...] = cli.field((), "caption on these devices, e.g. GPU:0,GPU:1")

    def outputs(self):
        """Returns (files, folders) that the command will write, for cli.run."""
        return (), (self.job_dir,)


@dataclasses.dataclass(frozen=True)
class Confidence:
    """A function from the mean log-probability of a caption's words to its expected CIDEr x100.

    Attributes: x_P: float, rising. y_P: float, not falling; between two points the function is linear, beyond them
      constant. step: of the checkpoint whose captions it was fitted on; None if it is unknown.
    """

    x_P: np.ndarray
    y_P: np.ndarray
    step: int | None = None

    def __call__(self, found):
        """Returns the expected CIDEr x100 of captions: float [N]. Args: found: list of N Hypothesis."""
        return np.interp([mean_log_prob(one) for one in found], self.x_P, self.y_P)


def mean_log_prob(one):
    """Returns the mean log-probability of a caption's words, the end token counted: float. Args: one: Hypothesis."""
    return one.log_prob / max(len(one.ids), 1)


def isotonic(x_N, y_N):
    """Returns the points (x_P, y_P) of the rising function that fits y best (least squares). Args: float arrays."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(x_N, y_N)
    return fitted.X_thresholds_, fitted.y_thresholds_


def cross_validated(x_N, y_N, folds=FOLDS, seed=0):
    """Returns the predictions of each y by a function that was fitted without its fold: float [N]."""
    place_N = np.random.default_rng(seed).permutation(len(x_N)) % folds
    predicted_N = np.empty(len(x_N))
    for fold in range(folds):
        inside = place_N == fold
        predicted_N[inside] = np.interp(x_N[inside], *isotonic(x_N[~inside], y_N[~inside]))
    return predicted_N


def report(x_N, y_N, bins=5):
    """Returns lines that say how good the calibration is, on images that were left out of the fit: list of str."""
    from scipy import stats

    predicted_N = cross_validated(x_N, y_N)
    order = np.argsort(predicted_N, kind="stable")
    lines = [f"{FOLDS}-fold cross-validation on {len(x_N)} images; expected and measured CIDEr, by expected CIDEr:"]
    for part in np.array_split(order, bins):
        lines.append(
            f"  {len(part):5d} images   expected {predicted_N[part].mean():6.1f}   measured {y_N[part].mean():6.1f}"
        )
    rank = stats.spearmanr(x_N, y_N).statistic
    error, constant = np.abs(predicted_N - y_N).mean(), np.abs(y_N.mean() - y_N).mean()
    errors = f"mean error {error:.1f}, of the mean CIDEr {constant:.1f}"
    return [*lines, f"rank correlation of log-probability and CIDEr {rank:.2f}; {errors}"]


def path_of(job_dir, decode):
    """Returns the path of the file of a decoding. Args: job_dir: run directory. decode: name of the decoding."""
    return os.path.join(job_dir, f"{file_stem('confidence', decode)}.json")


def load(job_dir, decode):
    """Returns the Confidence of a run and a decoding, None if it was not calibrated.

    Args: job_dir: run directory. decode: name of the decoding. Raises: cli.UserError if the file is damaged.
    """
    path = path_of(job_dir, decode)
    if not os.path.exists(path):
        return None
    mend = f"make it again: python -m evaluation.confidence --job_dir {job_dir} --decode {decode}"
    content = readers.read_json(path, "what evaluation.confidence writes", dict)
    numbers = lambda value: readers.is_list(value) and len(value) > 0 and all(map(readers.is_number, value))  # noqa: E731
    readers.check_fields(content, {"x": numbers, "y": numbers, "step": readers.optional(readers.is_count)}, path, mend)
    x_P, y_P = np.array(content["x"], np.float64), np.array(content["y"], np.float64)
    if len(x_P) != len(y_P) or (np.diff(x_P) < 0).any():
        raise cli.UserError(f"{path}: its points are not those of a function; {mend}")
    return Confidence(x_P, y_P, content.get("step"))


@scoring.reads_data
def main(options):
    """Captions and scores the validation images, fits the function, writes it and prints how good it is.

    Args: options: Options. Raises: cli.UserError if run or data cannot be used, or there are too few references.
    """
    decoding = decoding_of(options)

    from captioning import splits
    from evaluation import metrics
    from training import checkpoints

    data_dir = scoring.data_dir_of(options)
    references = splits.references_of(data_dir, "val")
    if len(references) < LEAST:
        raise cli.UserError(
            f"{data_dir}: {len(references)} validation images have references; expected at least {LEAST}"
        )
    chosen, names = checkpoints.choose(options.job_dir, options.checkpoint), sorted(references)
    with metrics.Scorer(references, ("CIDEr",), options.tokenizer) as scorer:
        captioner, rows = splits.image_captioner(options, data_dir)(chosen.prefix, "val", names)
        found = [
            several[0] for several in captioner.caption_vectors(rows, decoding, description="captions", names=names)
        ]
        scores = scorer.score(dict(zip(names, [one.text for one in found], strict=True)))
    rank = {name: place for place, name in enumerate(scores.names)}
    y_N = np.asarray(scores.per_image["CIDEr"], np.float64)[[rank[name] for name in names]]
    x_N = np.array([mean_log_prob(one) for one in found])
    x_P, y_P = isotonic(x_N, y_N)
    path = path_of(options.job_dir, decoding.name)
    content = {"decode": decoding.name, "step": chosen.step, "images": len(names), "x": x_P.tolist(), "y": y_P.tolist()}
    with writing.merging(path):
        captions.write_json(path, content)
    print(*report(x_N, y_N), f"{path}: expected CIDEr {y_P[0]:.1f} to {y_P[-1]:.1f}", sep="\n")


if __name__ == "__main__":
    cli.run(main, Options)
