"""Trains the compact encoder to classify pictures of single objects, as Inception is trained on ImageNet."""

import math

import numpy as np
import tensorflow as tf

import cli
from models.encoders import compact

BATCH = 32
LEARNING_RATE = 6e-3
WEIGHT_DECAY = 1e-4
MEAN, SCALE = 0.5, 2.0  # images in 0..1 become -1..1
INPUT = {"mean": MEAN, "scale": SCALE}


def _batches(seed, count, epochs):
    """Yields the indices of the examples of each step, int [BATCH]; they depend on the arguments alone.

    Args: count: number of examples; in each epoch those that do not fill a batch are left out.
    """
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(count)
        yield from order[: count // BATCH * BATCH].reshape(-1, BATCH)


def _augment(images_BHW3, seed, step):
    """Returns the pictures, half of them mirrored, with small changes of brightness and contrast.

    Args: images_BHW3: uint8 [B, H, W, 3], not changed. seed, step: determine the random changes.
    Returns: float32 [B, H, W, 3], about -1 to 1.
    """
    rng = np.random.default_rng([seed, 1, step])
    mirrored = rng.random(len(images_BHW3)) < 0.5
    images = np.where(mirrored[:, None, None, None], images_BHW3[:, :, ::-1], images_BHW3).astype(np.float32) / 255
    gain, shift = rng.uniform(0.85, 1.15, (len(images), 1, 1, 1)), rng.uniform(-0.08, 0.08, (len(images), 1, 1, 1))
    return ((images - MEAN) * SCALE * gain + shift).astype(np.float32)


def train(images, labels, classes, *, epochs, seed):
    """Trains the encoder by cross entropy over the object classes.

    Args:
      images: uint8 [N, S, S, 3].
      labels: int [N], the class of each, from 0.
      classes: number of classes.
      epochs: passes over the images.
      seed: seed of all random draws.

    Returns: (kernels, biases, head): kernels and biases are lists of arrays, one for each convolution, with its batch
      normalisation folded in; head is the classifier's (weight [D, classes], bias [classes]).
    """
    network = compact.TrainableCompact(classes, seed)
    optimizer = tf.keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, clipnorm=5.0)
    steps = max(1, len(images) // BATCH * epochs)

    @tf.function
    def update(batch, target, rate):
        with tf.GradientTape() as tape:
            logits, moments = network.logits(batch)
            smooth = 0.9 * tf.one_hot(target, classes) + 0.1 / classes
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smooth, logits))
        optimizer.learning_rate.assign(rate)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables, strict=True)
        )
        return loss, moments

    averages = None
    for step, rows in enumerate(cli.progress(_batches(seed, len(images), epochs), "training the encoder", steps)):
        warm = min(1.0, (step + 1) / 50)
        rate = LEARNING_RATE * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss, moments = update(_augment(images[rows], seed, step), labels[rows], np.float32(rate))
        if step >= int(0.8 * steps):  # moments over the last fifth of the steps, when the weights hardly change
            moments = [[value.numpy().astype(np.float64) for value in pair] for pair in moments]
            averages = _add(averages, moments)
    fixed = [[value / averages[0] for value in pair] for pair in averages[1]]
    kernels, biases = network.folded(fixed)
    return kernels, biases, (network.weight.numpy(), network.bias.numpy())


def _add(total, moments):
    """Adds the moments of one step to a running sum.

    Args:
      total: (number of steps, sums), or None at the first step.
      moments: list of [mean, variance] of the layers' batch normalisation; `sums` has the same form.

    Returns: the new total.
    """
    if total is None:
        return 1, moments
    return total[0] + 1, [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(total[1], moments, strict=True)]


def accuracy(encoder, head, images, labels):
    """Returns the share (0 to 1) of the pictures that are classified correctly.

    Args:
      encoder: function of float32 [B, S, S, 3] in 0 to 1 that returns features [B, D].
      head: (weight [D, classes], bias [classes]).
      images: uint8 [N, S, S, 3]. labels: int [N].
    """
    right = 0
    for start in range(0, len(images), 256):
        features = encoder(images[start : start + 256].astype(np.float32) / 255).numpy()
        right += int(np.sum(np.argmax(features @ head[0] + head[1], 1) == labels[start : start + 256]))
    return right / len(images)
