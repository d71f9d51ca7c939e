"""obj2sen, sentence_ae and im_caption compared with the numbers of the authors' program (golden/KIND_*.npz)."""

import numpy as np
import pytest
import tensorflow as tf

import config
from models import layers
from objectives.cross_entropy import teacher_forced
from objectives.im_caption import ImageCaptionObjective
from objectives.obj2sen import ObjectToSentenceObjective
from objectives.sentence_ae import SentenceAutoEncoderObjective
from tests.parity import adversarial, authors_norm, golden_files
from tests.parity.comparison import (
    assert_adam,
    assert_close,
    assert_first_step,
    assert_gradients,
    assert_later_steps,
    names_of,
)

SEED = tf.constant([1, 2], tf.int32)


class GivenOrder(ObjectToSentenceObjective):
    def ordered(self, batch, seed):
        return batch["key"]


class GivenNoise(SentenceAutoEncoderObjective):
    def noised(self, batch, seed):
        return batch["key"], batch["key_length"]


KINDS = {
    "obj2sen": (GivenOrder, config.ObjectToSentence),
    "sentence_ae": (GivenNoise, config.SentenceAutoEncoder),
    "im_caption": (ImageCaptionObjective, config.ImageCaption),
}
PATHS = [path for kind in KINDS for path in golden_files.sets(f"{kind}_*.npz")]


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def golden(request):
    return np.load(request.param)


@pytest.fixture
def objective(golden):
    """The objective with the golden initial variables."""
    objective_class, options_class = KINDS[str(golden["cfg/module"])]
    options = options_class(
        semantics="reference",
        emb_dim=int(golden["cfg/emb_dim"]),
        mem_dim=int(golden["cfg/mem_dim"]),
        keep_prob=float(golden["cfg/keep_prob"]),
        lr=float(golden["cfg/lr"]),
        beta1=float(golden["cfg/beta1"]),
    )
    image_dim = [golden["in/net"].shape[1]] if "in/net" in golden.files else []
    objective = objective_class(options, int(golden["cfg/vocab_size"]), *image_dim)
    adversarial.assign(variables(objective), golden, "var")
    return objective


@pytest.fixture(scope="module")
def batch(golden):
    names = {"sentence": "sentence", "length": "len", "key": "key", "key_length": "lk", "image": "net"}
    return {name: tf.constant(golden[f"in/{key}"]) for name, key in names.items() if f"in/{key}" in golden.files}


def variables(objective):
    return layers.named_variables(*objective.networks.values())


def test_variable_names(golden, objective):
    assert sorted(variables(objective)) == sorted(golden["cfg/variable_order"])


def test_forward(golden, objective, batch):
    """Features, logits, predictions, loss and accuracy; without dropout the evaluation gives the same values."""
    feature = objective.feature(batch, SEED)
    assert_close(feature, golden["step1/feat"], "features")
    if "step1/enc_h" in golden.files:
        read = objective.discriminator.read(batch["key"], batch["key_length"], SEED)
        assert_close(read[1], golden["step1/enc_h"], "encoder's state")
    sentence, lengths = batch["sentence"], batch["length"] - 1
    parts = (feature, sentence[:, :-1], sentence[:, 1:], lengths, None, objective.input_embedding)
    hidden, targets = teacher_forced(objective.generator, *parts)
    np.testing.assert_array_equal(targets, golden["step1/targets"])
    np.testing.assert_array_equal(tf.sequence_mask(lengths, sentence.shape[1] - 1), golden["step1/mask"])
    logits = objective.generator.logits(hidden)
    assert_close(logits, golden["step1/logits_masked"], "logits")
    np.testing.assert_array_equal(tf.argmax(logits, 1), golden["step1/predictions_masked"])

    metrics, _ = objective.gradients(batch, SEED)
    value = {name: total / count for name, (total, count) in metrics.items()}
    assert_close(value["loss"], golden["step1/loss"], "losses")
    assert_close(value["loss/sentence"], golden["step1/loss"], "losses")
    assert_close(value["accuracy/sentence"], golden["step1/acc"], "accuracy")
    loss, right, words = objective.evaluate(batch)
    assert_close(loss / words, golden["step1/loss"], "losses", "evaluation")
    assert_close(right / words, golden["step1/acc"], "accuracy", "evaluation")


def test_first_step(golden, objective, batch):
    names, rate = names_of(*objective.networks.values()), objective.options.lr
    _, gradients = objective.gradients(batch, SEED)
    assert_gradients(golden, "step1/grad", objective.trainable_variables, gradients, objective.options)
    with authors_norm.unsummed_rows():
        norm = authors_norm.norm_of(objective.gradients(batch, SEED)[1])
    assert_close(norm, golden["step1/grad/global_norm_used"], "authors' norm")
    objective.update(batch, SEED)
    assert_first_step(golden, variables(objective), "step1/grad", "after1", rate)
    assert_adam(golden, "step1/grad", names, "var", "after1", rate)


def test_later_steps(golden, objective, batch):
    """Five steps on one batch, clipped as the authors clip: losses, variables and Adam's moments."""
    losses = []
    for step in range(5):
        metrics, gradients = objective.gradients(batch, SEED)
        losses.append(float(metrics["loss"][0] / metrics["loss"][1]))
        with authors_norm.unsummed_rows():
            norm = authors_norm.norm_of(objective.gradients(batch, SEED)[1])
        authors_norm.apply_clipped(objective.optimizer, gradients, objective.trainable_variables, norm)
        if step == 0:  # the golden variables are known after this update
            adversarial.assign(variables(objective), golden, "after1")
    assert_close(losses[1:], golden["more/losses_steps_2_to_5"], "losses", "later")
    pairs = [(names_of(*objective.networks.values()), objective.optimizer)]
    assert_later_steps(golden, variables(objective), pairs, "after5", "slot5", objective.options.lr, 5)
