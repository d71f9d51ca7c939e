"""Trains R2M, a translator from concept words to sentences, on text alone, then adapts it to images (docs/r2m.md).

    python -m baselines.r2m --recipe miniature/r2m --data_dir data/miniature --job_dir runs/demo/r2m

`--stage all` trains the stages xe, xe_rec, tri and tri_rec in this order, each in its run directory JOB_DIR/STAGE.
After each stage its checkpoints are scored on the validation images; the next stage starts from the best one. A single
`--stage` trains in JOB_DIR itself and starts from `--start_ckpt`. The same command continues an interrupted run.
"""

import cli
import experiments
from baselines.r2m.configuration import R2M
from baselines.r2m.train import main

if __name__ == "__main__":
    cli.run(main, R2M, experiments.Rows())
