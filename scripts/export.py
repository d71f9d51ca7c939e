"""Exports a trained captioner for use without this program: a folder that needs TensorFlow alone.

    python -m scripts.export --job_dir results/models/miniature_full --with_encoder --output exported
    python exported/example.py photo.jpg

`--format saved_model` has beam search inside and gives texts, those of caption.py. `--format tflite` decodes greedily,
as caption.py --decode greedy, and gives word ids. With `--with_encoder` the encoder is inside, so that pictures are
read in place of image vectors; an encoder that is a `.tflite` file is copied beside. The last lines that the command
prints are those of example.py, a program in the folder that captions with it.

scripts.export_run is another command: it makes a small run directory, for caption.py of this program.
"""

import dataclasses
import os
import shutil

import cli
import registry
from captioning.decode import parse_decode
from formats import sidecars, writing
from training import rankings
from training.run_directory import read_config

EXAMPLE, NETWORK, ENCODER, VOCABULARY = "example.py", "captioner.tflite", "encoder.tflite", "vocabulary.txt"


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.export."""

    job_dir: str = cli.field("runs/full", "run directory, or a copy of one")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    format: str = cli.choice(
        "saved_model", ("saved_model", "tflite"), "TensorFlow's SavedModel, or a network of TensorFlow Lite"
    )
    decode: str | None = cli.field(
        None,
        "the decoding inside: greedy or beamK; settings may follow, as for caption.py. Default: beam3; tflite: greedy, "
        "the only one",
    )
    with_encoder: bool = cli.field(False, "read pictures, not image vectors: export the run's encoder as well")
    encoder: str | None = cli.field(None, "the run's encoder with its new path, if it has moved")
    exif: bool | None = cli.field(
        None,
        "apply (--exif) or ignore (--noexif) the EXIF orientation; default: as in the run's training images",
    )
    output: str | None = cli.field(None, "folder to write, which must not exist; default: RUN/FORMAT")
    system: tuple[str, ...] = registry.packages_field()

    @property
    def folder(self):
        """The folder to write: str."""
        return self.output or os.path.join(self.job_dir, self.format)

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths, which cli.run checks first."""
        return (), (self.folder,)


def check(options):
    """Checks the flags and the kind of run before TensorFlow starts. Returns the Decoding.

    Args: options: Options.
    Raises: cli.UserError if a flag is wrong, the run cannot be exported, or the folder is not empty.
    """
    registry.import_packages(options.system)
    content = read_config(options.job_dir)
    system = registry.system_of(content, options.job_dir)
    if system.reads_concepts or not system.takes_photographs(content):
        what = "reads the words of detected objects" if system.reads_concepts else "cannot caption images"
        raise cli.UserError(
            f"--job_dir {options.job_dir}: a run of {system.stage} {what}; expected a run that reads image vectors, "
            "for example of train.py or initialization.im_caption"
        )
    if content["settings"].get("train_encoder") and not options.with_encoder:
        raise cli.UserError(
            f"--job_dir {options.job_dir}: its image vectors come from the encoder that was trained with it "
            "(--train_encoder); expected --with_encoder beside it"
        )
    decoding = parse_decode(options.decode or ("beam3" if options.format == "saved_model" else "greedy"))
    if decoding.is_sampled:
        raise cli.UserError(
            f"--decode {options.decode}: an exported network draws no random numbers; expected greedy or beamK"
        )
    if decoding.consensus_weight:
        raise cli.UserError(
            f"--decode {options.decode}: an exported network does not sort captions by their fit; expected a decoding "
            "without consensus_weight"
        )
    if options.format == "tflite" and decoding.name != "greedy":
        raise cli.UserError(
            f"--decode {options.decode}: --format tflite decodes greedily, without settings; use --format saved_model"
        )
    if os.path.exists(options.folder) and os.listdir(options.folder):
        raise cli.UserError(f"{options.folder}: exists and is not empty; expected a new folder for --output")
    return decoding


def main(options):
    """Writes the folder and prints its program. Args: options: Options.

    Raises: cli.UserError if a flag is wrong or the run cannot be exported.
    """
    decoding = check(options)

    from captioning.run_content import encoder_of_run

    content = read_config(options.job_dir)
    encoder = encoder_of_run(options.job_dir, options.checkpoint, options.encoder) if options.with_encoder else None
    if encoder is not None and not encoder.exports:
        raise cli.UserError(
            f"--with_encoder: {encoder.spec} cannot be exported; expected one encoder of the kinds inception_v4, "
            "compact, keras, tflite, scene, or caption_embeddings of one of them. Without --with_encoder the network "
            "reads image vectors"
        )
    captioner = registry.system_of(content).load("captioner").from_run(options.job_dir, options.checkpoint)
    part = os.path.normpath(options.folder) + writing.PART
    shutil.rmtree(part, ignore_errors=True)
    try:
        write = write_saved_model if options.format == "saved_model" else write_tflite
        lines = write(part, options, captioner, decoding, row_shape_of(content), encoder)
        if is_beside(encoder):
            shutil.copyfile(encoder.network.path, os.path.join(part, ENCODER))
        sidecars.write_whole(os.path.join(part, EXAMPLE), lines)
        os.replace(part, options.folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{options.folder}: {options.format}, {decoding.name}. Its program {EXAMPLE}:\n\n{lines}", end="")


def row_shape_of(content):
    """Returns the shape of one input row of a run: tuple of int, (D,), or (cells, D) for a grid of cells.

    Args: content: dict of the run's config.json.
    """
    facts = content["facts"]
    return (facts["cells"], facts["image_dim"]) if facts.get("cells") else (facts["image_dim"],)


def is_beside(encoder):
    """Returns whether an encoder has a `.tflite` file, which is copied beside the network. Args: encoder: or None."""
    return encoder is not None and encoder.network is not None


# --------------------------------------------------------------------------------------------------------------
# The two formats: each writes a folder and returns the text of the program for it


def write_saved_model(folder, options, captioner, decoding, row_shape, encoder):
    """Writes a SavedModel. Returns the text of its program.

    Args: folder: path. options: Options. captioner: Captioner. decoding: Decoding. row_shape: tuple of int.
      encoder: Encoder, or None.
    """
    from captioning.exported import ExportedCaptioner

    exif = encoder.exif if encoder is not None and options.exif is None else options.exif
    vocabulary = os.path.join(options.job_dir, VOCABULARY)
    ExportedCaptioner(captioner, decoding, row_shape, vocabulary, encoder, exif).save(folder)
    if encoder is None:
        return SAVED_MODEL_OF_VECTORS.format(sizes=", ".join(map(str, row_shape)))
    return SAVED_MODEL_BESIDE_ENCODER.format(**numbers(encoder)) if is_beside(encoder) else SAVED_MODEL_OF_FILES


def write_tflite(folder, options, captioner, decoding, row_shape, encoder):
    """Writes a network of TensorFlow Lite and the vocabulary. Returns the text of its program.

    Args: as of `write_saved_model`.
    """
    from captioning import exported_tflite
    from formats.languages import unicode_text

    network = exported_tflite.convert(captioner, row_shape, encoder)
    os.makedirs(folder)
    with open(os.path.join(folder, NETWORK), "wb") as file:
        file.write(network)
    captioner.vocabulary.save(os.path.join(folder, VOCABULARY))
    text = '" ".join(words[i] for i in ids if i)'
    if any(map(unicode_text.has_unspaced, captioner.vocabulary.words)):
        text = f're.sub({ascii(unicode_text.BETWEEN.pattern)}, "", {text})'
    fields = {"sizes": ", ".join(map(str, row_shape)), "text": text, "more": "import re\n" if "re.sub" in text else ""}
    if encoder is None:
        return TFLITE_OF_VECTORS.format(**fields)
    return (
        TFLITE_BESIDE_ENCODER.format(**fields, **numbers(encoder))
        if is_beside(encoder)
        else (TFLITE_OF_PIXELS.format(**fields))
    )


def numbers(encoder):
    """Returns how a program runs an encoder's network: dict for the texts below. Args: encoder: Encoder."""
    keep = ", experimental_preserve_all_tensors=True" if encoder.network.keeps_all else ""
    return {"keep": keep, "input": encoder.network.input["index"], "output": encoder.output["index"]}


SAVED_MODEL_OF_VECTORS = """\
import os
import sys

import numpy as np
import tensorflow as tf

model = tf.saved_model.load(os.path.dirname(os.path.abspath(__file__)))
vectors = np.load(sys.argv[1]).astype("float32")  # [images, {sizes}], or a feature bank [images, crops, {sizes}]
found = model.caption_vectors(vectors.reshape(len(vectors), -1, {sizes})[:, 0])
print(*(text.decode() for text in found["caption"].numpy()), sep="\\n")
"""
SAVED_MODEL_OF_FILES = """\
import os
import sys

import tensorflow as tf

model = tf.saved_model.load(os.path.dirname(os.path.abspath(__file__)))
for path in sys.argv[1:]:
    found = model.caption_files(tf.io.read_file(path)[None])
    print(path, found["caption"][0].numpy().decode(), sep="\\t")
"""
SAVED_MODEL_BESIDE_ENCODER = """\
import os
import sys

import tensorflow as tf

folder = os.path.dirname(os.path.abspath(__file__))
model = tf.saved_model.load(folder)
encoder = tf.lite.Interpreter(f"{{folder}}/encoder.tflite", num_threads=1{keep})
encoder.allocate_tensors()
for path in sys.argv[1:]:
    encoder.set_tensor({input}, model.encoder_input(tf.io.read_file(path)))
    encoder.invoke()
    found = model.caption_encoded(encoder.get_tensor({output}))
    print(path, found["caption"][0].numpy().decode(), sep="\\t")
"""
TFLITE_OF_VECTORS = """\
import os
{more}import sys

import numpy as np
import tensorflow as tf

folder = os.path.dirname(os.path.abspath(__file__))
words = [line.split(" ")[0] for line in open(f"{{folder}}/vocabulary.txt", encoding="utf-8")] + ["<UNK>"]
caption = tf.lite.Interpreter(f"{{folder}}/captioner.tflite").get_signature_runner()
vectors = np.load(sys.argv[1]).astype("float32")  # [images, {sizes}], or a feature bank [images, crops, {sizes}]
for vector in vectors.reshape(len(vectors), -1, {sizes})[:, :1]:
    ids = caption(vectors=vector)["words"][0]
    print({text})
"""
TFLITE_OF_PIXELS = """\
import os
{more}import sys

import tensorflow as tf

folder = os.path.dirname(os.path.abspath(__file__))
words = [line.split(" ")[0] for line in open(f"{{folder}}/vocabulary.txt", encoding="utf-8")] + ["<UNK>"]
caption = tf.lite.Interpreter(f"{{folder}}/captioner.tflite").get_signature_runner()
for path in sys.argv[1:]:
    pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)  # upright; decodes PNG files, too
    ids = caption(pixels=pixels[None])["words"][0]
    print(path, {text}, sep="\\t")
"""
TFLITE_BESIDE_ENCODER = """\
{more}import sys
import tensorflow as tf
folder = __file__.removesuffix("example.py")
words = [line.split(" ")[0] for line in open(folder + "vocabulary.txt", encoding="utf-8")] + ["<UNK>"]
captioner = tf.lite.Interpreter(folder + "captioner.tflite")
prepare, caption = map(captioner.get_signature_runner, ("encoder_input", "caption_encoded"))
encoder = tf.lite.Interpreter(folder + "encoder.tflite", num_threads=1{keep})
encoder.allocate_tensors()
for path in sys.argv[1:]:
    pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)  # upright; decodes PNG files, too
    encoder.set_tensor({input}, prepare(pixels=pixels[None])["input"])
    encoder.invoke()
    ids = caption(encoded=encoder.get_tensor({output}))["words"][0]
    print(path, {text}, sep="\\t")
"""


if __name__ == "__main__":
    cli.run(main, Options)
