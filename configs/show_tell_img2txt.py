"""Show and Tell as img2txt trains it: Inception-v3's vector, an LSTM, captions of COCO train2014. Supervised.

Task:      captions of photographs from image-caption pairs, V = 11,498 words (those with a count of 3 or more). Rows:
           show_tell, and show_tell_gru with a GRU instead of the LSTM.
Data:      COCO 2014 (scripts/download.sh coco), Inception-v3's weights, which Keras downloads (or --encoder
           inception_v3:FILE), a detector for the concept words in image records.
Cost:      500,000 steps of batches of 32. Not run where this was written: no COCO photographs and no GPU there.
Commands:
    D=data/show_tell_img2txt X=show_tell_img2txt
    python -m preprocessing.train_captions --recipe $X --data_dir $D --dataset coco:DIR
    python -m preprocessing.extract_descriptions --recipe $X --data_dir $D
    python -m preprocessing.process_descriptions --recipe $X --data_dir $D
    python -m preprocessing.detect_objects --recipe $X --data_dir $D --image_dir DIR --dataset coco:DIR --detector D
    python -m preprocessing.process_images --recipe $X --data_dir $D --image_dir DIR --dataset coco:DIR
    python -m preprocessing.extract_features --recipe $X --data_dir $D
    python -m baselines.show_tell --recipe $X/show_tell --data_dir $D --job_dir runs/show_tell_img2txt

Expected:  see docs/results/published.md
"""

import dataclasses

from baselines.supervised.settings import ShowTell

TRAIN_CAPTIONS = {"input": "${data_dir}/train_captions.txt", "min_tokens": 1}
PAIRS = "pairs:${data_dir}/train_captions.jsonl"
STORED = {"exif": False}  # photographs as they are stored: the authors do not apply the EXIF orientation

DATA = {
    "train_captions": {},
    "extract_descriptions": TRAIN_CAPTIONS,
    "process_descriptions": {"new_dict": True, "min_word_count": 3, "plurals": "keep"},
    "detect_objects": STORED,
    "process_images": STORED,
    "extract_features": {"encoder": "inception_v3:imagenet", "crops": 0},
}

LSTM = ShowTell(
    semantics="reference",
    captions=PAIRS,
    emb_dim=512,
    mem_dim=512,
    keep_prob=0.7,
    init_stddev=0.02,
    optimizer="sgd",
    lr=2.0,
    lr_halving_epochs=8.0,
    clip_norm=5.0,
    batch_size=32,
    max_steps=500_000,
    save_checkpoint_steps=50_000,
    keep_checkpoints=10,
)
ROWS = {"show_tell": LSTM, "show_tell_gru": dataclasses.replace(LSTM, cell="gru")}
