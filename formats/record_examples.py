"""Makes the records that the stages write: `tf.train.SequenceExample` with the field names of the authors' files.

The stages import these functions from formats/records.py, which also reads the records. TensorFlow is imported inside
the functions.
"""

import functools

import numpy as np

from formats import file_names


def _tensorflow():
    import tensorflow as tf

    return tf


@functools.cache
def _encoded_id(value):
    """Returns the serialized tf.train.FeatureList with one integer (cached)."""
    tf = _tensorflow()
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.FeatureList(feature=[feature]).SerializeToString()


def _id_list(values):
    """Returns a tf.train.FeatureList with one step for each integer of a sequence."""
    # Concatenated messages are the message with concatenated lists (by the definition of protocol buffers). This is
    # three times as fast as one feature object for each token, which is most of the cost of writing a corpus.
    return _tensorflow().train.FeatureList.FromString(b"".join([_encoded_id(int(value)) for value in values]))


def _float_list(rows):
    """Returns a tf.train.FeatureList with one step for each element, a number or a sequence of numbers."""
    tf = _tensorflow()
    values = [np.asarray(row, np.float32).reshape(-1) for row in rows]
    return tf.train.FeatureList(
        feature=[tf.train.Feature(float_list=tf.train.FloatList(value=value)) for value in values]
    )


def _bytes_feature(value):
    """Returns the tf.train.Feature of one value: bytes, or a file name (str)."""
    tf = _tensorflow()
    value = value if isinstance(value, bytes) else file_names.to_bytes(value)
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _bytes_list(values):
    """Returns a tf.train.FeatureList with one step for each value (bytes or str) of a sequence."""
    return _tensorflow().train.FeatureList(feature=[_bytes_feature(value) for value in values])


def _serialized(feature_lists, context=None):
    """Returns the bytes of a SequenceExample.

    Args: feature_lists: dict name -> tf.train.FeatureList. context: dict name -> tf.train.Feature, or None.
    """
    tf = _tensorflow()
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature=context) if context else None,
        feature_lists=tf.train.FeatureLists(feature_list=feature_lists),
    )
    return example.SerializeToString(deterministic=True)  # else the order of the fields can differ between processes


def sentence_example(key_ids, sentence_ids):
    """Returns the record of one corpus sentence (docs/stages.md).

    Args:
      key_ids: ids of the concept words in the sentence, each once.
      sentence_ids: ids of the sentence [T], with the start and the end marker.
    Returns: a serialized SequenceExample with the feature lists "key" and "sentence".
    """
    return _serialized({"key": _id_list(key_ids), "sentence": _id_list(sentence_ids)})


def image_example(name, data, classes, scores):
    """Returns the record of one photograph with its objects (docs/stages.md): a serialized SequenceExample.

    Args:
      name: file name with extension.
      data: bytes of the JPEG file, stored unchanged; b"" to store none.
      classes: list of vocabulary ids of the objects' concept words.
      scores: list of float in 0 to 1, one for each id.
    """
    context = {"image/name": _bytes_feature(name), "image/data": _bytes_feature(data)}
    return _serialized({"classes": _id_list(classes), "scores": _float_list(scores)}, context)


def detection_example(name, class_ids, class_names, scores, boxes, sources):
    """Returns the record of the detections in one photograph: a serialized SequenceExample.

    Each list has one entry for each detection.

    Args:
      name: file name with extension.
      class_ids: list of the detector's own class numbers.
      class_names: list of display names.
      scores: list of float in 0 to 1.
      boxes: float [n, 4] or flat [4n]: ymin, xmin, ymax, xmax as fractions of the image's height and width; a
        classifier's detection has 0, 0, 1, 1.
      sources: list of the names of the detectors that found them.

    Raises: ValueError when the lists differ in length or a number is not finite.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    lengths = {len(class_ids), len(class_names), len(scores), len(boxes), len(sources)}
    if len(lengths) != 1:
        raise ValueError(f"{name}: the lists of one image's detections have different lengths: {sorted(lengths)}")
    if not (np.isfinite(boxes).all() and np.isfinite(np.asarray(scores, np.float32)).all()):
        raise ValueError(f"{name}: a box or score is not a finite number")
    feature_lists = {
        "class_ids": _id_list(class_ids),
        "class_names": _bytes_list(class_names),
        "scores": _float_list(scores),
        "boxes": _float_list(boxes.reshape(-1)),
        "sources": _bytes_list(sources),
    }
    return _serialized(feature_lists, {"image/name": _bytes_feature(name)})


def caption_example(ids, name=None):
    """Returns the record of one caption: a serialized SequenceExample.

    Args: ids: list of vocabulary ids without markers. name: file name of the photograph; None if it is not known.
    """
    return _serialized({"sentence": _id_list(ids)}, {"image/name": _bytes_feature(name)} if name is not None else None)
