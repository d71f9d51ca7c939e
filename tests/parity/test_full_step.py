"""The full model's step against the numbers of the authors' program (golden/uic_step_*.npz).

Tolerances: 1e-5 of the largest magnitude of an array; variables after an Adam step 1e-5 absolute. Our clipping takes
the norm of the dense gradients, so it is compared with `global_norm_dense` and with gradients scaled by that norm.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import config
from models import layers, rewards
from models.generator import shift_right
from models.token_loss import weighted_cross_entropy
from objectives.full import FullObjective
from tests.parity import golden_files
from training.optimization import EPSILON

SEED = tf.constant([1, 2], tf.int32)


class GivenNoise(FullObjective):
    """The objective with the golden file's noised sentences in place of drawn ones."""

    def noised(self, batch, seed):
        return batch["noised"], batch["noised_length"]


def assert_close(ours, golden, name, tolerance=1e-5):
    ours, golden = np.asarray(ours, np.float64), np.asarray(golden, np.float64)
    assert ours.shape == golden.shape, name
    scale = max(np.abs(golden).max(initial=0.0), 1e-30)
    deviation = np.abs(ours - golden).max(initial=0.0) / scale
    assert deviation <= tolerance, f"{name}: {deviation:.2e} relative to the largest magnitude {scale:.3g}"


def build(golden):
    options = config.FullModel(
        semantics="reference",
        emb_dim=int(golden["cfg/emb_dim"]),
        mem_dim=int(golden["cfg/mem_dim"]),
        keep_prob=1.0,
        gen_lr=float(golden["cfg/gen_lr"]),
        dis_lr=float(golden["cfg/dis_lr"]),
        beta1=float(golden["cfg/beta1"]),
        w_obj=float(golden["cfg/w_obj"]),
        w_mse=float(golden["cfg/w_mse"]),
        max_caption_length=int(golden["cfg/max_caption_length"]),
    )
    objective = GivenNoise(options, int(golden["cfg/vocab_size"]), golden["in/net"].shape[1])
    for name, variable in variables(objective).items():
        variable.assign(golden[f"var/{name}"])
    return objective


def variables(objective):
    return layers.named_variables(objective.generator, objective.discriminator)


def batch_of(golden):
    return {
        "image": tf.constant(golden["in/net"]),
        "classes": tf.constant(golden["in/classes"]),
        "scores": tf.constant(golden["in/scores"]),
        "num": tf.constant(golden["in/num"]),
        "sentence": tf.constant(golden["in/sentence"]),
        "length": tf.constant(golden["in/len"]),
        "noised": tf.constant(golden["in/key"]),
        "noised_length": tf.constant(golden["in/lk"]),
    }


def names_of(network):
    return [variable.name.split(":")[0] for variable in network.trainable_variables]


def check_gradients(golden, prefix, names, gradients):
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    for name, gradient in zip(names, dense, strict=True):
        assert_close(gradient, golden[f"{prefix}/raw/{name}"], f"{prefix}/raw/{name}")
    clipped, norm = tf.clip_by_global_norm(dense, 10.0)
    assert_close(norm, golden[f"{prefix}/global_norm_dense"], f"{prefix}/norm")
    used, dense_norm = float(golden[f"{prefix}/global_norm_used"]), float(golden[f"{prefix}/global_norm_dense"])
    factor = min(1.0, 10.0 / dense_norm) / min(1.0, 10.0 / used)  # theirs is clipped by the norm of un-summed rows
    for name, gradient in zip(names, clipped, strict=True):
        assert_close(gradient, golden[f"{prefix}/clip/{name}"] * factor, f"{prefix}/clip/{name}")


def check_forward(golden, at, objective, batch):
    """Everything before the update, with the golden sample; returns what the gradients need."""
    rollout = objective.rollout(batch, SEED, sample_BT=tf.constant(golden[f"{at}/sample_fed"]))
    options = objective.options
    signals = objective.signals(batch, rollout, SEED)
    mask = np.asarray(rollout.mask_BT)
    np.testing.assert_array_equal(mask.astype(bool), golden[f"{at}/mask"])
    np.testing.assert_array_equal(rollout.sample_lengths_B, golden[f"{at}/len_sampled"])
    np.testing.assert_array_equal(rollout.greedy_lengths_B, golden[f"{at}/len_greedy"])
    steps = options.max_caption_length
    state = objective.generator.initial_state(rollout.feature_BE)
    everything = tf.fill(rollout.sample_lengths_B.shape, steps)
    greedy = objective.generator.decode(state, steps, at_least_B=everything)
    np.testing.assert_array_equal(greedy, golden[f"{at}/greedy"])
    check_log_probs(golden, at, objective, state, everything)

    assert_close(rollout.feature_BE, golden[f"{at}/feat"], "feat")
    assert_close(signals["logits"], golden[f"{at}/dis_gen/pred"], "pred of sample")
    assert_close(signals["sentence_feature"], golden[f"{at}/dis_gen/feat"], "feature of sample")
    assert_close(signals["baseline/sentence_feature"], golden[f"{at}/dis_greedy/feat"], "feature of greedy")
    # Past a row's end only the bias of fc is left, whatever words stand there.
    assert_close(signals["baseline/logits"], golden[f"{at}/dis_greedy/pred"], "pred of greedy")
    real = objective.discriminator(batch["sentence"][:, 1:], batch["length"] - 1, SEED)
    assert_close(real[0], golden[f"{at}/dis_real/pred"], "pred of real")
    assert_close(real[1], golden[f"{at}/dis_real/feat"], "feature of real")
    code = objective.discriminator(batch["noised"], batch["noised_length"], SEED)[1]
    assert_close(code, golden[f"{at}/dis_key/feat"], "feature of noised")
    assert_close(rewards.adversarial_reward(signals["logits"]), golden[f"{at}/d_rewards_unmasked"], "adversarial")
    assert_close(signals["concept"], options.w_obj * golden[f"{at}/obj_rewards_sampled"], "concept")
    assert_close(signals["baseline/concept"], options.w_obj * golden[f"{at}/obj_rewards_greedy"], "greedy concept")
    assert_close(-signals["image"][:, None], golden[f"{at}/dist"], "distance")
    assert_close(signals["image"][:, None] * mask, golden[f"{at}/l_rewards"], "image reward")
    assert_close(signals["baseline/image"][:, None] * mask, golden[f"{at}/l_baseline"], "image reward of greedy")
    assert_close(signals["adversarial"] + signals["concept"], golden[f"{at}/rewards"], "rewards")
    assert_close(signals["baseline/adversarial"] + signals["baseline/concept"], golden[f"{at}/baselines"], "baselines")
    assert_close(signals["returns"], golden[f"{at}/cum_rewards"], "returns")
    assert_close(signals["baseline/returns"], golden[f"{at}/cum_baseline"], "baseline returns")
    assert_close(signals["advantages"], golden[f"{at}/advantages"], "advantages")
    return rollout, signals


def check_log_probs(golden, at, objective, state, everything):
    """log p of every given word, also past the end, by teacher forcing."""
    sample = tf.constant(golden[f"{at}/sample_fed"])
    generator = objective.generator
    hidden = generator.hidden_states(state, shift_right(sample), everything)
    assert_close(
        generator.logits(tf.reshape(hidden, [-1, hidden.shape[-1]])),
        golden[f"{at}/logits"].reshape(-1, generator.vocabulary_size),
        "logits",
    )
    flat = tf.reshape(sample, [-1])
    _, log_probs, _, _ = weighted_cross_entropy(
        tf.reshape(hidden, [-1, hidden.shape[-1]]),
        generator.embedding,
        generator.softmax_b,
        flat,
        tf.ones_like(flat, tf.float32),
        chunk=7,
    )
    assert_close(tf.reshape(log_probs, sample.shape), golden[f"{at}/log_probs"], "log_probs")


def check_losses(golden, at, metrics):
    value = lambda name: metrics[name][0] / metrics[name][1]  # noqa: E731
    assert_close(value("loss/policy"), golden[f"{at}/gen_objective"], "gen_objective", 2e-5)
    assert_close(value("loss/sentence"), golden[f"{at}/sentence_ae_loss"], "sentence_ae_loss")
    assert_close(value("loss/generator"), golden[f"{at}/gen_loss_total"], "gen_loss_total")
    assert_close(value("loss/adversarial"), golden[f"{at}/dis_loss_gan"], "dis_loss_gan")
    assert_close(value("loss/mse"), golden[f"{at}/loss_mse"], "loss_mse")
    assert_close(value("loss/discriminator"), golden[f"{at}/dis_loss_total"], "dis_loss_total")
    assert_close(value("mean_found_obj"), golden[f"{at}/mean_found_obj"], "mean_found_obj")


def check_adam(golden, prefix, names, before, after, learning_rate):
    """Our Adam, fed the gradients that the authors applied, gives their variables."""
    ours = [tf.Variable(golden[f"{before}/{name}"]) for name in names]
    optimizer = keras.optimizers.Adam(learning_rate, float(golden["cfg/beta1"]), 0.999, EPSILON)
    optimizer.apply([tf.constant(golden[f"{prefix}/clip/{name}"]) for name in names], ours)
    for name, variable in zip(names, ours, strict=True):
        np.testing.assert_allclose(variable, golden[f"{after}/{name}"], atol=2e-6, rtol=0, err_msg=name)


def check_update(golden, objective, after, prefix):
    """Variables after our own gradient and step: 1e-5 absolute.

    Adam's first step divides a gradient by its own size, so where a gradient is below 1e-4 of its array's
    largest, float32 noise of a millionth of the largest (on both sides) is magnified; only there the bound grows.
    """
    for name, variable in variables(objective).items():
        bound = np.full(variable.shape, 1e-5)
        if f"{prefix}/clip/{name}" in golden.files:
            size = np.abs(golden[f"{prefix}/clip/{name}"])
            small = (size > 0) & (size < 1e-4 * size.max())
            magnified = objective.options.gen_lr * 1e-6 * size.max() / np.maximum(size, 1e-12)
            bound += np.where(small, np.minimum(magnified, 2 * objective.options.gen_lr), 0)
            assert np.mean(small) <= 0.1, name
        excess = np.abs(np.asarray(variable) - golden[f"{after}/{name}"]) - bound
        assert excess.max() <= 0, f"{name} at {np.unravel_index(excess.argmax(), excess.shape)}: {excess.max():.2e}"


@pytest.mark.parametrize("path", golden_files.sets("uic_step_*.npz"), ids=lambda path: path.stem)
def test_full_step(path):
    golden = np.load(path)
    objective, batch = build(golden), batch_of(golden)
    generator_names, discriminator_names = names_of(objective.generator), names_of(objective.discriminator)
    assert sorted(generator_names) == sorted(golden["cfg/generator_variables"].tolist())
    assert sorted(discriminator_names) == sorted(golden["cfg/discriminator_variables"].tolist())

    # (1) the generator's update
    rollout, signals = check_forward(golden, "gen_step", objective, batch)
    metrics, generator_gradients = objective.generator_gradients(batch, rollout, signals, SEED)
    more, discriminator_gradients, _ = objective.discriminator_gradients(batch, rollout, SEED)
    check_losses(golden, "gen_step", metrics | more)
    check_gradients(golden, "gen_step/grad_gen", generator_names, generator_gradients)
    check_gradients(golden, "gen_step/grad_dis", discriminator_names, discriminator_gradients)
    objective.apply(objective.generator_optimizer, generator_gradients, objective.generator, "generator")
    check_adam(golden, "gen_step/grad_gen", generator_names, "var", "after_gen", objective.options.gen_lr)
    check_update(golden, objective, "after_gen", "gen_step/grad_gen")

    # (2) the discriminator's update, with a new sample of the updated generator
    rollout, signals = check_forward(golden, "dis_step", objective, batch)
    more, discriminator_gradients, _ = objective.discriminator_gradients(batch, rollout, SEED)
    check_gradients(golden, "dis_step/grad_dis", discriminator_names, discriminator_gradients)
    objective.apply(objective.discriminator_optimizer, discriminator_gradients, objective.discriminator, "dis")
    check_adam(golden, "dis_step/grad_dis", discriminator_names, "after_gen", "after_dis", objective.options.dis_lr)
    check_update(golden, objective, "after_dis", "dis_step/grad_dis")

    # (3) three more steps of both
    for index, sample in enumerate(golden["more/samples"]):
        rollout = objective.rollout(batch, SEED, sample_BT=tf.constant(sample))
        if index % 2 == 0:
            _, gradients = objective.generator_step(batch, SEED, rollout)
            objective.apply(objective.generator_optimizer, gradients, objective.generator, "generator")
        else:
            _, gradients, _ = objective.discriminator_gradients(batch, rollout, SEED)
            objective.apply(objective.discriminator_optimizer, gradients, objective.discriminator, "discriminator")
    for name, variable in variables(objective).items():
        deviation = np.abs(np.asarray(variable) - golden[f"more/var/{name}"])
        assert np.mean(deviation <= 1e-5) >= 0.95, name
        assert deviation.max() <= objective.options.gen_lr, name
