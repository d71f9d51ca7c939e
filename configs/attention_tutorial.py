"""Show, Attend and Tell as TensorFlow's attention tutorial trains it: Inception-v3's 8 x 8 cells, a GRU. Supervised.

Task:      captions of photographs from 30,000 image-caption pairs of COCO train2014, V = 5,001: the most frequent
           words. A dictionary here is limited by a minimum count: give the --min_word_count that leaves 5,000 words.
Data:      COCO 2014 (scripts/download.sh coco), Inception-v3's weights, which Keras downloads (or --encoder
           inception_v3:FILE#grid), a detector for the concept words in image records.
Cost:      20 epochs of 375 steps of batches of 64. Not run where this was written.
Commands:  those of configs/show_tell_img2txt.py with X=attention_tutorial, --min_word_count for process_descriptions,
           and

    python -m baselines.show_attend_tell --recipe attention_tutorial/show_attend_tell --data_dir D --job_dir RUN

Expected:  see docs/results/published.md
"""

from baselines.supervised.settings import ShowAttendTell
from configs import show_tell_img2txt

DATA = show_tell_img2txt.DATA | {
    "process_descriptions": {"new_dict": True, "plurals": "keep"},
    "extract_features": {"encoder": "inception_v3:imagenet#grid", "crops": 0},
}

ROWS = {
    "show_attend_tell": ShowAttendTell(
        semantics="reference",
        captions=show_tell_img2txt.PAIRS,
        emb_dim=256,
        mem_dim=512,
        keep_prob=1.0,
        clip_norm=1e9,  # the tutorial does not clip gradients
        batch_size=64,
        max_steps=20 * 375,
        save_checkpoint_steps=5 * 375,
    )
}
