"""Builds generator and discriminator from a stage's settings. Equal seeds give equal initial weights in every stage."""

import tensorflow as tf

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
