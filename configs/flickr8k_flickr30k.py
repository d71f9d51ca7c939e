"""Photographs of Flickr8k, sentences of Flickr30k about photographs that are not in Flickr8k, closer in style.

Task:      as configs/flickr8k_coco.py with another corpus: name the corpus with every score. It describes more than the
           detector's 80 classes, so a classifier's words help, as concepts and in the image vector.
Data:      everything below ${UIC_REALDATA}: flickr8k/, corpora/, models/.
Cost:      a little more than an hour on two busy CPU cores, half of it R2M.
Command:   scripts/flickr8k.sh --corpus flickr30k --eyes ssd --only con2sen,feat2sen,full,scratch,r2m: the commands of
           configs/flickr8k_coco.py and, before process_descriptions,

    python -m preprocessing.classifier_words --recipe flickr8k_flickr30k --data_dir data/flickr8k_flickr30k

Expected:  CIDEr / unique on val images, beam 3 (all scores: docs/results/tables.md):
           con2sen 14.8 / 0.170,
           feat2sen 18.8 / 0.226,
           scratch 7.3 / 0.055,
           full 19.3 / 0.195,
           r2m_xe 10.0 / 0.070,
           r2m_xe_rec 12.6 / 0.115,
           r2m_tri 11.6 / 0.103,
           r2m 11.4 / 0.093.
"""

from configs import flickr8k_coco

SENTENCES = "${UIC_REALDATA}/corpora/flickr30k_train_minus_flickr8k.txt"
PLAIN = flickr8k_coco.data_stages(SENTENCES, min_word_count=15)

DATA = flickr8k_coco.classifier_data(PLAIN)
ROWS = flickr8k_coco.classifier_rows(flickr8k_coco.ROWS)
