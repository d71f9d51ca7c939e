"""The full model's update: reproducibility, gradient flow, and the effect of settings."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import config
from models import layers
from models.randomness import fold_in
from objectives.counts import unique_rows
from objectives.full import FullObjective

SEED = tf.constant([1, 2], tf.int32)
V, D, H = 31, 6, 8
OPTIONS = config.FullModel(emb_dim=H, mem_dim=H, max_caption_length=7, gen_lr=0.01, dis_lr=0.01)


def build(**changes):
    """Returns the objective with large random weights, so that every word and mask has an effect."""
    objective = FullObjective(dataclasses.replace(OPTIONS, **changes), V, D)
    for index, variable in enumerate(all_variables(objective)):
        variable.assign(1.5 * tf.random.stateless_normal(variable.shape, [index, 3]))
    objective.generator.softmax_b[1].assign(3.0)  # captions end now and then
    return objective


def all_variables(objective):
    return objective.generator.trainable_variables + objective.discriminator.trainable_variables


def sampler_log_probs(objective, rollout):
    """Returns log p of every sampled word, step by step, with the sampler's masks; 0 past the end: float32 [B, T]."""
    generator, masks = objective.generator, rollout.masks
    state, word, found = generator.initial_state(rollout.feature_BE, masks), tf.zeros_like(rollout.sample_BT[:, 0]), []
    for t in range(rollout.sample_BT.shape[1]):
        inputs = tf.gather(generator.embedding, word) * masks.inputs_TBE[t]
        state = generator.basic_lstm_cell.step(inputs, state)
        log_p = tf.nn.log_softmax(generator.logits(state[1] * masks.outputs_TBH[t]))
        word = rollout.sample_BT[:, t]
        found.append(tf.gather(log_p, word, batch_dims=1))
    return tf.stack(found, 1) * rollout.mask_BT


def test_policy_gradient_uses_the_samplers_masks(batch):
    """With dropout, the second pass has the sampler's log-probabilities to 1e-5; with new masks it does not."""
    objective = build(w_sen=0.0)
    rollout = objective.rollout(batch, SEED)
    terms = objective.rewards_and_advantages(batch, rollout, SEED)
    own = sampler_log_probs(objective, rollout)
    expected = -tf.reduce_sum(own * terms["advantages"]) / tf.reduce_sum(rollout.mask_BT)

    def results(rollout):
        metrics, _ = objective.generator_gradients(batch, rollout, terms, SEED)
        return [float(metrics[name][0]) for name in ("policy/log_prob", "loss/policy")]

    expected = [float(tf.reduce_sum(own)), float(expected)]
    np.testing.assert_allclose(results(rollout), expected, rtol=1e-5)
    fresh = dataclasses.replace(rollout, masks=objective.generator.masks(10, 7, SEED + 1))
    assert np.all(np.abs(np.subtract(results(fresh), expected)) > 0.01 * np.abs(expected))


@pytest.mark.parametrize("w_sen", [0.0, 1.0])
def test_generator_gradient_by_finite_differences(batch, w_sen):
    """Tests the surrogate loss (fixed words, masks and advantages) and the sentence reconstruction."""
    objective = build(w_sen=w_sen)
    rollout = objective.rollout(batch, SEED)
    terms = objective.rewards_and_advantages(batch, rollout, SEED)
    check_slope(
        objective.generator, lambda: objective.generator_gradients(batch, rollout, terms, SEED)[:2], "generator"
    )


def test_discriminator_gradient_by_finite_differences(batch):
    objective = build()
    rollout = objective.rollout(batch, SEED)
    check_slope(
        objective.discriminator, lambda: objective.discriminator_gradients(batch, rollout, SEED)[:2], "discriminator"
    )


def check_slope(network, run, name):
    """Asserts that the loss changes along a random direction as its gradient predicts."""
    variables = network.trainable_variables
    start = [variable.numpy() for variable in variables]
    _, gradients = run()
    directions = [tf.random.stateless_normal(v.shape, [k, 77]) for k, v in enumerate(variables)]
    pairs = [(g, d) for g, d in zip(gradients, directions, strict=True) if g is not None]
    slope = sum(float(tf.reduce_sum(tf.convert_to_tensor(g) * d)) for g, d in pairs)
    losses = []
    for step in (3e-3, -3e-3):
        for variable, value, direction in zip(variables, start, directions, strict=True):
            variable.assign(value + step * direction)
        losses.append(float(run()[0][f"loss/{name}"][0]))
    np.testing.assert_allclose((losses[0] - losses[1]) / 6e-3, slope, rtol=5e-3)


def gradients_of(objective, batch, **changed_terms):
    rollout = objective.rollout(batch, SEED)
    terms = objective.rewards_and_advantages(batch, rollout, SEED) | changed_terms
    _, gradients = objective.generator_gradients(batch, rollout, terms, SEED)
    names = layers.named_variables(objective.generator)
    return dict(zip(names, gradients, strict=True))


def test_reconstruction_does_not_reach_the_projection_or_the_encoder(batch):
    """L_sen trains the generator without its projection (quirk Q11); the policy gradient trains the projection."""
    zero = {"advantages": tf.zeros([10, 7])}
    sentence_only = gradients_of(build(), batch, **zero)
    assert not np.any(sentence_only["Generator/fully_connected/weights"])
    assert np.any(sentence_only["Generator/basic_lstm_cell/kernel"])
    assert np.any(gradients_of(build(), batch)["Generator/fully_connected/weights"])
    objective = build()
    before = [variable.numpy() for variable in objective.discriminator.trainable_variables]
    _, gradients = objective.generator_step(batch, SEED)
    objective.apply(objective.generator_optimizer, gradients, objective.generator, "generator")
    for variable, value in zip(objective.discriminator.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_image_reconstruction_trains_the_discriminator_alone(batch):
    """x is a constant in L_im: w_mse changes the generator's gradients only through the reward."""
    quiet, loud = (
        gradients_of(build(w_mse=w_mse), batch, advantages=tf.ones([10, 7]))["Generator/fully_connected/weights"]
        for w_mse in (0.0, 100.0)
    )
    np.testing.assert_array_equal(quiet, loud)


def test_baseline_under_the_samples_mask_or_its_own(batch):
    """Quirk Q1: after a shorter greedy caption, the bias of fc is rewarded up to the sample's end, or nothing is."""
    sample, own = (build(baseline_mask=mask, semantics="reference") for mask in ("sample", "own"))
    rollout = sample.rollout(batch, SEED)
    lengths, greedy_lengths = rollout.sample_lengths_B.numpy(), rollout.greedy_lengths_B.numpy()
    assert np.any(greedy_lengths < lengths) and np.any(greedy_lengths > lengths)
    steps = np.arange(7)[None]
    for objective, ends in ((sample, lengths), (own, greedy_lengths)):
        rewarded = objective.rewards_and_advantages(batch, rollout, SEED)["baseline/reward/adversarial"].numpy() != 0
        np.testing.assert_array_equal(rewarded, steps < ends[:, None])
    past = (steps >= greedy_lengths[:, None]) & (steps < lengths[:, None])
    bias = np.log(1 / (1 + np.exp(-float(sample.discriminator.fc.biases[0]))) + 1e-7)
    values = sample.rewards_and_advantages(batch, rollout, SEED)["baseline/reward/adversarial"].numpy()
    np.testing.assert_allclose(values[past], bias, rtol=1e-5)


def test_greedy_words_after_the_end_are_rewarded_under_reference_alone(batch):
    reference, fixed = build(semantics="reference"), build()
    rollouts = [objective.rollout(batch, SEED) for objective in (reference, fixed)]
    np.testing.assert_array_equal(rollouts[0].sample_BT, rollouts[1].sample_BT)
    beyond = np.arange(7)[None] >= rollouts[0].greedy_lengths_B.numpy()[:, None]
    assert np.any(rollouts[0].greedy_BT.numpy()[beyond] > 1)
    assert not np.any(rollouts[1].greedy_BT.numpy()[beyond])


def test_dropout_is_on_in_greedy_decoding_and_in_the_rewards(batch):
    """Quirk Q6: another seed gives other greedy captions, and other logits for the same caption."""
    objective = build()
    one, two = (objective.rollout(batch, SEED + k, sample_BT=tf.fill([10, 7], 5)) for k in (0, 1))
    assert np.any(one.greedy_BT != two.greedy_BT)
    judged = [objective.rewards_and_advantages(batch, one, SEED + k)["logits"].numpy() for k in (0, 1)]
    assert np.any(judged[0] != judged[1])
    still = build(keep_prob=1.0)
    one, two = (still.rollout(batch, SEED + k, sample_BT=tf.fill([10, 7], 5)) for k in (0, 1))
    np.testing.assert_array_equal(one.greedy_BT, two.greedy_BT)


def test_end_token_is_rewarded_and_start_token_can_be_sampled(batch):
    """Tests quirks Q23 and Q24."""
    objective = build()
    objective.generator.softmax_b.assign(tf.one_hot(1, V, 30.0))  # always the end token
    rollout = objective.rollout(batch, SEED)
    np.testing.assert_array_equal(rollout.sample_lengths_B, np.ones(10))
    assert np.all(objective.rewards_and_advantages(batch, rollout, SEED)["reward/adversarial"][:, 0] < 0)
    objective.generator.softmax_b.assign(tf.one_hot(0, V, 30.0))
    np.testing.assert_array_equal(objective.rollout(batch, SEED).sample_lengths_B, np.full(10, 7))


def doubled(batch):
    return {name: tf.concat([value, value], 0) for name, value in batch.items()}


def test_reference_takes_two_batches_and_two_samples(batch):
    """Quirk Q12: the discriminator is trained on captions of the updated generator for other images."""
    objective, seen = build(semantics="reference"), []
    rollout = objective.rollout
    objective.rollout = lambda *args, **kwargs: seen.append(rollout(*args, **kwargs)) or seen[-1]
    other = doubled(batch) | {"image": tf.concat([batch["image"], -batch["image"]], 0)}
    before = objective.generator.embedding.numpy()
    objective.update(other, SEED)
    assert np.any(objective.generator.embedding != before)
    np.testing.assert_array_equal(seen[1].generator_input, -batch["image"])
    assert np.any(seen[0].sample_BT != seen[1].sample_BT)
    expected = build(semantics="reference")
    expected.update(other, SEED)
    stale = build(semantics="reference").rollout(
        {name: value[10:] for name, value in other.items()}, fold_in(SEED, "discriminator step"), greedy=False
    )
    assert np.any(stale.feature_BE != seen[1].feature_BE)


def test_fixed_shows_both_networks_the_same_captions(batch):
    objective, seen = build(), []
    rollout = objective.rollout
    objective.rollout = lambda *args, **kwargs: seen.append(rollout(*args, **kwargs)) or seen[-1]
    objective.update(batch, SEED)
    assert len(seen) == 1


def test_warm_up_trains_the_discriminator_alone(batch):
    objective = build(dis_warmup_steps=3)
    assert objective.phase(0) == ("warm-up", 3) and objective.phase(3) == ("joint", None)
    before = [variable.numpy() for variable in all_variables(objective)]
    objective.update(batch, SEED, "warm-up")
    parts = len(objective.generator.trainable_variables)
    changed = [np.any(v != b) for v, b in zip(all_variables(objective), before, strict=True)]
    assert not any(changed[:parts]) and all(changed[parts:])


def test_rates_decay_to_zero(batch):
    objective = build(lr_decay_steps=2, dis_warmup_steps=1)
    for phase, changes in (("warm-up", True), ("joint", True), ("joint", True), ("joint", False)):
        before = [variable.numpy() for variable in all_variables(objective)]
        objective.update(batch, SEED, phase)
        assert changes == any(np.any(v != b) for v, b in zip(all_variables(objective), before, strict=True))


def test_switches(batch):
    """A weight of zero removes its reward from the returns, the losses and their gradients."""
    rollout = build().rollout(batch, SEED)
    terms = build(w_obj=0.0, w_mse=0.0).rewards_and_advantages(batch, rollout, SEED)
    assert not np.any(terms["reward/concept"]) and np.any(terms["unweighted/concept"])
    assert not np.any(terms["reward/image"]) and np.any(terms["reward/adversarial"])
    terms = build(w_adv=0.0).rewards_and_advantages(batch, rollout, SEED)
    assert not np.any(terms["reward/adversarial"]) and np.any(terms["reward/concept"])
    metrics, _, _ = build(w_mse=0.0).discriminator_gradients(batch, rollout, SEED)
    assert metrics["loss/discriminator"][0] == metrics["loss/adversarial"][0]
    metrics, _ = build(w_sen=0.0).generator_step(batch, SEED, rollout)
    assert "loss/sentence" not in metrics and metrics["loss/generator"][0] == metrics["loss/policy"][0]


def test_losses_and_rewards_are_logged_without_weights(batch):
    rollout, names = build().rollout(batch, SEED), ("loss/adversarial", "loss/mse", "reward/adversarial")
    logged = []
    for weights in ({}, {"w_adv": 0.02, "w_obj": 1.0, "w_mse": 1.0}, {"w_adv": 0.0, "w_obj": 0.0, "w_mse": 0.0}):
        objective = build(**weights)
        found, _ = objective.generator_step(batch, SEED, rollout)
        found |= objective.discriminator_gradients(batch, rollout, SEED)[0]
        logged.append([float(total / count) for total, count in map(found.get, (*names, "reward/concept"))])
        total = objective.options.w_adv * logged[-1][0] + objective.options.w_mse * logged[-1][1]
        np.testing.assert_allclose(found["loss/discriminator"][0], total, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(logged[1:], [logged[0]] * 2, rtol=1e-6)
    assert all(logged[0])


def test_advantages_without_a_baseline(batch):
    objective = build(baseline="none", advantage_clip=30.0)
    rollout = objective.rollout(batch, SEED)
    terms = objective.rewards_and_advantages(batch, rollout, SEED)
    expected = np.clip(terms["returns"] * rollout.mask_BT.numpy(), -30, 30)
    np.testing.assert_allclose(terms["advantages"], expected, rtol=1e-6)


def test_update_is_a_pure_function_of_the_seed(batch):
    """Two updates are equal bit for bit; a compiled one is equal up to rounding."""
    results = []
    for compiled in (False, False, True):
        objective = build()
        (tf.function(objective.update) if compiled else objective.update)(batch, SEED)
        results.append([variable.numpy() for variable in all_variables(objective)])
    for one, two, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
        assert np.mean(np.abs(one - three) > 1e-5) < 0.02  # Adam's first step magnifies rounding where gradients vanish


def test_unique_rows():
    assert unique_rows(tf.constant([[1, 2, 0], [2, 1, 0], [1, 2, 0], [0, 0, 0]])) == 3


def test_anchor_pulls_the_generator_back_to_its_start(batch):
    """The divergence is 0 at the start; with an anchor alone the generator returns to it after it was moved."""
    weights = {"w_adv": 0.0, "w_obj": 0.0, "w_mse": 0.0, "w_sen": 0.0, "w_anchor": 1.0, "keep_prob": 1.0}
    objective = build(**weights)
    assert set(objective.checkpointed()) == {*build().checkpointed(), "anchor"}
    objective.anchor.remember(objective.generator)
    distance = lambda: sum(  # noqa: E731
        float(tf.reduce_sum((one - other) ** 2))
        for one, other in zip(objective.generator.variables, objective.anchor.generator.variables, strict=True)
    )
    assert float(objective.update(batch, SEED)["loss/anchor"][0]) == pytest.approx(0, abs=1e-4)
    for index, variable in enumerate(objective.generator.trainable_variables):
        variable.assign_add(0.1 * tf.random.stateless_normal(variable.shape, [index, 5]))
    update, moved = tf.function(objective.update), distance()
    values = [float(update(batch, SEED)["loss/anchor"][0]) for _ in range(40)]
    assert values[-1] < 0.3 * values[0] and distance() < 0.9 * moved


def test_without_anchor_there_is_no_copy(batch):
    objective = build()
    assert objective.anchor is None and "loss/anchor" not in objective.update(batch, SEED)
