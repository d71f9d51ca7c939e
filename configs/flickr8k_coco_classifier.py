"""Photographs of Flickr8k, sentences of MS COCO, and a classifier's words in addition to the detector's classes.

Task, data: as configs/flickr8k_coco.py with the classifier of configs/flickr8k_flickr30k.py. COCO's sentences describe
            the detector's classes, so more concept words help R2M but hardly the other systems.
Cost:       a little more than an hour on two busy CPU cores, half of it R2M.
Command:    scripts/flickr8k.sh --corpus coco --more_concepts yes
Expected:   see docs/results/flickr8k.md
"""

from configs import flickr8k_coco

DATA = flickr8k_coco.classifier_data(flickr8k_coco.DATA)
ROWS = flickr8k_coco.classifier_rows(flickr8k_coco.ROWS)
