"""The experiment of the paper (Feng et al. 2019): photographs of MS COCO, sentences of Shutterstock.

Task:      a captioner from 113,287 photographs of COCO without captions, about 2.3 million image descriptions of
           Shutterstock and a detector of Open Images; Karpathy's 5,000 validation and 5,000 test photographs.
           `--semantics reference`: as the authors' program, quirk by quirk (docs/implementation_details.md).
Data:      COCO 2014 (scripts/download.sh coco); the authors' released records (scripts/download.sh uic), or your own
           corpus (python -m preprocessing.crawl_descriptions) and a detector; Inception-v4 (inception_v4).
Cost:      python -m scripts.uic_cost estimates disk, memory and hours. Not run where this was written: no COCO
           photographs and no GPU there.
Commands:  scripts/reproduce_uic.sh --image_dir DIR --dataset karpathy:FILE --encoder inception_v4:CKPT \
               --descriptions FILES --class_names LABELMAP.pbtxt --detector D [--ablations]
           which runs, with the flags that name those files,

    D=data/coco R=runs/uic
    python -m preprocessing.extract_descriptions --recipe coco_shutterstock --data_dir $D --input FILES
    python -m preprocessing.process_descriptions --recipe coco_shutterstock --data_dir $D --class_names LABELMAP.pbtxt
    python -m preprocessing.detect_objects --recipe coco_shutterstock --data_dir $D --image_dir DIR \
        --dataset karpathy:FILE --detector DETECTOR
    python -m preprocessing.process_images --recipe coco_shutterstock --data_dir $D --image_dir DIR \
        --dataset karpathy:FILE
    python -m preprocessing.extract_features --recipe coco_shutterstock --data_dir $D --encoder inception_v4:CKPT
    python -m evaluation.untrained --recipe coco_shutterstock --data_dir $D --table $R/table.json
    python -m initialization.obj2sen --recipe coco_shutterstock/con2sen --data_dir $D --job_dir $R/obj2sen
    python -m initialization.gen_obj2sen_caption --recipe coco_shutterstock --data_dir $D --job_dir $R/obj2sen
    python -m initialization.im_caption --recipe coco_shutterstock/feat2sen --data_dir $D --o2s_ckpt $R/obj2sen \
        --job_dir $R/feat2sen
    python -m initialization.sentence_ae --recipe coco_shutterstock/sentence_ae --data_dir $D --job_dir $R/sentence_ae
    python -m initialization.sentence_gan --recipe coco_shutterstock/sentence_gan --data_dir $D \
        --sae_ckpt $R/sentence_ae --job_dir $R/sentence_gan
    python train.py --recipe coco_shutterstock/full --data_dir $D --imcap_ckpt $R/feat2sen \
        --sae_ckpt $R/sentence_gan --job_dir $R/full

           The rows `adv`, `con`, `im` replace `full`; without the two checkpoints they start from fresh weights. The
           authors chose the checkpoints of step 35,000 (obj2sen), 18,000 (im_caption), 65,000 (sentence_ae) and 30,000
           (sentence_gan); here validation chooses.
Expected:  see docs/results/published.md
"""

import config
from configs import ablations

STORED = {"exif": False}  # photographs as they are stored: the authors do not apply the EXIF orientation
DATA = {
    "crawl_descriptions": {},
    "extract_descriptions": {"tokenizer": "nltk_punkt"},
    "process_descriptions": {"new_dict": True, "min_word_count": 40},
    "detect_objects": STORED,
    "process_images": STORED | {"score_threshold": 0.3},
    "extract_features": {"crops": 4},
    "untrained": {"split": "test"},
    "gen_obj2sen_caption": {},
    "retrieve_captions": {},
}

FULL = config.FullModel(
    semantics="reference",
    batch_size=512,
    gen_lr=1e-3,
    dis_lr=1e-3,
    max_steps=20_000,
    save_checkpoint_steps=1000,
    images="auto",
)

ROWS = {
    "con2sen": config.ObjectToSentence(semantics="reference", max_steps=50_000),
    "feat2sen": config.ImageCaption(semantics="reference", max_steps=30_000),
    "sentence_ae": config.SentenceAutoEncoder(semantics="reference", max_steps=70_000),
    "sentence_gan": config.SentenceGan(semantics="reference", max_steps=30_000),
    "full": FULL,
    **ablations(FULL),
}
