"""The text GAN: noise in place of images, only the adversarial term."""

import dataclasses

import numpy as np
import tensorflow as tf

import config
from models import layers
from objectives.sentence_gan import SentenceGanObjective

SEED = tf.constant([1, 2], tf.int32)
V, H = 31, 8
OPTIONS = config.SentenceGan(emb_dim=H, mem_dim=H, max_caption_length=7, gen_lr=0.01, dis_lr=0.01)


def build(**changes):
    return SentenceGanObjective(dataclasses.replace(OPTIONS, **changes), V)


def text_of(batch):
    return {name: batch[name] for name in ("sentence", "length")}


def test_weights_are_no_flags():
    names = {field.name for field in dataclasses.fields(config.SentenceGan)}
    assert not names & {"w_adv", "w_obj", "w_mse", "w_sen"}
    assert (OPTIONS.w_adv, OPTIONS.w_obj, OPTIONS.w_mse, OPTIONS.w_sen) == (1.0, 0.0, 0.0, 0.0)


def test_networks():
    objective = build()
    names = set(layers.named_variables(objective.generator, objective.discriminator))
    assert not any("fully_connected" in name or "recon" in name for name in names)
    assert "Discriminator/fc/weights" in names
    assert set(objective.checkpointed()) == {
        "generator",
        "discriminator",
        "generator_optimizer",
        "discriminator_optimizer",
    }


def test_noise(batch):
    """The features are unit vectors in random directions, which depend on the seed."""
    objective = build()
    big = text_of(batch) | {"length": tf.fill([4000], 5)}
    feature = objective.feature(objective.generator_input(big, SEED)).numpy()
    np.testing.assert_allclose(np.linalg.norm(feature, axis=1), np.ones(4000), rtol=1e-5)
    assert np.abs(feature.mean(0)).max() < 0.03
    assert np.any(feature != objective.feature(objective.generator_input(big, SEED + 1)).numpy())


def test_only_the_adversarial_reward(batch):
    objective = build()
    rollout = objective.rollout(text_of(batch), SEED)
    terms = objective.rewards_and_advantages(text_of(batch), rollout, SEED)
    assert np.any(terms["reward/adversarial"])
    assert not np.any(terms["reward/concept"]) and not np.any(terms["reward/image"])


def test_update_of_both_semantics(batch):
    """Both networks use one batch of sentences; under `reference` the noise of the two steps differs."""
    for semantics, rollouts in (("reference", 2), ("fixed", 1)):
        objective, seen = build(semantics=semantics), []
        rollout = objective.rollout
        objective.rollout = lambda *a, seen=seen, rollout=rollout, **k: seen.append(rollout(*a, **k)) or seen[-1]
        before = [
            v.numpy() for v in objective.generator.trainable_variables + objective.discriminator.trainable_variables
        ]
        metrics = objective.update(text_of(batch), SEED)
        after = objective.generator.trainable_variables + objective.discriminator.trainable_variables
        assert all(np.any(v != b) for v, b in zip(after, before, strict=True))
        assert len(seen) == rollouts
        assert seen[0].feature_BE.shape == (10, H)
        assert np.any(seen[0].generator_input != seen[-1].generator_input) == (rollouts == 2)
        assert "mean_found_obj" not in metrics and "loss/sentence" not in metrics
        assert all(np.isfinite(total / count) for total, count in metrics.values())
    assert build().phase(7) == ("joint", None)
