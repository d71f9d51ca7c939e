"""Computes BLEU, METEOR, ROUGE-L, CIDEr and SPICE of captions.

The scores are those of pycocoevalcap's single scorers, because its `COCOEvalCap.evaluate` fails where SPICE cannot run.
A metric that cannot be computed is None, with a reason; it is never 0 and never omitted. CIDEr means CIDEr-D, as in
pycocoevalcap and in the literature.

    scores = metrics.score(captions, references)          # dicts image id -> str, image id -> list of str
    scores.values["CIDEr"], scores.per_image["CIDEr"], scores.tokens[image_id]

    with metrics.Scorer(references) as scorer:            # many caption sets, each Java process started once, now
        for step in steps:
            scores = scorer.score(captions[step])
"""

import concurrent.futures
import contextlib
import dataclasses
import importlib.metadata
import platform
import sys

import numpy as np

from cli import UserError
from evaluation.metrics import java, spice, tokenizers
from evaluation.metrics.java import JavaError
from formats.captions import name_some

METRICS = ("BLEU", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
VALUES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
CIDER_NAME = "CIDEr-D (n 1-4, sigma 6, document frequencies of the references that are scored against)"
FEW_IMAGES = 50
NOT_ASKED = "not asked for"
ENGLISH = ("METEOR", "SPICE")  # metrics that know the forms, synonyms and grammar of English words
ONLY_ENGLISH = "is for English; give --tokenizer ptb-java for English captions"


@dataclasses.dataclass
class Scores:
    """Scores of a set of captions. Arrays have one entry for each of the N images, in the order of `names`.

    Attributes:
      values: dict metric name (all of VALUES) -> score x100, or None if it could not be computed or was not requested.
      reasons: dict metric name -> why its value is None (NOT_ASKED if it was not requested), for those without a value.
      per_image: dict metric name -> float64 [N], x100, for the metrics that have a value. The corpus BLEU and METEOR
        are not the means of these.
      bleu_counts: int64 [N, 10]: matched 1- to 4-grams, 1- to 4-grams of the caption, length of the caption, length of
        the reference with the closest length; the corpus BLEU is a function of their sums. None without BLEU.
      names: sorted list of image ids.
      tokens: dict image id -> list of the caption's tokens; {} if the tokenizer failed.
      reference_tokens: dict image id -> list of the references, each a list of tokens; {} if the tokenizer failed.
      images, references: number of images and of reference captions.
      tokenizer: name of the tokenizer.
      versions: dict of the versions of pycocoevalcap, Java, NLTK (which ptb-python uses) and Python; its entry "CIDEr"
        says which variant of CIDEr is computed.
      caveats: list of sentences to print with the scores.
    """

    values: dict
    reasons: dict
    per_image: dict
    bleu_counts: np.ndarray | None
    names: list
    tokens: dict
    reference_tokens: dict
    images: int
    references: int
    tokenizer: str
    versions: dict
    caveats: list

    def provenance(self):
        """Returns how the scores were computed, as a dict for JSON.

        Its keys are the attributes "images", "references", "tokenizer", "versions", "reasons" and "caveats".
        """
        keys = ("images", "references", "tokenizer", "versions", "reasons", "caveats")
        return {key: getattr(self, key) for key in keys}

    def to_json(self):
        """Returns `values` and the fields of `provenance` in one dict for JSON."""
        return self.values | self.provenance()


def value_names(metric):
    """Returns the keys of `Scores.values` that a metric fills: tuple of str. Args: metric: one of METRICS."""
    return VALUES[:4] if metric == "BLEU" else (metric,)


def score(captions, references, metrics=METRICS, tokenizer="auto"):
    """Scores one caption per image; to score several sets against the same references, use `Scorer`.

    Args:
      captions: dict image id -> caption, not tokenized.
      references: dict image id -> list of reference captions, not tokenized, for the same images.
      metrics: sequence of some of METRICS. ("BLEU", "CIDEr") takes less than a second for 1,000 images.
      tokenizer: one of tokenizers.CHOICES.

    Returns:
      `Scores`.

    Raises:
      UserError: the images differ, an image has no reference, a metric is unknown, or the tokenizer is not available.
    """
    with Scorer(references, metrics, tokenizer) as scorer:
        return scorer.score(captions)


class Scorer:
    """Scores many sets of captions against the same references. A `with` statement ends its Java processes.

    Attributes: metrics: tuple of the requested METRICS. tokenizer: tokenizers.Tokenizer.
      references: dict image id -> list of reference captions, sorted by id, without empty captions.
    """

    def __init__(self, references, metrics=METRICS, tokenizer="auto"):
        """Checks the references; the Java processes are started by `with`, or by the first score.

        Args:
          references: dict image id -> list of reference captions.
          metrics: sequence of some of METRICS. tokenizer: one of tokenizers.CHOICES.

        Raises: UserError: an image has no reference, a metric is unknown, or the tokenizer is not available.
        """
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
        self.tokenizer = tokenizers.find(tokenizer)
        self._meteor = None
        self._misfit = tokenizers.misfit(self.tokenizer.name, [t for texts in self.references.values() for t in texts])
        for caveat in self._caveats():
            print(f"note: {caveat}", file=sys.stderr)

    def __enter__(self):
        """Starts the Java processes, so that they load while the caller makes captions."""
        with contextlib.suppress(JavaError):  # the score says why
            self.tokenizer.start()
            if "METEOR" in self.metrics and self.tokenizer.english:
                self._start_meteor()
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Kills the Java processes; a later `score` starts new ones."""
        self.tokenizer.close()
        self._close_meteor()

    def _start_meteor(self):
        """Starts METEOR's process unless it runs. Raises: JavaError."""
        from evaluation.metrics.meteor import Meteor

        if self._meteor is None:
            self._meteor = Meteor(java.find_java())

    def _close_meteor(self):
        if self._meteor is not None:
            self._meteor.close()
            self._meteor = None

    def score(self, captions):
        """Scores one caption per image.

        Args: captions: dict image id -> caption, not tokenized, for exactly the images of the references.
        Returns: `Scores`, in which a metric that could not be computed is None.
        Raises: UserError if the images differ, or no reference of an image has a word.
        """
        self._check_images(captions)
        result = Scores(
            values=dict.fromkeys(VALUES),
            reasons={name: NOT_ASKED for name in VALUES},
            per_image={},
            bleu_counts=None,
            names=list(self.references),
            tokens={},
            reference_tokens={},
            images=len(self.references),
            references=sum(len(texts) for texts in self.references.values()),
            tokenizer=self.tokenizer.name,
            versions=_versions(self.tokenizer.name),
            caveats=self._caveats(),
        )
        try:
            tokenized, hypotheses = self._tokenize(captions)
        except JavaError as error:
            result.reasons |= {
                name: f"captions not tokenized: {error}" for m in self.metrics for name in value_names(m)
            }
            return result
        result.tokens = {name: texts[0].split() for name, texts in hypotheses.items()}
        result.reference_tokens = {name: [text.split() for text in texts] for name, texts in tokenized.items()}
        with concurrent.futures.ThreadPoolExecutor(1) as beside:  # METEOR computes in its own process
            metrics = self.metrics
            if not self.tokenizer.english:
                metrics = [metric for metric in metrics if metric not in ENGLISH]
                result.reasons |= {m: ONLY_ENGLISH for m in self.metrics if m in ENGLISH}
            meteor = beside.submit(self._run_meteor, tokenized, hypotheses) if "METEOR" in metrics else None
            for metric in metrics:
                if metric != "METEOR":
                    self._fill(result, metric, lambda metric=metric: _compute(metric, tokenized, hypotheses))
            if meteor:
                self._fill(result, "METEOR", meteor.result)
        return result

    def _check_images(self, captions):
        """Raises UserError unless `captions` (dict image id -> caption) and the references have the same images."""
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
        """Returns the sentences to print with the scores as a list, about few images and an unfit tokenizer."""
        count, caveats = len(self.references), [self._misfit] if self._misfit else []
        if count >= FEW_IMAGES:
            return caveats
        return [
            *caveats,
            f"CIDEr weights n-grams by their rarity in the references of the {count} scored images: with fewer than "
            f"{FEW_IMAGES} images it cannot be compared with published figures, and with 1 image it is always 0",
        ]

    def _tokenize(self, captions):
        """Tokenizes captions and references.

        Returns: (references, captions), two dicts image id -> list of tokenized strings, with one string for a caption,
          in sorted order of the ids.
        Raises: UserError for references without a word.
        """
        texts = tuple(text for texts in self.references.values() for text in texts)
        lines = iter(tokenizers.tokenize_once(texts, self.tokenizer))
        references = {name: [next(lines) for _ in texts] for name, texts in self.references.items()}
        bare = [name for name, texts in references.items() if not any(texts)]
        if bare:
            raise UserError(f"references of {name_some(bare)} have no word; expected at least one caption with words")
        lines = self.tokenizer.tokenize([captions[name] for name in references])
        return references, {name: [line] for name, line in zip(references, lines, strict=True)}

    def _fill(self, result, metric, compute):
        """Computes one metric and writes its value, or the reason why it has none, into `result` (a Scores).

        Args: metric: one of METRICS. compute: function without arguments that returns (list of corpus scores, for each
          the list of the images' scores, counts for `Scores.bleu_counts` or None).
        """
        if metric == "CIDEr" and len(self.references) == 1:
            result.reasons[metric] = "with 1 image every n-gram's idf is log 1 = 0, so CIDEr is not defined"
            return
        try:
            values, per_image, counts = compute()
        except JavaError as error:
            result.reasons[metric] = str(error)
            return
        result.bleu_counts = counts if metric == "BLEU" else result.bleu_counts
        for name, value, scores in zip(value_names(metric), values, per_image, strict=True):
            result.values[name] = 100.0 * float(value)
            result.per_image[name] = 100.0 * np.asarray(scores, np.float64)
            del result.reasons[name]

    def _run_meteor(self, references, hypotheses):
        """Computes METEOR, with a new process if the first one fails.

        Args: references, hypotheses: dicts from `_tokenize`.
        Returns: ([corpus score], [scores of the images], None), as `_fill` expects. Raises: JavaError.
        """
        for last in (False, True):
            self._start_meteor()
            try:
                value, scores = self._meteor.compute_score(references, hypotheses)
                return [value], [scores], None
            except JavaError as error:
                self._close_meteor()
                if last:
                    raise
                print(f"note: {error}; starting it again", file=sys.stderr)


def _compute(metric, references, hypotheses):
    """Computes a metric other than METEOR.

    Args: references, hypotheses: dicts image id -> list of tokenized strings.
    Returns: (list of corpus scores, list of the images' scores for each, counts for `Scores.bleu_counts` or None).
    """
    if metric == "BLEU":
        return bleu(references, hypotheses)
    if metric == "SPICE":
        value, scores = spice.compute_score(references, hypotheses)
    elif metric == "ROUGE-L":
        from pycocoevalcap.rouge.rouge import Rouge

        value, scores = Rouge().compute_score(references, hypotheses)
    else:
        from pycocoevalcap.cider.cider import Cider

        value, scores = Cider().compute_score(references, hypotheses)
    return [value], [scores], None


def _versions(name):
    """Returns the versions of the programs that compute the scores: dict name -> version; None for a missing Java.

    Args: name: of the tokenizer; NLTK's version is only added for ptb-python.
    """
    versions = {"pycocoevalcap": importlib.metadata.version("pycocoevalcap"), "python": platform.python_version()}
    try:
        versions["java"] = java.find_java().version
    except JavaError:
        versions["java"] = None
    if name == tokenizers.PYTHON:
        versions["nltk"] = importlib.metadata.version("nltk")
    return versions | {"CIDEr": CIDER_NAME}


def bleu(references, hypotheses):
    """Computes BLEU-1 to 4.

    Args: references, hypotheses: dicts image id -> list of tokenized strings.
    Returns: (list of four corpus scores, four lists with the images' scores, `Scores.bleu_counts`).
    """
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
