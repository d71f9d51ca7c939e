"""Rewards, returns, advantages and the adversarial loss (Feng et al. 2019, equations 4 to 6, 8, 9 and 11).

A reward is a function of `Captions`. It returns float32 [B, T], one value for each word, or float32 [B], one for each
sentence; the function `returns` combines both. reward_list.py lists the rewards of a run and names the functions below.
Quirks (Q4) are listed in docs/implementation_details.md.

Shapes: B batch, T time, C objects of an image, E feature, S and T time steps s and t. All functions are tensor
operations on the whole batch.
"""

import dataclasses

import tensorflow as tf

import cli

EPSILON = 1e-7  # inside the logarithm of the adversarial reward


@dataclasses.dataclass(frozen=True)
class Captions:
    """Captions of a batch, sampled or greedy, and the networks' outputs for them: the input of every reward.

    Attributes:
      tokens_BT: int32, word ids, 0 after a caption's end.
      mask_BT: float32, 1 on the words that are rewarded, else 0.
      batch: dict of the training step's input tensors, e.g. `image` or `pixels`, `sentence`, `length`, and of detected
        objects `classes` (word ids) and `scores` [B, C], `num` [B], their number.
      concepts_BT: int32, the words, each synonym replaced by the concept word that it stands for.
      logits_BT: float32, the discriminator's logit that each word belongs to a real sentence.
      sentence_feature_BE: float32, x', the discriminator's feature of the caption; None if it has no head `recon`.
      image_feature_BE: float32, x, the generator's feature of the image.
    """

    tokens_BT: tf.Tensor
    mask_BT: tf.Tensor
    batch: dict
    concepts_BT: tf.Tensor
    logits_BT: tf.Tensor
    sentence_feature_BE: tf.Tensor | None
    image_feature_BE: tf.Tensor


def make_adversarial(options, image_dim):
    """Returns the adversarial reward: a function of `Captions` that returns float32 [B, T].

    Args: options: config.FullModel. image_dim: dimension of the image vectors. Neither is used here.
    """
    return lambda captions: adversarial_reward(captions.logits_BT)


def make_concept(options, image_dim):
    """Returns the concept reward: a function of `Captions` that returns float32 [B, T], 0 in batches without objects.

    Args: options: config.FullModel. image_dim: dimension of the image vectors. Neither is used here.
    """

    def reward(captions):
        if "classes" not in captions.batch:
            return tf.zeros_like(captions.mask_BT)
        objects = (captions.batch[name] for name in ("classes", "scores", "num"))
        return concept_reward(captions.concepts_BT, captions.mask_BT, *objects)

    return reward


def make_image(options, image_dim):
    """Returns the image reconstruction reward: a function of `Captions` that returns float32 [B].

    It is 0 if the captions have no sentence feature. Source: equation 9.
    Args: options: config.FullModel. image_dim: dimension of the image vectors. Neither is used here.
    """

    def reward(captions):
        if captions.sentence_feature_BE is None:
            return tf.zeros_like(captions.mask_BT[:, 0])
        return -feature_distance(captions.image_feature_BE, captions.sentence_feature_BE)

    return reward


def adversarial_reward(logits_BT):
    """Returns the adversarial reward ln(sigmoid(logit) + 1e-7) of each word: float32 [B, T]. Source: equation 4.

    Args: logits_BT: float32, the discriminator's logit that a word belongs to a real sentence.
    """
    return tf.cast(tf.math.log(tf.sigmoid(tf.cast(logits_BT, tf.float64)) + EPSILON), tf.float32)


def concept_reward(tokens_BT, mask_BT, classes_BC, scores_BC, num_B):
    """Returns each object's detection score at the word that names it, without the weight w_obj: float32 [B, T].

    If a word names several objects, their scores are added (quirk Q4). Only the first occurrence of a word is rewarded.
    Source: equation 6.

    Args:
      tokens_BT: int32 words. mask_BT: float32, 1 on words that can be rewarded, else 0.
      classes_BC: int32, word id of each object's class. scores_BC: float32, detection scores.
      num_B: int32, number of objects of each image; entries past it are padding.
    """
    valid_BC = tf.sequence_mask(num_B, tf.shape(classes_BC)[1])
    found_BTC = tf.equal(tokens_BT[:, :, None], classes_BC[:, None, :]) & valid_BC[:, None, :]
    found_BTC = tf.cast(found_BTC, tf.float32) * mask_BT[:, :, None]
    first_BTC = found_BTC * tf.cast(tf.equal(tf.cumsum(found_BTC, axis=1), 1.0), tf.float32)
    return tf.einsum("btc,bc->bt", first_BTC, scores_BC)


def feature_distance(image_BE, sentence_BE):
    """Returns the mean over the dimensions of (x - x')^2: float32 [B].

    Source: equation 8, with a mean in place of the sum (docs/method.md).
    Args: image_BE: float32, image features x. sentence_BE: float32, sentence features x'.
    """
    return tf.reduce_mean(tf.math.squared_difference(image_BE, sentence_BE), axis=1)


def returns(rewards_BT, sentence_reward_B, mask_BT, gamma):
    """Returns the return R_t = m_t r_im + sum over s >= t of gamma^(s-t) m_s r_s of each word: float64 [B, T].

    r_s are the rewards of words, r_im is the reward of the sentence, which is added to every valid step without
    discount, and m is the mask. Source: equation 11.

    Args: rewards_BT: float32. sentence_reward_B: float32. mask_BT: float32, 1 on valid words. gamma: discount, float.
    """
    steps, wide = tf.shape(rewards_BT)[1], tf.float64  # two returns of about -30 are subtracted later
    distance = tf.cast(tf.range(steps)[:, None] - tf.range(steps)[None, :], wide)  # s - t
    discount_ST = tf.where(distance >= 0, tf.pow(tf.constant(gamma, wide), distance), 0.0)
    mask_BT = tf.cast(mask_BT, wide)
    discounted_BT = tf.matmul(tf.cast(rewards_BT, wide) * mask_BT, discount_ST)
    return tf.cast(sentence_reward_B, wide)[:, None] * mask_BT + discounted_BT


def advantages(difference_BT, clip):
    """Returns the differences clipped to -clip..clip, without gradient: float32 [B, T].

    Args: difference_BT: float32, return minus baseline. clip: float, maximum absolute value.
    """
    return tf.stop_gradient(tf.clip_by_value(difference_BT, -clip, clip))


def adversarial_losses(real_logits_BT, real_mask_BT, fake_logits_BT, fake_mask_BT, label_smoothing):
    """Returns the discriminator's two cross entropies, summed over tokens. Source: equation 5.

    The target of a real token is 1 - label_smoothing/2 (0.875 with the authors' 0.25), of a generated one 0.

    Args:
      real_logits_BT, real_mask_BT: for sentences of the corpus: float32, logits that each word belongs to a real
        sentence; float32, 1 on words, 0 on padding.
      fake_logits_BT, fake_mask_BT: the same for generated captions; B and T may differ.
      label_smoothing: float.

    Returns: (sum over real tokens, sum over generated tokens), float32 scalars. The caller divides by their numbers.
    """
    target = (1.0 - label_smoothing) + 0.5 * label_smoothing
    real = tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(real_logits_BT), target), real_logits_BT)
    fake = tf.nn.sigmoid_cross_entropy_with_logits(tf.zeros_like(fake_logits_BT), fake_logits_BT)
    return tf.reduce_sum(real * real_mask_BT), tf.reduce_sum(fake * fake_mask_BT)


def is_per_word(reward, values, mask_BT):
    """Returns whether a reward has a value for each word ([B, T]) and not for each sentence ([B]): bool.

    Args: reward: reward_list.Reward. values: its tensor. mask_BT: [B, T]. Raises: cli.UserError for another shape.
    """
    found, expected = values.shape, (mask_BT.shape, mask_BT.shape[:1])
    if not any(found.rank == shape.rank and found.is_compatible_with(shape) for shape in expected):
        got, words, sentences = (list(shape) if shape.rank is not None else "unknown" for shape in (found, *expected))
        raise cli.UserError(
            f"{reward.flag}: wrong shape, got {got}, expected {words}, a value for each word, or {sentences}, a value "
            "for each sentence"
        )
    return found.rank == 2
