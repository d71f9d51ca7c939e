"""R2M as published (Guo et al., IJCAI 2020): photographs of Flickr30k, captions of MS COCO as sentences.

Task:      as configs/r2m_coco_shutterstock.py, with other photographs and sentences. The minimum count of a word is not
           published; 4 is the value of the captioning tutorials for COCO's captions.
Data:      Flickr30k (scripts/download.sh flickr30k), the captions of COCO 2014.
Cost:      not known: not run where this was written, no such photographs and no GPU there.
Command:   scripts/reproduce_r2m.sh --setting flickr30k_coco --image_dir DIR --dataset flickr30k:DIR --detector D \
               --encoder inception_v4:CKPT --descriptions captions_train2014.json --class_names LABELMAP.pbtxt
Expected:  see docs/results/published.md
"""

from configs import r2m_coco_shutterstock

DATA = r2m_coco_shutterstock.DATA | {"process_descriptions": {"new_dict": True, "min_word_count": 4}}
ROWS = r2m_coco_shutterstock.ROWS
