"""The step of sentence_gan compared with the numbers of the authors' program (golden/sentence_gan_*.npz)."""

import numpy as np
import pytest
import tensorflow as tf

import config
from models import layers
from objectives.sentence_gan import SentenceGanObjective
from tests.parity import adversarial, golden_files
from tests.parity.adversarial import SEED
from tests.parity.comparison import assert_adam, assert_first_step, assert_gradients, names_of


class GivenGan(adversarial.Given, SentenceGanObjective):
    def generator_input(self, batch, seed):
        return batch["noise"]


@pytest.fixture(scope="module", params=golden_files.sets("sentence_gan_*.npz"), ids=lambda path: path.stem)
def golden(request):
    return np.load(request.param)


@pytest.fixture
def objective(golden):
    """The objective with the golden initial variables."""
    options = adversarial.options_of(config.SentenceGan, golden)
    objective = GivenGan(options, int(golden["cfg/vocab_size"]))
    adversarial.assign(variables(objective), golden, "var")
    return objective


@pytest.fixture(scope="module")
def batch(golden):
    names = {"sentence": "sentence", "length": "len", "noise": "noise"}
    return {name: tf.constant(golden[f"in/{key}"]) for name, key in names.items()}


def variables(objective):
    return layers.named_variables(objective.generator, objective.discriminator)


def test_variable_names(golden, objective):
    expected = [name.removeprefix("var/") for name in golden.files if name.startswith("var/")]
    assert sorted(variables(objective)) == sorted(expected)


def test_generator_step(golden, objective, batch):
    at, names, rate = "gen_step", names_of(objective.generator), objective.options.gen_lr
    _, gradients, _ = adversarial.generator_step(golden, at, objective, batch, adversarial.check_forward)
    assert_gradients(golden, f"{at}/grad_gen", objective.generator.trainable_variables, gradients, objective.options)
    objective.apply(objective.generator_optimizer, gradients, objective.generator, "generator")
    assert_first_step(golden, variables(objective), f"{at}/grad_gen", "after_gen", rate)
    assert_adam(golden, f"{at}/grad_gen", names, "var", "after_gen", rate)


def test_discriminator_step(golden, objective, batch):
    at, names, rate = "dis_step", names_of(objective.discriminator), objective.options.dis_lr
    adversarial.assign(variables(objective), golden, "after_gen")
    _, gradients, _ = adversarial.discriminator_step(golden, at, objective, batch, adversarial.check_forward)
    assert_gradients(
        golden, f"{at}/grad_dis", objective.discriminator.trainable_variables, gradients, objective.options
    )
    objective.apply(objective.discriminator_optimizer, gradients, objective.discriminator, "discriminator")
    assert_first_step(golden, variables(objective), f"{at}/grad_dis", "after_dis", rate)
    assert_adam(golden, f"{at}/grad_dis", names, "after_gen", "after_dis", rate)


def test_logged_loss(golden, objective, batch):
    adversarial.assign(variables(objective), golden, "after_dis")
    adversarial.check_logged_loss(golden, objective, batch)


def test_update(golden, objective, batch):
    """`update` as the training loop calls it: a step of the generator, then of the discriminator."""
    objective.samples = [golden["gen_step/sample_fed"], golden["dis_step/sample_fed"]]
    objective.update(batch, SEED)
    updated = variables(objective)
    for network, prefix in ((objective.generator, "gen_step/grad_gen"), (objective.discriminator, "dis_step/grad_dis")):
        part = {name: updated[name] for name in names_of(network)}
        assert_first_step(golden, part, prefix, "after_dis", objective.options.gen_lr)
