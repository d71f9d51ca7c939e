"""Scores every checkpoint of a run on the validation images and ranks them.

    python eval_val.py --job_dir runs/full

Writes RUN/val_STEP.json (captions) and the rankings b34.json, cider.json, meteor.json, b4.json, b3.json, b2.json; the
best checkpoint is the last entry of b34.json (BLEU-3 + BLEU-4). With another --decode than beam3 all these files are
written to RUN/DECODE/. The row of the best checkpoint is added to the results table, table.json beside the run
directory. Checkpoints that were scored before are not scored again.

    python eval_val.py --job_dir runs/full --watch

scores checkpoints beside a training as they appear, and ends when the training is complete. A training with
`--patience N` ends when N checkpoints in a row are ranked no higher than an earlier one.
"""

import cli
from evaluation.validation import Options, main

if __name__ == "__main__":
    cli.run(main, Options)
