"""configs/flickr8k_coco_wide.py with sentence vectors from the corpus alone: no sentence pair is used.

Task:      as configs/flickr8k_coco_wide.py. In place of MiniLM, which was trained on pairs of sentences, class names
           meet the corpus in the space of its latent semantic analysis (docs/consensus.md, C8).
Data:      as configs/flickr8k_coco_wide.py.
Cost:      see docs/results/flickr8k.md.
Command:   scripts/flickr8k.sh --corpus coco --sentence_encoder tfidf
Expected:  not trained yet. docs/results/flickr8k.md has the sentences that it chooses for photographs (COCO's alone).
"""

from configs import flickr8k_coco_wide


def by_tfidf(data):
    """Returns the settings of data stages with the sentence encoder `tfidf`: dict stage name -> dict setting -> value.

    Args: data: settings of the same form; it is not changed.
    """
    # Cosines of tf-idf vectors differ more than those of MiniLM, so their temperature is twice as high.
    vectors = {"sentence_encoder": "tfidf", "sentence_temperature": 0.15, "output_dir": "${data_dir}_tfidf_expected"}
    return data | {"predict_caption_embeddings": data["predict_caption_embeddings"] | vectors}


DATA = by_tfidf(flickr8k_coco_wide.DATA)
ROWS = flickr8k_coco_wide.ROWS
