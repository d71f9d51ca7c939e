"""Reads and writes caption and reference files in COCO's two caption formats.

Image ids are file names with extension; integers, as in COCO's own files, become their decimal text.
"""

import json
import os

from cli import UserError
from formats import made_by, readers, sidecars

FEW = 200  # validation images
CHOICE_OF_FEW = f"with fewer than {FEW} the choice among checkpoints means little"


def sanitise(text):
    """Returns a caption as one line of valid Unicode: white space becomes single spaces, lone surrogates become `?`.

    A carriage return, U+0085 or U+2028 inside a caption would be a line end for the tokenizer of the metrics, which
    would then assign every later caption to the wrong image.
    """
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())


def name_some(names, limit=5):
    """Returns text for messages such as "a, b and 3 more": the first `limit` names in alphabetical order.

    Args: names: iterable of str; without names the text is "".
    """
    names = sorted(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def write_json(path, value):
    """Writes a JSON-able value to a file atomically.

    Raises: cli.UserError if the file cannot be written. The JSON text is then saved elsewhere, and the message says
      where.
    """
    sidecars.write_results(os.fspath(path), json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _check_entry(path, kind, number, entry):
    """Raises UserError unless `entry` is a dict with the key `image_id` and a string `caption`.

    Args: kind: "entry" or "annotation". number: index of the entry in the file; both are named in the message.
    """
    if not isinstance(entry, dict) or "image_id" not in entry or not isinstance(entry.get("caption"), str):
        raise UserError(
            f'{path}: {kind} {number} is {str(entry)[:80]!r}; expected {{"image_id": file name, "caption": text}}'
        )


def read_captions(path):
    """Reads captions in COCO results format.

    Args:
      path: file with `[{"image_id": NAME, "caption": text}, ...]`.

    Returns:
      dict image id (str) -> caption (str), in the order of the file.

    Raises:
      UserError: no such file, another format, or an image with two captions.
    """
    expected = 'captions in COCO results format: [{"image_id": NAME, "caption": text}, ...]'
    entries = readers.read_json(path, expected, list)
    captions, twice = {}, set()
    for number, entry in enumerate(entries):
        _check_entry(path, "entry", number, entry)
        name = str(entry["image_id"])
        if name in captions:
            twice.add(name)
        captions[name] = entry["caption"]
    if twice:
        raise UserError(f"{path}: {len(twice)} images have more than one caption: {name_some(twice)}; expected one")
    return captions


def write_captions(path, captions):
    """Writes captions in COCO results format atomically, each as one line of valid Unicode (`sanitise`).

    Args:
      path: the file.
      captions: iterable of (image id, caption).

    Raises:
      UserError: an image has two captions, or the file cannot be written.
    """
    entries = [{"image_id": str(name), "caption": sanitise(caption)} for name, caption in captions]
    seen, twice = set(), set()
    for entry in entries:
        (twice if entry["image_id"] in seen else seen).add(entry["image_id"])
    if twice:
        raise UserError(f"{path}: more than one caption for {name_some(twice)}; expected one for each image")
    write_json(path, entries)


def read_references(path):
    """Reads reference captions in COCO captions format.

    Args:
      path: file with `{"images": [{"id": NAME}, ...], "annotations": [{"image_id": NAME, "caption": text}, ...]}`.

    Returns:
      dict image id (str) -> list of captions (str); images without any caption, or with only blank ones, are left out.

    Raises:
      UserError: no such file, another format, or no caption at all.
    """
    folder, name = os.path.split(path)
    output = name.removesuffix(".json")
    mend = f"{made_by.command(folder or '.', output, again=True)}" if output in made_by.OUTPUTS else ""
    expected = "references in COCO captions format" + (f"; make it again: {mend}" if mend else "")
    content = readers.read_json(path, expected)
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise UserError(f'{path}: it has no list "annotations"; expected {expected}')
    images = content.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, dict) and "id" in image for image in images):
        raise UserError(f'{path}: "images" is not a list of {{"id": NAME}}; expected {expected}')
    references = {str(image["id"]): [] for image in images}
    for number, entry in enumerate(content["annotations"]):
        _check_entry(path, "annotation", number, entry)
        references.setdefault(str(entry["image_id"]), []).append(entry["caption"])
    references = {name: texts for name, texts in references.items() if any(text.strip() for text in texts)}
    if not references:
        raise UserError(f"{path}: there is no caption in it; expected {expected}")
    return references
