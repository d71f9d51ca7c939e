"""The miniature world: pictures and sentences made by a program, to try all stages within minutes.

Task:      2,400 training pictures without captions, 20,000 sentences about other pictures, a detector with errors;
           500 validation and 500 test pictures with five references each.
Data:      drawn from a seed, nothing is downloaded.
Cost:      about 20 minutes on two CPU cores for the commands below, with R2M and the supervised rows about 40.
Commands:  scripts/demo.sh [--seeds 3], which runs

    D=data/miniature R=runs/demo
    python -m preprocessing.make_miniature --recipe miniature --data_dir $D
    python -m preprocessing.extract_descriptions --recipe miniature --data_dir $D
    python -m preprocessing.process_descriptions --recipe miniature --data_dir $D
    python -m preprocessing.detect_objects --recipe miniature --data_dir $D
    python -m preprocessing.process_images --recipe miniature --data_dir $D
    python -m preprocessing.extract_features --recipe miniature --data_dir $D
    python -m evaluation.untrained --recipe miniature --data_dir $D --table $R/table.json
    python -m initialization.retrieve_captions --recipe miniature --data_dir $D
    python -m initialization.im_caption --recipe miniature/feat2sen --data_dir $D --job_dir $R/feat2sen
    python train.py --recipe miniature/full --data_dir $D --imcap_ckpt $R/feat2sen --job_dir $R/full
    python -m initialization.obj2sen --recipe miniature/con2sen --data_dir $D --job_dir $R/obj2sen
    python -m initialization.im_caption --recipe miniature/supervised_ceiling --data_dir $D --job_dir $R/supervised
    python train.py --recipe miniature/scratch --data_dir $D --job_dir $R/scratch

           and separately

    python -m baselines.r2m --recipe miniature/r2m --data_dir $D --job_dir $R/r2m
    scripts/supervised.sh miniature

Expected:  CIDEr / unique on test images, beam 3 (all scores: docs/results/tables.md):
           con2sen 55.7 ± 3.6 / 0.237 ± 0.024,
           feat2sen 95.4 ± 1.5 / 0.269 ± 0.022,
           scratch 43.3 ± 3.9 / 0.642 ± 0.098,
           full 95.0 ± 1.5 / 0.275 ± 0.029,
           supervised_ceiling 95.4 ± 2.3 / 0.506 ± 0.004.
"""

import dataclasses

import config
from baselines.r2m.configuration import R2M
from baselines.supervised.settings import ShowAttendTell, ShowTell
from configs import ablations

# --------------------------------------------------------------------------------------------------------------
# Data

DETECTIONS = "annotations:${data_dir}/raw/detections.jsonl"
PAIRS = "pairs:${data_dir}/raw/train_pairs.jsonl"
PHOTOGRAPHS = {"image_dir": "${data_dir}/raw/images", "dataset": "jsonl:${data_dir}/raw"}

DATA = {
    "make_miniature": {},
    "extract_descriptions": {"input": "${data_dir}/raw/descriptions"},
    "process_descriptions": {"class_names": "${data_dir}/raw/classes.txt", "new_dict": True, "min_word_count": 5},
    "detect_objects": PHOTOGRAPHS | {"detector": DETECTIONS},
    "process_images": PHOTOGRAPHS,
    "extract_features": {"encoder": "compact:${data_dir}/encoder/compact.npz", "crops": 4},
    # The grids of cells of show_attend_tell, in a separate folder (scripts/supervised.sh makes it).
    "extract_features/cells": {"encoder": "compact:${data_dir}/encoder/compact.npz#grid", "crops": 1},
    "untrained": {"split": "test"},
    # In so small a world every sentence fits many pictures, so the mean over all images is subtracted fully.
    "retrieve_captions": {"contrast": 1.0, "uses": 15},
}

# --------------------------------------------------------------------------------------------------------------
# The full model

# Sizes that two cores train in minutes. Image vectors are standardised and the unit feature enters the LSTM with length
# sqrt(128); without both, captions hardly depend on the image at this size.
SMALL = {
    "emb_dim": 128,
    "mem_dim": 128,
    "feature_scale": 128**0.5,
    "save_summary_steps": 50,
    "max_sentence_length": 18,
}
SMALL_IMAGES = SMALL | {"standardise": True}

# From fresh weights. The discriminator learns three times slower than the generator, and there is no dropout: else the
# noise of the discriminator dominates the advantages (docs/results/miniature.md).
SCRATCH = config.FullModel(
    **SMALL_IMAGES,
    gen_lr=1e-3,
    dis_lr=3e-4,
    keep_prob=1.0,
    max_steps=5000,
    save_checkpoint_steps=500,
    max_caption_length=16,
)

# Adversarial fine-tuning of an initialized captioner: the discriminator learns alone first; no dropout, low learning
# rates. Captions become more varied and, after some hundred steps, score lower: the adversarial reward favours all
# sentences of the corpus, consensus captions only typical ones. Validation chooses where to stop.
FINE_TUNING = config.FullModel(
    **SMALL_IMAGES,
    gen_lr=2e-5,
    dis_lr=1e-4,
    dis_warmup_steps=200,
    dis_warmup_lr=1e-3,
    keep_prob=1.0,
    max_steps=600,
    save_checkpoint_steps=100,
    max_caption_length=16,
)

# --------------------------------------------------------------------------------------------------------------
# Initialization

# Small cross-entropy stages: a higher learning rate with cosine decay to zero.
SMALL_RATE = SMALL | {"batch_size": 64, "lr": 2e-3}

SUPERVISED_CEILING = config.ImageCaption(
    **(SMALL_RATE | SMALL_IMAGES),
    captions=PAIRS,
    max_steps=1600,
    lr_decay_steps=1600,
    save_checkpoint_steps=200,
)

# --------------------------------------------------------------------------------------------------------------
# The paper's chain: obj2sen, its captions, im_caption, the full model with the paper's rewards alone

CHAIN_START = dataclasses.replace(SUPERVISED_CEILING, captions="obj2sen", keep_prob=1.0)

# Without an anchor captions drift away from English faster than they improve. The image reconstruction decides how much
# captions differ, so its weight is large; the sentence reconstruction must not rewrite a decoder that never read a
# sentence feature, so its weight is small. What each choice was worth: docs/results/miniature.md.
CHAIN = dataclasses.replace(
    FINE_TUNING,
    gen_lr=1.2e-3,
    dis_lr=1e-3,
    dis_warmup_steps=100,
    gamma=0.97,
    w_adv=0.2,
    w_obj=30.0,
    w_mse=3000.0,
    w_sen=0.01,
    w_anchor=0.7,
    max_steps=2500,
    lr_decay_steps=2500,
    save_checkpoint_steps=500,
)

# --------------------------------------------------------------------------------------------------------------
# Baselines

# R2M's four stages at small scale. The paper's learning rates and steps are for batches of 256 and millions of
# sentences; here the text stages have higher rates that decay to zero. The image stages keep the paper's values: at
# 1e-4 the vectors of all captions become equal within 100 steps (triplet loss at 2 x margin), and so do the captions.
SMALL_R2M = R2M(
    emb_dim=128,
    mem_dim=128,
    batch_size=64,
    save_summary_steps=50,
    max_sentence_length=18,
    standardise=True,
    lr_decay=True,
    stage_steps=(1500, 1000, 50, 100, 2000),
    stage_lr=(2e-3, 1e-3, 1e-5, 1e-5, 1e-3),
    stage_save=(250, 250, 10, 20, 500),
    stage_unroll=(20, 20, 20, 20, 20),
)

# Supervised: cross entropy, then self-critical training on CIDEr-D.
SMALL_BASELINES = {
    "emb_dim": 128,
    "mem_dim": 256,
    "keep_prob": 0.7,
    "standardise": True,
    "max_sentence_length": 18,
    "max_caption_length": 18,
    "lr": 2e-3,
    "save_summary_steps": 50,
    "save_checkpoint_steps": 200,
}
BASELINE_STEPS = {"max_steps": 2000, "lr_decay_steps": 1600, "scst_from": 1600, "scst_lr": 2e-4}

ROWS = {
    "con2sen": config.ObjectToSentence(
        **SMALL_RATE, detector=DETECTIONS, max_steps=2000, lr_decay_steps=2000, save_checkpoint_steps=250
    ),
    # Consensus captions are a function of the image vector, so they are learned without dropout.
    "feat2sen": dataclasses.replace(SUPERVISED_CEILING, captions="retrieved", keep_prob=1.0),
    "sentence_ae": config.SentenceAutoEncoder(
        **SMALL_RATE, max_steps=1000, lr_decay_steps=1000, save_checkpoint_steps=250
    ),
    "sentence_gan": config.SentenceGan(
        **SMALL, batch_size=64, max_caption_length=16, max_steps=300, save_checkpoint_steps=100
    ),
    "full": FINE_TUNING,
    **ablations(FINE_TUNING),
    "scratch": SCRATCH,
    **ablations(SCRATCH, "scratch_"),
    "chain_start": CHAIN_START,
    "chain": CHAIN,
    **ablations(CHAIN, "chain_"),
    "r2m": SMALL_R2M,
    "supervised_ceiling": SUPERVISED_CEILING,
    "show_tell": ShowTell(**SMALL_BASELINES, **BASELINE_STEPS, captions=PAIRS),
    "show_attend_tell": ShowAttendTell(
        **SMALL_BASELINES,
        **BASELINE_STEPS,
        captions=PAIRS,
        cell_dim=128,
        attention_units=128,
        attention_scale=2.0,
        attend_word=True,
    ),
}
