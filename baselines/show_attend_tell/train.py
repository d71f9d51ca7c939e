"""Trains Show, Attend and Tell on image-caption pairs: a GRU with attention over the encoder's cells.

    python -m baselines.show_attend_tell --recipe flickr8k_coco/show_attend_tell --data_dir data/flickr8k_grid \
        --captions pairs:data/flickr8k_grid/train_captions.jsonl --job_dir runs/flickr8k/show_attend_tell

The feature bank must hold grids of cells, not pooled vectors (`extract_features --encoder compact:FILE#grid`,
`keras:NAME#grid` or a tensor of a tflite file). `--semantics reference` reproduces the quirks of TensorFlow's tutorial
(docs/implementation_details.md). `caption.py --attention DIR` draws the attention of each word. The same command
continues an interrupted run.
"""

from baselines.supervised import train as supervised


def main(options):
    """Trains Show, Attend and Tell until --max_steps. Args: options: baselines.supervised.settings.ShowAttendTell."""

    def objective(*arguments):
        from baselines.show_attend_tell.objective import ShowAttendTellObjective

        return ShowAttendTellObjective(*arguments)

    supervised.train(options, objective, grid=True)
