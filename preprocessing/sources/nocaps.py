"""Reads nocaps (Agrawal et al. 2019): photographs of Open Images, in, near or out of the domain of COCO's classes.

nocaps_val_4500_captions.json    COCO's format; each image has its "domain"; 10 captions an image
nocaps_test_image_info.json      the same without captions; the test server scores them
"""

import os
import re

import cli
from formats import readers, texts

DOMAINS = {"in-domain": "in", "near-domain": "near", "out-domain": "out"}


def load(folder):
    """Reads a folder of nocaps; returns the arguments of datasets.Dataset as a dict.

    Its keys are "splits" (split -> list of file names), "captions" (file name -> list of texts), "ids" (file name ->
    int), "files" (split -> path) and "parts" (file name -> "in", "near" or "out").

    Raises: cli.UserError if the folder has no such file, two files of one split, or a file of another format.
    """
    fields = {"splits": {}, "captions": {}, "ids": {}, "files": {}, "parts": {}}
    for name in sorted(os.listdir(folder)):
        if match := re.fullmatch(r"nocaps_(val|test)\w*\.json", texts.unpacked_name(name)):
            split, path = match[1], os.path.join(folder, name)
            if split in fields["files"]:
                raise cli.UserError(f"{path} and {fields['files'][split]} are two files of one split; keep one of them")
            fields["files"][split] = path
            _read(path, split, fields)
    if not fields["splits"]:
        raise cli.UserError(f"{folder}: expected nocaps_val_4500_captions.json or nocaps_test_image_info.json")
    return fields


def _read(path, split, fields):
    """Adds the images and captions of one file to the dict `fields` of `load`.

    Raises: cli.UserError if the file has another format.
    """
    content = readers.read_json(path, "nocaps' captions", dict)
    try:
        names = {image["id"]: image["file_name"] for image in content["images"]}
        fields["splits"][split] = list(names.values())
        fields["ids"] |= {name: number for number, name in names.items()}
        fields["parts"] |= parts_of(content["images"])
        for entry in content.get("annotations", ()):
            fields["captions"].setdefault(names[entry["image_id"]], []).append(entry["caption"].strip())
    except (KeyError, TypeError, AttributeError) as error:
        raise cli.UserError(
            f"{path}: {type(error).__name__} {error}; expected "
            '{"images": [{"id", "file_name", "domain"}], "annotations": [{"image_id", "caption"}]}'
        ) from error


def parts_of(images):
    """Returns dict file name -> "in", "near" or "out" (of COCO's domain).

    Args: images: list of dicts with "file_name" and "domain"; images without a known domain are left out.
    """
    return {image["file_name"]: DOMAINS[image["domain"]] for image in images if image.get("domain") in DOMAINS}
