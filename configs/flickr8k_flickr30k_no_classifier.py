"""Photographs of Flickr8k, sentences of Flickr30k, and only the detector's 80 classes as concepts.

Task, data: as configs/flickr8k_flickr30k.py without the classifier's words, to measure their effect.
Cost:       about an hour on two busy CPU cores, half of it R2M.
Command:    scripts/flickr8k.sh --corpus flickr30k --more_concepts no
Expected:   see docs/results/flickr8k.md
"""

from configs import flickr8k_coco, flickr8k_flickr30k

DATA = flickr8k_flickr30k.PLAIN
ROWS = flickr8k_coco.ROWS
