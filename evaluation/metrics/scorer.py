"""Computes BLEU, METEOR, ROUGE-L, CIDEr and SPICE of captions.

The scores are those of pycocoevalcap's single scorers, because its `COCOEvalCap.evaluate` fails where SPICE cannot run.
A metric that cannot be computed is None, with a reason; it is never 0 and never omitted. CIDEr means CIDEr-D, as in
pycocoevalcap and in the literature.

    scores = metrics.score(captions, references)          # dicts image id -> str, image id -> list of str
    scores.values["CIDEr"], scores.per_image["CIDEr"], scores.tokens[image_id]

    with metrics.Scorer(references) as scorer:            # many caption sets, METEOR's process started once
        for step in steps:
            scores = scorer.score(captions[step])
"""

import dataclasses
import importlib.metadata
import platform
import sys

import numpy as np

from cli import UserError
from evaluation.metrics import java, spice, tokenizer
from evaluation.metrics.java import JavaError
from formats.captions import name_some

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
VALUES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
CIDER_NAME = "CIDEr-D (n 1-4, sigma 6, document frequencies of the references that are scored against)"
FEW_IMAGES = 50
NOT_ASKED = "not asked for"


@dataclasses.dataclass
class Scores:
    """Result of `score`. Arrays are in the order of `names`, which is sorted; N images.

    Attributes:
      values: metric name (see VALUES) -> score x100, or None if it could not be computed or was not requested.
      reasons: metric name -> why its value is None.
      per_image: metric name -> float64 [N], x100. The corpus BLEU and METEOR are not the means of these.
      bleu_counts: int64 [N, 10]: matched 1- to 4-grams, 1- to 4-grams of the caption, length of the caption, length of
        the reference with the closest length; the corpus BLEU is a function of their sums.
      names: image ids.
      tokens: image id -> the caption's tokens.
      images, references: number of images and of reference captions.
      tokenizer: name of the tokenizer.
      versions: of pycocoevalcap, Java and Python, and the definition of "CIDEr".
      caveats: sentences to print with the scores.
    """

    values: dict
    reasons: dict
    per_image: dict
    bleu_counts: np.ndarray | None
    names: list
    tokens: dict
    images: int
    references: int
    tokenizer: str
    versions: dict
    caveats: list

    def provenance(self):
        """Returns the fields that describe how the scores were computed, for JSON."""
        keys = ("images", "references", "tokenizer", "versions", "reasons", "caveats")
        return {key: getattr(self, key) for key in keys}

    def to_json(self):
        """Returns all fields except arrays and tokens, for JSON."""
        return self.values | self.provenance()


def value_names(metric):
    """Returns the entries of `Scores.values` that a metric fills."""
    return VALUES[:4] if metric == "BLEU" else (metric,)


def score(captions, references, metrics=METRICS):
    """Scores one caption per image.

    Args:
      captions: dict image id -> caption.
      references: dict image id -> list of reference captions, for the same images.
      metrics: some of METRICS. ("BLEU", "CIDEr") takes less than a second for 1,000 images.

    Returns:
      `Scores`.

    Raises:
      UserError: the images differ, an image has no reference, or a metric is unknown.
    """
    with Scorer(references, metrics) as scorer:
        return scorer.score(captions)


class Scorer:
    """Scores many sets of captions against the same references; used in a `with` statement."""

    def __init__(self, references, metrics=METRICS):
        """Args: as for `score`. METEOR's process is started at the first score."""
        unknown = [metric for metric in metrics if metric not in METRICS]
        if unknown:
            raise UserError(f"no such metric: {', '.join(unknown)}; expected some of {', '.join(METRICS)}")
        if not references:
            raise UserError("there are no references to score against; expected at least one image with a caption")
        bare = [name for name, texts in references.items() if not any(text.strip() for text in texts)]
        if bare:
            raise UserError(f"{len(bare)} images have no reference caption: {name_some(bare)}; expected at least one")
        self.metrics = tuple(metrics)
        self.references = {name: [t for t in references[name] if t.strip()] for name in sorted(references)}
        self._meteor = None
        for caveat in self._caveats():
            print(f"note: {caveat}", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Kills METEOR's process."""
        if self._meteor is not None:
            self._meteor.close()
            self._meteor = None

    def score(self, captions):
        """Scores one caption per image; see the function `score`."""
        self._check_images(captions)
        result = Scores(
            values=dict.fromkeys(VALUES),
            reasons={name: NOT_ASKED for name in VALUES},
            per_image={},
            bleu_counts=None,
            names=list(self.references),
            tokens={},
            images=len(self.references),
            references=sum(len(texts) for texts in self.references.values()),
            tokenizer=tokenizer.NAME,
            versions=_versions(),
            caveats=self._caveats(),
        )
        try:
            runtime = java.find_java()
            result.versions["java"] = runtime.version
            tokenized, hypotheses = self._tokenize(captions, runtime)
        except JavaError as error:
            result.reasons |= {
                name: f"captions not tokenized: {error}" for m in self.metrics for name in value_names(m)
            }
        else:
            result.tokens = {name: texts[0].split() for name, texts in hypotheses.items()}
            for metric in self.metrics:
                self._fill(result, metric, tokenized, hypotheses, runtime)
        return result

    def _check_images(self, captions):
        """Raises UserError unless captions and references are for the same images."""
        missing = self.references.keys() - captions.keys()
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self.references)} images have no caption: {name_some(missing)}; "
                "expected exactly one caption for every image of the references"
            )
        extra = captions.keys() - self.references.keys()
        if extra:
            raise UserError(
                f"{len(extra)} captions are of images without references: {name_some(extra)}; "
                "expected captions and references of the same images (another split?)"
            )

    def _caveats(self):
        count = len(self.references)
        if count >= FEW_IMAGES:
            return []
        return [
            f"CIDEr weights n-grams by their rarity in the references of the {count} scored images: with fewer than "
            f"{FEW_IMAGES} images it cannot be compared with published figures, and with 1 image it is always 0"
        ]

    def _tokenize(self, captions, runtime):
        """Returns (references, captions), each dict image id -> list of tokenized strings, in sorted order."""
        texts = tuple(text for texts in self.references.values() for text in texts)
        lines = iter(tokenizer.tokenize_once(texts, runtime))
        references = {name: [next(lines) for _ in texts] for name, texts in self.references.items()}
        bare = [name for name, texts in references.items() if not any(texts)]
        if bare:
            raise UserError(f"references of {name_some(bare)} have no word; expected at least one caption with words")
        lines = tokenizer.tokenize([captions[name] for name in references], runtime)
        return references, {name: [line] for name, line in zip(references, lines, strict=True)}

    def _fill(self, result, metric, references, hypotheses, runtime):
        """Computes one metric into `result`."""
        names = value_names(metric)
        if metric == "CIDEr" and len(references) == 1:
            result.reasons[metric] = "with 1 image every n-gram's idf is log 1 = 0, so CIDEr is not defined"
            return
        try:
            if metric == "BLEU":
                values, per_image, result.bleu_counts = _bleu(references, hypotheses)
            else:
                value, scores = self._one(metric, references, hypotheses, runtime)
                values, per_image = [value], [scores]
        except JavaError as error:
            result.reasons[metric] = str(error)
            return
        for name, value, scores in zip(names, values, per_image, strict=True):
            result.values[name] = 100.0 * float(value)
            result.per_image[name] = 100.0 * np.asarray(scores, np.float64)
            del result.reasons[name]

    def _one(self, metric, references, hypotheses, runtime):
        """Returns (corpus score, images' scores) of a metric with one value."""
        if metric == "METEOR":
            return self._run_meteor(references, hypotheses, runtime)
        if metric == "SPICE":
            return spice.compute_score(references, hypotheses)
        if metric == "ROUGE-L":
            from pycocoevalcap.rouge.rouge import Rouge

            return Rouge().compute_score(references, hypotheses)
        from pycocoevalcap.cider.cider import Cider

        return Cider().compute_score(references, hypotheses)

    def _run_meteor(self, references, hypotheses, runtime):
        """Computes METEOR, with a new process if the first one fails."""
        from evaluation.metrics.meteor import Meteor

        for last in (False, True):
            if self._meteor is None:
                self._meteor = Meteor(runtime)
            try:
                return self._meteor.compute_score(references, hypotheses)
            except JavaError as error:
                self.close()
                if last:
                    raise
                print(f"note: {error}; starting it again", file=sys.stderr)


def _versions():
    return {
        "pycocoevalcap": importlib.metadata.version("pycocoevalcap"),
        "python": platform.python_version(),
        "java": None,
        "CIDEr": CIDER_NAME,
    }


def _bleu(references, hypotheses):
    """Returns (BLEU-1 to 4 of the corpus, the same of the images, `Scores.bleu_counts`)."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=4)
    for name in references:
        scorer += (hypotheses[name][0], references[name])
    values, per_image = scorer.compute_score(option="closest", verbose=0)
    counts = []
    for image in scorer.ctest:
        closest = min((abs(length - image["testlen"]), length) for length in image["reflen"])[1]
        counts.append([*image["correct"], *image["guess"], image["testlen"], closest])
    return values, per_image, np.array(counts, np.int64)
