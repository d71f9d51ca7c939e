"""The supervised objectives: parameter counts and schedules of the published programs, quirks, self-critical gradients.

Source of the numbers: docs/implementation_details.md, "Quirks of the supervised programs".
"""

import dataclasses
import math
import types

import numpy as np
import pytest
import tensorflow as tf

import experiments
from baselines.show_attend_tell.objective import ShowAttendTellObjective
from baselines.show_tell.network import BatchNorm
from baselines.show_tell.objective import ShowTellObjective
from baselines.supervised import settings
from baselines.supervised.cider import CiderD, DocumentFrequencies
from baselines.supervised.objective import learning_rate, steps_per_halving
from models import layers
from models.generator import shift_right

COCO_CAPTIONS = 414_113
SMALL = {"emb_dim": 5, "mem_dim": 6, "batch_size": 3, "max_caption_length": 7, "optimizer": "sgd", "clip_norm": 1e9}


# --------------------------------------------------------------------------------------------------------------
# Published parameter counts and schedules


@pytest.mark.parametrize(
    ("objective", "recipe", "words", "expected"),
    [
        (ShowTellObjective, experiments.row("show_tell_img2txt/show_tell"), 11_498, 14_933_738),
        (ShowTellObjective, experiments.row("show_tell_img2txt/show_tell_gru"), 11_498, 14_408_938),
        (ShowTellObjective, experiments.row("show_tell_resnet152/show_tell"), 9_956, 9_758_180),
        (ShowAttendTellObjective, experiments.row("attention_tutorial/show_attend_tell"), 5_001, 6_603_658),
    ],
)
def test_parameter_counts(objective, recipe, words, expected):
    network = objective(recipe, words, 2048, COCO_CAPTIONS)
    assert sum(v.shape.num_elements() for v in network.trainable_variables) == expected


def test_the_schedule_of_img2txt():
    recipe = experiments.row("show_tell_img2txt/show_tell")
    assert steps_per_halving(COCO_CAPTIONS, recipe) == 103_528
    rate = learning_rate(recipe, COCO_CAPTIONS)
    assert [float(rate(step)) for step in (0, 103_527, 103_528, 500_000)] == [2.0, 2.0, 1.0, 0.125]
    assert recipe.max_steps == 500_000


def test_the_lengths_of_the_tutorials():
    assert math.ceil(COCO_CAPTIONS / 128) == 3236
    assert experiments.row("show_tell_resnet152/show_tell").max_steps == 5 * 3236
    assert experiments.row("attention_tutorial/show_attend_tell").max_steps == 20 * (24_000 // 64) == 20 * 375


def test_the_rate_of_self_critical_training_takes_over():
    options = settings.ShowTell(lr=1e-2, lr_decay_steps=100, scst_from=80, scst_lr=3e-4)
    rate = learning_rate(options, 1000)
    cosine = lambda step: 1e-2 * 0.5 * (1 + math.cos(math.pi * step / 100))  # noqa: E731
    for step, expected in ((0, 1e-2), (50, cosine(50)), (79, cosine(79)), (80, 3e-4), (500, 3e-4)):
        assert float(rate(step)) == pytest.approx(expected, rel=1e-5)


# --------------------------------------------------------------------------------------------------------------
# Losses


def batch_of(image):
    sentence = tf.constant([[0, 2, 3, 4, 1, 0], [0, 5, 1, 0, 0, 0], [0, 6, 7, 2, 2, 1]])
    references = tf.constant([[[2, 3, 4, 1, 0], [2, 3, 1, 0, 0]], [[5, 1, 0, 0, 0], [0] * 5], [[6, 7, 2, 2, 1]] * 2])
    lengths = tf.constant([[4, 3], [2, 0], [5, 5]])
    return {
        "image": image,
        "sentence": sentence,
        "length": tf.constant([5, 3, 6]),
        "references": references,
        "reference_lengths": lengths,
    }


def cider():
    captions = [[[2, 3, 4], [2, 3]], [[5]], [[6, 7, 2, 2]] * 2, [[3, 3]]]
    return CiderD(DocumentFrequencies.of(captions, 9), 9)


def show_tell(**changes):
    options = settings.ShowTell(**SMALL | changes)
    return ShowTellObjective(options, 9, 4, 100, cider()), batch_of(tf.random.stateless_normal([3, 4], [1, 2]))


def show_attend_tell(**changes):
    options = settings.ShowAttendTell(**SMALL | {"cell_dim": 3, "attention_units": 4} | changes)
    return ShowAttendTellObjective(options, 9, 4, 100, cider()), batch_of(tf.random.stateless_normal([3, 5, 4], [1, 2]))


def log_probs(objective, batch):
    """Returns log p of every target word of the batch, one step at a time: list over rows of lists."""
    net, found = objective.generator, []
    for row in range(3):
        state = net.initial_state(objective.feature(batch, None)[row : row + 1])
        first = [float(tf.nn.log_softmax(net.logits(state[-1]))[0, 0])] if state[-1].shape == (1, 6) else []
        words = batch["sentence"][row].numpy()[: int(batch["length"][row])]
        for word, target in zip(words[:-1], words[1:], strict=True):
            output, state = net.step(net.embedding[word : word + 1], state)
            first.append(float(tf.nn.log_softmax(net.logits(output))[0, target]))
        found.append(first)
    return found


SEED = tf.constant([1, 5])


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_two_biases"])
def test_the_loss_is_the_mean_over_all_words(cell):
    objective, batch = show_tell(cell=cell, keep_prob=1.0)
    loss = objective.gradients(batch, SEED)[0]["loss"][0]
    words = [p for row in log_probs(objective, batch) for p in row[1:]]
    assert len(words) == 11 and float(loss) == pytest.approx(-np.mean(words), rel=1e-5)


def test_the_resnet_tutorial_asks_the_image_for_the_start_token():
    """A caption of n words has n + 2 targets, the first of them the start token."""
    objective, batch = show_tell(keep_prob=1.0, semantics="reference", start_from_image=True, cell="lstm_two_biases")
    loss = objective.gradients(batch, SEED)[0]["loss"][0]
    targets = [p for row in log_probs(objective, batch) for p in row]
    assert len(targets) == sum(int(n) for n in batch["length"])  # each length is n + 2
    assert float(loss) == pytest.approx(-np.mean(targets), rel=1e-5)
    fixed, _ = show_tell(keep_prob=1.0, start_from_image=True, cell="lstm_two_biases")
    assert float(fixed.gradients(batch, SEED)[0]["loss"][0]) != pytest.approx(float(loss), rel=1e-4)


def test_the_attention_tutorial_divides_by_the_captions():
    losses = {}
    for semantics in ("fixed", "reference"):
        objective, batch = show_attend_tell(keep_prob=1.0, semantics=semantics)
        words = [p for row in log_probs(objective, batch) for p in row]
        loss = float(objective.gradients(batch, SEED)[0]["loss"][0])
        losses[semantics] = loss / -sum(words)
    assert losses == {"fixed": pytest.approx(1 / 11, rel=1e-5), "reference": pytest.approx(1 / 3, rel=1e-5)}


def test_steps_beyond_the_longest_caption_change_nothing():
    objective, batch = show_attend_tell(keep_prob=1.0)
    wide = batch | {"sentence": tf.pad(batch["sentence"], [[0, 0], [0, 5]])}
    (one, first), (two, second) = objective.gradients(batch, SEED), objective.gradients(wide, SEED)
    assert float(one["loss"][0]) == pytest.approx(float(two["loss"][0]), rel=1e-6)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(a), tf.convert_to_tensor(b), atol=1e-6)


# --------------------------------------------------------------------------------------------------------------
# Batch normalisation


def test_batch_norm_moves_its_averages_and_captions_by_them():
    norm = BatchNorm(2)
    rows = tf.constant([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]])
    out = norm(rows, lambda values: values)
    np.testing.assert_allclose(tf.reduce_mean(out, 0), 0, atol=1e-5)
    np.testing.assert_allclose(tf.math.reduce_std(out, 0), 1, atol=1e-3)
    np.testing.assert_allclose(norm.mean, [0.01 * 3, 0.01 * 20], rtol=1e-5)
    np.testing.assert_allclose(norm.variance, [0.99 + 0.01 * 4, 0.99 + 0.01 * 300], rtol=1e-5)
    by_averages = (rows - norm.mean) / np.sqrt(norm.variance + 1e-5)
    np.testing.assert_allclose(norm(rows), by_averages, rtol=1e-5)


# --------------------------------------------------------------------------------------------------------------
# Self-critical training


@pytest.mark.parametrize("make", [show_tell, show_attend_tell])
def test_the_policy_gradient_is_that_of_its_definition(make):
    objective, batch = make(keep_prob=1.0)
    net = objective.generator
    net.output_matrix.assign(net.output_matrix * 3)
    _, sample, greedy = objective.rollout(batch, SEED)
    advantage = objective.reward(batch, sample) - objective.reward(batch, greedy)
    assert np.abs(advantage).max() > 1e-3
    lengths = layers.sequence_lengths(sample)
    with tf.GradientTape() as tape:
        hidden = net.hidden_states(net.initial_state(objective.feature(batch, None)), shift_right(sample), lengths)
        logits = tf.einsum("bth,vh->btv", hidden, net.output_matrix) + net.softmax_b
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(sample, logits)
        mask = layers.mask_of(lengths, 7)
        expected_loss = tf.reduce_sum(losses * advantage[:, None] * mask) / tf.reduce_sum(mask)
    expected = tape.gradient(expected_loss, objective.trainable_variables)
    metrics, gradients = objective.self_critical_gradients(batch, SEED)
    assert float(metrics["loss"][0]) == pytest.approx(float(expected_loss), rel=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(ours), tf.convert_to_tensor(theirs), atol=1e-6)


@pytest.mark.parametrize("make", [show_tell, show_attend_tell])
def test_self_critical_training_raises_the_reward(make):
    objective, batch = make(keep_prob=1.0, optimizer="adam", lr=1e-2, scst_from=20, scst_lr=1e-2)
    assert objective.phase(0) == ("train", 20) and objective.phase(20) == ("self-critical", None)
    update = tf.function(lambda seed, phase: objective.update(batch, seed, phase))
    sampled = tf.function(lambda seed: tf.reduce_mean(objective.reward(batch, objective.rollout(batch, seed)[1])))
    mean = lambda: np.mean([sampled(tf.constant([9, i])) for i in range(8)])  # noqa: E731
    for step in range(20):
        update(tf.constant([1, step]), "train")
    before = mean()
    for step in range(20, 320):
        update(tf.constant([1, step]), "self-critical")
    assert mean() > before + 0.5


def test_an_objective_without_self_critical_phase_has_one_phase():
    objective = types.SimpleNamespace(options=dataclasses.replace(settings.ShowTell(), scst_from=0))
    assert ShowTellObjective.phase(objective, 10**6) == ("train", None)
