"""The experiment of the paper with the encoder inside every training step, on random crops, as the authors train.

Task, data: as configs/coco_shutterstock.py; the feature bank is used only for scoring.
Cost:       python -m scripts.uic_cost --images records. Not run where this was written.
Command:    scripts/reproduce_uic.sh --images records and the flags of configs/coco_shutterstock.py; trainers of rows
            with images get --inc_ckpt inception_v4:CKPT.
Expected:   see docs/results/published.md
"""

import dataclasses

from configs import coco_shutterstock

DATA = coco_shutterstock.DATA | {"extract_features": {"splits": ("val", "test"), "crops": 0}}
ROWS = {
    name: dataclasses.replace(row, steps_per_loop=1) if hasattr(row, "inc_ckpt") else row
    for name, row in coco_shutterstock.ROWS.items()
}
