"""Comparisons with the golden numbers that the steps of the full model and of sentence_gan share."""

import numpy as np
import tensorflow as tf

from models import rewards
from models.generator import shift_right
from models.token_loss import weighted_cross_entropy
from tests.parity import authors_norm
from tests.parity.comparison import assert_close

SEED = tf.constant([1, 2], tf.int32)


class Given:
    """A mixin for an objective that replaces random samples and noise by given ones."""

    samples = ()  # the samples that `update` uses, one after the other

    def noised(self, batch, seed):
        return batch["noised"], batch["noised_length"]

    def rollout(self, batch, seed, greedy=True, sample_BT=None):
        if sample_BT is None:
            sample_BT, *self.samples = self.samples
        return super().rollout(batch, seed, greedy, tf.constant(sample_BT))


def options_of(options_class, golden, *names):
    """Returns the settings of the golden run. Args: names: settings of its options class that are not common to all."""
    floats = ("keep_prob", "gen_lr", "dis_lr", "beta1", *names)
    sizes = ("emb_dim", "mem_dim", "max_caption_length")
    settings = {name: float(golden[f"cfg/{name}"]) for name in floats}
    settings |= {name: int(golden[f"cfg/{name}"]) for name in sizes}
    return options_class(semantics="reference", **settings)


def assign(variables, golden, prefix):
    for name, variable in variables.items():
        variable.assign(golden[f"{prefix}/{name}"])


def check_forward(golden, at, objective, batch):
    """Compares all values before the update, for the golden sample; returns the inputs of the gradients."""
    options, generator = objective.options, objective.generator
    rollout = objective.rollout(batch, SEED, sample_BT=golden[f"{at}/sample_fed"])
    terms = objective.rewards_and_advantages(batch, rollout, SEED)
    np.testing.assert_array_equal(rollout.sample_lengths_B, golden[f"{at}/len_sampled"])
    np.testing.assert_array_equal(rollout.greedy_lengths_B, golden[f"{at}/len_greedy"])
    np.testing.assert_array_equal(rollout.mask_BT.numpy() > 0, golden[f"{at}/dis_gen/mask"])

    # Greedy words are identical, also those after the end token, which the authors decode too.
    steps = options.max_caption_length
    state = generator.initial_state(rollout.feature_BE)
    everything = tf.fill(rollout.sample_lengths_B.shape, steps)
    greedy = generator.decode(state, steps, at_least_B=everything)
    np.testing.assert_array_equal(greedy, golden[f"{at}/greedy"])
    check_log_probs(golden, at, generator, state, everything)

    discriminator = objective.discriminator
    real_logits, _ = discriminator(batch["sentence"][:, 1:], batch["length"] - 1, SEED)
    assert_close(real_logits, golden[f"{at}/dis_real/pred"], "discriminator's logits", "real")
    assert_close(terms["logits"], golden[f"{at}/dis_gen/pred"], "discriminator's logits", "sample")
    # After the end of a row the reward is the bias of fc, whatever words follow.
    assert_close(terms["baseline/logits"], golden[f"{at}/dis_greedy/pred"], "discriminator's logits", "greedy")
    unmasked = rewards.adversarial_reward(golden[f"{at}/dis_gen/pred"])
    assert_close(terms["reward/adversarial"], unmasked * rollout.mask_BT, "adversarial reward")
    total = lambda prefix: terms[f"{prefix}reward/adversarial"] + terms[f"{prefix}reward/concept"]  # noqa: E731
    assert_close(total(""), golden[f"{at}/rewards"], "rewards")
    assert_close(total("baseline/"), golden[f"{at}/baselines"], "rewards of the baseline")
    assert_close(terms["returns"], golden[f"{at}/cum_rewards"], "returns")
    assert_close(terms["baseline/returns"], golden[f"{at}/cum_baseline"], "returns of the baseline")
    assert_close(terms["advantages"], golden[f"{at}/advantages"], "advantages")
    return rollout, terms


def check_log_probs(golden, at, generator, state, lengths):
    """Compares logits and log p of every given word by teacher forcing, also after the end token."""
    sample = tf.constant(golden[f"{at}/sample_fed"])
    hidden = generator.hidden_states(state, shift_right(sample), lengths)
    flat_hidden, flat = tf.reshape(hidden, [-1, hidden.shape[-1]]), tf.reshape(sample, [-1])
    logits = tf.reshape(generator.logits(flat_hidden), [*sample.shape, generator.vocabulary_size])
    assert_close(logits, golden[f"{at}/logits"], "logits")
    weights = tf.ones_like(flat, tf.float32)
    parts = (generator.embedding, generator.softmax_b, flat, weights)
    _, log_probs, _, _ = weighted_cross_entropy(flat_hidden, *parts, chunk=7)
    assert_close(tf.reshape(log_probs, sample.shape), golden[f"{at}/log_probs"], "log-probabilities")


def check_loss(golden, at, metrics, name, key, scale=0.0):
    total, count = metrics[name]
    assert_close(total / count, golden[f"{at}/{key}"], "losses", key, scale=scale)


def policy_scale(golden, at):
    """Returns the mean magnitude of the terms of the policy loss, whose sum may be near zero (both signs occur)."""
    terms = np.abs(golden[f"{at}/advantages"] * golden[f"{at}/log_probs"])
    return terms.sum() / golden[f"{at}/dis_gen/mask"].sum()


def check_logged_loss(golden, objective, batch):
    """Compares the loss that the third pass of the authors' step logs: the sum of all losses for another sample."""
    rollout = objective.rollout(batch, SEED, sample_BT=golden["log_step/sample_fed"])
    terms = objective.rewards_and_advantages(batch, rollout, SEED)
    metrics, _ = objective.generator_gradients(batch, rollout, terms, SEED)
    more, _, _ = objective.discriminator_gradients(batch, rollout, SEED)
    losses = [float(total / count) for total, count in (metrics["loss/generator"], more["loss/discriminator"])]
    # The policy loss has either sign, so the sum may be near zero.
    assert_close(sum(losses), golden["log_step/loss"], "losses", "logged", scale=max(map(abs, losses)))


def generator_step(golden, at, objective, batch, check):
    """Returns (gradients, authors' norm) of the generator for a golden sample; `check` compares the forward pass."""
    rollout, terms = check(golden, at, objective, batch)
    metrics, gradients = objective.generator_gradients(batch, rollout, terms, SEED)
    check_loss(golden, at, metrics, "loss/policy", "gen_objective", policy_scale(golden, at))
    check_loss(golden, at, metrics, "loss/generator", "gen_loss_total", policy_scale(golden, at))
    norm = authors_norm.generator_norm(objective, batch, rollout, terms, SEED)
    assert_close(norm, golden[f"{at}/grad_gen/global_norm_used"], "authors' norm", "generator")
    return metrics, gradients, norm


def discriminator_step(golden, at, objective, batch, check):
    """Returns (gradients, authors' norm) of the discriminator for a golden sample."""
    rollout, _ = check(golden, at, objective, batch)
    metrics, gradients, _ = objective.discriminator_gradients(batch, rollout, SEED)
    check_loss(golden, at, metrics, "loss/adversarial", "dis_loss_gan")
    check_loss(golden, at, metrics, "loss/discriminator", "dis_loss_total")
    norm = authors_norm.discriminator_norm(objective, batch, rollout, SEED)
    assert_close(norm, golden[f"{at}/grad_dis/global_norm_used"], "authors' norm", "discriminator")
    return metrics, gradients, norm
