"""Named settings: one dict of recipes for each trainer, chosen by --recipe; single flags override them.

    NAME_paper       COCO photographs, Shutterstock sentences, the authors' program and README (`--semantics reference`)
    miniature_NAME   the drawn world of `python -m preprocessing.make_miniature`; minutes on two cores
    flickr8k_NAME    Flickr8k photographs, COCO or Flickr30k sentences, a small detector; minutes on two cores

The rows of the ablation table are recipes of train.py: `adv` the adversarial term alone, `con` with the concept reward,
`im` with the image reconstruction as well, `full` with the sentence reconstruction as well. The rows with
initialization are given the runs they start from by --imcap_ckpt and --sae_ckpt; `scratch` rows start fresh.
Expected results stand in the README's tables with the commands that made them.
"""

import dataclasses

import config
from baselines.r2m import configuration
from baselines.supervised import settings


def _ablations(full, changes_of_name):
    """The recipe `full` with the losses of each row switched off: dict name -> recipe."""
    return {name: dataclasses.replace(full, **changes) for name, changes in changes_of_name.items()}


ADVERSARIAL = {"w_obj": 0.0, "w_mse": 0.0, "w_sen": 0.0}
CONCEPT = {"w_mse": 0.0, "w_sen": 0.0}
IMAGE = {"w_sen": 0.0}

# Small networks: what two cores train in minutes. Image vectors are standardised and the unit feature enters the LSTM
# with length sqrt(128): without both, captions hardly depend on the image at this size (specs/dynamics.md 4, 5).
SMALL = {
    "emb_dim": 128,
    "mem_dim": 128,
    "feature_scale": 128**0.5,
    "save_summary_steps": 50,
    "max_sentence_length": 18,
}
SMALL_IMAGES = SMALL | {"standardise": True}
# Photographs: with 128 units the captions of an initialized run differ less (Flickr8k with COCO text, dev, beam 3, one
# seed: unique .025 at 128 units, .077 at 256).
FLICKR_SIZE = {"emb_dim": 256, "mem_dim": 256, "feature_scale": 256**0.5}

# --------------------------------------------------------------------------------------------------------------
# train.py

# Task: COCO <- Shutterstock as published. Expected: CIDEr 28.6 with initialization (unverified, from memory of the
# paper). Cost: scripts/reproduce_uic.sh states it. Not run where this was written: no COCO images there.
# Command: bash scripts/reproduce_uic.sh ...
_PAPER = config.FullModel(
    semantics="reference", batch_size=512, gen_lr=1e-3, dis_lr=1e-3, save_checkpoint_steps=1000, images="auto"
)

# Task: the full model from fresh weights. The discriminator learns three times slower than the generator and nothing is
# dropped: at equal rates (1e-3) with dropout, advantages drown in the discriminator's noise and the captions hardly
# depend on the image (miniature validation, beam 3, one seed each: CIDEr 30.8, unique .17 against 46.3, .80 after 4,500
# and 5,000 steps). It still improves at the end (CIDEr 40.2 at 4,000 steps, 46.8 at 5,000); stopped before, BLEU-3 +
# BLEU-4 choose an early checkpoint (CIDEr 26.9). Cost: about seven minutes on two idle cores.
# Command: python train.py --recipe miniature_scratch --data_dir data/miniature --job_dir runs/demo/scratch
_SCRATCH = config.FullModel(
    **SMALL_IMAGES,
    gen_lr=1e-3,
    dis_lr=3e-4,
    keep_prob=1.0,
    max_steps=5000,
    save_checkpoint_steps=500,
    max_caption_length=16,
)

# Task: the gentle polish of an initialized captioner. The discriminator learns alone first, no dropout, low rates.
# Captions become more varied and, after some hundred steps, score less: the adversarial reward asks for the whole
# variety of the corpus, consensus captions are its common core. Miniature validation, one seed, CIDEr / unique from
# 97.2 / .298: after 400 steps of the generator 92.4 / .386 at rate 2e-5, 79.9 / .524 at 1e-4; validation chooses where
# to stop. Cost: one minute on two cores.
# Command: python train.py --recipe miniature_full --data_dir data/miniature --imcap_ckpt runs/demo/feat2sen \
#   --job_dir runs/demo/full
_POLISH = config.FullModel(
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

# An initialized captioner of photographs knows a few hundred corpus sentences by heart; at its full weight the sentence
# reconstruction (cross entropy 5.4 at first) would undo that before anything else happens.
# Captions may be as long as im_caption's (20 words), whose rows stand beside these.
_FLICKR_POLISH = dataclasses.replace(_POLISH, w_sen=0.01, max_caption_length=20, **FLICKR_SIZE)

# The same after `flickr8k_fit`: the reward is the caption's fit to what the image vector lets expect, the other terms
# are small beside it. A sentence is rewarded as a whole, so nothing is discounted: with `gamma` 0.9 the first words,
# which decide what is said, get a third of it, and the fit does not rise. Dev, one seed, CIDEr / unique by beam search:
# Flickr30k's text 19.0 / .221 before, 19.7 / .216 after; COCO's 14.9 / .235 before, 15.8 / .231 after. With
# `w_adv` 0.3 beside `w_fit` 50 captions lost what they had learned (from another start 16.0, 13.4 after 600 steps).
_FLICKR_FIT = dataclasses.replace(
    _FLICKR_POLISH,
    w_fit=100.0,
    fit_contrast=0.85,
    w_adv=0.02,
    w_obj=1.0,
    w_mse=1.0,
    w_sen=0.001,
    gamma=1.0,
    gen_lr=1e-4,
    max_steps=1400,
    save_checkpoint_steps=200,
)

FULL = (
    _ablations(_PAPER, {"full_paper": {}, "adv_paper": ADVERSARIAL, "con_paper": CONCEPT, "im_paper": IMAGE})
    | _ablations(
        _SCRATCH,
        {
            "miniature_scratch": {},
            "miniature_scratch_adv": ADVERSARIAL,
            "miniature_scratch_con": CONCEPT,
            "miniature_scratch_im": IMAGE,
            "flickr8k_scratch": {"max_steps": 4000},
        },
    )
    | _ablations(
        _POLISH,
        {
            "miniature_full": {},
            "miniature_adv": ADVERSARIAL,
            "miniature_con": CONCEPT,
            "miniature_im": IMAGE,
        },
    )
    | _ablations(
        _FLICKR_POLISH,
        {
            "flickr8k_full": {},
            "flickr8k_adv": ADVERSARIAL,
            "flickr8k_con": CONCEPT,
            "flickr8k_im": IMAGE,
        },
    )
    | {"flickr8k_full_fit": _FLICKR_FIT}
)

# --------------------------------------------------------------------------------------------------------------
# initialization/

# Small cross-entropy stages: a higher rate that falls to zero along a cosine.
_SMALL_RATE = SMALL | {"batch_size": 64, "lr": 2e-3}

# Task: concept words -> sentence. The authors chose the checkpoint of step 35,000.
# Command: python -m initialization.obj2sen --recipe miniature_obj2sen --data_dir data/miniature
OBJ2SEN = {
    "obj2sen_paper": config.ObjectToSentence(semantics="reference", max_steps=50_000),
    "miniature_obj2sen": config.ObjectToSentence(
        **_SMALL_RATE, max_steps=2000, lr_decay_steps=2000, save_checkpoint_steps=250
    ),
    "flickr8k_obj2sen": config.ObjectToSentence(
        **_SMALL_RATE, max_steps=2000, lr_decay_steps=2000, save_checkpoint_steps=250
    ),
}

# Task: image -> pseudo caption; `*_supervised` learns from true captions (--captions pairs:FILE.jsonl): the ceiling.
# The authors chose the checkpoint of step 18,000.
# Command: python -m initialization.im_caption --recipe miniature_im_caption --data_dir data/miniature
# Consensus captions are a function of the image vector, so nothing is dropped while they are learned (Flickr8k with
# COCO text, dev, one seed: CIDEr 15.0 by beam search; with the image's own detections in the captions as well, which
# the vector does not show, 12.5). With `image_keep_prob` 0.5 they are learned less by heart: better and more alike (one
# seed, CIDEr by beam search / unique after 3,000 steps: Flickr30k text 15.8 / .111 against 14.2 / .137, COCO text
# 13.2 / .090 against 12.4 / .162). Runs differ as much: two whose dictionaries differ in four words gave 16.2 / .183,
# 14.4 / .190. Started from obj2sen's decoder (--o2s_ckpt, --lr 1e-3) the latter gives 15.5 / .177, with another seed
# 14.1 / .180, and with captions chosen among all sentences of the corpus (--candidates 0) 16.1 / .190.
_SMALL_IM_CAPTION = config.ImageCaption(
    **(_SMALL_RATE | SMALL_IMAGES),
    captions="retrieved",
    max_steps=1600,
    lr_decay_steps=1600,
    save_checkpoint_steps=200,
)
_PSEUDO = {"keep_prob": 1.0}
IM_CAPTION = {
    "im_caption_paper": config.ImageCaption(semantics="reference", max_steps=30_000),
    "miniature_im_caption": dataclasses.replace(_SMALL_IM_CAPTION, **_PSEUDO),
    "miniature_supervised": _SMALL_IM_CAPTION,
    "flickr8k_im_caption": dataclasses.replace(
        _SMALL_IM_CAPTION,
        **_PSEUDO | FLICKR_SIZE,
        max_steps=3000,
        lr_decay_steps=3000,
        save_checkpoint_steps=1500,
    ),
    # What fit_captions chose for points of the vector space. Dev, one seed, CIDEr / unique by beam search: Flickr30k's
    # text 19.0 / .221 (from less good vectors 17.8 / .234, without prices 18.2 / .124), COCO's 14.9 / .235.
    "flickr8k_fit": dataclasses.replace(
        _SMALL_IM_CAPTION,
        **_PSEUDO | FLICKR_SIZE,
        captions="fit",
        batch_size=128,
        lr=1e-3,
        max_steps=5000,
        lr_decay_steps=5000,
        save_checkpoint_steps=2500,
    ),
    "flickr8k_supervised": dataclasses.replace(_SMALL_IM_CAPTION, max_steps=2600, lr_decay_steps=2600),
}

# Task: noised sentence -> sentence. The authors chose the checkpoint of step 65,000.
# Command: python -m initialization.sentence_ae --recipe miniature_sentence_ae --data_dir data/miniature
_SMALL_SENTENCE_AE = config.SentenceAutoEncoder(
    **_SMALL_RATE, max_steps=1000, lr_decay_steps=1000, save_checkpoint_steps=250
)
SENTENCE_AE = {
    "sentence_ae_paper": config.SentenceAutoEncoder(semantics="reference", max_steps=70_000),
    "miniature_sentence_ae": _SMALL_SENTENCE_AE,
    "flickr8k_sentence_ae": _SMALL_SENTENCE_AE,
}

# Task: sentences from noise against a discriminator. The authors chose the checkpoint of step 30,000.
# Command: python -m initialization.sentence_gan --recipe miniature_sentence_gan --data_dir data/miniature
_SMALL_SENTENCE_GAN = config.SentenceGan(
    **SMALL, batch_size=64, max_caption_length=16, max_steps=300, save_checkpoint_steps=100
)
SENTENCE_GAN = {
    "sentence_gan_paper": config.SentenceGan(semantics="reference", max_steps=30_000),
    "miniature_sentence_gan": _SMALL_SENTENCE_GAN,
    "flickr8k_sentence_gan": _SMALL_SENTENCE_GAN,
}

# --------------------------------------------------------------------------------------------------------------
# baselines/r2m.py

# Task: R2M as published (steps, rates, lengths of its four stages are the defaults of configuration.R2M), in its three
# settings: photographs of COCO, Flickr30k, COCO with the sentences of Shutterstock, COCO, Conceptual Captions. They
# differ in their data folders alone, which scripts/reproduce_r2m.sh makes. Not run where this was written: no such
# photographs there.
# Command: bash scripts/reproduce_r2m.sh --setting coco_shutterstock ...
_R2M_PAPER = configuration.R2M(semantics="reference")

# Task: the same four stages at small scale. The paper's rates and lengths suit its batches of 256 and millions of
# sentences; here the text stages learn faster and fall to zero. The image stages keep the paper's rate and lengths: at
# 1e-4 the vectors of all captions become one within 100 steps (triplet loss at 2 x margin) and the captions with them.
# Command: python -m baselines.r2m --recipe miniature_r2m --data_dir data/miniature --job_dir runs/demo/r2m
_SMALL_R2M = configuration.R2M(
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
R2M = {
    "r2m_coco_shutterstock": _R2M_PAPER,
    "r2m_flickr30k_coco": _R2M_PAPER,
    "r2m_coco_gcc": _R2M_PAPER,
    "miniature_r2m": _SMALL_R2M,
    "flickr8k_r2m": _SMALL_R2M,
}

# --------------------------------------------------------------------------------------------------------------
# baselines/show_tell.py, baselines/show_attend_tell.py: supervised, from image-caption pairs

# Task: img2txt on COCO train2014, V = 11,498. Published: BLEU-4 25.9, CIDEr 86.4 after 500,000 steps (4,000 photographs
# of val2014). Features: extract_features --encoder inception_v3:WEIGHTS. Not run where this was written.
# Command: python -m baselines.show_tell --recipe show_tell_img2txt --data_dir ... --captions pairs:...
_IMG2TXT = settings.ShowTell(
    semantics="reference",
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

# Task: the ResNet-152 tutorial on COCO train2014, V = 9,956: 5 epochs of 3,236 steps. Expected: loss about 2.5; no
# score was published. Features: extract_features --encoder resnet152:WEIGHTS. It clips no gradients, so 1e9.
_RESNET = settings.ShowTell(
    semantics="reference",
    emb_dim=256,
    mem_dim=512,
    keep_prob=1.0,
    cell="lstm_two_biases",
    batch_norm=True,
    start_from_image=True,
    clip_norm=1e9,
    batch_size=128,
    max_steps=5 * 3236,
    save_checkpoint_steps=1000,
)

# Task: the attention tutorial on 30,000 captions of COCO train2014, V = 5,001: 20 epochs of 375 steps. No score was
# published. Features: extract_features --encoder inception_v3:WEIGHTS#grid (8 x 8 cells).
_TUTORIAL = settings.ShowAttendTell(
    semantics="reference",
    emb_dim=256,
    mem_dim=512,
    keep_prob=1.0,
    clip_norm=1e9,
    batch_size=64,
    max_steps=20 * 375,
    save_checkpoint_steps=5 * 375,
)

# Task: small supervised runs. Miniature: cross entropy, then CIDEr-D; expected on validation, beam 3, one seed: CIDEr
# 151 with attention (before attend_word), of which the self-critical steps add little; about nine minutes of one core.
# Flickr8k: cross entropy alone. Expected of Show and Tell on dev, beam 3, one seed: CIDEr 40 (31 with 256 units, rate
# 2e-3, keep_prob 0.5). Self-critical steps at 2e-4 made captions alike there (2,000 of them: CIDEr 31 -> 28, unique .23
# -> .09). Probably samples of so flat a distribution score far below the greedy caption (advantages were not measured).
_SMALL_SUPERVISED = {
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
_SMALL_STEPS = {"max_steps": 2000, "lr_decay_steps": 1600, "scst_from": 1600, "scst_lr": 2e-4}
_FLICKR_STEPS = {
    "max_steps": 4000,
    "lr": 1e-3,
    "lr_decay_steps": 4000,
    "save_checkpoint_steps": 500,
    "max_sentence_length": 22,
    "keep_prob": 0.6,
}
SHOW_TELL = {
    "show_tell_img2txt": _IMG2TXT,
    "show_tell_img2txt_gru": dataclasses.replace(_IMG2TXT, cell="gru"),
    "show_tell_resnet": _RESNET,
    "miniature_show_tell": settings.ShowTell(**_SMALL_SUPERVISED | _SMALL_STEPS),
    "flickr8k_show_tell": settings.ShowTell(**_SMALL_SUPERVISED | _FLICKR_STEPS | {"emb_dim": 512, "mem_dim": 512}),
}
SHOW_ATTEND_TELL = {
    "sat_tf_tutorial": _TUTORIAL,
    "miniature_show_attend_tell": settings.ShowAttendTell(
        **_SMALL_SUPERVISED | _SMALL_STEPS, cell_dim=128, attention_units=128, attention_scale=2.0, attend_word=True
    ),
    "flickr8k_show_attend_tell": settings.ShowAttendTell(
        **_SMALL_SUPERVISED | _FLICKR_STEPS, cell_dim=256, attention_units=128, attention_scale=2.0, attend_word=True
    ),
}
