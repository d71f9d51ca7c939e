"""Trains R2M: concept words -> sentence only on text, then adapted to images (docs/r2m.md).

    python -m baselines.r2m --recipe miniature/r2m --data_dir data/miniature --job_dir runs/demo/r2m

`--stage all` runs xe, xe_rec, tri, tri_rec, scores the checkpoints of each on validation, and starts each from the best
checkpoint of the one before; JOB_DIR/STAGE are their run directories. A single `--stage` trains in JOB_DIR itself, from
`--start_ckpt`. The same command continues an interrupted run.
"""

import cli
import experiments
from baselines.r2m.configuration import R2M
from baselines.r2m.train import main

if __name__ == "__main__":
    cli.run(main, R2M, experiments.Rows())
