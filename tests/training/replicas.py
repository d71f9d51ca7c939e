"""Runs five steps of every case on one device, two replicas, or as one of two workers; writes the results to a file.

    python -m tests.training.replicas OUTPUT WORLD DEVICES        (DEVICES 1 or 2; TF_CONFIG makes it a worker)

Dropout is off and captions are a function of the image, so that no random numbers depend on the replica.
"""

import dataclasses
import sys

import numpy as np
import tensorflow as tf

import config
from baselines.r2m import concepts_in_training, configuration
from baselines.r2m.objective import R2MObjective
from input_pipeline import (
    ConceptImageBatches,
    ImageSet,
    MergedBatches,
    PairedBatches,
    SentenceBatches,
    SentenceSet,
    UnpairedBatches,
)
from objectives.full import FullObjective
from objectives.im_caption import ImageCaptionObjective
from tests import tiny_world
from training import distribution
from training.loop import make_run_steps

STEPS, VOCABULARY = 5, len(tiny_world.WORDS) + 1
SIZES = {"batch_size": 8, "emb_dim": 16, "mem_dim": 16, "keep_prob": 1.0, "clip_norm": 2.0}
CASES = {
    "full sgd fixed": ("full", "sgd", "fixed"),
    "full adam reference": ("full", "adam", "reference"),
    "im_caption sgd reference": ("im_caption", "sgd", "reference"),
    "im_caption adam fixed": ("im_caption", "adam", "fixed"),
    "r2m sgd fixed": ("r2m", "sgd", "fixed"),
}


class GivenCaptions(FullObjective):
    """The full model with samples that are a function of the image, and sentences without noise."""

    def rollout(self, batch, seed, greedy=True, sample_BT=None):
        steps = self.options.max_caption_length
        values_BT = tf.abs(batch["image"][:, :steps]) * 1000.0 + tf.range(steps, dtype=tf.float32) * 3.0
        sample_BT = tf.math.floormod(tf.cast(values_BT, tf.int32), VOCABULARY)
        return super().rollout(batch, seed, greedy, sample_BT)

    def noised(self, batch, seed):
        return batch["sentence"][:, 1:], batch["length"] - 1


def make_case(name, world, devices):
    """Returns (options, objective, batches) of a case; called inside `strategy.scope()`."""
    stage, optimizer, semantics = CASES[name]
    image_set = ImageSet.from_bank(world, "train")
    shared = SIZES | {"optimizer": optimizer, "semantics": semantics, "devices": devices, "data_dir": world}
    if stage == "full":
        options = config.FullModel(max_caption_length=8, gen_lr=0.01, dis_lr=0.01, **shared)
        batches = UnpairedBatches(image_set, SentenceSet.load(world), 8, 1, 2 if semantics == "reference" else 1)
        return options, GivenCaptions(options, VOCABULARY, tiny_world.DIM), batches
    if stage == "r2m":  # sentences of the tiny world have one concept, so its random order has no effect
        options = configuration.of_stage(configuration.R2M(unroll=6, lr=0.01, **shared), "end2end")
        told = concepts_in_training(image_set, "score")
        both = SentenceBatches(SentenceSet.load(world), 8, 1, keys=True), ConceptImageBatches(image_set, *told, 8, 1)
        objective = R2MObjective(options, VOCABULARY, tiny_world.DIM)
        for i, variable in enumerate(objective.trainable_variables):  # new biases are 0, where layer norms are steep
            variable.assign_add(0.3 * tf.random.stateless_normal(variable.shape, [i, 0]))
        return options, objective, MergedBatches(*both)
    options = config.ImageCaption(lr=0.01, **shared)
    captions = [[np.array([2, 3 + i % 3, 6, *[8] * (i % 4)])] for i in range(len(image_set))]
    return options, ImageCaptionObjective(options, VOCABULARY, tiny_world.DIM), PairedBatches(image_set, captions, 8, 1)


def trained_together(objective):
    """Returns the parts of an objective whose gradients are clipped together."""
    if isinstance(objective, FullObjective):
        return [objective.generator, objective.discriminator]
    return [objective]


class Recorder:
    """Records the clipped gradients of each call of `tf.clip_by_global_norm` in variables."""

    def __init__(self, objective):
        variables = [list(network.trainable_variables) for network in trained_together(objective)]
        # The gradients of the two networks are recognised by their number of variables.
        self.slots = {len(several): [tf.Variable(tf.zeros_like(v)) for v in several] for several in variables}

    def __call__(self, gradients, clip_norm):
        clipped, norm = CLIP(gradients, clip_norm)
        for slot, gradient in zip(self.slots[len(clipped)], clipped, strict=True):
            slot.assign(gradient)
        return clipped, norm

    def values(self):
        return [slot.numpy() for slots in self.slots.values() for slot in slots]


CLIP = tf.clip_by_global_norm


def run_case(name, world, strategy, devices):
    """Returns dict name -> array: metrics and clipped gradients of every step, variables at the end."""
    with strategy.scope():
        options, objective, batches = make_case(name, world, devices)
        recorder = Recorder(objective)
    tf.clip_by_global_norm = recorder
    shares = distribution.Shares(strategy, batches.examples, batches.examples // batches.batch_size)
    run_steps, names = make_run_steps(objective, strategy, options.seed)
    phase, found = objective.phase(0)[0], {}
    for step in range(STEPS):
        stack = {key: value[None] for key, value in batches.batch(step, shares.rows).items()}
        values = run_steps(shares.deal(stack), tf.constant(step), tf.constant(1), phase).numpy()[0]
        for metric, (total, count) in zip(names[phase], values, strict=True):
            found[f"{metric} {step}"] = total / max(count, 1e-12)
        for i, gradient in enumerate(recorder.values()):
            found[f"gradient {i} {step}"] = gradient
    for key, trackable in objective.checkpointed().items():
        for i, variable in enumerate(trackable.variables):
            found[f"variable {key} {i}"] = tf.convert_to_tensor(variable).numpy()
    return {f"{name}/{key}": value for key, value in found.items()}


# --------------------------------------------------------------------------------------------------------------
# Draws of two replicas


class Spy:
    """The full model that returns the captions that each replica samples for the same images."""

    def __init__(self, objective):
        self.objective = objective

    def update(self, batch, seed, phase):
        rollout = self.objective.rollout(batch, seed)
        weights_T = tf.range(1.0, 9.0)
        place = tf.distribute.get_replica_context().replica_id_in_sync_group
        own = lambda words: tf.reduce_sum(tf.cast(words, tf.float32) * weights_T) * tf.one_hot(place, 2)  # noqa: E731
        mask = tf.one_hot(place, 2) * tf.reduce_sum(rollout.masks.inputs_TBE[:, :, 0] * weights_T[:, None])
        return {
            "samples": tuple(tf.unstack(own(rollout.sample_BT))),
            "greedy": tuple(tf.unstack(own(rollout.greedy_BT))),
            "dropout": tuple(tf.unstack(mask)),
        }


def draws(world, strategy, devices):
    """Returns dict name -> [replica]: values that depend on each replica's random draws for the same image."""
    with strategy.scope():
        options, _, batches = make_case("full sgd fixed", world, devices)
        options = dataclasses.replace(options, keep_prob=0.8)
        objective = FullObjective(options, VOCABULARY, tiny_world.DIM)
    run_steps, names = make_run_steps(Spy(objective), strategy, options.seed)
    shares = distribution.Shares(strategy, batches.examples)
    stack = {key: np.repeat(value[None, :1], 8, axis=1) for key, value in batches.batch(0).items()}
    values = run_steps(shares.deal(stack), tf.constant(0), tf.constant(1), "joint").numpy()[0]
    return {f"draws/{name}": pair for name, pair in zip(names["joint"], values, strict=True)}


def main():
    output, world, devices = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tf.config.experimental.enable_op_determinism()
    if devices > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    names = tuple(f"CPU:{i}" for i in range(devices)) if devices > 1 else ()
    strategy = distribution.make_strategy(config.FullModel(devices=names, worker_timeout=120))
    found = {"replicas": np.array(strategy.num_replicas_in_sync)}
    for name in CASES:
        found |= run_case(name, world, strategy, names)
    tf.clip_by_global_norm = CLIP
    if strategy.num_replicas_in_sync > 1:
        found |= draws(world, strategy, names)
    np.savez(output, **found)


if __name__ == "__main__":
    main()
