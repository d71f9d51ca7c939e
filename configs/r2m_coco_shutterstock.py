"""R2M as published (Guo et al., IJCAI 2020): photographs of MS COCO, sentences of Shutterstock.

Task:      a translator from concept words to sentences, learned on text, then adapted to images, in four stages; their
           steps, rates and lengths are the defaults of baselines/r2m/configuration.py.
Data:      COCO 2014 (scripts/download.sh coco), descriptions of Shutterstock, a detector of Open Images, Inception-v4.
           Minimum count of a word: 40, as in Feng et al. (2019) for Shutterstock.
Cost:      not known: not run where this was written, no COCO photographs and no GPU there.
Commands:  scripts/reproduce_r2m.sh --setting coco_shutterstock --image_dir DIR --dataset karpathy:FILE --detector D \
               --encoder inception_v4:CKPT --descriptions FILES --class_names LABELMAP.pbtxt
           which runs, with the flags that name those files,

    D=data/r2m_coco_shutterstock R=runs/r2m_coco_shutterstock
    python -m preprocessing.extract_descriptions --recipe r2m_coco_shutterstock --data_dir $D --input FILES
    python -m preprocessing.process_descriptions --recipe r2m_coco_shutterstock --data_dir $D \
        --class_names LABELMAP.pbtxt
    python -m preprocessing.detect_objects --recipe r2m_coco_shutterstock --data_dir $D --image_dir DIR \
        --dataset karpathy:FILE --detector DETECTOR
    python -m preprocessing.process_images --recipe r2m_coco_shutterstock --data_dir $D --image_dir DIR \
        --dataset karpathy:FILE
    python -m preprocessing.extract_features --recipe r2m_coco_shutterstock --data_dir $D --encoder inception_v4:CKPT
    python -m baselines.r2m --recipe r2m_coco_shutterstock/r2m --data_dir $D --job_dir $R/r2m --detector DETECTOR

Expected:  see docs/results/published.md
"""

from baselines.r2m.configuration import R2M

STORED = {"exif": False}  # photographs as they are stored: the authors do not apply the EXIF orientation
DATA = {
    "extract_descriptions": {"tokenizer": "nltk_punkt", "min_tokens": 8},
    "process_descriptions": {"new_dict": True, "min_word_count": 40},
    "detect_objects": STORED,
    "process_images": STORED | {"score_threshold": 0.3},
    "extract_features": {"splits": ("train",), "crops": 4},
}

ROWS = {"r2m": R2M(semantics="reference")}
