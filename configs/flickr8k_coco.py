"""The main experiment with photographs: images of Flickr8k, sentences of MS COCO, a small object detector.

Task:      a captioner from 6,000 training photographs of Flickr8k, read without their captions, the 25,000 sentences
           about COCO's val2017 photographs and an SSD detector of 80 classes. The 1,000 development photographs with
           their captions choose the checkpoints and give the scores.
Data:      everything below ${UIC_REALDATA}: flickr8k/ (images/, lists and captions), corpora/, models/.
Cost:      about an hour on two busy CPU cores, half of it R2M.
Commands:  scripts/flickr8k.sh --corpus coco --eyes ssd --only con2sen,feat2sen,full,scratch,r2m, which runs

    D=data/flickr8k_coco R=runs/flickr8k_coco X=flickr8k_coco
    python -m preprocessing.extract_descriptions --recipe $X --data_dir $D
    python -m preprocessing.process_descriptions --recipe $X --data_dir $D
    python -m preprocessing.detect_objects --recipe $X --data_dir $D
    python -m preprocessing.process_images --recipe $X --data_dir $D
    python -m preprocessing.extract_features --recipe $X --data_dir $D
    python -m evaluation.untrained --recipe $X --data_dir $D --corpus coco --table $R/table.json
    python -m initialization.obj2sen --recipe $X/con2sen --data_dir $D --job_dir $R/obj2sen
    python -m initialization.predict_caption_embeddings --recipe $X --data_dir $D
    python -m initialization.assign_captions --recipe $X --data_dir ${D}_expected
    python -m initialization.im_caption --recipe $X/feat2sen --data_dir ${D}_expected --job_dir $R/feat2sen
    python train.py --recipe $X/full --data_dir ${D}_expected --imcap_ckpt $R/feat2sen --job_dir $R/full
    python train.py --recipe $X/scratch --data_dir $D --job_dir $R/scratch
    python -m baselines.r2m --recipe $X/r2m --data_dir $D --job_dir $R/r2m --table $R/table.json --corpus coco

           and, with the true captions of the training photographs, which the rows above do not read,
           scripts/supervised.sh flickr8k, which runs

    S=data/flickr8k_supervised
    python -m preprocessing.train_captions --recipe $X --data_dir $S
    python -m preprocessing.extract_descriptions --recipe $X/supervised --data_dir $S
    python -m preprocessing.process_descriptions --recipe $X/supervised --data_dir $S
    python -m preprocessing.detect_objects --recipe $X --data_dir $S
    python -m preprocessing.process_images --recipe $X --data_dir $S
    python -m preprocessing.extract_features --recipe $X --data_dir $S
    python -m preprocessing.extract_features --recipe $X/cells --data_dir ${S}_cells
    python -m baselines.show_tell --recipe $X/show_tell --data_dir $S --job_dir $R/show_tell
    python -m baselines.show_attend_tell --recipe $X/show_attend_tell --data_dir ${S}_cells \
        --job_dir $R/show_attend_tell

Expected:  CIDEr / unique on val images, beam 3 (all scores: docs/results/tables.md):
           con2sen 12.3 / 0.216,
           feat2sen 14.7 / 0.215,
           scratch 6.0 / 0.172,
           full 15.3 / 0.252,
           r2m_xe 13.9 / 0.269,
           r2m_xe_rec 12.3 / 0.271,
           r2m_tri 12.4 / 0.271,
           r2m 12.4 / 0.257.
"""

import dataclasses

from configs import ablations, miniature

# --------------------------------------------------------------------------------------------------------------
# Data

MODELS = "${UIC_REALDATA}/models"
DETECTOR = f"{MODELS}/coco_ssd_mobilenet_v1_quant.tflite"
LABELS = f"{MODELS}/coco_labels.txt"
CLASSIFIER = f"{MODELS}/tf2_mobilenet_v2_1.0_224_ptq.tflite"
BOTH = f"{DETECTOR}+classifier:{CLASSIFIER}#labels={MODELS}/imagenet_labels.txt"
ENCODER = f"tflite:{CLASSIFIER}#172"  # its pooled features; #171 is the grid of cells before the pooling
PHOTOGRAPHS = {"image_dir": "${UIC_REALDATA}/flickr8k/images", "dataset": "flickr8k:${UIC_REALDATA}/flickr8k"}
SYNONYMS = "data/synonyms.txt"
WHOLE_CORPUS = {"max_sentence_length": 18, "candidates": 0}


def data_stages(sentences, min_word_count):
    """Returns the settings of the data stages for a corpus: dict stage name -> dict setting -> value.

    Args: sentences: path of the corpus, one sentence a line. min_word_count: words that occur less often are replaced
      by the unknown word.
    """
    return {
        "extract_descriptions": {"input": sentences, "min_tokens": 5},
        "process_descriptions": {
            "class_names": LABELS,
            "new_dict": True,
            "min_word_count": min_word_count,
            "max_length": 18,
            "plurals": "keep",
            "synonyms": SYNONYMS,
        },
        "detect_objects": PHOTOGRAPHS | {"detector": DETECTOR, "labels": LABELS},
        "process_images": PHOTOGRAPHS | {"score_threshold": 0.4},
        "extract_features": {"encoder": ENCODER, "crops": 4},
        "untrained": {"split": "val"},
        "retrieve_captions": {},
        # Predicted caption embeddings replace the image vectors (docs/consensus.md).
        "predict_caption_embeddings": WHOLE_CORPUS | {"output_dir": "${data_dir}_expected", "threshold": 0.3},
        "assign_captions": WHOLE_CORPUS | {"mixed": 100_000},
    }


def classifier_data(data):
    """Returns the settings of the data stages for detector and classifier: new dict stage -> dict setting -> value.

    Concept words come from both. The image vector then holds the classifier's features and, for each class, the
    detector's highest score. The stage classifier_words is added.

    Args: data: dict stage name -> dict setting -> value, for the detector alone; it is not changed.
    """
    text, images = data["process_descriptions"], data["process_images"]
    return data | {
        "classifier_words": {
            "class_names": LABELS,
            "labels": "data/imagenet_labels.txt",
            "synonyms": SYNONYMS,
            "min_word_count": text["min_word_count"],
        },
        "process_descriptions": text | {"class_names": "${data_dir}/class_names.txt"},
        "detect_objects": data["detect_objects"]
        | {"detector": BOTH, "classifier_threshold": 0.02, "classifier_top": 20},
        "process_images": images
        | {
            "word_threshold": 0.25,
            "class_map": "${data_dir}/class_map.json",
            "prior_strength": 1.0,
            "prior_below": 0.7,
        },
        "extract_features": {"encoder": f"{ENCODER}+tflite:{DETECTOR}#173@max", "crops": 4},
    }


DATA = data_stages("${UIC_REALDATA}/corpora/coco_val2017_sentences.txt", min_word_count=4) | {
    # The supervised rows: a dictionary of the training captions, and a separate folder for grids of cells.
    "train_captions": {"dataset": PHOTOGRAPHS["dataset"]},
    "extract_descriptions/supervised": {"input": "${data_dir}/train_captions.txt", "min_tokens": 3},
    "process_descriptions/supervised": {
        "class_names": LABELS,
        "new_dict": True,
        "min_word_count": 5,
        "plurals": "keep",
    },
    "extract_features/cells": {"encoder": f"tflite:{CLASSIFIER}#171", "crops": 1},
}

# --------------------------------------------------------------------------------------------------------------
# Trainers

# For photographs 256 units: with 128 the captions of an initialized run vary less (docs/results/flickr8k.md).
SIZE = {"emb_dim": 256, "mem_dim": 256, "feature_scale": 256**0.5}

# An initialized captioner of photographs has learned a few hundred corpus sentences. At its full weight the sentence
# reconstruction would make it forget them first. Captions may have 20 words, as in im_caption, to compare the rows.
FINE_TUNING = dataclasses.replace(miniature.FINE_TUNING, w_sen=0.01, max_caption_length=20, **SIZE)

# After feat2sen the main reward is the consensus reward, the fit to the predicted caption embedding; the other terms
# are small. A sentence is rewarded as a whole, so `gamma` is 1: with 0.9 the first words, which decide the content, get
# a third of the reward, and the fit does not rise.
FULL = dataclasses.replace(
    FINE_TUNING,
    reward=("consensus:weight=100,contrast=0.85",),
    w_adv=0.02,
    w_obj=1.0,
    w_mse=1.0,
    w_sen=0.001,
    gamma=1.0,
    gen_lr=1e-4,
    max_steps=1400,
    save_checkpoint_steps=200,
)

# Pseudo captions are a function of the image vector, so they are learned without dropout.
RETRIEVED = dataclasses.replace(
    miniature.ROWS["feat2sen"], **SIZE, max_steps=3000, lr_decay_steps=3000, save_checkpoint_steps=1500
)
FIT = dataclasses.replace(
    RETRIEVED,
    captions="fit",
    batch_size=128,
    lr=1e-3,
    max_steps=5000,
    lr_decay_steps=5000,
    save_checkpoint_steps=2500,
)

# Cross entropy alone: self-critical steps made captions alike here (docs/results/flickr8k.md).
PAIRS = "pairs:${data_dir}/train_captions.jsonl"
BASELINES = {
    "captions": PAIRS,
    "max_steps": 4000,
    "lr": 1e-3,
    "lr_decay_steps": 4000,
    "save_checkpoint_steps": 500,
    "max_sentence_length": 22,
    "keep_prob": 0.6,
    "scst_from": 0,
    "scst_lr": 1e-4,
}

DETECTED = {"detector": DETECTOR, "labels": LABELS}

ROWS = {
    # After 2,000 steps, as in the miniature world, all photographs have nearly the same caption.
    "con2sen": dataclasses.replace(
        miniature.ROWS["con2sen"], **DETECTED, max_steps=12_000, lr_decay_steps=12_000, save_checkpoint_steps=2000
    ),
    "feat2sen": FIT,
    "feat2sen_retrieved": RETRIEVED,
    "sentence_ae": miniature.ROWS["sentence_ae"],
    "sentence_gan": miniature.ROWS["sentence_gan"],
    "full": FULL,
    "full_without_consensus": FINE_TUNING,
    **ablations(FINE_TUNING),
    "scratch": dataclasses.replace(miniature.SCRATCH, max_steps=4000),
    "r2m": dataclasses.replace(miniature.SMALL_R2M, **DETECTED),
    "supervised_ceiling": dataclasses.replace(
        miniature.SUPERVISED_CEILING, captions=PAIRS, max_steps=2600, lr_decay_steps=2600
    ),
    "show_tell": dataclasses.replace(miniature.ROWS["show_tell"], **BASELINES, emb_dim=512, mem_dim=512),
    "show_attend_tell": dataclasses.replace(miniature.ROWS["show_attend_tell"], **BASELINES, cell_dim=256),
}


def classifier_rows(rows):
    """Returns the settings of all rows for the data of `classifier_data`: new dict row name -> settings.

    con2sen and r2m read the objects of detector and classifier. feat2sen starts from the last checkpoint of con2sen
    (stage obj2sen), whose decoder was trained on more sentences than feat2sen reads; so both have equal layer sizes.

    Args: rows: dict row name -> settings (e.g. config.FullModel) for the data without classifier; it is not changed.
      Rows that are not named here keep their settings.
    """
    con2sen = dataclasses.replace(rows["con2sen"], **SIZE, detector=BOTH)
    start = f"${{runs}}/obj2sen/ckpt-{con2sen.max_steps}"
    return rows | {
        "con2sen": con2sen,
        "feat2sen": dataclasses.replace(rows["feat2sen"], o2s_ckpt=start),
        "r2m": dataclasses.replace(rows["r2m"], detector=BOTH),
    }
