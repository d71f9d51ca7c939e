"""Example of a reward per word: a penalty for each repeated content word of a caption.

    python train.py --recipe miniature/full --reward docs/examples/no_repeats.py:0.5

The argument (the text after the colon) is the weight. The most frequent words of the dictionary ("a", "the", "on", …)
may be repeated.
Shapes: B captions of a batch, T tokens of a caption, zero padded.
"""

import os

import tensorflow as tf

from formats.vocabulary import Vocabulary

FREE = 30  # the dictionary is sorted by frequency, so its first words are articles, prepositions and the full stop


def make(argument, options):
    """Returns the reward, a function (below); called once at the start of a run.

    Args: argument: text after the colon in `--reward FILE.py:ARGUMENT`, here the weight; "" for 1. options: the
      settings of the run.
    Raises: ValueError if the argument is not a number.
    """
    weight = float(argument or 1.0)
    size = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt")).size
    free = min(FREE, size // 4)

    def reward(tokens_BT, mask_BT, batch):
        """Returns the reward of each word, float32 [B, T], which is added to the other rewards of the word.

        A result of shape [B] would be a reward of each sentence. The function runs in the compiled update, so it may
        only use TensorFlow operations.

        Args:
          tokens_BT: int32 [B, T], a sampled or greedily decoded caption in each row.
          mask_BT: float32 [B, T], 1 on the words that can be rewarded, else 0; rewards elsewhere are ignored.
          batch: dict of the tensors of the training step: "image", "classes", "scores", "num" (objects), "sentence",
            "length".
        """
        same_BTT = tokens_BT[:, :, None] == tokens_BT[:, None, :]
        steps = tf.range(tf.shape(tokens_BT)[1])
        earlier_TT = steps[:, None] > steps[None, :]
        again_BT = tf.reduce_any(same_BTT & earlier_TT, 2) & (tokens_BT >= free)
        return -weight * tf.cast(again_BT, tf.float32)

    return reward
