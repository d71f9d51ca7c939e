"""Example of a reward per sentence: a penalty for the difference between a caption's length and a target length.

    python train.py --recipe miniature/scratch --data_dir data/miniature --reward docs/examples/caption_length.py:8

The argument (the text after the colon) is the target number of words, without the end token.
Shapes: B captions of a batch, T tokens of a caption, zero padded.
"""

import tensorflow as tf

WEIGHT = 0.5  # penalty for each word; the adversarial reward is about -0.7 a word


def make(argument, options):
    """Returns the reward, a function (below); called once at the start of a run.

    Args: argument: text after the colon in `--reward FILE.py:ARGUMENT`, here the target number of words. options: the
      settings of the run; not used here.
    Raises: ValueError if the argument is not a number.
    """
    target = float(argument)

    def reward(tokens_BT, mask_BT, batch):
        """Returns the reward of each caption, float32 [B], which is added once to the return of each of its words.

        The function runs in the compiled update, so it may only use TensorFlow operations.

        Args:
          tokens_BT: int32 [B, T], a sampled or greedily decoded caption in each row.
          mask_BT: float32 [B, T], 1 on the words that can be rewarded, else 0.
          batch: dict of the tensors of the training step (see no_repeats.py); not used here.
        """
        words_B = tf.reduce_sum(tf.cast(tokens_BT > 1, tf.float32), 1)  # 0 is padding, 1 the end token
        return -WEIGHT * tf.abs(words_B - target)

    return reward
