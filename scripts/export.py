"""Exports a trained captioner for use without this program: texts out, nothing to install but TensorFlow.

    python -m scripts.export --job_dir results/models/miniature_full --format saved_model --output exported

The folder has the captioning network of one checkpoint with its decoding (beam search of 3, as caption.py), and the
vocabulary. Its captions are those of caption.py. `example.py` in it, which is printed at the end, captions with it.

scripts.export_run is another command: it makes a small run directory, for caption.py of this program.
"""

import dataclasses
import os
import shutil

import cli
import registry
from captioning.decode import parse_decode
from formats import sidecars
from training import rankings
from training.run_directory import read_config

EXAMPLE = "example.py"


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.export."""

    job_dir: str = cli.field("runs/full", "run directory, or a copy of one")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    format: str = cli.choice("saved_model", ("saved_model",), "TensorFlow's SavedModel")
    decode: str = cli.field("beam3", "the decoding inside: greedy or beamK; settings may follow, as for caption.py")
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
    content, decoding = read_config(options.job_dir), parse_decode(options.decode)
    system = registry.system_of(content, options.job_dir)
    if system.reads_concepts or not system.takes_photographs(content):
        what = "reads the words of detected objects" if system.reads_concepts else "cannot caption images"
        raise cli.UserError(
            f"--job_dir {options.job_dir}: a run of {system.stage} {what}; expected a run that reads image vectors, "
            "for example of train.py or initialization.im_caption"
        )
    if decoding.is_sampled:
        raise cli.UserError(
            f"--decode {options.decode}: an exported network draws no random numbers; expected greedy or beamK"
        )
    if os.path.exists(options.folder) and os.listdir(options.folder):
        raise cli.UserError(f"{options.folder}: exists and is not empty; expected a new folder for --output")
    return decoding


def main(options):
    """Writes the folder and prints the lines that caption with it. Args: options: Options.

    Raises: cli.UserError if a flag is wrong or the run cannot be exported.
    """
    decoding = check(options)

    from captioning.exported import ExportedCaptioner

    captioner = (
        registry.system_of(read_config(options.job_dir)).load("captioner").from_run(options.job_dir, options.checkpoint)
    )
    row_shape = row_shape_of(options.job_dir)
    vocabulary_file = os.path.join(options.job_dir, "vocabulary.txt")
    part = os.path.normpath(options.folder) + ".part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        ExportedCaptioner(captioner, decoding, row_shape, vocabulary_file).save(part)
        lines = example(row_shape)
        sidecars.write_whole(os.path.join(part, EXAMPLE), lines)
        os.replace(part, options.folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{options.folder}: {options.format}, {decoding.name}. {EXAMPLE} in it:\n\n{lines}")


def row_shape_of(job_dir):
    """Returns the shape of one input row of a run: tuple of int, (D,), or (cells, D) for a grid of cells."""
    facts = read_config(job_dir)["facts"]
    return (facts["cells"], facts["image_dim"]) if facts.get("cells") else (facts["image_dim"],)


def example(row_shape):
    """Returns the text of a program that captions image vectors with the exported folder, in which it lies: str.

    Args: row_shape: shape of one input row.
    """
    sizes = ", ".join(map(str, row_shape))
    return f"""import os
import sys

import numpy as np
import tensorflow as tf

model = tf.saved_model.load(os.path.dirname(os.path.abspath(__file__)))
vectors = np.load(sys.argv[1]).astype("float32")  # [images, {sizes}], or a feature bank [images, crops, {sizes}]
found = model.caption_vectors(vectors.reshape(len(vectors), -1, {sizes})[:, 0])
print(*(text.decode() for text in found["caption"].numpy()), sep="\\n")
"""


if __name__ == "__main__":
    cli.run(main, Options)
