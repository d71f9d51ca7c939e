"""Show and Tell as the ResNet-152 tutorial trains it, on captions of COCO train2014. Supervised.

Task:      captions of photographs from image-caption pairs, V = 9,956 words (those with a count of 4 or more).
Data:      COCO 2014 (scripts/download.sh coco), ResNet-152's weights, which Keras downloads (or --encoder
           resnet152:FILE), a detector for the concept words in image records.
Cost:      5 epochs of 3,236 steps of batches of 128. Not run where this was written.
Commands:  those of configs/show_tell_img2txt.py with X=show_tell_resnet152.
Expected:  see docs/results/published.md
"""

from baselines.supervised.settings import ShowTell
from configs import show_tell_img2txt

DATA = show_tell_img2txt.DATA | {
    "process_descriptions": {"new_dict": True, "min_word_count": 4, "plurals": "keep"},
    "extract_features": {"encoder": "resnet152:imagenet", "crops": 0},
}

ROWS = {
    "show_tell": ShowTell(
        semantics="reference",
        captions=show_tell_img2txt.PAIRS,
        emb_dim=256,
        mem_dim=512,
        keep_prob=1.0,
        cell="lstm_two_biases",
        batch_norm=True,
        start_from_image=True,
        clip_norm=1e9,  # the tutorial does not clip gradients
        batch_size=128,
        max_steps=5 * 3236,
        save_checkpoint_steps=1000,
    )
}
