"""The stages of the paper's experiment on a tiny drawn world, a few steps each, to check that they run.

Task, data: the world of configs/miniature_smoke.py replaces COCO and Shutterstock.
Cost:       some minutes on two CPU cores.
Command:    scripts/reproduce_uic.sh --smoke
Expected:   all rows of configs/coco_shutterstock.py, whatever their scores.
"""

import dataclasses

from configs import coco_shutterstock, miniature_smoke

DATA = coco_shutterstock.DATA | {
    "make_miniature": miniature_smoke.WORLD,
    "extract_descriptions": {"tokenizer": "nltk_word"},
    "process_descriptions": {"new_dict": True, "min_word_count": 3},
    "extract_features": {"crops": 1},
}

TINY = {
    "emb_dim": 16,
    "mem_dim": 16,
    "batch_size": 16,
    "max_steps": 4,
    "save_checkpoint_steps": 2,
    "save_summary_steps": 2,
}
ROWS = {
    name: dataclasses.replace(row, **TINY | ({"max_caption_length": 8} if hasattr(row, "max_caption_length") else {}))
    for name, row in coco_shutterstock.ROWS.items()
}
