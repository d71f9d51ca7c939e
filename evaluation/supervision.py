"""Says what supervision a run had beyond the paper's: the column `supervision` of the table of results.

The paper's supervision is an object detector and a corpus of sentences about other images.
"""

import os

from formats import sidecars
from training.run_directory import read_config

PAIRS = "image-caption pairs"
SENTENCE_PAIRS = "sentence pairs"  # a sentence encoder that was trained on captions of one photograph


def of_run(settings, data_dir):
    """Returns what supervision a run had beyond the paper's: PAIRS, SENTENCE_PAIRS or None.

    A run has PAIRS if it, or a run that it started from or whose captions it learned, was trained on true pairs.

    Args: settings: dict of the run's settings, from its config.json. data_dir: the data folder that it was trained on.
    Raises: cli.UserError if the sidecar of the predicted caption embeddings is damaged.
    """
    if _learned_pairs(settings):
        return PAIRS
    path = os.path.join(data_dir, "neighbours.json")
    if not os.path.exists(path):
        return None
    encoder = sidecars.read_sidecar(path).get("made_from", {}).get("sentence_encoder") or {}
    return SENTENCE_PAIRS if encoder.get("kind") == "minilm" else None


def _learned_pairs(settings, seen=()):
    """Returns whether a run or an earlier run of its chain learned image-caption pairs: bool.

    Earlier runs that are no longer there are not counted. Args: settings: as of `of_run`. seen: paths already followed.
    """
    kind, _, path = str(settings.get("captions") or "").partition(":")
    if kind == "pairs":
        return True
    earlier = [settings.get("imcap_ckpt"), os.path.dirname(path) if kind == "fit" else None]
    for start in filter(None, earlier):
        folder = start if os.path.isdir(start) else os.path.dirname(start)
        content = None if folder in seen else read_config(folder, missing_ok=True)
        if content and _learned_pairs(content["settings"], (*seen, folder)):
            return True
    return False
