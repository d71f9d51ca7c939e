"""configs/flickr8k_flickr30k_wide.py with sentence vectors from the corpus alone (flickr8k_coco_wide_tfidf.py).

Task:      as configs/flickr8k_flickr30k_wide.py: name the corpus with every score.
Data:      as configs/flickr8k_flickr30k_wide.py.
Cost:      see docs/results/flickr8k.md.
Command:   scripts/flickr8k.sh --corpus flickr30k --sentence_encoder tfidf
Expected:  not trained yet. docs/results/flickr8k.md has the sentences that it chooses for photographs (COCO's alone).
"""

from configs import flickr8k_flickr30k_wide
from configs.flickr8k_coco_wide_tfidf import by_tfidf

DATA = by_tfidf(flickr8k_flickr30k_wide.DATA)
ROWS = flickr8k_flickr30k_wide.ROWS
