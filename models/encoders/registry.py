"""Loads encoders by name: photograph -> image vector (or a grid of cells).

    inception_v4:CKPT         TF-Slim checkpoint; `inception_v4:rule` has seeded random weights, for tests
    tflite:FILE[#TENSOR]      a tensor by number, pooled vector or cell grid; without a number the network's output;
                              #TENSOR@max its maximum over all cells or boxes, e.g. of an SSD's class logits
    scene:FILE[#TENSOR]       the same for a network whose float input has pixels of 0 to 255 (Places365)
    compact:FILE.npz[#grid]   the small network of the miniature world, its pooled vector or its cell grid
    keras:NAME[#WEIGHTS]      a network of keras.applications; without a weights file Keras downloads ImageNet's
    inception_v3:WEIGHTS, vgg16:WEIGHTS, resnet152:WEIGHTS   the supervised papers' encoders, from keras.applications;
                              with `imagenet` in place of a file Keras downloads the weights
    caption_embeddings:FILE.npz   the predicted caption embedding, by kernel regression from the vectors of another
                              encoder, which the file names (initialization/predict_caption_embeddings.py);
                              caption_embeddings:FILE.npz+ENCODER if that encoder is a Python file or has moved
    FILE.py:ARGUMENT          an encoder of your own in a Python file (docs/extending.md)
    A+B                       several encoders: their pooled vectors, concatenated

compact, keras and the supervised papers' encoders take #grid at the end: the grid of cells before pooling.
Every encoder describes its preprocessing and its files, so that features can be compared with the encoder that a run
directory holds. A description is the dict from `Encoder.describe`.
"""

import os

import cli
import extensions
from formats import encoder_names, readers
from formats.encoder_names import CAPTION_EMBEDDINGS
from models.encoders import kinds, saved
from models.encoders.base import Encoder, exif_of, identity


def load_encoder(spec, resize=None, exif=True):
    """Returns the `Encoder` with the given name.

    Args:
      spec: its name, in one of the forms at the top of this file.
      resize: how photographs are resized: "legacy" or "modern" (image_ops.py). None for the encoder's default: legacy
        for inception_v4, whose released captioners were trained with it, modern for the others.
      exif: whether photographs are turned by their EXIF orientation; the base of `caption_embeddings:` has its own
        setting.

    Raises:
      ValueError: the kind is unknown, or a file is absent or damaged; the message names it.
    """
    parts = encoder_names.split(spec)
    name = encoder_names.parse(parts[0])
    if name.kind == CAPTION_EMBEDDINGS and len(parts) > 1:
        base = "+".join(parts[1:])
        return kinds.CaptionEmbeddingEncoder(parts[0], lambda described: load_encoder(base, resize, exif_of(described)))
    if name.kind == CAPTION_EMBEDDINGS:
        return kinds.CaptionEmbeddingEncoder(spec, load_encoder_from)
    if len(parts) > 1:
        return kinds.JoinedEncoder([load_encoder(part, resize, exif) for part in parts])
    if not name.is_code:
        return kinds.load_data_encoder(spec, resize, exif)
    encoder = extensions.load(name.file, "Encoder")(spec, name.argument, resize)
    if not isinstance(encoder, Encoder):
        raise ValueError(f"encoder {spec!r}: its class Encoder must be derived from models.encoders.Encoder")
    encoder.exif = exif
    return encoder


# --------------------------------------------------------------------------------------------------------------
# Encoders from the description in a run or a feature bank
#
# A loaded encoder is compared with the description, so that features and run always have the same encoder. A Python
# file is never executed just because a description names it (extensions.py).


def load_encoder_from(source, spec=None):
    """Returns the `Encoder` that a run directory, a feature bank's sidecar or a `caption_embeddings:` file describes.

    Args:
      source: path of a folder with an `encoder.json` that `save_encoder` wrote, or a description (dict).
      spec: value of --encoder, for files that have moved: the encoder's name with its current path, or the name of the
        base of a `caption_embeddings:` encoder. None: the files are in the folder, or at the described paths.

    Raises:
      ValueError: its files are absent, or are not those that the features were made with.
      extensions.StoredCodeError: part of it is a Python file and `spec` does not name it.
    """
    folder, path = None, "the description of the encoder"
    if isinstance(source, dict):
        description = source
    else:
        folder, path = source, os.path.join(source, "encoder.json")
    try:
        description = source if folder is None else readers.read_json(path)
        saved.check(description, path)
    except cli.UserError as error:
        raise ValueError(f"no readable description of an encoder ({error})") from error
    try:
        encoder = _named_or_stored(description, folder, spec)
    except extensions.StoredCodeError:
        raise
    except ValueError as error:
        raise ValueError(f"{error} (from {path})" if spec is None else f"{error}") from error
    found, wanted = identity(encoder.describe()), identity(description)
    different = [name for name in wanted if found.get(name) != wanted[name]]
    if different:
        name = different[0]
        raise ValueError(
            f"encoder {encoder.spec!r} is not the one that the features were made with: {name} is {found.get(name)}, "
            f"expected {wanted[name]} ({path}). Point --encoder at {description['spec']!r}"
        )
    return encoder


def _named_or_stored(description, folder, spec):
    """Returns the Encoder that the user names by `spec`; if `spec` is None, the Encoder that is described.

    Args: description: dict from `Encoder.describe`. folder: with its copied files, or None. spec: value of --encoder.
    """
    if spec is None:
        _refuse_code(description, folder)
        return _load(description, folder)
    if "base" in description and encoder_names.parse(spec).kind != CAPTION_EMBEDDINGS:
        located = _located(description, folder)
        return kinds.CaptionEmbeddingEncoder(located, lambda described: load_encoder(spec, exif=exif_of(described)))
    alone = not {"members", "base"} & set(description)
    resize = description["preprocessing"].get("resize") if alone else None
    return load_encoder(spec, resize, exif_of(description))


def _refuse_code(description, folder):
    """Raises extensions.StoredCodeError if part of an encoder is a Python file.

    Args: description: dict from `Encoder.describe`. folder: that holds the description, or None.
    """
    code = [leaf["spec"] for leaf in saved.leaves(description) if saved.is_code(leaf)]
    if not code:
        return
    named = description["base"] if "base" in description else description
    parts = named["members"] if "members" in named else [named]
    specs = "+".join(leaf["spec"] if saved.is_code(leaf) else _located(leaf, folder) for leaf in parts)
    raise extensions.StoredCodeError(folder or "the description of the encoder", code[0], "--encoder", specs)


def _load(description, folder):
    """Returns the Encoder of a description (dict from `Encoder.describe`) that names no Python file.

    Args: folder: path of the folder with the encoder's copied files; None: they are at the paths in the description.
    """
    if "members" in description:
        return kinds.JoinedEncoder([_load(member, folder) for member in description["members"]])
    spec = _located(description, folder)
    if "base" in description:
        return kinds.CaptionEmbeddingEncoder(spec, lambda described: _load(description["base"], folder))
    return kinds.load_data_encoder(spec, description["preprocessing"].get("resize"), exif_of(description))


def _located(description, folder):
    """Returns the spec of a description with the current path of its file: in `folder` if the file was copied there."""
    name = encoder_names.parse(description["spec"])
    if not description["files"]:
        return description["spec"]
    entry = description["files"][0]
    if folder is not None and "path" not in entry:
        path = os.path.join(folder, os.path.basename(entry["name"]))
    else:
        path = entry.get("path")
    if path is None:
        return description["spec"]
    if name.kind == "inception_v4":
        path = path.removesuffix(".index").partition(".data-")[0]
    return name.at(path)
