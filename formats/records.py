"""Reads the record files of the stages; also exports the functions for schemas, files and sidecars of records.

Records are `tf.train.SequenceExample` in TFRecord files, with the field names of the authors' files, so the files that
the authors released are read by the same functions. Each output has a JSON sidecar that describes it. TensorFlow is
imported inside the functions, so that `--help` does not need it.

    python -m preprocessing.records --index data/coco/image_train.tfrec

writes the sidecar of a file that has none, such as a released file: every checksum in the file is compared, and from
then on a run notices when the file has changed.

Sizes in comments and docstrings: N records, B records of one batch, T tokens of one sentence.
"""

import contextlib
import dataclasses
import itertools
import os

import numpy as np

import cli
from formats import file_names, made_by

# Stages import the schema, the files and the sidecars from this module:
from formats.record_examples import (  # noqa: F401
    caption_example,
    detection_example,
    image_example,
    sentence_example,
)
from formats.record_files import (  # noqa: F401
    CUT_IN_LENGTH,
    FOOTER,
    HEADER,
    ImpossibleLength,
    dataset,
    find_files,
    read_at,
    read_examples,
    write_records,
)
from formats.sidecars import SCHEMA_VERSION, already_made, damaged_file, sidecar_status, write_sidecar  # noqa: F401

LONGEST_SENTENCE = (
    1000  # tokens with markers: batches are as wide as the longest sentence, so one long line fills the memory
)
LARGEST_ID = np.iinfo(np.int32).max
MOST_OBJECTS = 10_000  # objects of a photograph, for the same reason


def _tensorflow():
    import tensorflow as tf

    return tf


# --------------------------------------------------------------------------------------------------------------
# Reading records


@contextlib.contextmanager
def _reading(path, index):
    """Context manager: converts exceptions about the content of a record to cli.UserError.

    Such a record has a valid checksum, but its fields do not fit the expected schema.

    Args: path: the record file. index: index of the record in it, from 0; both are named in the message.
    """
    try:
        yield
    except (ValueError, IndexError, OverflowError) as error:  # wrong lengths of lists, not a text, too large numbers
        raise cli.UserError(f"{path}: record {index} is not as expected ({error}): a file of another kind?") from error


def _parsed(path, required, skip_damaged=False):
    """Yields (index, (byte offset of the data, data: bytes), tf.train.SequenceExample) for each record of a file.

    Args:
      required: names of the fields that each record must have.
      skip_damaged: leave damaged records out, with a warning that counts them.

    Raises: cli.UserError for a damaged record, one that is not a SequenceExample, or one without a required field.
    """
    tf = _tensorflow()
    for index, offset, serialized in read_examples(path, skip_damaged):
        try:
            example = tf.train.SequenceExample.FromString(serialized)
        except Exception as error:  # protobuf's DecodeError is not exported by TensorFlow
            raise cli.UserError(f"{path}: record {index} is not a SequenceExample ({error})") from error
        for name in required:
            if name not in example.feature_lists.feature_list and name not in example.context.feature:
                raise cli.UserError(f"{path}: record {index} has no field {name!r}: a file of another kind?")
        yield index, (offset, serialized), example


def _steps(example, name, kind):
    """Returns the values of all steps of a feature list as one list; [] if the record has no such feature list.

    Args:
      example: tf.train.SequenceExample.
      name: name of the feature list.
      kind: field of tf.train.Feature that holds the values: "int64_list", "float_list" or "bytes_list".
    """
    if name not in example.feature_lists.feature_list:
        return []
    steps = example.feature_lists.feature_list[name].feature
    return [value for step in steps for value in getattr(step, kind).value]


def _name(example):
    """Returns the image file name (str) of a tf.train.SequenceExample."""
    return file_names.from_bytes(example.context.feature["image/name"].bytes_list.value[0])


def _offsets(lengths):
    """Returns the offsets int64 [N + 1] of N rows in a flat array, from the lengths of the rows."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))]).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Sentences:
    """A corpus of N sentences in memory.

    Sentence i has the word ids `flat[offsets[i]:offsets[i + 1]]`, with the start and the end marker; its concept words
    have the ids `key_flat[key_offsets[i]:key_offsets[i + 1]]`. Ids are int32, offsets int64 [N + 1].
    """

    key_flat: np.ndarray  # int32
    key_offsets: np.ndarray  # int64 [N + 1]
    flat: np.ndarray  # int32, with the start and the end marker
    offsets: np.ndarray  # int64 [N + 1]

    def __len__(self):
        return len(self.offsets) - 1


def _ragged_batches(path, names, skip_damaged, batch=4096):
    """Reads a file of integer feature lists in batches.

    Nothing is padded, so a record with very many ids does not enlarge the others.

    Args:
      names: names of the feature lists to read.
      skip_damaged: leave damaged records out, with a warning that counts them.
      batch: records of a batch, B; the last batch may be smaller.

    Yields: dict name -> (ids of all rows, concatenated: int64 [n]; length of each row: int [B]).
    Raises: cli.UserError naming the first damaged record.
    """
    tf = _tensorflow()
    features = {name: tf.io.RaggedFeature(tf.int64) for name in names}

    def parse(serialized):
        _, found, _ = tf.io.parse_sequence_example(serialized, sequence_features=features)
        size = tf.reduce_sum(tf.strings.length(serialized)) + tf.size(serialized) * (HEADER + FOOTER)
        rows = {
            name: found[name].merge_dims(1, 2) for name in names
        }  # merges the dimensions of steps and of the values of a step
        return {name: (row.flat_values, row.row_lengths()) for name, row in rows.items()}, size

    done, position, reason = 0, 0, CUT_IN_LENGTH
    try:
        parsed_records = dataset(path).batch(batch).map(parse, num_parallel_calls=2).prefetch(2)
        for parsed, size in parsed_records.as_numpy_iterator():
            yield parsed
            done, position = done + len(parsed[names[0]][1]), position + int(size)
        if position == os.path.getsize(path):
            return
    except ImpossibleLength as error:
        reason = str(error)
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
    # Slow, but it names the damaged record or leaves it out.
    examples = (found[1] for index, found, _ in _parsed(path, names, skip_damaged) if index >= done)
    while group := list(itertools.islice(examples, batch)):
        try:
            found = parse(tf.constant(group))[0]
        except tf.errors.OpError as error:  # another kind of message with a valid checksum
            raise cli.UserError(f"{path}: cannot be read ({error.message.splitlines()[0]})") from error
        yield {name: (ids.numpy(), lengths.numpy()) for name, (ids, lengths) in found.items()}
    if not skip_damaged:
        raise cli.UserError(f"{path}: cannot be read ({reason})")


def read_sentences(paths, skip_damaged=False):
    """Reads the sentences of `sentence*.tfrec` files, in the order of the files; returns `Sentences`.

    Args:
      paths: list of files. skip_damaged: leave damaged records out, with a warning that counts them.

    Raises: cli.UserError naming the file (and record) that is damaged, empty or of another kind.
    """
    columns = {"key": [[], []], "sentence": [[], []]}
    total = 0
    for path in paths:
        count = 0
        for batch in _ragged_batches(path, list(columns), skip_damaged):
            for name, (ids, lengths_B) in batch.items():
                if len(ids) and not 0 <= ids.min() <= ids.max() <= LARGEST_ID:
                    raise cli.UserError(f"{path}: ids from {ids.min()} to {ids.max()}: a file of another kind?")
                columns[name][0].append(ids.astype(np.int32))
                columns[name][1].append(lengths_B)
            lengths_B = batch["sentence"][1]
            for row in np.flatnonzero((lengths_B == 0) | (lengths_B > LONGEST_SENTENCE)):
                raise cli.UserError(
                    f"{path}: record {count + row} has {lengths_B[row] or 'no'} tokens, expected at most "
                    f"{LONGEST_SENTENCE}: a file of another kind? Make it again with: "
                    + made_by.command(os.path.dirname(path) or ".", "sentence", again=True)
                )
            count += len(lengths_B)
        total += count
    if total == 0:
        raise cli.UserError(f"{', '.join(paths)}: no records")
    flat = {name: np.concatenate(ids) for name, (ids, _) in columns.items()}
    offsets = {name: _offsets(np.concatenate(lengths)) for name, (_, lengths) in columns.items()}
    return Sentences(flat["key"], offsets["key"], flat["sentence"], offsets["sentence"])


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of one split; image i has the objects `class_flat[class_offsets[i]:class_offsets[i + 1]]`.

    Attributes: names: list of N file names. class_flat: int32, the vocabulary ids of all objects' concept words.
      class_offsets: int64 [N + 1]. score_flat: float32, the score (0 to 1) of each object, as long as class_flat.
      data: list of (path, byte offset, length) of the JPEG bytes, for `read_at`; None if they were not asked for.
    """

    names: list  # file names
    class_flat: np.ndarray  # int32, vocabulary ids
    class_offsets: np.ndarray  # int64 [N + 1]
    score_flat: np.ndarray  # float32, as long as class_flat
    data: list | None  # locations of the JPEG bytes, for `read_at`

    def __len__(self):
        return len(self.names)


def read_images(paths, with_data=False, skip_damaged=False):
    """Reads the photographs of `image_*.tfrec` files, in the order of the files; returns `Images`.

    Args:
      paths: list of files. with_data: whether to fill `Images.data`, the locations of the JPEG bytes.
      skip_damaged: leave damaged records out, with a warning that counts them.

    Raises: cli.UserError naming the record that is damaged or of another kind.
    """
    names, classes, lengths, scores, data = [], [], [], [], []
    for path in paths:
        for index, (offset, serialized), example in _parsed(path, ["image/name"], skip_damaged):
            ids, values = _steps(example, "classes", "int64_list"), _steps(example, "scores", "float_list")
            if len(ids) != len(values) or len(ids) > MOST_OBJECTS:
                raise cli.UserError(
                    f"{path}: record {index} has {len(ids)} classes and {len(values)} scores, expected equal numbers, "
                    f"at most {MOST_OBJECTS}"
                )
            with _reading(path, index):
                names.append(_name(example))
                classes.append(np.asarray(ids, np.int32))
                if with_data:
                    jpeg = example.context.feature["image/data"].bytes_list.value[0]
                    data.append((path, offset + serialized.index(jpeg), len(jpeg)))
            scores.extend(values)
            lengths.append(len(ids))
    return Images(
        names,
        np.concatenate(classes) if classes else np.zeros(0, np.int32),
        _offsets(lengths),
        np.asarray(scores, np.float32),
        data if with_data else None,
    )


@dataclasses.dataclass(frozen=True)
class Detection:
    """One detected object.

    Attributes:
      class_id: number of the class; the numbers of several detectors that were run together are distinct.
      class_name: display name of the class.
      score: in 0 to 1.
      box: (ymin, xmin, ymax, xmax), fractions of the image's height and width.
      source: name of the detector.
    """

    class_id: int
    class_name: str
    score: float
    box: tuple
    source: str


def each_detections(paths):
    """Yields (file name, list of `Detection`) for each photograph of `detections*.tfrec` files, in their order.

    Raises: cli.UserError when a record is damaged, or two records have the same photograph.
    """
    found = set()
    for path in paths:
        for index, _, example in _parsed(path, ["image/name"]):
            with _reading(path, index):
                name, detections = _name(example), _detections(example)
            if name in found:
                raise cli.UserError(f"{path}: record {index} is a second record of {name}")
            found.add(name)
            yield name, detections


def _detections(example):
    """Returns the list of `Detection` of a tf.train.SequenceExample."""
    boxes = np.asarray(_steps(example, "boxes", "float_list"), np.float32).reshape(-1, 4)
    columns = zip(
        _steps(example, "class_ids", "int64_list"),
        [value.decode() for value in _steps(example, "class_names", "bytes_list")],
        _steps(example, "scores", "float_list"),
        [tuple(box) for box in boxes.tolist()],
        [value.decode() for value in _steps(example, "sources", "bytes_list")],
        strict=True,
    )
    return [Detection(*values) for values in columns]


SENTENCE, IMAGE = "sentences with their concept words", "photographs with their objects"
DETECTIONS, CAPTION = "what detectors found", "generated captions"


@dataclasses.dataclass(frozen=True)
class Record:
    """The content of a record of any kind; a field that the kind does not have keeps its default.

    Attributes:
      kind: SENTENCE, IMAGE, DETECTIONS or CAPTION.
      name: file name of the photograph; None if the record has none.
      ids: tuple of int, vocabulary ids of the sentence (with markers) or caption (without); for IMAGE, of the objects'
        concept words.
      keys: tuple of int, vocabulary ids of a sentence's concept words.
      scores: tuple of float, scores (0 to 1) of the objects, for IMAGE.
      detections: tuple of Detection, for DETECTIONS.
      bytes: number of bytes of the JPEG file, for IMAGE.
    """

    kind: str
    name: str | None
    ids: tuple = ()
    keys: tuple = ()
    scores: tuple = ()
    detections: tuple = ()
    bytes: int = 0


def each_record(path):
    """Yields each record of a file as `Record`, of any kind.

    Raises: cli.UserError for a damaged file, or records of a kind that no stage writes.
    """
    for index, _, example in _parsed(path, []):
        with _reading(path, index):
            lists, context = example.feature_lists.feature_list, example.context.feature
            name = _name(example) if "image/name" in context else None
            ids = tuple(_steps(example, "sentence", "int64_list"))
            if "class_names" in lists:
                yield Record(DETECTIONS, name, detections=tuple(_detections(example)))
            elif "key" in lists:
                yield Record(SENTENCE, None, ids, tuple(_steps(example, "key", "int64_list")))
            elif "sentence" in lists:
                yield Record(CAPTION, name, ids)
            elif name is not None:
                size = len(context["image/data"].bytes_list.value[0]) if "image/data" in context else 0
                values = [
                    tuple(_steps(example, *field)) for field in (("classes", "int64_list"), ("scores", "float_list"))
                ]
                yield Record(IMAGE, name, values[0], scores=values[1], bytes=size)
            else:
                raise ValueError(f"its fields are {', '.join([*context, *lists]) or 'none'}")


def read_captions(paths):
    """Reads generated captions from the records of `obj2sen_captions*.tfrec` or `retrieved_captions*.tfrec` files.

    Args: paths: list of files with N captions in total.

    Returns: (names, flat, offsets):
      names: list of N image file names; None if the records have none, as in the authors' files, whose order is that of
        the image records.
      flat: int32, the vocabulary ids of all captions (without markers), concatenated.
      offsets: int64 [N + 1]; caption i is flat[offsets[i]:offsets[i + 1]].
    Raises: cli.UserError if only some records have a name, or a record is damaged.
    """
    names, flat, lengths = [], [], []
    for path in paths:
        for index, _, example in _parsed(path, ["sentence"]):
            ids = _steps(example, "sentence", "int64_list")
            with _reading(path, index):
                flat.append(np.asarray(ids, np.int32))
                if "image/name" in example.context.feature:
                    names.append(_name(example))
            lengths.append(len(ids))
    if names and len(names) != len(lengths):
        raise cli.UserError(f"{paths[0]}: only {len(names)} of {len(lengths)} captions name their photograph")
    return names or None, np.concatenate(flat) if flat else np.zeros(0, np.int32), _offsets(lengths)
