"""Checks on some photographs of the split that caption.py gives the same captions as those that were scored.

Scored captions are made from stored vectors or concept words, those of caption.py from files. A difference must not go
unnoticed, so eval_val.py, eval_test.py and eval_obj2sen end with this comparison.
"""

import dataclasses
import os

import numpy as np

import cli
from captioning import photographs
from captioning.decode import decoding_of
from formats import images, sidecars

SAMPLE = 20  # number of photographs that are captioned again
NOT_CHECKED = "NOTE: captions were not compared with those of caption.py: "


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The result of `compare`.

    Attributes:
      equal: number of photographs for which caption.py gives the caption that was scored; those that it cannot read
        count as different.
      images: number of photographs that were compared.
      largest_difference: largest absolute difference of an element of the captioner's input (image vector or ids of
        concept words); 0 if all captions are equal, NaN if no file could be read.
    """

    equal: int
    images: int
    largest_difference: float  # of an element of the captioner's input (image vector or concept words)


def folder_of(options, data_dir, split):
    """Returns the folder of the photographs: --image_dir, else the one that DATA_DIR/image_SPLIT.json names.

    Args: options: evaluation.scoring.ScoringOptions. data_dir: data folder. split: "val" or "test".
    Returns: path; "" if the folder is unknown.
    """
    path = os.path.join(data_dir, f"image_{split}.json")
    known = sidecars.read_sidecar(path).get("image_dir", "") if os.path.exists(path) else ""
    return options.image_dir or known


def compare(options, data_dir, split, checkpoint, scored, open_run):
    """Captions up to 20 scored photographs from their files, as caption.py does, and prints how many captions agree.

    Args:
      options: evaluation.scoring.ScoringOptions.
      data_dir: data folder. split: "val" or "test".
      checkpoint: prefix (path without ending) of the checkpoint that made the scored captions.
      scored: dict image name -> scored caption.
      open_run: function (checkpoint, split, list of image names) -> (captioning.captioner.Captioner, array with one row
        of its input for each name). It is called if captions differ, to compare the inputs.

    Returns: Agreement, or None with a printed note if photographs, encoder or detector are not available.
    """
    folder = folder_of(options, data_dir, split)
    names = sorted(name for name in scored if folder and os.path.isfile(images.locate(folder, name)))
    if not names:
        where = f"not in {folder}" if folder else f"{data_dir}/image_{split}.json names no folder"
        print(f"{NOT_CHECKED}no photographs ({where}); name their folder by --image_dir")
        return None
    names = names[:: max(1, len(names) // SAMPLE)][:SAMPLE]
    try:
        found, rows_of = _from_files(options, checkpoint, folder, names)
    except cli.UserError as error:
        print(f"{NOT_CHECKED}{error}")
        return None
    differing = [name for name in names if found.get(name) != scored[name]]
    if not differing:
        count = f"{len(names)} of {len(names)}"
        print(f"{count} captions of caption.py for the files in {folder} equal the scored ones")
        return Agreement(len(names), len(names), 0.0)
    _, stored = open_run(checkpoint, split, names)
    fed = [(rows_of[name], row) for name, row in zip(names, stored, strict=True) if name in rows_of]
    largest = max((_difference(*rows) for rows in fed), default=float("nan"))  # no file may have been readable
    equal, first = len(names) - len(differing), differing[0]
    print(
        f"WARNING: only {equal} of {len(names)} captions of caption.py for the files in {folder} equal the scored "
        f"ones, so the score is not that of caption.py. Largest difference of the captioner's input: {largest:.3g}. "
        f"The first: {first}: {found.get(first, '(no caption)')!r}, scored {scored[first]!r}. Check that photographs, "
        "encoder and detector are those that the data folder was made from."
    )
    return Agreement(equal, len(names), largest)


def _from_files(options, checkpoint, folder, names):
    """Captions photographs from their files as caption.py does.

    Args: options: ScoringOptions. checkpoint: its prefix. folder: of the photographs. names: list of image names.
    Returns: (dict image name -> caption, dict image name -> input row of the captioner), without unreadable files.
    Raises: cli.UserError if encoder or detector is not available.
    """
    where = {name: getattr(options, name, None) for name in ("encoder", "detector", "labels")}
    captioner, source = photographs.open_run(
        options.job_dir, checkpoint, **where, threshold=getattr(options, "threshold", 0.0)
    )
    files = [(images.locate(folder, name), name) for name in names]
    captions, rows_of = {}, {}
    for done, rows, hypotheses in photographs.caption_files(captioner, source, files, [], decoding_of(options)):
        for (_, name), row, several in zip(done, rows, hypotheses, strict=True):
            captions[name], rows_of[name] = several[0].text, row
    return captions, rows_of


def _difference(row, stored):
    """Returns the largest absolute difference of two input rows as float.

    Args: row, stored: arrays [D]; rows of concept words may have different lengths, the shorter one is padded by 0.
    """
    if row.shape != stored.shape:
        width = max(len(row), len(stored))
        row, stored = (np.pad(part, (0, width - len(part))) for part in (row, stored))
    return float(np.abs(row.astype(np.float64) - stored).max(initial=0.0))
