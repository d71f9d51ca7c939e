"""Photographs of Flickr8k, sentences of Flickr30k, and the networks of configs/flickr8k_coco_wide.py.

Task:      as configs/flickr8k_coco_wide.py with another corpus: name the corpus with every score.
Data:      everything below ${UIC_REALDATA}: flickr8k/, corpora/, models/.
Cost:      see docs/results/flickr8k.md.
Command:   scripts/flickr8k.sh --corpus flickr30k: the commands of configs/flickr8k_coco_wide.py.
Expected:  CIDEr / unique on val images, beam 3 (all scores: docs/results/tables.md):
           feat2sen 22.1 ± 0.4 / 0.369 ± 0.004,
           distilled 24.9 ± 0.4 / 0.355 ± 0.018,
           full 25.1 ± 0.5 / 0.347 ± 0.023,
           full_without_consensus 25.6 / 0.412.
"""

from configs import flickr8k_coco, flickr8k_coco_wide, flickr8k_flickr30k

DATA = flickr8k_coco_wide.wide_data(flickr8k_flickr30k.PLAIN)
ROWS = flickr8k_coco_wide.wide_rows(flickr8k_coco.ROWS, "flickr30k")
