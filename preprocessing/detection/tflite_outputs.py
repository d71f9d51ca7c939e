"""Identifies the outputs of a TensorFlow Lite detector: boxes, classes, scores and count may be in any order."""

import re

import numpy as np

import cli

ROLES = ("boxes", "classes", "scores", "count")  # the order of the operation TFLite_Detection_PostProcess
POSTPROCESS = b"TFLite_Detection_PostProcess"
EXPECTED = "boxes [1, N, 4], classes [1, N], scores [1, N], count [1]"
# Rules for names, the first match is used: "detection_scores", "num_detections", "location", "category".
NAMES = (
    ("count", r"\bnum|_num|number|count"),
    ("scores", r"score|confidence|prob"),
    ("classes", r"class|categor|label"),
    ("boxes", r"box|location"),
)
PROBES = 3  # pictures of noise that are given to a network whose outputs have no names
WHOLE = 1e-4  # tolerance of class numbers that are not integers


def outputs_of(model):
    """Identifies the outputs of a detector.

    The post-processing operation at the end of the network determines them. Without it they are identified by their
    names in the signature or the graph. Without names they are identified by their shapes, and classes and scores by
    their values: scores are in 0 to 1, class numbers are integers.

    Args: model: models.encoders.tflite.TFLiteModel.
    Returns: (outputs, number of classes or None if it is unknown). `outputs` is a dict with the keys "boxes",
      "classes", "scores" and "count"; each value is the dict by which the TensorFlow Lite interpreter describes this
      output.
    Raises: cli.UserError: the outputs are not those of a detector, or classes and scores cannot be distinguished.
    """
    found, count = _by_operation(model)
    found = found or _by_name(model) or _by_shape(model)
    shapes = {role: _shape(details) for role, details in found.items()}
    number = shapes["boxes"][1] if len(shapes["boxes"]) == 3 else None
    wanted = {"boxes": [1, number, 4], "classes": [1, number], "scores": [1, number]}
    if any(shapes[role] != shape for role, shape in wanted.items()) or np.prod(shapes["count"]) != 1:
        raise _fault(model, f"its outputs have the shapes {shapes}")
    return found, count


def _fault(model, found):
    """Returns the cli.UserError for outputs that are not those of a detector. Args: found: what was found, as text."""
    return cli.UserError(
        f"{model.path}: {found}; expected {EXPECTED}, in any order; a classifier is given as classifier:FILE"
    )


def _shape(details):
    """Returns the shape of an output, a list of int, from `details`, the dict by which the interpreter describes it."""
    return [int(side) for side in details["shape"]]


def _by_operation(model):
    """Identifies the outputs by the post-processing operation of the network.

    Returns: (outputs, number of classes or None if it is not stored), or (None, None) without this operation. `outputs`
      is a dict with the keys ROLES, whose values are the interpreter's descriptions of the outputs (dicts).
    """
    from flatbuffers import flexbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    graph = schema.Model.GetRootAs(model.content, 0)
    nodes, codes = graph.Subgraphs(0), graph.OperatorCodes
    for node in map(nodes.Operators, range(nodes.OperatorsLength())):
        if codes(node.OpcodeIndex()).CustomCode() != POSTPROCESS:
            continue
        given = {details["index"]: details for details in model.outputs}
        found = [given.get(int(index)) for index in node.OutputsAsNumpy()]
        options = flexbuffers.Loads(bytes(node.CustomOptionsAsNumpy())) if node.CustomOptionsLength() else {}
        if len(found) == len(ROLES) and None not in found:
            return dict(zip(ROLES, found, strict=True)), options.get("num_classes")
    return None, None


def _by_name(model):
    """Identifies the outputs by their names.

    Returns: dict with the keys ROLES, whose values are the interpreter's descriptions of the outputs (dicts); None
      unless all four are identified.
    """
    for names in (model.signature_outputs(), {details["name"]: details for details in model.outputs}):
        found = {}
        for name, details in names.items():
            role = next((role for role, rule in NAMES if re.search(rule, name.lower())), None)
            if role:
                found.setdefault(role, []).append(details)
        if set(found) == set(ROLES) and all(len(several) == 1 for several in found.values()):
            return {role: several[0] for role, several in found.items()}
    return None


def _by_shape(model):
    """Identifies the outputs by their shapes, classes and scores by their values.

    Returns: dict with the keys ROLES, whose values are the interpreter's descriptions of the outputs (dicts).
    Raises: cli.UserError if this is not possible.
    """
    shapes = [_shape(details) for details in model.outputs]
    boxes = [i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4]
    counts = [i for i, shape in enumerate(shapes) if np.prod(shape) == 1 and len(shape) < 2]
    if len(shapes) != len(ROLES) or len(boxes) != 1 or len(counts) != 1:
        raise _fault(model, f"its outputs have the shapes {shapes}")
    pair = [i for i in range(len(ROLES)) if i not in (boxes[0], counts[0])]
    first, second = (model.outputs[i] for i in pair)
    classes, scores = _by_values(model, first, second, model.outputs[counts[0]])
    if classes is None:
        if (boxes[0], counts[0]) != (0, 3):
            raise _fault(
                model,
                f"its outputs have the shapes {shapes} and no names, and which of {first['name']!r} and "
                f"{second['name']!r} are the scores cannot be determined from their values",
            )
        classes, scores = first, second  # the order of the operation
    return {"boxes": model.outputs[boxes[0]], "classes": classes, "scores": scores, "count": model.outputs[counts[0]]}


def _by_values(model, first, second, count):
    """Determines which of two outputs are the classes and which the scores, by running the network on noise.

    Args: first, second, count: the interpreter's descriptions (dicts) of both outputs and of the number of detections.
    Returns: (description of the classes, description of the scores); (None, None) if either could be the scores.
    Raises: cli.UserError if neither can be the scores.
    """
    random = np.random.default_rng(0)
    fits = [True, True]  # first are the classes; second are the classes
    for _ in range(PROBES):
        model.run(random.integers(0, 256, (model.image_size, model.image_size, 3), dtype=np.uint8))
        number = count_of(model.read(count), _shape(first)[-1], model.path)
        values = [model.read(details)[:number] for details in (first, second)]
        for i in range(2):
            fits[i] &= _are_classes(values[i]) and _are_scores(values[1 - i])
    if not any(fits):
        raise _fault(model, f"neither of its outputs {first['name']!r} and {second['name']!r} holds scores in 0 to 1")
    if all(fits):
        return None, None
    return (first, second) if fits[0] else (second, first)


def _are_classes(values):
    """Returns whether all values can be class numbers: integers from 0 on."""
    return bool(np.all(values >= 0) and np.all(np.abs(values - np.round(values)) <= WHOLE))


def _are_scores(values):
    """Returns whether all values can be scores: numbers in 0 to 1."""
    return bool(np.all(values >= 0) and np.all(values <= 1))


def count_of(values, most, path):
    """Returns the number of detections (int) that a network reports.

    Args: values: array with the number. most: largest valid number. path: file of the network, for messages.
    Raises: cli.UserError if it is not a valid number.
    """
    count = float(np.reshape(values, -1)[0])
    if not (0 <= count <= most and abs(count - round(count)) <= WHOLE):
        raise cli.UserError(f"{path}: it reports {count:g} detections, expected an integer from 0 to {most}")
    return round(count)
