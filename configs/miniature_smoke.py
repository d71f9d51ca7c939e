"""The miniature experiment on a tiny world with a few updates, to check that all stages run; its scores mean nothing.

Task, data: as configs/miniature.py, 120 training pictures, 1,500 sentences.
Cost:       some minutes on two CPU cores.
Command:    scripts/demo.sh --smoke
Expected:   all rows of configs/miniature.py, whatever their scores.
"""

import dataclasses

from configs import miniature

WORLD = {
    "train_images": 120,
    "val_images": 60,
    "test_images": 60,
    "sentences": 1500,
    "encoder_images": 480,
    "encoder_epochs": 1,
}
DATA = miniature.DATA | {"make_miniature": WORLD}
ROWS = {
    name: dataclasses.replace(row, max_steps=40, save_checkpoint_steps=20, save_summary_steps=10)
    for name, row in miniature.ROWS.items()
}
