"""Builds generator, discriminator and rewards from a stage's settings.

Equal seeds give equal initial weights in every stage.
"""

import sys

import tensorflow as tf

import reward_list
from formats import vocabulary
from models.discriminator import Discriminator
from models.generator import Generator
from models.randomness import fold_in


def weight_seed(options):
    """Returns the seed of the initial weights: int32 [2]. Args: options: config.Trainer."""
    return fold_in(tf.constant([options.seed, 0], tf.int32), "weights")


def build_generator(options, vocabulary_size, image_dim=None):
    """Returns a models.generator.Generator with new weights.

    Args: options: config.UnpairedTrainer. vocabulary_size: number of words. image_dim: dimension of the image vectors;
      None in stages without images.
    """
    sizes = (options.emb_dim, options.mem_dim, options.keep_prob)
    return Generator(vocabulary_size, image_dim, *sizes, weight_seed(options), options.feature_scale)


def build_discriminator(options, vocabulary_size, heads):
    """Returns a models.discriminator.Discriminator with new weights.

    Args: options: config.UnpairedTrainer. vocabulary_size: number of words. heads: its heads, any of "fc" and "recon".
    """
    sizes = (options.emb_dim, options.mem_dim, options.keep_prob)
    return Discriminator(vocabulary_size, *sizes, weight_seed(options), heads=heads)


def build_rewards(options, image_dim):
    """Returns the rewards of a run with their functions: list of (reward_list.Reward, function).

    Each function takes models.rewards.Captions and returns float32 [B, T] or [B]: a value per word or per sentence.
    Prints a warning for words that a reward needs and the dictionary does not have, because no caption contains them.

    Args: options: config.FullModel or config.SentenceGan. image_dim: dimension of the image vectors, or None.
    """
    found = []
    for reward in reward_list.of(options):
        with vocabulary.unknown_words() as unknown:
            found.append((reward, reward.make(options, image_dim)))
        if unknown:
            words = ", ".join(map(repr, unknown))
            note = f"{len(unknown)} words are not in the dictionary, so no caption has them: {words}"
            print(f"WARNING: {reward.flag}: {note}", file=sys.stderr)
    return found
