"""The full model's step compared with the numbers of the authors' program (golden/uic_step_*.npz).

Every part is compared at the golden variables of its own starting point, so deviations do not add up. comparison.py has
the tolerances. Our program clips by the norm of the dense gradients. In the steps after the first two, where Adam's
moments depend on earlier clips, the tests clip by the authors' norm (authors_norm.py).
"""

import numpy as np
import pytest
import tensorflow as tf

import config
from models import layers, rewards
from objectives.cross_entropy import teacher_forced
from objectives.full import FullObjective
from tests.parity import adversarial, authors_norm, golden_files
from tests.parity.adversarial import SEED, check_loss
from tests.parity.comparison import (
    assert_adam,
    assert_close,
    assert_first_step,
    assert_gradients,
    assert_later_steps,
    names_of,
)


class GivenFull(adversarial.Given, FullObjective):
    pass


@pytest.fixture(scope="module", params=golden_files.sets("uic_step_*.npz"), ids=lambda path: path.stem)
def golden(request):
    return np.load(request.param)


@pytest.fixture
def objective(golden):
    """The objective with the golden initial variables."""
    options = adversarial.options_of(config.FullModel, golden, "w_obj", "w_mse")
    objective = GivenFull(options, int(golden["cfg/vocab_size"]), golden["in/net"].shape[1])
    adversarial.assign(variables(objective), golden, "var")
    return objective


@pytest.fixture(scope="module")
def batch(golden):
    names = {
        "image": "net",
        "classes": "classes",
        "scores": "scores",
        "num": "num",
        "sentence": "sentence",
        "length": "len",
        "noised": "key",
        "noised_length": "lk",
    }
    return {name: tf.constant(golden[f"in/{key}"]) for name, key in names.items()}


def variables(objective):
    return layers.named_variables(objective.generator, objective.discriminator)


def check_forward(golden, at, objective, batch):
    """Compares what the full model adds to the adversarial part: features, concepts, the image reward."""
    rollout, terms = adversarial.check_forward(golden, at, objective, batch)
    options, mask, discriminator = objective.options, rollout.mask_BT, objective.discriminator
    assert_close(rollout.feature_BE, golden[f"{at}/feat"], "features", "image")
    sentences = {
        "dis_gen": (rollout.sample_BT, rollout.sample_lengths_B),
        "dis_greedy": (rollout.greedy_BT, rollout.greedy_lengths_B),
        "dis_real": (batch["sentence"][:, 1:], batch["length"] - 1),
        "dis_key": (batch["noised"], batch["noised_length"]),
    }
    for name, sentence in sentences.items():
        assert_close(discriminator(*sentence, SEED)[1], golden[f"{at}/{name}/feat"], "features", name)
    unweighted = rewards.adversarial_reward(golden[f"{at}/dis_gen/pred"])
    assert_close(unweighted, golden[f"{at}/d_rewards_unmasked"], "adversarial reward")
    found, greedy_found = terms["unweighted/concept"], terms["baseline/unweighted/concept"]
    assert_close(found, golden[f"{at}/obj_rewards_sampled"], "concept reward")
    assert_close(greedy_found, golden[f"{at}/obj_rewards_greedy"], "concept reward of the baseline")
    assert_close(terms["reward/concept"], golden[f"{at}/o_rewards_unmasked"] * mask, "concept reward")
    image, greedy_image = terms["reward/image"][:, None], terms["baseline/reward/image"][:, None]
    assert_close(-image, golden[f"{at}/dist"], "image reward")
    assert_close(image * mask, golden[f"{at}/l_rewards"], "image reward")
    assert_close(greedy_image * mask, golden[f"{at}/l_baseline"], "image reward of the baseline")
    assert options.w_adv == options.w_sen == 1.0
    return rollout, terms


def check_reconstruction(golden, at, objective, batch):
    """Compares the logits of the sentence reconstruction."""
    sentence_feature = objective.discriminator(batch["noised"], batch["noised_length"], SEED)[1]
    sentence, lengths = batch["sentence"], batch["length"] - 1
    given = sentence_feature, sentence[:, :-1], sentence[:, 1:], lengths
    hidden, targets = teacher_forced(objective.generator, *given)
    np.testing.assert_array_equal(targets, golden[f"{at}/sae_targets"])
    assert_close(objective.generator.logits(hidden), golden[f"{at}/sae_logits"], "logits", "reconstruction")


def check_mse(golden, at, objective, metrics):
    """Compares the image reconstruction, which the authors log with its weight."""
    total, count = metrics["loss/mse"]
    check_loss(golden, at, {"loss/mse": (objective.options.w_mse * total, count)}, "loss/mse", "loss_mse")


def test_variable_names(golden, objective):
    assert sorted(names_of(objective.generator)) == sorted(golden["cfg/generator_variables"])
    assert sorted(names_of(objective.discriminator)) == sorted(golden["cfg/discriminator_variables"])


def test_generator_step(golden, objective, batch):
    at, generator, names = "gen_step", objective.generator, names_of(objective.generator)
    metrics, gradients, _ = adversarial.generator_step(golden, at, objective, batch, check_forward)
    check_reconstruction(golden, at, objective, batch)
    check_loss(golden, at, metrics, "loss/sentence", "sentence_ae_loss")
    check_loss(golden, at, metrics, "mean_found_obj", "mean_found_obj")
    assert_gradients(golden, f"{at}/grad_gen", generator.trainable_variables, gradients, objective.options)
    metrics, others, _ = adversarial.discriminator_step(golden, at, objective, batch, check_forward)
    check_mse(golden, at, objective, metrics)
    variables_of_others = objective.discriminator.trainable_variables
    assert_gradients(golden, f"{at}/grad_dis", variables_of_others, others, objective.options)

    objective.apply(objective.generator_optimizer, gradients, generator, "generator")
    rate = objective.options.gen_lr
    assert_first_step(golden, variables(objective), f"{at}/grad_gen", "after_gen", rate)
    assert_adam(golden, f"{at}/grad_gen", names, "var", "after_gen", rate)


def test_discriminator_step(golden, objective, batch):
    at, discriminator, names = "dis_step", objective.discriminator, names_of(objective.discriminator)
    adversarial.assign(variables(objective), golden, "after_gen")
    metrics, gradients, _ = adversarial.discriminator_step(golden, at, objective, batch, check_forward)
    check_mse(golden, at, objective, metrics)
    assert_gradients(golden, f"{at}/grad_dis", discriminator.trainable_variables, gradients, objective.options)
    objective.apply(objective.discriminator_optimizer, gradients, discriminator, "discriminator")
    rate = objective.options.dis_lr
    assert_first_step(golden, variables(objective), f"{at}/grad_dis", "after_dis", rate)
    assert_adam(golden, f"{at}/grad_dis", names, "after_gen", "after_dis", rate)


def test_logged_loss(golden, objective, batch):
    adversarial.assign(variables(objective), golden, "after_dis")
    adversarial.check_logged_loss(golden, objective, batch)


def test_update(golden, objective, batch):
    """`update` as the training loop calls it: a step of the generator, then of the discriminator on another batch."""
    objective.samples = [golden["gen_step/sample_fed"], golden["dis_step/sample_fed"]]
    objective.update({name: tf.concat([value, value], 0) for name, value in batch.items()}, SEED)
    names = {False: names_of(objective.generator), True: names_of(objective.discriminator)}
    for of_discriminator, prefix in ((False, "gen_step/grad_gen"), (True, "dis_step/grad_dis")):
        updated = {name: variables(objective)[name] for name in names[of_discriminator]}
        assert_first_step(golden, updated, prefix, "after_dis", objective.options.gen_lr)


def test_later_steps(golden, objective, batch):
    """All steps of the file: variables and Adam's moments, clipped as the authors clip."""
    generator, discriminator = objective.generator, objective.discriminator
    optimizers = objective.generator_optimizer, objective.discriminator_optimizer
    samples = [golden["gen_step/sample_fed"], golden["dis_step/sample_fed"], *golden["more/samples"]]
    for index, sample in enumerate(samples):
        rollout = objective.rollout(batch, SEED, sample_BT=sample)
        if index % 2 == 0:
            terms = objective.rewards_and_advantages(batch, rollout, SEED)
            _, gradients = objective.generator_gradients(batch, rollout, terms, SEED)
            norm = authors_norm.generator_norm(objective, batch, rollout, terms, SEED)
            authors_norm.apply_clipped(optimizers[0], gradients, generator.trainable_variables, norm)
        else:
            _, gradients, _ = objective.discriminator_gradients(batch, rollout, SEED)
            norm = authors_norm.discriminator_norm(objective, batch, rollout, SEED)
            authors_norm.apply_clipped(optimizers[1], gradients, discriminator.trainable_variables, norm)
        if index < 2:  # the golden variables are known after these two updates
            adversarial.assign(variables(objective), golden, ("after_gen", "after_dis")[index])
    pairs = list(zip((names_of(generator), names_of(discriminator)), optimizers, strict=True))
    assert_later_steps(
        golden, variables(objective), pairs, "more/var", "more/slot", objective.options.gen_lr, len(samples) // 2
    )
