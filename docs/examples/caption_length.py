"""Example of a reward per sentence: a penalty for the difference from a target length.

    python train.py --recipe miniature/scratch --data_dir data/miniature --reward docs/examples/caption_length.py:8

The argument is the target number of words, without the end token.
"""

import tensorflow as tf

WEIGHT = 0.5  # penalty for each word; the adversarial reward is about -0.7 a word


def make(argument, options):
    """Returns the reward; called once. Args: argument: text after the colon. options: the settings of the run."""
    target = float(argument)

    def reward(tokens_BT, mask_BT, batch):
        """Returns the penalty; runs in the compiled update, so only TensorFlow operations are allowed.

        Returns: float32 [B], one value for each sentence, which is added once to the return of each of its words.
        """
        words_B = tf.reduce_sum(tf.cast(tokens_BT > 1, tf.float32), 1)  # 0 is padding, 1 the end token
        return -WEIGHT * tf.abs(words_B - target)

    return reward
