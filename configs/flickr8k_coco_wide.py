"""Flickr8k's photographs and MS COCO's sentences with better eyes: more classes, better vectors, sentence vectors.

Task:      as configs/flickr8k_coco.py. Objects come from an SSD of 80 classes, a YOLO of 601 Open Images classes, an
           ImageNet classifier and a classifier of 365 scenes; the image vector joins three encoders. Class names meet
           the corpus in the space of sentence vectors (docs/consensus.md, C8). No table was written for these data:
           words are the last words of class names or of WordNet's hypernyms, thresholds follow the corpus.
Data:      everything below ${UIC_REALDATA}: flickr8k/, corpora/, models/. MiniLM was trained on pairs of sentences,
           among them captions of one photograph of MS COCO and Flickr30k (from its model card, unverified).
Cost:      see docs/results/flickr8k.md.
Command:   scripts/flickr8k.sh --corpus coco: the commands of configs/flickr8k_coco.py without R2M and, before
           process_descriptions,

    python -m preprocessing.classifier_words --recipe flickr8k_coco_wide --data_dir data/flickr8k_coco_wide

Expected:  CIDEr / unique on val images, beam 3 (all scores: docs/results/tables.md):
           feat2sen 17.4 ± 0.2 / 0.336 ± 0.003,
           distilled 18.4 ± 0.4 / 0.361 ± 0.017,
           full 19.0 ± 0.6 / 0.336 ± 0.007,
           full_without_consensus 18.2 / 0.401.
"""

import dataclasses

from configs import flickr8k_coco, miniature
from configs.flickr8k_coco import CLASSIFIER, DETECTOR, LABELS, MODELS

YOLO = f"yolo:{MODELS}/yolov8n-oiv7_int8.tflite#labels={MODELS}/openimages_labels.txt"
LITE = f"{MODELS}/efficientnet_lite3.tflite"
PLACES = f"{MODELS}/squeezenet_places365_fp16.tflite"
SCENES = f"{MODELS}/categories_places365.txt"
DETECTORS = (
    f"{DETECTOR}#labels={LABELS}+{YOLO}+classifier:{LITE}#labels={MODELS}/efficientnet_labels.txt"
    f"+scene:{PLACES}#labels={SCENES}"
)
# Their pooled features: EfficientNet-lite3, MobileNet-v2, SqueezeNet of Places365.
ENCODERS = f"tflite:{LITE}#240+tflite:{CLASSIFIER}#172+scene:{PLACES}#176"
# How caption.py decodes the rows that read predicted caption embeddings, by the corpus that they learned; scores are
# given for beam3 as well. With Flickr30k's sentences the fit alone (10,000) prefers some captions that are no English
# (docs/results/flickr8k.md).
BY_CONSENSUS = {"coco": "beam60,consensus_weight=10000", "flickr30k": "beam60,consensus_weight=3000"}
MINILM = f"minilm:{MODELS}/minilm_l6_int8.onnx#tokenizer={MODELS}/minilm_tokenizer.json"


def wide_data(data):
    """Returns the settings of the data stages with all networks: dict stage name -> dict setting -> value.

    Args: data: settings of the same form for the detector of 80 classes alone; it is not changed.
    """
    text = {name: value for name, value in data["process_descriptions"].items() if name != "synonyms"}
    images = {name: value for name, value in data["process_images"].items() if name != "score_threshold"}
    return data | {
        "classifier_words": {
            "class_names": LABELS,
            "labels": f"data/imagenet_labels.txt,{SCENES},{MODELS}/openimages_labels.txt",
        },
        "process_descriptions": text | {"class_names": "${data_dir}/class_names.txt"},
        # Photographs of 224 pixels: nine of them fill the input of the YOLO.
        "detect_objects": data["detect_objects"]
        | {"detector": DETECTORS, "labels": None, "tiles": 3, "classifier_threshold": 0.02, "classifier_top": 20},
        # Weak scores are kept; the threshold of each word follows its share among the corpus' sentences.
        "process_images": images
        | {"score_threshold": 0.1, "thresholds_by_share": True, "class_map": "${data_dir}/class_map.json"},
        "extract_features": {"encoder": ENCODERS, "crops": 4},
        "predict_caption_embeddings": data["predict_caption_embeddings"]
        | {"sentence_encoder": MINILM, "threshold": 0.0, "bonus": 0.7, "temperature": 0.7},
        # Fewer images for each sentence: half a point of CIDEr for a tenth more distinct captions.
        "assign_captions": data["assign_captions"] | {"most": 0.003},
    }


def wide_rows(rows, corpus):
    """Returns the settings of all rows for the data of `wide_data`: dict row name -> settings.

    con2sen and r2m read the objects of all networks.

    Args: rows: dict row name -> settings (e.g. config.FullModel) for the detector of 80 classes; it is not changed.
      corpus: whose sentences the rows learn, a key of BY_CONSENSUS.
    """
    readers = {name: dataclasses.replace(rows[name], detector=DETECTORS, labels=None) for name in ("con2sen", "r2m")}
    # feat2sen is trained further on those captions of its own beam that fit best (initialization.choose_captions).
    distilled = dataclasses.replace(
        rows["feat2sen"],
        captions="fit:${runs}/feat2sen/fit_captions.npz",
        imcap_ckpt="${runs}/feat2sen",
        lr=5e-4,
        max_steps=800,
        lr_decay_steps=800,
        save_checkpoint_steps=400,
    )
    # The paper's losses alone, weighted as in the drawn world; vectors have 320 dimensions here, so w_mse is larger.
    paper = dataclasses.replace(
        miniature.CHAIN,
        **flickr8k_coco.SIZE,
        max_caption_length=rows["full"].max_caption_length,
        gen_lr=1e-3,
        w_mse=5000.0,
        max_steps=1000,
        lr_decay_steps=1000,
        save_checkpoint_steps=250,
    )
    fitted = {name: rows[name] for name in ("feat2sen", "full")}
    fitted |= {"distilled": distilled, "full_without_consensus": paper}
    decoded = {name: dataclasses.replace(row, decode=BY_CONSENSUS[corpus]) for name, row in fitted.items()}
    return rows | readers | decoded


DATA = wide_data(flickr8k_coco.DATA)
ROWS = wide_rows(flickr8k_coco.ROWS, "coco")
