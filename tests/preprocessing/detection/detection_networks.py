"""Small object detectors made on the spot with the signatures of the real ones: SavedModels and a frozen graph."""

import tensorflow as tf

ENTITIES, MIDS = [b"Person", b"Wine glass", b"Tree"], [b"/m/01g317", b"/m/09tvcd", b"/m/07j7r"]


def _boxes(red):
    return tf.stack([tf.stack([0.0, 0.0, red, 1.2]), tf.constant([0.25, 0.25, 0.75, 0.75]), tf.zeros(4)])


def open_images(folder):
    """The Open Images signature: class 69 scores the mean red of the picture, class 7 always 0.5, a third one 0.25."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32, name="images")])
    def detect(images):
        red = tf.reduce_mean(images[..., 0])
        return {
            "detection_boxes": _boxes(red),
            "detection_class_entities": tf.constant(ENTITIES),
            "detection_class_names": tf.constant(MIDS),
            "detection_class_labels": tf.constant([69, 7, 3], tf.int64),
            "detection_scores": tf.stack([red, 0.5, 0.25]),
        }

    module.detect = detect
    tf.saved_model.save(module, str(folder), signatures={"default": detect})
    return str(folder)


def _zoo_outputs(images):
    red = tf.reduce_mean(tf.cast(images, tf.float32)[..., 0]) / 255.0
    return {
        "detection_boxes": _boxes(red)[None],
        "detection_scores": tf.stack([red, 0.5, 0.9])[None],
        "detection_classes": tf.constant([[1.0, 3.0, 9.0]]),
        "num_detections": tf.constant([2.0]),  # the third one is beyond the count
    }


def zoo_saved_model(folder):
    """What the object-detection zoo of TensorFlow 2 exports; class 1 scores the mean red, class 3 always 0.5."""
    module = tf.Module()
    signature = [tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")]
    module.detect = tf.function(lambda input_tensor: _zoo_outputs(input_tensor), input_signature=signature)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.detect})
    return str(folder)


def tf1_saved_model(folder):
    """The same as a SavedModel of TensorFlow 1, which is how Hub's Open Images detectors are stored."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.uint8, [1, None, None, 3])
        signature = tf.compat.v1.saved_model.predict_signature_def({"inputs": images}, _zoo_outputs(images))
        builder = tf.compat.v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    return str(folder)


def frozen_graph(path, leave_out=()):
    """A frozen graph of TensorFlow 1's zoo with the same answers; outputs named in `leave_out` are not there."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        for name, value in _zoo_outputs(images).items():
            if name not in leave_out:
                tf.identity(value, name=name)
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return str(path)


def no_detector(folder):
    """A SavedModel that is something else."""
    module = tf.Module()
    module.run = tf.function(lambda x: {"y": x + 1.0}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.run})
    return str(folder)


def tflite(path, order, classes=(16, 0, 0), scores=(0.9, 0.8, 0.0), count=2.0, named=False, shapes=None):
    """A .tflite detector of pictures [64, 64, 3] that always says the same.

    Args:
      path: the file. order: names among boxes, classes, scores, count, in the order in which the converter gets them.
      classes, scores: of three boxes. named: the signature names the outputs as the object-detection API does.
      shapes: dict name -> shape of an output that is not the usual one.
    """
    values = {
        "boxes": tf.constant([[[0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.9, 0.9], [0, 0, 0, 0]]]),
        "classes": tf.constant([list(classes)], tf.float32),
        "scores": tf.constant([list(scores)], tf.float32),
        "count": tf.constant([count], tf.float32),
    }
    names = {"count": "num_detections"} | {name: f"detection_{name}" for name in ("boxes", "classes", "scores")}
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([1, 64, 64, 3], tf.uint8, name="picture")])
    def detect(picture):
        zero = tf.reduce_max(tf.cast(picture, tf.float32)) * 0.0
        found = [tf.reshape(values[name], (shapes or {}).get(name, values[name].shape)) + zero for name in order]
        return dict(zip((names[name] for name in order), found, strict=True)) if named else tuple(found)

    module.detect = detect
    if named:
        tf.saved_model.save(module, str(path) + ".saved", signatures={"serving_default": detect})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(path) + ".saved")
    else:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([detect.get_concrete_function()], module)
    path.write_bytes(converter.convert())
    return str(path)
