"""Chooses, among the captions that a trained run generates for an embedding, the one that fits it best.

    python -m initialization.choose_captions --job_dir runs/mine/feat2sen
    python -m initialization.im_caption --data_dir data/mine_predicted --imcap_ckpt runs/mine/feat2sen \
        --captions fit:runs/mine/feat2sen/fit_captions.npz --job_dir runs/mine/distilled

Decoding by consensus (docs/consensus.md, C9) finds better captions than beam search, but needs a large beam. A
captioner that is trained further on its choices finds them with a beam of 3. That is sequence-level interpolation (Kim
and Rush 2016), a kind of distillation: the target is not the most probable caption, but the one in the beam that is
most similar to what is wanted. No caption of an image is used.

Reads the predicted caption embeddings (points) of `fit_captions.npz`, which initialization.assign_captions wrote, and
captions a random sample of them. Writes `fit_captions.npz`, in the same format, and `fit_captions.json` to the run.
"""

import dataclasses
import os

import cli
import experiments
from captioning.decode import parse_decode
from evaluation import scoring
from formats import inventory, sidecars, writing
from initialization.assign_captions import STEM, write_points
from training import rankings

READ = ("dictionary", "features_train", "neighbours", "fit_captions")


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of initialization.choose_captions."""

    job_dir: str = cli.field("runs/im_caption", "run of initialization.im_caption --captions fit, or of train.py")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    data_dir: str = cli.field("", "folder with fit_captions.npz; empty = the one the run was trained on")
    decode: str = cli.field(
        "beam20,consensus_weight=10000", "decoding, see caption.py; consensus_weight=10000 chooses by the fit alone"
    )
    points: int = cli.field(20_000, "size of the random sample of the points; 0: all")
    seed: int = cli.field(1, "seed of the sample")
    batch_size: int = cli.field(64, "points captioned at once")
    verify: bool = cli.field(False, "compare the checksums of all data files with their sidecars first")
    overwrite: bool = cli.field(False, "make the output again although it is there")

    def outputs(self):
        """Returns the paths that the command writes, for cli.run: (files, folders), two tuples of str."""
        return (os.path.join(self.job_dir, f"{STEM}.npz"),), ()


def check(options):
    """Checks the settings (Options) before TensorFlow starts. Raises cli.UserError if one is invalid."""
    if options.points < 0 or options.batch_size < 1:
        raise cli.UserError("--points must be at least 0 and --batch_size at least 1")
    if not parse_decode(options.decode).consensus_weight:
        raise cli.UserError(
            f"--decode {options.decode}: captions are chosen by their fit; expected a decoding with consensus_weight, "
            f"for example {Options.decode}"
        )


def main(options):
    """Writes the chosen captions to the run directory. Args: options: Options.

    Raises: cli.UserError if a setting is invalid, or the run or the data folder is damaged or incomplete.
    """
    check(options)
    data_dir = scoring.data_dir_of(options)
    inventory.require_fit(data_dir, READ, options.verify)
    with inventory.reading(data_dir, READ), writing.working(options.job_dir, [STEM]):
        _make(options, data_dir)


def _make(options, data_dir):
    """Captions the points and writes the files, unless this was done before with the same settings and checkpoint.

    Args: options: Options. data_dir: folder with the points.
    """
    import numpy as np

    from captioning.captioner import Captioner
    from initialization.pseudo_captions import load_points
    from training import checkpoints

    path, json_path = (os.path.join(options.job_dir, f"{STEM}.{kind}") for kind in ("npz", "json"))
    given = sidecars.read_sidecar(os.path.join(data_dir, f"{STEM}.json"))
    prefix = checkpoints.choose(options.job_dir, options.checkpoint).prefix
    settings = {name: getattr(options, name) for name in ("decode", "points", "seed")}
    made_from = {
        "checkpoint": checkpoints.digest(prefix),
        "points": [entry["sha256"] for entry in given["files"]],
        "features_train": given["made_from"]["features_train"],
        "vocabulary": given["vocabulary"],
    }
    if sidecars.already_made(json_path, settings, made_from, options.overwrite):
        return
    captioner = Captioner.from_run(options.job_dir, prefix)
    points, assigned = load_points("fit", data_dir, captioner.vocabulary)
    rows, rng = np.arange(len(points)), np.random.default_rng(options.seed)
    if 0 < options.points < len(points):
        rows = np.sort(rng.choice(len(points), options.points, replace=False))
    vectors_PT = np.asarray(points.vectors_PT[rows], np.float32)
    found = captioner.caption_vectors(vectors_PT, options.decode, options.batch_size, "captions of the points")
    captions = [np.array(several[0].words, np.int32) for several in found]
    write_points(path, vectors_PT, captions, captioner.vocabulary, settings, made_from)
    same = sum(
        len(several) == 1 and np.array_equal(several[0], ids)
        for several, ids in zip([assigned.captions[row] for row in rows], captions, strict=True)
    )
    print(
        f"{path}: {len(rows)} of {len(points)} points; {len(set(map(bytes, captions)))} different captions; "
        f"{same} of the points have the sentence that assign_captions chose"
    )


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("choose_captions"))
