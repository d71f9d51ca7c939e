"""Says what supervision a run had beyond the paper's: the column `supervision` of the table of results.

The paper's supervision is an object detector and a corpus of sentences about other images.
"""

import os

from formats import sidecars

PAIRS = "image-caption pairs"
SENTENCE_PAIRS = "sentence pairs"  # a sentence encoder that was trained on captions of one photograph


def of_run(settings, data_dir):
    """Returns what supervision a run had beyond the paper's: PAIRS, SENTENCE_PAIRS or None.

    Args: settings: dict of the run's settings, from its config.json. data_dir: the data folder that it was trained on.
    Raises: cli.UserError if the sidecar of the predicted caption embeddings is damaged.
    """
    if str(settings.get("captions", "")).startswith("pairs:"):
        return PAIRS
    path = os.path.join(data_dir, "neighbours.json")
    if not os.path.exists(path):
        return None
    encoder = sidecars.read_sidecar(path).get("made_from", {}).get("sentence_encoder") or {}
    return SENTENCE_PAIRS if encoder.get("kind") == "minilm" else None
