"""Reads and writes the sidecar of a feature bank: `features_SPLIT.json` beside `features_SPLIT.npy`.

A feature bank holds the vectors of a frozen image encoder: [N, crops, D], or [N, crops, cells, D] for attention. It is
made by preprocessing.extract_features, preprocessing.import_features or initialization.predict_caption_embeddings, and
read by input_pipeline.FeatureBank.
"""

import cli
from formats import readers, sidecars

FIELDS = {
    "names": readers.are_texts,
    "encoder": readers.is_object,
    "mean": readers.are_numbers,
    "std": readers.are_numbers,
}


def write_sidecar(json_path, npy_path, names, encoder, crops, statistics, settings, made_from):
    """Writes the sidecar of a finished feature bank.

    Args:
      json_path, npy_path: paths of the sidecar and of the bank.
      names: file names of the images, in the order of the bank's first axis.
      encoder: dict from `Encoder.describe`, a JSON-able description; its "dim" is D, its "cells" the number of cells
        or None.
      crops: number of random crops of each image, in addition to the centre crop.
      statistics: (mean, std) of the bank's vectors over images, crops and cells, each float64 [D].
      settings: dict of the settings that determine the vectors.
      made_from: dict that identifies the inputs (fingerprints, counts).

    Raises: OSError if it cannot be written.
    """
    mean_D, std_D = statistics
    sidecars.write_sidecar(
        json_path,
        files=[npy_path],
        count=len(names),
        settings=settings,
        made_from=made_from,
        names=list(names),
        encoder=encoder,
        dim=encoder["dim"],
        cells=encoder["cells"],
        crops=crops,
        mean=mean_D.tolist(),
        std=std_D.tolist(),
        finite=True,
    )


def read_sidecar(json_path, mend):
    """Returns the sidecar of a feature bank as a dict.

    Checked are "names" (list of str), "encoder" (dict), "mean" and "std" (lists of D numbers each). Further keys are
    "dim", "cells", "crops", "finite" and those of every sidecar, such as "files", "count" and "settings".

    Args: mend: advice for the user, appended to the message of the error.
    Raises: cli.UserError when it is missing or damaged.
    """
    content = sidecars.read_sidecar(json_path)
    if "std" not in content and "deviation" in content:  # written before the field was called std
        content["std"] = content.pop("deviation")
    readers.check_fields(content, FIELDS, json_path, mend)
    if len(content["mean"]) != len(content["std"]):
        raise cli.UserError(f"{json_path}: {len(content['mean'])} means, {len(content['std'])} std; {mend}")
    return content
