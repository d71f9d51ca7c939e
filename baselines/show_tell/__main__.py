"""Trains Show and Tell on image-caption pairs, an upper bound for the unsupervised systems.

    python -m baselines.show_tell --recipe flickr8k_coco/show_tell --data_dir data/flickr8k_supervised \
        --captions pairs:data/flickr8k_supervised/train_captions.jsonl --job_dir runs/flickr8k/show_tell

Image vectors are read from the feature bank, which `extract_features --encoder` made. `--scst_from STEP` continues with
self-critical training on CIDEr-D from that step on. eval_val.py, eval_test.py and caption.py accept the run like that
of any other system. The same command continues an interrupted run.
"""

import cli
import experiments
from baselines.show_tell.train import main
from baselines.supervised import settings

if __name__ == "__main__":
    cli.run(main, settings.ShowTell, experiments.Rows())
