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
    """Returns the seed of the initial weights: int32 [2]."""
    return fold_in(tf.constant([options.seed, 0], tf.int32), "weights")


def build_generator(options, vocabulary_size, image_dim=None):
    """Returns a models.generator.Generator. Args: options: config.UnpairedTrainer. image_dim: None in text stages."""
    sizes = (options.emb_dim, options.mem_dim, options.keep_prob)
    return Generator(vocabulary_size, image_dim, *sizes, weight_seed(options), options.feature_scale)


def build_discriminator(options, vocabulary_size, heads):
    """Returns a models.discriminator.Discriminator with the given heads ("fc", "recon")."""
    sizes = (options.emb_dim, options.mem_dim, options.keep_prob)
    return Discriminator(vocabulary_size, *sizes, weight_seed(options), heads=heads)


def build_rewards(options, image_dim):
    """Returns the rewards of a run with their functions: list of (reward_list.Reward, function of rewards.Captions).

    Says which words a reward looked up that are not in the dictionary: no caption has them.
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
