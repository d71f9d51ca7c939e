"""Replaces file names by COCO's integer image ids in captions or references, as COCO's evaluation server needs them.

    python -m evaluation.export_coco --captions runs/full/test.json --output test_coco.json
    python -m evaluation.export_coco --captions runs/full/test.json --dataset karpathy:dataset_coco.json --output X.json

The integers of COCO's photographs are in their file names; those of others are in the file of their data set.
"""

import dataclasses

import cli
from formats import captions, readers
from preprocessing.sources import datasets


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.export_coco."""

    captions: str = cli.field("", "file in COCO's results format (a list) or captions format (refs_test.json)")
    output: str = cli.field("", "file to write")
    dataset: str | None = cli.field(None, "data set with the integers, karpathy:FILE or coco:DIR")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths.

        cli.run checks before `main` that they can be written; empty paths are ignored.
        """
        return (self.output,), ()


def integer_ids(names, known):
    """Returns dict file name -> COCO's integer image id.

    Args:
      names: iterable of file names.
      known: dict file name -> integer id. The id of another name is read from the name (COCO_val2014_000000000042.jpg).

    Raises: cli.UserError naming the images without an integer, or two images with the same.
    """
    ids = {}
    for name in names:
        match = datasets.COCO_NAME.fullmatch(name)
        ids[name] = known.get(name, int(match[1]) if match else None)
    lost = [name for name, number in ids.items() if number is None]
    if lost:
        raise cli.UserError(
            f"{len(lost)} of {len(ids)} images have no known integer: {captions.name_some(lost)}. Expected names like "
            "COCO_val2014_000000000042.jpg, or --dataset karpathy:FILE or coco:DIR that has them"
        )
    seen = {}
    for name, number in ids.items():
        if seen.setdefault(number, name) != name:
            raise cli.UserError(f"{seen[number]} and {name} have the same integer {number}")
    return ids


def exported(content, path, known):
    """Returns the content of a captions file with COCO's integers as image ids.

    Args:
      content: JSON value of the file: dict in COCO captions format, or list in COCO results format.
      path: of the file that `content` was read from; a list is read from it again, with checks.
      known: dict file name -> integer id.

    Returns: a value of the same format as `content`.
    Raises: cli.UserError if an image has no integer or two have the same; KeyError, TypeError or AttributeError if the
      content has another format.
    """
    if isinstance(content, dict):
        ids = integer_ids((image["file_name"] for image in content["images"]), known)
        names = {image["id"]: image["file_name"] for image in content["images"]}
        return content | {
            "images": [image | {"id": ids[image["file_name"]]} for image in content["images"]],
            "annotations": [a | {"image_id": ids[names[a["image_id"]]]} for a in content["annotations"]],
        }
    entries = captions.read_captions(path)
    ids = integer_ids(entries, known)
    return [{"image_id": ids[name], "caption": text} for name, text in entries.items()]


def main(options):
    """Writes the file with integer image ids and prints their number. Args: options: Options."""
    if not options.captions or not options.output:
        raise cli.UserError("--captions and --output are missing: the file to read and the file to write")
    content = readers.read_json(options.captions, "captions in COCO's format")
    known = datasets.load_dataset(options.dataset).ids if options.dataset else {}
    try:
        result = exported(content, options.captions, known)
    except (KeyError, TypeError, AttributeError) as error:
        raise cli.UserError(
            f"{options.captions}: {type(error).__name__} {error}; expected COCO's results or captions format"
        ) from error
    captions.write_json(options.output, result)
    count = len(result["annotations"] if isinstance(result, dict) else result)
    print(f"{options.output}: {count} captions with integer image ids")


if __name__ == "__main__":
    cli.run(main, Options)
