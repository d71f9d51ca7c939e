"""Trains Show, Attend and Tell on image-caption pairs: a GRU with attention over the encoder's cells.

    python -m baselines.show_attend_tell --recipe flickr8k_coco/show_attend_tell --data_dir data/flickr8k_grid \
        --captions pairs:data/flickr8k_grid/train_captions.jsonl --job_dir runs/flickr8k/show_attend_tell

The feature bank must hold grids of cells, not pooled vectors (`extract_features --encoder compact:FILE#grid`,
`keras:NAME#grid` or a tensor of a tflite file). `--semantics reference` reproduces the quirks of TensorFlow's tutorial
(docs/implementation_details.md). `caption.py --attention DIR` draws the attention of each word. The same command
continues an interrupted run.
"""

import cli
import experiments
from baselines.show_attend_tell.train import main
from baselines.supervised import settings

if __name__ == "__main__":
    cli.run(main, settings.ShowAttendTell, experiments.Rows())
