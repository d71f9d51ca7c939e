"""R2M as published (Guo et al., IJCAI 2020): photographs of MS COCO, sentences of Conceptual Captions.

Task:      as configs/r2m_coco_shutterstock.py, with other sentences: those that contain a word of COCO's captions;
           words that occur less than 15 times become unknown.
Data:      COCO 2014 (scripts/download.sh coco), Conceptual Captions (gcc), a file with the words of COCO, one a line.
Cost:      not known: not run where this was written, no COCO photographs and no GPU there.
Command:   scripts/reproduce_r2m.sh --setting coco_gcc --coco_words FILE --image_dir DIR --dataset karpathy:FILE \
               --detector D --encoder inception_v4:CKPT --descriptions Train_GCC-training.tsv \
               --class_names LABELMAP.pbtxt
Expected:  see docs/results/published.md
"""

from configs import r2m_coco_shutterstock

DATA = r2m_coco_shutterstock.DATA | {"process_descriptions": {"new_dict": True, "min_word_count": 15}}
ROWS = r2m_coco_shutterstock.ROWS
