"""Measures whether attention is on the named object: the weight on its box, against the box's share of the photograph.

    python -m evaluation.attention_boxes --job_dir runs/show_attend_tell --data_dir data/miniature_grid --split test \
        --boxes data/miniature/raw/objects.jsonl

For every word of a caption that names an object of its photograph: the attention weight on the object's cells before
the word, and the share of the photograph that these cells cover. Uniform attention gives a ratio weight / share of 1.
Writes RUN/attention_SPLIT.json.
"""

import dataclasses
import json
import os

import cli
import registry
from evaluation import scoring
from formats import vocabulary
from preprocessing.detection import known_objects
from training import rankings


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.attention_boxes."""

    job_dir: str = cli.field("runs/show_attend_tell", "run of baselines.show_attend_tell")
    data_dir: str = cli.field("", "folder of the stages; empty = the one the run was trained on")
    boxes: str = cli.field(
        "",
        'lines {"image", "objects": [{"name", "box": [ymin, xmin, ymax, xmax in 0 to 1]}]}; boxes of the photographs '
        "as the data stages read them: turned by their EXIF orientation, with --noexif unturned",
    )
    split: str = cli.choice("test", ("test", "val"), "which images")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    decode: str = cli.field("beam3", "greedy, beamK or the name of another decoding, see caption.py")
    images: int = cli.field(0, "first images of the split, 0 = all")
    system: tuple[str, ...] = registry.packages_field()
    verify: bool = cli.field(False, "compare the checksums of all data files with their sidecars first")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths.

        cli.run checks before `main` that they can be written; empty paths are ignored.
        """
        return (), (self.job_dir,)


def read_boxes(path):
    """Reads a file of objects with boxes.

    Args: path: file with a line {"image", "objects": [{"name", "box"}]} for each image.
    Returns: dict image -> dict concept word -> list of boxes (ymin, xmin, ymax, xmax) in 0 to 1.
    Raises: cli.UserError for a file that cannot be read.
    """
    found = {}
    for image, objects in known_objects.read_objects(path, with_boxes=True).items():
        words = found.setdefault(image, {})
        for name, _, box in objects:
            words.setdefault(vocabulary.concept_word(name), []).append(box)
    return found


def measure(tokens, weights_TC, boxes, singular):
    """Measures the attention on the boxes of the objects that one caption names.

    Args:
      tokens: list of T words. weights_TC: float, attention on C cells of a square grid, rows sum to 1.
      boxes: dict concept word -> list of boxes (ymin, xmin, ymax, xmax) in 0 to 1.
      singular: dict word -> the concept word that it names, for plurals and synonyms.

    Returns: list of dicts, one for each word that names an object in `boxes`, with "word" and four floats, 0 to 1.
      "weight" is the attention on the boxes and "area" their share of the photograph, each cell multiplied by the share
      of it that a box covers. "cells_weight" and "cells_area" count whole cells: those whose centre is in a box, and at
      least the one that is covered most.
    Raises: cli.UserError if C is not a square.
    """
    import numpy as np

    from evaluation.report import attention_pictures

    found = []
    for word, weights_C in zip(tokens, weights_TC, strict=True):
        named = singular.get(word, word)
        if named not in boxes:
            continue
        covered = np.max([attention_pictures.covered_cells(len(weights_C), box) for box in boxes[named]], 0)
        middle = np.max([attention_pictures.middle_cells(len(weights_C), box) for box in boxes[named]], 0)
        middle[covered.argmax()] = 1.0
        entry = {"weight": covered @ weights_C, "area": covered.mean()}
        entry |= {"cells_weight": middle @ weights_C, "cells_area": middle.mean()}
        found.append({"word": word} | {name: float(value) for name, value in entry.items()})
    return found


def summary(found):
    """Returns the means over all named objects: dict with "objects", their number, and floats.

    "weight" and "area" are means, "ratio" is mean weight / mean area, "mean_of_ratios" is the mean of weight / area.
    The same four with the prefix "cells_" are computed from whole cells.

    Args: found: list of dicts from `measure`, not empty.
    """
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    result = {"objects": len(found)}
    for kind in ("", "cells_"):
        weight, area = (mean([entry[kind + name] for entry in found]) for name in ("weight", "area"))
        ratios = mean([entry[kind + "weight"] / entry[kind + "area"] for entry in found])
        result |= {f"{kind}weight": weight, f"{kind}area": area, f"{kind}ratio": weight / area}
        result[f"{kind}mean_of_ratios"] = ratios
    return result


@scoring.reads_data
def main(options):
    """Captions the split, measures attention on boxes, prints the means, and writes them to RUN/attention_SPLIT.json.

    Args: options: Options. Raises: cli.UserError if no image has boxes, or no caption names an object that has one.
    """
    registry.import_packages(options.system)
    data_dir = scoring.check(options)
    boxes = read_boxes(options.boxes)

    from captioning import splits
    from captioning.captioner import Captioner
    from formats import captions
    from formats.concepts import load_concepts
    from training import checkpoints

    concepts = load_concepts(data_dir, options.split)
    names = [name for name in sorted(splits.references_of(data_dir, options.split)) if name in boxes]
    names = names[: options.images or None]
    if not names:
        raise cli.UserError(f"--boxes {options.boxes}: has none of the {options.split} images of {data_dir}")
    checkpoint = checkpoints.choose(options.job_dir, options.checkpoint)
    captioner = Captioner.from_run(options.job_dir, checkpoint.prefix)
    vectors = splits.split_vectors(options.job_dir, checkpoint.prefix, data_dir, options.split, names)
    hypotheses = captioner.caption_vectors(vectors, options.decode, description="captions", names=names)
    said = [found[0].ids for found in hypotheses]
    found = []
    for start in range(0, len(names), 64):
        chosen = slice(start, start + 64)
        weights = captioner.attention(vectors[chosen], said[chosen])
        for name, ids, rows in zip(names[chosen], said[chosen], weights, strict=True):
            tokens = [captioner.vocabulary.word(i) for i in ids]
            found += [{"image": name} | one for one in measure(tokens, rows, boxes[name], concepts.singular)]
    if not found:
        raise cli.UserError(f"no caption of {options.job_dir} names an object that has a box in {options.boxes}")
    result = summary(found) | {"images": len(names), "checkpoint": checkpoint.name, "decode": options.decode}
    path = os.path.join(options.job_dir, f"attention_{options.split}.json")
    captions.write_json(path, result | {"command": cli.command_line(), "words": found})
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    cli.run(main, Options)
