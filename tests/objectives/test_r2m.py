"""R2M's losses in closed form, the networks that each stage trains, and the quirks (docs/implementation_details.md)."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from baselines.r2m import configuration, memory_captioner
from baselines.r2m.objective import R2MObjective, gathered_triplet, reconstruction_loss, triplet_loss
from models import layers

V, D, SEED = 31, 6, tf.constant([5, 6], tf.int32)
SMALL = configuration.R2M(emb_dim=8, mem_dim=8, batch_size=10, unroll=7, standardise=False)


def make(stage, **changes):
    return R2MObjective(configuration.of_stage(dataclasses.replace(SMALL, **changes), stage), V, D)


@pytest.fixture
def both(batch):
    """Returns a batch of sentences and images, each with its concept words."""
    told = {"concepts": batch["key"][::-1], "concepts_length": batch["key_length"][::-1]}
    return {name: batch[name] for name in ("sentence", "length", "key", "key_length", "image")} | told


# --------------------------------------------------------------------------------------------------------------
# The losses


@pytest.mark.parametrize("pairs", [1, 7])
def test_a_perfect_match(pairs):
    perfect = tf.eye(pairs, 8)
    assert float(triplet_loss(perfect, perfect, 0.2)) == 0.0
    assert float(triplet_loss(perfect, perfect, 0.2, masked=False)) == pytest.approx(0.4)


def test_the_triplet_loss_pair_by_pair():
    rng = np.random.default_rng(0)
    images, sentences = (rng.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    s, total, unmasked = images @ sentences.T, 0.0, 0.0
    for k in range(5):
        others = [j for j in range(5) if j != k]
        total += max(max(0.0, 0.2 + s[k, j] - s[k, k]) for j in others)
        total += max(max(0.0, 0.2 + s[j, k] - s[k, k]) for j in others)
        unmasked += max(max(0.0, 0.2 + s[i, k] - s[i, i]) for i in range(5))
        unmasked += max(max(0.0, 0.2 + s[k, j] - s[j, j]) for j in range(5))
    assert float(triplet_loss(images, sentences, 0.2)) == pytest.approx(total / 5, rel=1e-6)
    assert float(triplet_loss(images, sentences, 0.2, masked=False)) == pytest.approx(unmasked / 5, rel=1e-6)


def test_the_gathered_gradient_is_that_of_the_loss():
    images, sentences = (tf.random.stateless_normal([5, 3], SEED + i) for i in range(2))
    with tf.GradientTape() as tape:
        tape.watch((images, sentences))
        loss = triplet_loss(images, sentences, 0.2)
    found, *gradients = gathered_triplet(images, sentences, 0.2, True)
    assert float(found) == float(loss)
    for ours, plain in zip(gradients, tape.gradient(loss, (images, sentences)), strict=True):
        np.testing.assert_array_equal(ours, plain)


def test_reconstructing_nothing():
    """|v| = 1, so a reconstruction of zeros costs 1/512 with the mean over dimensions: almost no gradient."""
    v = layers.unit(tf.random.stateless_normal([6, 512], SEED))
    nothing = tf.zeros([6, 512])
    assert float(reconstruction_loss(v, nothing, 6.0, "mean")) == pytest.approx(1 / 512)
    assert float(reconstruction_loss(v, nothing, 6.0, "sum")) == pytest.approx(1.0)
    assert float(reconstruction_loss(v[:3], nothing[:3], 6.0, "sum")) == pytest.approx(0.5), "one of two replicas"


# --------------------------------------------------------------------------------------------------------------
# The networks that each stage trains

ENCODER, DECODER, RECONSTRUCTOR, PROJECTION = "Encoder", "Decoder", "Reconstructor", "Projection"


@pytest.mark.parametrize(
    "stage, trained",
    [
        ("xe", {ENCODER, DECODER}),
        ("xe_rec", {ENCODER, DECODER, RECONSTRUCTOR}),
        ("tri", {ENCODER, DECODER, RECONSTRUCTOR, PROJECTION}),
        ("tri_rec", {ENCODER, DECODER, RECONSTRUCTOR, PROJECTION}),
        ("end2end", {ENCODER, DECODER, RECONSTRUCTOR, PROJECTION}),
    ],
)
def test_which_networks_learn(both, stage, trained):
    objective = make(stage)
    metrics, gradients = objective.gradients(both, SEED)
    variables = objective.trainable_variables
    assert {variable.name.split("/")[0] for variable in variables} == trained
    without = {v.name for v, g in zip(variables, gradients, strict=True) if g is None}
    # Greedy words have no gradient, so the image losses do not train the output matrix.
    said = {variable.name for variable in variables if "output_words" in variable.name or "softmax_b" in variable.name}
    assert without == (said if stage in ("tri", "tri_rec") else set())
    expected = {"xe": {"loss/sentence"}, "xe_rec": {"loss/sentence", "loss/rec_text"}}.get(stage, set())
    assert expected <= set(metrics) and ("loss/triplet" in metrics) == (stage not in ("xe", "xe_rec"))


def test_a_gradient_against_finite_differences(both):
    """With all four losses, the slope along the gradient equals the gradient's squared norm."""
    objective = make("end2end", keep_prob=1.0, w_rec=0.3)
    for i, variable in enumerate(objective.trainable_variables):  # new biases are 0, and layer norm is steep at 0
        variable.assign_add(0.3 * tf.random.stateless_normal(variable.shape, SEED + i))

    def loss():
        options = objective.options
        v = objective.encoder(memory_order(objective, both), both["key_length"])
        length = both["length"] - 1
        outputs = memory_captioner.read_words(
            objective.decoder, v, both["sentence"][:, 1:], length, objective.encoder.embedding
        )
        log_p = tf.nn.log_softmax(objective.decoder.logits(tf.reshape(outputs, [-1, 8])))
        picked = tf.reshape(tf.gather(log_p, tf.reshape(both["sentence"][:, 1:], [-1]), batch_dims=1), [10, -1])
        mask = tf.sequence_mask(length, tf.shape(picked)[1], tf.float32)
        total = -tf.reduce_sum(picked * mask) / tf.reduce_sum(mask)
        again = memory_captioner.reconstruct(objective.reconstructor, outputs, length)
        total += options.w_rec * tf.reduce_sum((v - again) ** 2) / 10
        v = objective.encoder(both["concepts"], both["concepts_length"])
        words, lengths = said
        outputs = memory_captioner.read_words(objective.decoder, v, words, lengths, objective.encoder.embedding)
        again = memory_captioner.reconstruct(objective.reconstructor, outputs, lengths)
        total += options.w_rec * tf.reduce_sum((v - again) ** 2) / 10
        return total + triplet_loss(layers.unit(objective.projection(both["image"])), again, options.margin)

    said = objective.words(objective.encoder(both["concepts"], both["concepts_length"]))
    _, gradients = objective.gradients(both, SEED)
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    squared = sum(float(tf.reduce_sum(gradient**2)) for gradient in gradients)
    values, step = [], 1e-3 / squared**0.5
    for sign in (1, -2):
        for variable, gradient in zip(objective.trainable_variables, gradients, strict=True):
            variable.assign_add(sign * step * gradient)
        values.append(float(loss()))
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(squared, rel=0.01)


def memory_order(objective, batch):
    """Returns the concept words in the order in which the objective reads them with this seed."""
    from models.noise import shuffled
    from models.randomness import fold_in

    return shuffled(batch["key"], batch["key_length"], fold_in(fold_in(SEED, "text"), "order"))


def test_the_loss_falls(both):
    objective = make("end2end", lr=1e-2)
    update = tf.function(objective.update)
    losses = [update(both, SEED) for _ in range(25)]
    for name in ("loss/sentence", "loss/triplet", "loss/rec_text"):
        first, last = (float(metrics[name][0] / metrics[name][1]) for metrics in (losses[0], losses[-1]))
        assert last < 0.8 * first, name


# --------------------------------------------------------------------------------------------------------------
# Quirks


def test_a_frozen_projection_is_drawn_anew_in_each_image_stage():
    weights = {}
    for semantics in ("fixed", "reference"):
        stages = {stage: make(stage, semantics=semantics) for stage in ("tri", "tri_rec")}
        weights[semantics] = [stages[stage].projection.weights.numpy() for stage in ("tri", "tri_rec")]
        learns = any("Projection" in variable.name for variable in stages["tri"].trainable_variables)
        handed = stages["tri_rec"].projection in stages["tri_rec"].handed_over(has_projection=True)
        assert learns == handed == (semantics == "fixed")
    np.testing.assert_array_equal(*weights["fixed"])
    assert np.abs(weights["reference"][0] - weights["reference"][1]).max() > 0.1


def test_each_quirk_follows_the_semantics_or_its_own_flag():
    reference = dataclasses.replace(SMALL, semantics="reference")
    found = {name: configuration.quirk(reference, name) for name in configuration.QUIRKS}
    assert found == {"triplet": "unmasked", "projection": "frozen", "concept_order": "class", "rec_reduction": "mean"}
    assert configuration.quirk(dataclasses.replace(reference, triplet="masked"), "triplet") == "masked"
    assert {configuration.quirk(SMALL, name) for name in found} == {"masked", "trained", "score", "sum"}


def test_the_unmasked_triplet_never_falls_below_twice_its_margin(both):
    metrics, _ = make("tri", semantics="reference").gradients(both, SEED)
    assert float(metrics["loss/triplet"][0]) >= 0.4
    assert float(metrics["loss/triplet"][0]) > float(make("tri").gradients(both, SEED)[0]["loss/triplet"][0])
