"""A reward of one's own for whole sentences: points are lost for every word more or less than wished.

    python train.py --recipe miniature/scratch --data_dir data/miniature --reward docs/examples/caption_length.py:8

The argument is the number of words wished, the end token not counted.
"""

import tensorflow as tf

WEIGHT = 0.5  # points for each word; the adversarial reward is about -0.7 a word


def make(argument, options):
    """Called once, before training. Args: argument: text behind the colon. options: the settings of the run."""
    wished = float(argument)

    def reward(tokens_BT, mask_BT, batch):
        """Called in every step, inside the compiled update: TensorFlow operations only.

        Returns: float32 [B], a number for each sentence, which enters the return of each of its words once.
        """
        words_B = tf.reduce_sum(tf.cast(tokens_BT > 1, tf.float32), 1)  # 0 is padding, 1 the end token
        return -WEIGHT * tf.abs(words_B - wished)

    return reward
