"""Inputs of a captioner from photograph files: image vectors by the run's encoder, or concept words by its detector.

A source is an object that makes these inputs, EncodedPhotographs or DetectedPhotographs. Its method `prepared(path)`
reads one file; `rows(prepared)` makes the input rows of a batch of prepared files. Its attribute `exif` says whether
photographs are turned by their EXIF orientation.
"""

import os
import shlex

import numpy as np

import cli
import extensions
import registry
from captioning.run_content import encoder_of_run
from formats import readers, sidecars, writing
from formats.images import ImageError, is_turned, read_image
from models.encoders.saved import COPY_LIMIT
from preprocessing.detection import detectors
from preprocessing.detection.concept_objects import above_thresholds, class_words, objects_of, with_prior
from training.run_directory import read_config

DEFAULTS = {
    "score_threshold": 0.3,
    "word_threshold": None,
    "prior": {},
    "prior_threshold": 0.3,
    "prior_below": 1.0,
    "word_thresholds": {},
    "class_map": {},
    "classifier_threshold": 0.1,
    "classifier_top": 3,
    "exif": False,
}


def open_run(job_dir, checkpoint, encoder=None, detector=None, labels=None, threshold=0.0, exif=None):
    """Returns (captioner, source) of a run: a Captioner, and the object that reads files as its inputs.

    Args:
      job_dir: run directory.
      checkpoint: "best", "newest", a step, or the path of a checkpoint.
      encoder: name of the run's encoder with its new path, if its files have moved; else None.
      detector, labels: values of --detector and --labels, for a run that reads concept words but has no saved detector,
        or one whose files have moved.
      threshold: minimum detection score of an object.
      exif: whether photographs are turned by their EXIF orientation; None to treat them as the run's training images
        were.

    Raises: cli.UserError if the run, its encoder or its detector cannot be loaded.
    """
    system = registry.system_of(read_config(job_dir), job_dir)
    captioner = system.load("captioner").from_run(job_dir, checkpoint)
    if system.reads_concepts:
        return captioner, DetectedPhotographs(job_dir, captioner, detector, labels, threshold, exif)
    return captioner, EncodedPhotographs(encoder_of_run(job_dir, checkpoint, encoder), exif)


def caption_files(captioner, source, files, broken, decode, batch_size=16, description=None):
    """Captions image files batch by batch; all commands that caption files use this function.

    Args:
      captioner, source: from `open_run`.
      files: list of (path, image id); an id may have any type and is yielded with its captions.
      broken: list to which (path, reason) is appended for each file that cannot be captioned.
      decode: captioning.decode.Decoding, or its name. The random numbers of samples depend on the image ids.
      batch_size: number of files read and captioned at once.
      description: text of the progress bar; None for no bar.

    Yields (files, rows, captions) for each batch in which n > 0 files could be captioned: list of n (path, image id),
    the captioner's input rows [n, ...], list of n lists of Hypothesis, each sorted best first.
    """
    starts = range(0, len(files), batch_size)
    for start in cli.progress(starts, description, len(starts)) if description else starts:
        there, inputs = [], []
        for path, image_id in files[start : start + batch_size]:
            try:
                inputs.append(source.prepared(path))
                there.append((path, image_id))
            except (ImageError, OSError) as error:
                broken.append((path, getattr(error, "reason", error)))
        if not there:
            continue
        rows = source.rows(inputs)
        usable = np.isfinite(rows.reshape(len(rows), -1)).all(1)
        broken += [(there[i][0], "its image vector is not finite") for i in np.flatnonzero(~usable)]
        there, rows = [there[i] for i in np.flatnonzero(usable)], rows[usable]
        if there:
            ids = [image_id for _, image_id in there]
            yield there, rows, captioner.caption_vectors(rows, decode, batch=batch_size, names=ids)


def lies_otherwise(source, path):
    """Returns whether image viewers turn a photograph by its EXIF orientation but the source reads it unturned.

    Args: source: from `open_run`. path: path of the photograph.
    """
    return not source.exif and is_turned(path)


class EncodedPhotographs:
    """Source of image vectors, which an encoder computes from photographs."""

    def __init__(self, encoder, exif=None):
        """Holds the encoder.

        Args: encoder: models.encoders.Encoder. exif: whether photographs are turned by their EXIF orientation; None for
          the value of `encoder.exif`.
        """
        self.encoder = encoder
        self.exif = encoder.exif if exif is None else exif

    def prepared(self, path):
        """Returns the first crop of an image file that the encoder prepares (`Encoder.crops`): array [S, S, 3].

        It is the centre crop or the whole image, S pixels high and wide, uint8 or float32 as the encoder takes it. For
        several joined encoders it is float32 [number of values], the crops of all of them in one row.

        Raises: formats.images.ImageError if the file is not an image that can be read.
        """
        return self.encoder.crops(read_image(path, self.exif), 0, 0)[0]

    def rows(self, prepared):
        """Returns the image vectors of centre crops: float32 [n, D], or [n, cells, D] if the encoder returns grids.

        Args: prepared: list of n results of `prepared`.
        """
        return self.encoder.encode(np.stack(prepared))


class DetectedPhotographs:
    """Source of concept words, found by a detector with the same settings as for the training images."""

    def __init__(self, job_dir, captioner, detector=None, labels=None, threshold=0.0, exif=None):
        """Loads the detector.

        Args:
          job_dir: run directory.
          captioner: ConceptCaptioner of the run.
          detector, labels: values of --detector and --labels; None for the detector saved with the run.
          threshold: minimum detection score of an object.
          exif: whether photographs are turned by their EXIF orientation; None to treat them as the training images
            were.

        Raises: cli.UserError if the detector cannot be loaded or is not the one that the run was trained with.
        """
        self.captioner, self.threshold = captioner, threshold
        kept = read_detector(job_dir)
        self.settings = DEFAULTS | kept["settings"]
        self.exif = self.settings["exif"] is True if exif is None else exif
        parts = detectors.parse(detector, labels) if detector else _stored_parts(job_dir, kept)
        if kept["made_from"] and list(map(_content, parts)) != list(map(_content, kept["made_from"])):
            raise cli.UserError(
                f"--detector {detector or kept['detector']}: not the detector that the run {job_dir} was trained with, "
                f"expected {', '.join(part['source'] for part in kept['made_from'])}"
            )
        words = captioner.vocabulary
        self.prior = {words.id(word): factor for word, factor in self.settings["prior"].items()}
        self.word_thresholds = {words.id(word): least for word, least in self.settings["word_thresholds"].items()}
        limits = self.settings["classifier_threshold"], self.settings["classifier_top"]
        self.detector = detectors.load(parts, *limits)

    def prepared(self, path):
        """Returns the concept words of an image file: word ids int32 [K], zero padded; K is the same for all files.

        Raises: formats.images.ImageError if the file is not an image that can be read.
        """
        pixels = read_image(path, self.exif) if self.detector.needs_pixels else None
        found = self.detector.detect(os.path.basename(path), pixels)
        names = [detection.class_name for detection in found]
        ids, _ = class_words(names, self.captioner.vocabulary, self.settings["class_map"])
        objects = objects_of(found, ids, self.settings["score_threshold"], self.settings["word_threshold"])
        limits = self.settings["prior_threshold"], self.settings["prior_below"]
        classes, scores = with_prior(*objects, self.prior, *limits) if self.prior else objects
        if self.word_thresholds:
            classes, scores = above_thresholds(classes, scores, self.word_thresholds)
        number = len(classes)
        padded = np.zeros([1, max(1, number)])
        padded[0, :number], values = classes, np.zeros_like(padded)
        values[0, :number] = scores
        objects = padded.astype(np.int32), values.astype(np.float32), np.asarray([number])
        return self.captioner.select_words(*objects, self.threshold)[0]

    def rows(self, prepared):
        """Returns the concept words of n photographs: int32 [n, K]. Args: prepared: list of n results of `prepared`."""
        return np.stack(prepared)


# --------------------------------------------------------------------------------------------------------------
# The detector saved with a run


def read_detector(job_dir):
    """Returns the content of RUN/detector/detector.json as a dict.

    Args: job_dir: run directory.

    Returns: a dict with the keys
      "detector": the saved detector as text in the form of --detector; None if none was saved.
      "settings": dict name -> value, the settings by which detections are converted to concept words.
      "made_from": list of dicts (detectors.Part.identity), the detectors that found the objects of the training images.
      If the file does not exist, the values are None, {} and [].

    Raises: cli.UserError if its content is malformed.
    """
    path = os.path.join(job_dir, "detector", "detector.json")
    if not os.path.exists(path):
        return {"detector": None, "settings": {}, "made_from": []}
    found = readers.read_json(path)
    fields = {
        "detector": readers.optional(readers.is_text),
        "settings": lambda value: (
            readers.is_object(value)
            and all(readers.is_object(value.get(name, {})) for name in ("prior", "word_thresholds"))
        ),
        "made_from": lambda value: readers.is_list(value) and all(map(_is_part, value)),
    }
    readers.check_fields(found, fields, path, "restore it from a backup, or remove it and use --detector")
    return found


def _is_part(value):
    """Returns whether a JSON value is the identity of a detector (detectors.Part.identity)."""
    return isinstance(value, dict) and readers.is_text(value.get("source")) and "sha256" in value


def _content(part):
    """Returns the entries of a detector's identity that must agree: (sha256 of the network, sha256 of the labels).

    A network without sha256 is identified by its address.

    Args: part: detectors.Part, or its identity as a dict.
    """
    identity = part.identity() if isinstance(part, detectors.Part) else part
    return identity["sha256"] or identity["source"], identity.get("labels_sha256")


def _stored_parts(job_dir, kept):
    """Returns the detectors saved with a run as a list of detectors.Part, without loading them.

    A program is never loaded because a run names it, and a file outside of the run only if it has the sha256 of the
    file that the run was trained with.

    Args: job_dir: run directory. kept: dict, from `read_detector`.
    Raises: cli.UserError if the run has no detector, or its detector may not be loaded.
    """
    folder = os.path.join(job_dir, "detector")
    if not kept["detector"]:
        names = ", ".join(part["source"] for part in kept["made_from"]) or "the one of its training images"
        raise cli.UserError(
            f"{job_dir} captions from concept words and has no saved detector: use --detector and --labels ({names}), "
            "or train with --detector, which saves it"
        )
    spec = kept["detector"].replace("{RUN}", folder)
    if programs := detectors.programs_in(spec):
        raise cli.UserError(str(extensions.StoredCodeError(folder, programs[0], "--detector", spec)))
    parts, known = detectors.parse(spec), [_content(part) for part in kept["made_from"]]
    for part in parts:
        inside = all(_is_inside(path, folder) for path in (part.path, part.labels) if path)
        if not inside and _content(part) not in known:
            raise cli.UserError(
                f"{folder} names {part.path}, which is outside of the run and has not the sha256 of the detector that "
                f"it was trained with. If you trust it: {cli.command_line()} --detector {shlex.quote(spec)}"
            )
    return parts


def _is_inside(path, folder):
    """Returns whether a path, its links resolved, is inside a folder."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def keep_detector(run, data_dir, spec="", labels=None):
    """Saves in a run the settings that turn detected objects into concept words, and the detector if one is given.

    They are written to RUN/detector/; nothing is written by a process whose `run.writes` is False.

    Args:
      run: RunDirectory.
      data_dir: data folder; the sidecars of its detections and image records contain these settings.
      spec, labels: values of --detector and --labels; "" and None for no detector. The detector's files are copied if
        they are below 100 MB together.
    """
    if not run.writes:
        return
    of_images, of_detections = (_sidecar(data_dir, f"{stem}.json") for stem in ("image_train", "detections"))
    settings = of_detections.get("settings", {}) | of_images.get("settings", {})
    settings |= {name: of_images.get(name, {}) for name in ("prior", "word_thresholds")}
    settings["exif"] = of_detections.get("settings", {}).get("exif", False)  # the detector saw the photographs
    content = {
        "detector": None,
        "settings": {name: settings[name] for name in DEFAULTS if name in settings},
        "made_from": of_detections.get("made_from", {}).get("detectors", []),
    }
    folder = run.file("detector")
    os.makedirs(folder, exist_ok=True)
    if spec:
        content["detector"] = _kept(detectors.parse(spec, labels), folder)
    sidecars.write_json(os.path.join(folder, "detector.json"), content)


def _sidecar(data_dir, name):
    """Returns the content of a sidecar as a dict; {} if it does not exist. Args: name: its file name in `data_dir`."""
    path = os.path.join(data_dir, name)
    return sidecars.read_sidecar(path) if os.path.exists(path) else {}


def _kept(parts, folder):
    """Copies the detectors' files to `folder` if they are small. Returns the detectors as text in --detector's form.

    In the text {RUN} stands for `folder`; files that are not copied have their absolute paths. Detectors that run
    code are never copied: users must name them again by --detector when captioning.

    Args: parts: list of detectors.Part.
    """
    data = [part for part in parts if part.kind in detectors.DATA_ONLY]
    files = {path for part in data for path in (part.path, part.labels) if path and os.path.isfile(path)}
    files |= {part.labels for part in parts if part.labels}
    small = sum(os.path.getsize(path) for path in files) < COPY_LIMIT

    def place(path):
        if path not in files or not small:
            return path if "://" in path else os.path.abspath(path)
        writing.copy_file(path, os.path.join(folder, os.path.basename(path)))
        return "{RUN}/" + os.path.basename(path)

    def text(part):
        if extensions.is_file(part.kind):
            return f"{os.path.abspath(part.kind)}:{part.path}"
        return f"{part.kind}:{place(part.path)}" + (f"#labels={place(part.labels)}" if part.labels else "")

    return "+".join(map(text, parts))
