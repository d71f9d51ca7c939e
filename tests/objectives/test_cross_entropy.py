"""The stages trained by teacher forcing: evaluation, quirks and their corrections, learning."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

import config
from models import layers
from objectives.im_caption import ImageCaptionObjective
from objectives.obj2sen import ObjectToSentenceObjective
from objectives.sentence_ae import SentenceAutoEncoderObjective

SEED = tf.constant([1, 2], tf.int32)
V, D, H = 31, 6, 16
STAGES = {
    "obj2sen": (ObjectToSentenceObjective, config.ObjectToSentence, []),
    "sentence_ae": (SentenceAutoEncoderObjective, config.SentenceAutoEncoder, []),
    "im_caption": (ImageCaptionObjective, config.ImageCaption, [D]),
}


def build(stage, **changes):
    objective_class, options_class, image_dim = STAGES[stage]
    options = dataclasses.replace(options_class(emb_dim=H, mem_dim=H), **changes)
    return objective_class(options, V, *image_dim)


def gradients_of(objective, batch):
    names = [variable.name.split(":")[0] for variable in objective.trainable_variables]
    return dict(zip(names, objective.gradients(batch, SEED)[1], strict=True))


@pytest.mark.parametrize("stage", STAGES)
def test_learns_a_small_batch_by_heart(stage, batch):
    objective = build(stage, lr=0.03, keep_prob=1.0)
    step = tf.function(objective.update)
    before = objective.evaluate(batch)
    for index in range(120):
        metrics = step(batch, tf.constant([index, 2], tf.int32))
    loss, right, words = objective.evaluate(batch)
    assert int(words) == np.sum(batch["length"].numpy() - 1)
    assert loss / words < 0.4 < before[0] / before[2]
    assert right / words > 0.85
    assert metrics["loss"][0] / metrics["loss"][1] < 1.0
    assert objective.phase(5) == ("train", None)


@pytest.mark.parametrize("stage", STAGES)
def test_evaluation_drops_nothing_and_repeats_itself(stage, batch):
    dropped, kept = build(stage, keep_prob=0.5), build(stage, keep_prob=1.0)
    first, again, expected = dropped.evaluate(batch), dropped.evaluate(batch), kept.evaluate(batch)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, expected)
    losses = [float(dropped.gradients(batch, SEED + k)[0]["loss"][0]) for k in (0, 1)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("stage", STAGES)
def test_checkpoint_parts(stage):
    objective = build(stage)
    parts = objective.checkpointed()
    assert {"generator", "optimizer"} <= set(parts)
    assert ("discriminator" in parts) == (stage != "im_caption")
    assert ("standardise" in parts) == (stage == "im_caption")
    slots = len(objective.optimizer.variables) - 2
    assert slots == 2 * len(objective.trainable_variables)


def test_perplexity_of_an_untrained_network_is_the_vocabulary(batch):
    """It is only approximately equal, because the initial weights are small but not 0."""
    loss, _, words = build("sentence_ae").evaluate(batch)
    assert abs(np.exp(loss / words) - V) < 2


def test_obj2sen_reads_the_discriminators_embedding_under_reference(batch):
    """Quirk Q8: under `reference` the generator's embedding is used only as the output matrix."""
    reference, fixed = build("obj2sen", semantics="reference"), build("obj2sen", semantics="fixed")
    assert reference.input_embedding is reference.discriminator.embedding and fixed.input_embedding is None
    name = "Generator/embedding"
    assert not isinstance(gradients_of(reference, batch)[name], tf.IndexedSlices)
    inputs = np.setdiff1d(batch["sentence"].numpy(), batch["key"].numpy())
    rows = {
        kind: tf.convert_to_tensor(gradients_of(objective, batch)["Discriminator/embedding"]).numpy()
        for kind, objective in (("reference", reference), ("fixed", fixed))
    }
    assert np.any(rows["reference"][inputs]) and not np.any(rows["fixed"][inputs])
    assert fixed.suppress_unknown and not reference.suppress_unknown


def test_obj2sen_draws_the_order_of_concepts(batch):
    objective = build("obj2sen")
    one, two = (objective.ordered(batch, SEED + k).numpy() for k in (0, 1))
    assert np.any(one != two)
    for row, length in enumerate(batch["key_length"].numpy()):
        assert sorted(one[row, :length]) == sorted(batch["key"].numpy()[row, :length])


def test_features_are_the_clean_state(batch):
    """Quirk Q10: the feature is the unit vector of the hidden state, without the head recon; zeros without concepts."""
    objective = build("obj2sen", keep_prob=0.5)
    none = objective.encode(batch["key"], tf.zeros([10], tf.int32))
    assert not np.any(none)
    feature = objective.encode(batch["key"], batch["key_length"])
    np.testing.assert_allclose(tf.norm(feature, axis=1), np.ones(10), rtol=1e-5)
    hidden = objective.discriminator.read(batch["key"], batch["key_length"], None)[1]
    np.testing.assert_allclose(feature, layers.unit(hidden))
    assert not any("recon" in name for name in layers.named_variables(objective.discriminator))


def test_im_caption_factor_under_reference(batch):
    """Quirk Q9: every gradient except the projection's is multiplied by 0.1."""
    reference, fixed = (gradients_of(build("im_caption", semantics=s), batch) for s in ("reference", "fixed"))
    for name, gradient in fixed.items():
        factor = 1.0 if "fully_connected" in name else 0.1
        expected = factor * tf.convert_to_tensor(gradient)
        np.testing.assert_allclose(tf.convert_to_tensor(reference[name]), expected, rtol=1e-6)


def test_im_caption_standardises_and_encodes(batch):
    objective = build("im_caption", keep_prob=1.0)
    plain = objective.feature(batch, None)
    objective.standardise.assign(np.full(D, 0.5), np.full(D, 2.0))
    shifted = objective.feature(batch | {"image": 2.0 * batch["image"] + 0.5}, None)
    np.testing.assert_allclose(shifted, plain, atol=1e-6)
    objective.encode = lambda pixels: pixels[:, 0]
    np.testing.assert_array_equal(
        objective.feature({"pixels": batch["image"][:, None]}, None), objective.feature(batch, None)
    )


def test_learning_rate_falls_along_a_cosine(batch):
    objective = build("sentence_ae", lr=0.01, lr_decay_steps=4)
    rates = []
    for index in range(5):
        rates.append(float(objective.optimizer.learning_rate))
        objective.update(batch, SEED + index)
    np.testing.assert_allclose(rates, 0.01 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 4)), atol=1e-8)
    assert float(build("sentence_ae", lr=0.01).optimizer.learning_rate) == np.float32(0.01)


def test_part_of_the_image_vector_is_dropped_in_training_alone():
    """In training some elements are zero and the others are doubled; an evaluation reads the vector unchanged."""
    objective = build("im_caption", image_keep_prob=0.5)
    image_BD = np.random.default_rng(0).normal(size=[4, D]).astype(np.float32)
    whole = objective.feature({"image": image_BD}, None).numpy()
    dropped = objective.feature({"image": image_BD}, SEED).numpy()
    kernel, bias = (variable.numpy() for variable in objective.generator.fully_connected.trainable_variables)
    if kernel.shape[0] != D:
        kernel, bias = bias, kernel
    projected = lambda rows_BD: rows_BD @ kernel + bias  # noqa: E731
    unit = lambda rows: rows / np.linalg.norm(rows, axis=-1, keepdims=True)  # noqa: E731
    np.testing.assert_allclose(whole, unit(projected(image_BD)), atol=1e-6)
    masks = np.array(list(itertools.product([0.0, 2.0], repeat=D)))
    for row, image_D in zip(dropped, image_BD, strict=True):
        nearest = np.abs(unit(projected(masks * image_D)[masks.any(1)]) - row).max(1).min()
        assert nearest < 1e-6
    assert np.abs(dropped - whole).max() > 1e-2
    again = objective.feature({"image": image_BD}, SEED).numpy()
    np.testing.assert_array_equal(dropped, again)
