"""The miniature experiment with more steps of feat2sen and a larger concept reward.

Task, data: as configs/miniature.py.
Cost:       as configs/miniature.py.
Commands:
    cp docs/examples/my_experiment.py configs/
    python -m preprocessing.process_descriptions --recipe my_experiment --data_dir data/mine
    python train.py --recipe my_experiment/full --data_dir data/mine --imcap_ckpt runs/mine/feat2sen \
        --job_dir runs/mine/full
Expected:   see docs/results
"""

import dataclasses

from configs import miniature

DATA = miniature.DATA | {"process_descriptions": miniature.DATA["process_descriptions"] | {"min_word_count": 3}}
ROWS = miniature.ROWS | {
    "full": dataclasses.replace(miniature.ROWS["full"], w_obj=20.0),
    "feat2sen": dataclasses.replace(miniature.ROWS["feat2sen"], max_steps=3000, lr_decay_steps=3000),
}
