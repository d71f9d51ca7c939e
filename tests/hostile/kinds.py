"""The kinds of files, each with the function that the programs read it with.

A reader takes the folder of the good files, one of which may be damaged, and returns its content as plain values and
arrays; two results are compared by their digest. TensorFlow is used only in the process of one kind.
"""

import dataclasses
import hashlib
import os

import numpy as np

import cli
import input_pipeline
from captioning import splits
from captioning.captioner import Captioner
from captioning.run_content import encoder_of_run
from evaluation import table
from evaluation.report import curves
from formats import concepts, label_maps, records, sidecars, vocabulary
from formats.images import ImageError
from initialization import pseudo_captions
from models import encoders
from models.consensus import consensus_reward
from preprocessing import import_features
from preprocessing.detection import known_objects
from preprocessing.sharding import outputs, shards
from preprocessing.sources import corpora, corpus_files, datasets, dictionaries
from scripts import import_tf1_checkpoint
from tests.hostile import damage, world
from training import checkpoints, rankings
from training.run_directory import last_metric


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
      paths: files of this kind below the folder of the good files; they are damaged one after the other.
      read: function of that folder.
      special: ways of damage for this format. checked: whether a checksum covers the file; then another result is a
        fault.
    """

    paths: tuple
    read: object
    special: tuple = ()
    checked: bool = False


def digest(value):
    """Returns the sha256 (hex) of a result: dicts, lists, numbers, texts, arrays, dataclasses of these."""
    found = hashlib.sha256()

    def walk(part):
        if dataclasses.is_dataclass(part):
            part = vars(part)
        if isinstance(part, dict):
            part = [[key, part[key]] for key in part]
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype} {part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        elif isinstance(part, list | tuple | set | frozenset):
            found.update(b"[")
            for item in sorted(part, key=str) if isinstance(part, set | frozenset) else part:
                walk(item)
            found.update(b"]")
        else:
            found.update(repr(part).encode("utf-8", "backslashreplace") + b";")

    walk(value)
    return found.hexdigest()


# --------------------------------------------------------------------------------------------------------------
# A data folder


def _data(read):
    return lambda folder: read(os.path.join(folder, "data"))


def _images(data):
    return input_pipeline.read_all(records.read_images, data, "image_train", False, with_data=True)


def _sentences(data):
    return vars(input_pipeline.SentenceSet.load(data))


def _detections(data):
    return dict(records.each_detections(records.find_files(data, "detections")))


def _bank(data):
    bank = input_pipeline.FeatureBank(data, "train")
    return bank.names, np.asarray(bank.features), bank.statistics, bank.sidecar["encoder"]


def _verified_bank(data):
    """Reads the feature bank as a trainer with --verify does."""
    sidecars.verify(data)
    return _bank(data)


def _dictionary(data):
    return vars(vocabulary.Vocabulary.load(os.path.join(data, "word_counts.txt")))


def _described(data):
    """Reads the sidecars as a trainer and process_images do."""
    detections = _detections(data)
    return sidecars.verify(data), len(_images(data)), len(_sentences(data)["rows"]), sorted(detections)


def _concepts(data):
    return concepts.load_concepts(data, "train")


# --------------------------------------------------------------------------------------------------------------
# A run


def _run(read):
    return lambda folder: read(os.path.join(folder, "runs", "run"))


def _variables(captioner):
    parts = [*captioner.generator.variables, *captioner.standardise.variables]
    return [variable.numpy() for variable in parts], captioner.vocabulary.words, captioner.max_caption_length


def _captioner(job_dir):
    return _variables(Captioner.from_run(job_dir))


def _resumed(job_dir):
    """Resumes a run as the training loop does; the warnings about skipped checkpoints are part of the message."""
    warnings, parts = [], world.network_of(job_dir)
    try:
        step, state = checkpoints.restore_newest(job_dir, parts, warnings.append)
    except cli.UserError as error:
        raise cli.UserError(f"{error} ({'; '.join(warnings)})") from error
    return step, state, [variable.numpy() for part in parts.values() for variable in part.variables]


def _encoder(job_dir):
    encoder = encoder_of_run(job_dir, "newest")
    pixels = np.arange(64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    return encoder.encode(encoder.crops(pixels, 0, 0)), encoder.dim, encoder.cells


def _logs(job_dir):
    return curves.read_metrics(job_dir), last_metric(job_dir, "eval/unique"), splits.training_minutes(job_dir, 40)


def _results(job_dir):
    rows = table.read_table(os.path.join(os.path.dirname(job_dir), "table.json"))
    table.print_table(rows)
    return rankings.best_step(job_dir), checkpoints.choose(job_dir).why, rows


# --------------------------------------------------------------------------------------------------------------
# Arrays


def _neighbours(folder):
    try:
        known = encoders.load_encoder(f"caption_embeddings:{folder}/expected/neighbours.npz")._known
    except ValueError as error:  # as its callers do
        raise cli.UserError(str(error)) from error
    return known.units_MD, known.weights_MT, known.mean_D, known.std_D, known.sharpness, known.base


def _phrases(folder):
    dim = input_pipeline.FeatureBank(os.path.join(folder, "expected"), "train").dim
    fit = consensus_reward.load(os.path.join(folder, "expected", "phrases.npz"), dim)
    return [tensor.numpy() for tensor in (*fit.keys, *fit.idf, *fit.directions, fit.general_T)], fit.rarest, fit.length


def _fit(folder):
    data = os.path.join(folder, "expected")
    words = vocabulary.Vocabulary.load(os.path.join(data, "word_counts.txt"))
    sidecars.verify(data)
    points, pseudo = pseudo_captions.load_points("fit", data, words)
    return points.vectors_PT, pseudo.captions


def _tf1(folder):
    prefix = os.path.join(folder, "tf1", "model.ckpt-6")
    return sorted(import_tf1_checkpoint.read_all(prefix).items()), sorted(checkpoints.read_variables(prefix).items())


def _vectors(files):
    vectors = import_features.Vectors(files, "crops")
    return [vectors.read(name, place) for name, place in zip(world.NAMES, vectors.find(world.NAMES), strict=True)]


def _hdf5(folder):
    part = _Part(os.path.join(folder, "arrays", "object.hdf5"), os.path.join(folder, "arrays", "labels.txt"))
    detector = known_objects.DetectionFile(part, {})
    return _detected(detector), _vectors([import_features.DatasetFile(os.path.join(folder, "arrays", "vectors.hdf5"))])


def _detected(detector):
    """Detects as detect_objects does: skips photographs that cannot be read and fails if there are too many."""
    found, failures = [], []
    for name in world.NAMES:
        try:
            found.append(detector.detect(name))
        except ImageError as error:
            failures.append((name, error.reason))
    outputs.report_failures(failures, len(world.NAMES), 0.01, "detect_objects")
    return found


@dataclasses.dataclass(frozen=True)
class _Part:
    """The attributes of detectors.Part that a detector reads."""

    path: str
    labels: str = ""
    source: str = "file"


def _imported(folder):
    paths = [os.path.join(folder, "arrays", f"vectors.{kind}") for kind in ("npy", "txt")]
    return _vectors([import_features.ArrayFile(*paths)])


# --------------------------------------------------------------------------------------------------------------
# Texts of others


def _dataset(kind, name=""):
    return lambda folder: datasets.load_dataset(f"{kind}:{os.path.join(folder, kind.rstrip('8k'), name)}", True)


def _jsonl(folder):
    detector = known_objects.Annotations(_Part(os.path.join(folder, "jsonl", "objects.jsonl")), {})
    return datasets.load_dataset(f"jsonl:{folder}/jsonl", True), _detected(detector)


def _texts(folder):
    path = lambda name: os.path.join(folder, "texts", name)  # noqa: E731
    labels = [label_maps.read_labels(path(f"{name}")) for name in ("map.pbtxt", "classes.csv", "classes.txt")]
    words = ["dog", "person"]
    return (
        labels,
        vocabulary.load_synonyms(path("synonyms.txt"), words),
        vocabulary.plurals(path("plurals.json"), words),
        dictionaries.read_word_list(path("words.txt")),
    )


def _corpora(folder):
    bad, found = corpora.BadEntries(), []
    for corpus in corpus_files.corpora_of(os.path.join(folder, "corpora"))[0]:
        whole = corpora.is_whole(corpus.format)
        for piece in shards.cut([corpus.path], 100, lambda path, whole=whole: whole):
            found += corpora.read(piece, corpus.format, bad)
    return found, bad.named


RUN, CHECKPOINT = "runs/run/", "runs/run/ckpt-8"
DATA_FILE = ".data-00000-of-00001"

KINDS = {
    "image records": Kind(("data/image_train.tfrec",), _data(_images), damage.RECORDS, True),
    "sentence records": Kind(("data/sentence.tfrec",), _data(_sentences), damage.RECORDS, True),
    "detections": Kind(("data/detections.tfrec",), _data(_detections), damage.RECORDS, True),
    "features .npy": Kind(("data/features_train.npy",), _data(_verified_bank), damage.NPY, True),
    "features sidecar": Kind(("data/features_train.json",), _data(_bank), damage.JSON, True),
    "dictionary": Kind(("data/word_counts.txt",), _data(_dictionary), damage.TEXT),
    "other sidecars": Kind(
        tuple(f"data/{stem}.json" for stem in ("image_train", "sentence", "detections", "word_counts")),
        _data(_described),
        damage.JSON,
        True,
    ),
    "names": Kind(("data/names.json", "data/concepts.json"), _data(_concepts), damage.JSON),
    "references": Kind(("data/refs_val.json",), _data(lambda data: splits.references_of(data, "val")), damage.JSON),
    "RUN config": Kind((RUN + "config.json",), _run(_captioner), damage.JSON),
    "RUN vocabulary": Kind((RUN + "vocabulary.txt",), _run(_captioner), damage.TEXT, True),
    "checkpoint data": Kind((CHECKPOINT + DATA_FILE,), _run(_captioner), (), True),
    "checkpoint index": Kind((CHECKPOINT + ".index",), _run(_captioner), (), True),
    "resume": Kind((CHECKPOINT + ".json",), _run(_resumed), damage.JSON),
    "encoder files": Kind((RUN + "encoder/encoder.npz",), _run(_encoder), damage.NPZ, True),
    "encoder.json": Kind((RUN + "encoder/encoder.json",), _run(_encoder), damage.JSON),
    "neighbours.npz": Kind(("expected/neighbours.npz",), _neighbours, damage.NPZ, True),
    "phrases.npz": Kind(("expected/phrases.npz",), _phrases, damage.NPZ, True),
    "fit captions": Kind(("expected/fit_captions.npz",), _fit, damage.NPZ, True),
    "metrics": Kind((RUN + "metrics.jsonl", RUN + "timing.jsonl"), _run(_logs), damage.JSON + damage.TEXT),
    "rankings and tables": Kind((RUN + "b34.json", "runs/table.json"), _run(_results), damage.JSON),
    "TF1 data": Kind(("tf1/model.ckpt-6" + DATA_FILE,), _tf1, (), True),
    "TF1 index": Kind(("tf1/model.ckpt-6.index",), _tf1, (), True),
    "HDF5": Kind(("arrays/object.hdf5", "arrays/vectors.hdf5"), _hdf5, damage.HDF5),
    "imported .npy": Kind(("arrays/vectors.npy", "arrays/vectors.txt"), _imported, damage.NPY + damage.TEXT),
    "karpathy": Kind(("karpathy/dataset_flickr8k.json",), _dataset("karpathy", "dataset_flickr8k.json"), damage.JSON),
    "coco": Kind(("coco/captions_train2014.json", "coco/captions_val2014.json"), _dataset("coco"), damage.JSON),
    "flickr": Kind(("flickr/captions.token.txt", "flickr/train.txt"), _dataset("flickr8k"), damage.TEXT),
    "pascal": Kind(("pascal/pascal-sentences.html",), _dataset("pascal"), damage.TEXT),
    "gcc": Kind(("gcc/train.tsv", "gcc/val.txt"), _dataset("gcc"), damage.TEXT),
    "jsonl": Kind(("jsonl/train.jsonl", "jsonl/objects.jsonl"), _jsonl, damage.JSON + damage.TEXT),
    "other text files": Kind(
        tuple(f"texts/{name}" for name in ("map.pbtxt", "classes.csv", "classes.txt", "synonyms.txt", "words.txt"))
        + ("texts/plurals.json",),
        _texts,
        damage.TEXT + damage.JSON,
    ),
    "corpora": Kind(
        tuple(f"corpora/{name}" for name in ("lines.txt", "lines.jsonl", "gcc.tsv", "flickr.token", "0001.json"))
        + ("corpora/coco.json", "corpora/karpathy.json"),
        _corpora,
        damage.TEXT + damage.JSON,
    ),
}
