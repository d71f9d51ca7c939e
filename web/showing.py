"""Captions one photograph with a run and draws its objects, attention and words, for serve.py.

Shapes: T words of a caption, C cells of the attention grid, H x W pixels, V words, E embedding.
"""

import dataclasses
import math
import os
import threading

import numpy as np

import registry
from captioning import photographs
from captioning.decode import of_run, parse_decode
from evaluation.report import attention_pictures
from evaluation.report import word_map as word_maps
from formats.images import ImageError, read_image
from preprocessing.detection import detectors
from training import checkpoints
from training.run_directory import read_config

LIES_OTHERWISE = (
    "read as it is stored, not as viewers show it: the run was trained on photographs whose EXIF orientation was not "
    "applied (serve.py --exif applies it)"
)
LIMITS = (photographs.DEFAULTS["classifier_threshold"], photographs.DEFAULTS["classifier_top"])


@dataclasses.dataclass(frozen=True)
class Answer:
    """The captions of a photograph by one run, with its objects and attention.

    Attributes:
      hypotheses: list of captioning.captioner.Hypothesis, best first.
      objects: list of formats.records.Detection with at least the minimum score, may be empty; None without a detector,
        or if a detector `annotations:FILE` does not know the photograph.
      no_objects: why `objects` is None; "" if it is a list.
      words: list of the T words of the best caption, without markers. weights_TC: float, attention weights with which
        each word was generated, rows sum to 1. Both are None for a run without attention.
      exif: whether the run read the picture turned by its EXIF orientation.
      lies_otherwise: whether the run read the picture in another orientation than viewers show it.
    """

    hypotheses: list
    objects: list | None
    no_objects: str
    words: list | None
    weights_TC: np.ndarray | None
    exif: bool = True
    lies_otherwise: bool = False


class Shown:
    """A loaded run that captions single image files; `answer` may be called from several threads.

    Attributes: name: of the run directory. job_dir: its path. checkpoint: name of the checkpoint. looks: whether the
      run has attention. decode: captioning.decode.Decoding, the run's default. vocabulary:
      formats.vocabulary.Vocabulary. captioner, source: from photographs.open_run.
      detector: preprocessing.detection.detectors.Detectors that find `Answer.objects`; None without a detector.
    """

    def __init__(self, job_dir, checkpoint, encoder=None, detector=None, labels=None, exif=None):
        """Loads the run.

        Args:
          job_dir: run directory. checkpoint: "best", "newest", or a step (training.checkpoints.choose).
          encoder: name of the run's encoder with its new path, if its files have moved; else None.
          detector, labels: values of --detector and --labels, or None. A run that reads concept words makes captions
            from the detector's objects (None = the detector saved with the run); for other runs they are only shown.
          exif: whether pictures are turned by their EXIF orientation; None = as the run's training photographs were.

        Raises: cli.UserError if the run, its encoder or its detector cannot be loaded.
        """
        self.name, self.job_dir = os.path.basename(os.path.normpath(job_dir)), job_dir
        chosen = checkpoints.choose(job_dir, checkpoint)
        self.checkpoint = chosen.name
        self.captioner, self.source = photographs.open_run(job_dir, chosen.prefix, encoder, detector, labels, exif=exif)
        self.detector = getattr(self.source, "detector", None)
        if self.detector is None and detector:
            self.detector = detectors.load(detectors.parse(detector, labels), *LIMITS)
        content = read_config(job_dir)
        self.looks, self.decode = registry.system_of(content, job_dir).attends, parse_decode(of_run(content))
        self.vocabulary = self.captioner.vocabulary
        self._one_at_a_time = threading.Lock()

    def answer(self, path, decode=None, threshold=photographs.DEFAULTS["score_threshold"]):
        """Captions one image file; returns Answer.

        Args: path: of a file that uploads.check_file has accepted, or formats.images.Decoded.
          decode: captioning.decode.Decoding, or its name; None for the run's default. The random numbers of samples
            depend on the file name.
          threshold: minimum score of the detections in `Answer.objects`; it does not change the captions.
        Raises: cli.UserError if the decoding does not fit the run; ImageError for a file that cannot be read, or whose
          objects a detector `annotations:FILE` does not know.
        """
        with self._one_at_a_time:
            rows = self.source.rows([self.source.prepared(path)])
            names = [os.path.basename(path)]
            found = self.captioner.caption_vectors(rows, decode or self.decode, batch=1, names=names)
            (found,) = self.captioner.with_word_log_probs(rows, found)
            objects, reason = self._objects(path, threshold)
            words, weights_TC = self._attention(rows, found[0].ids) if self.looks else (None, None)
        exif, lies_otherwise = self.source.exif, photographs.lies_otherwise(self.source, path)
        return Answer(found, objects, reason, words, weights_TC, exif, lies_otherwise)

    def vectors(self):
        """Returns the captioner's word embedding at the input of its decoder: NumPy float32 [V, E]."""
        own = self.captioner.input_embedding
        return (self.captioner.generator.embedding if own is None else own).numpy()

    def _objects(self, path, threshold):
        """Returns (list of Detection with a score of at least `threshold`, or None; why it is None, else "").

        It is None without a detector, or if a detector `annotations:FILE` does not know the photograph `path`.
        """
        if self.detector is None:
            return None, "no detector was given (--detector, --labels)"
        try:
            pixels = read_image(path, self.source.exif) if self.detector.needs_pixels else None
            found = self.detector.detect(os.path.basename(path), pixels)
        except ImageError as error:  # the file of known objects does not list this photograph
            return None, error.reason
        return [detection for detection in found if detection.score >= threshold], ""

    def _attention(self, rows, ids):
        """Returns (words of a caption without markers, their attention weights float [T, C]).

        Args: rows: input of the captioner, one row. ids: word ids of the caption.
        """
        weights_TC = self.captioner.attention(rows, [ids])[0]
        said = [t for t, word in enumerate(ids) if word > 1]  # markers are not drawn
        return [self.vocabulary.word(ids[t]) for t in said], weights_TC[said]


def chances(hypothesis):
    """Returns (probability of a caption, geometric mean of the probabilities of its words and end token), floats.

    Args: hypothesis: captioning.captioner.Hypothesis.
    """
    log_prob = hypothesis.log_prob
    return math.exp(log_prob), math.exp(log_prob / max(len(hypothesis.ids), 1))


def words_with_chances(hypothesis):
    """Returns a caption with the probability of each word after the words before it: text, "" if they are unknown.

    Args: hypothesis: captioning.captioner.Hypothesis.
    """
    pairs = zip(hypothesis.ids, hypothesis.word_log_probs, strict=False)
    return " ".join(f"{word} {math.exp(log_prob):.2f}" for i, (word, log_prob) in pairs if i > 1)


# --------------------------------------------------------------------------------------------------------------
# Objects on the picture

# Okabe and Ito's colours, which colour-blind people can distinguish, without black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
LONGER_SIDE = 480


def draw_objects(image_HWC, objects, side=LONGER_SIDE):
    """Draws a box and a name for each object: returns a PIL image whose longer side has `side` pixels.

    Args: image_HWC: uint8 RGB. objects: list of Detection; those of a classifier have no box and are not drawn.
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(image_HWC)
    scale = side / max(image.size)
    size = [max(1, round(edge * scale)) for edge in image.size]
    image = image.resize(size, Image.Resampling.BICUBIC)
    drawing, font = ImageDraw.Draw(image), ImageFont.load_default(size=14)
    names = sorted({detection.class_name for detection in objects})
    for detection in sorted(objects, key=lambda found: found.score):
        if not has_place(detection):
            continue
        colour = COLOURS[names.index(detection.class_name) % len(COLOURS)]
        ymin, xmin, ymax, xmax = detection.box
        left, top, right, bottom = xmin * size[0], ymin * size[1], xmax * size[0], ymax * size[1]
        drawing.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=3)
        label = f"{detection.class_name} {detection.score:.2f}"
        _, _, width, height = drawing.textbbox((0, 0), label, font=font)
        x = min(max(left, 0), max(0, size[0] - width - 6))
        y = top - height - 5 if top > height + 5 else top
        drawing.rectangle((x, y, x + width + 6, y + height + 5), fill=colour)
        drawing.text((x + 3, y + 1), label, fill="black" if colour in COLOURS[4:] else "white", font=font)
    return image


def has_place(detection):
    """Returns whether an object (Detection) has a box: False if a classifier found it (its box is the whole image)."""
    return tuple(detection.box) != (0.0, 0.0, 1.0, 1.0)


def as_image(figure, dpi=110):
    """Renders a matplotlib figure; returns its pixels uint8 [H, W, 3]. Args: dpi: pixels an inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def attention(image_HWC, answer):
    """Draws the attention for each word of the best caption, with large titles; returns uint8 [H, W, 3].

    Args: image_HWC: uint8 RGB. answer: Answer of a run with attention.
    """
    drawing = attention_pictures.figure(image_HWC, answer.words, answer.weights_TC)
    for panel in drawing.axes:
        panel.title.set_fontsize(15)
    drawing.tight_layout(pad=0.4)
    return as_image(drawing)


def word_map(shown, hypotheses, method="pca"):
    """Draws a run's word vectors in two dimensions, with the words of captions and their nearest words marked.

    Args: shown: Shown. hypotheses: list of Hypothesis. method: "pca" or "tsne".
    Returns: uint8 [H, W, 3].
    """
    ids = {i for hypothesis in hypotheses for i in hypothesis.words}
    drawing = word_maps.figure(shown.vectors(), shown.vocabulary, ids, method)
    drawing.set_size_inches(6, 6)  # a small figure makes the words large
    drawing.tight_layout()
    return as_image(drawing, dpi=150)
