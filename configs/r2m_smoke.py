"""The stages of R2M's published settings on a tiny drawn world, a few steps each, to check that they run.

Task, data: the world of configs/miniature_smoke.py replaces COCO and Conceptual Captions.
Cost:       some minutes on two CPU cores.
Command:    scripts/reproduce_r2m.sh --smoke
Expected:   the rows of R2M's four stages, whatever their scores.
"""

import dataclasses

from configs import coco_shutterstock_smoke, miniature_smoke, r2m_coco_gcc

DATA = r2m_coco_gcc.DATA | {
    "make_miniature": miniature_smoke.WORLD,
    "extract_descriptions": {"tokenizer": "nltk_word", "min_tokens": 8},
    "process_descriptions": {"new_dict": True, "min_word_count": 3},
    "extract_features": {"splits": ("train",), "crops": 1},
}
ROWS = {name: dataclasses.replace(row, **coco_shutterstock_smoke.TINY) for name, row in r2m_coco_gcc.ROWS.items()}
