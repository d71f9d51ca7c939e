"""The last blocks of the image encoder are trained with the captioner: gradients, clipping, replicas, micro-batches."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import cli
import config
from models import encoders
from models.encoders.in_step import InStepEncoder, assign_trained
from objectives.full import FullObjective
from objectives.im_caption import ImageCaptionObjective
from tests.models.encoders import compact_files
from tests.objectives.conftest import ROWS, V

SIZES = {"emb_dim": 8, "mem_dim": 8, "keep_prob": 1.0, "optimizer": "sgd"}
SEED = tf.constant([1, 2], tf.int32)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return f"compact:{compact_files.write(tmp_path_factory.mktemp('encoder') / 'small.npz')}"


@pytest.fixture
def pixels(batch):
    """A batch with pixels in the place of image vectors."""
    random = np.random.default_rng(3)
    crops = random.integers(0, 256, [ROWS, 1, 1, 3]) + random.integers(-60, 60, [ROWS, 32, 32, 3])
    rest = {name: value for name, value in batch.items() if name != "image"}
    return rest | {"pixels": tf.constant(np.clip(crops, 0, 255).astype(np.uint8))}


def im_caption(spec, trained, **changes):
    encode = InStepEncoder(encoders.load_encoder(spec), trained)
    options = config.ImageCaption(**SIZES | {"lr": 0.1, "encoder_lr": 0.1} | changes)
    return ImageCaptionObjective(options, V, encode.encoder.dim, encode)


# --------------------------------------------------------------------------------------------------------------
# The encoder


def test_the_vectors_of_a_step_are_those_of_the_encoder(spec, pixels):
    encoder = encoders.load_encoder(spec)
    whole = encoder.encode(pixels["pixels"].numpy())
    for trained in (0, 2, 5):
        step = InStepEncoder(encoder, trained)
        np.testing.assert_allclose(step(pixels["pixels"]), whole, rtol=1e-3)
        assert len(step.trainable_variables) == 2 * trained
        assert step.present() is encoder and np.array_equal(encoder.encode(pixels["pixels"].numpy()), whole)


def test_the_crop_of_a_step_is_prepared_as_those_of_the_feature_bank(spec):
    encoder = encoders.load_encoder(spec)
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    for draw in (0.0, 0.25, 0.999):
        crop = encoder.step_crop(image, np.array([draw, 0.5]))
        np.testing.assert_array_equal(crop, encoder.crops(image, 1, int(draw * 2**53))[1])


def test_encoders_that_have_too_few_blocks(spec, tmp_path):
    with pytest.raises(cli.UserError, match=r"--train_encoder 6: compact:.* has 5 blocks"):
        InStepEncoder(encoders.load_encoder(spec), 6)
    with pytest.raises(cli.UserError, match="--train_encoder 1: inception_v4:rule cannot be trained; expected"):
        InStepEncoder(encoders.load_encoder("inception_v4:rule"), 1)


def test_weights_of_another_encoder_are_refused(spec):
    encoder = encoders.load_encoder(spec)
    for name, shape in (("kernel_4", (1, 1, 2, 2)), ("kernel_7", (3,))):
        with pytest.raises(cli.UserError, match=rf"RUN/ckpt-1: the weight {name} of the image encoder has shape"):
            assign_trained(encoder, {f"Image_encoder/weights/{name}": np.zeros(shape)}, "RUN/ckpt-1")
    with pytest.raises(cli.UserError, match="RUN/ckpt-1: has no weights of the image encoder"):
        assign_trained(encoder, {"Generator/embedding": np.zeros(3)}, "RUN/ckpt-1")


# --------------------------------------------------------------------------------------------------------------
# Updates


def test_the_gradient_is_the_slope_of_the_loss(spec, pixels):
    objective = im_caption(spec, 2)
    metrics, gradients = objective.gradients(pixels, SEED)
    words = float(metrics["loss/sentence"][1])
    names = {variable.ref(): name for name, variable in objective.encode.weights.items()}
    slopes = {
        names[variable.ref()]: gradient
        for variable, gradient in zip(objective.trainable_variables[-4:], gradients[-4:], strict=True)
    }
    for name in ("kernel_3", "bias_3", "kernel_4", "bias_4"):
        variable, slope = objective.encode.weights[name], slopes[name]
        step = 0.001 * slope / tf.norm(slope) * tf.norm(variable)
        losses = []
        for sign in (1.0, -2.0):
            variable.assign_add(sign * step)
            losses.append(float(objective.evaluate(pixels)[0]) / words)
        variable.assign_add(step)
        expected = float(tf.reduce_sum(2.0 * step * slope))
        assert losses[0] - losses[1] == pytest.approx(expected, rel=0.05) and expected > 0, name


@pytest.mark.parametrize("semantics", ["fixed", "reference"])
def test_only_the_last_blocks_change_by_their_own_clipped_gradient(spec, pixels, semantics):
    clip, rate = 1e-4, 0.5
    objective = im_caption(spec, 2, clip_norm=clip, encoder_lr=rate, semantics=semantics)
    before = {name: variable.numpy() for name, variable in objective.encode.weights.items()}
    metrics = objective.update(pixels, SEED)
    moved = np.sqrt(sum(np.sum((objective.encode.weights[n].numpy() - old) ** 2) for n, old in before.items()))
    assert float(metrics["gradient_norm/image_encoder"][0]) > clip
    assert moved == pytest.approx(rate * clip, rel=1e-2)  # its own norm, not that of all gradients together
    assert sorted(before) == ["bias_3", "bias_4", "kernel_3", "kernel_4"]


def test_without_trained_blocks_a_checkpoint_has_no_encoder(spec, pixels):
    objective = im_caption(spec, 0)
    assert sorted(objective.checkpointed()) == ["generator", "optimizer", "standardise"]
    assert "gradient_norm/image_encoder" not in objective.update(pixels, SEED)
    assert sorted(im_caption(spec, 1).checkpointed()) == [
        "generator",
        "image_encoder",
        "image_encoder_optimizer",
        "optimizer",
        "standardise",
    ]


def test_the_rate_of_the_encoder_falls_with_that_of_the_captioner(spec, pixels):
    objective = im_caption(spec, 1, encoder_lr=0.02, lr_decay_steps=4)
    rates = []
    for index in range(5):
        rates.append(float(objective.encoder_updates.optimizer.learning_rate))
        objective.update(pixels, SEED + index)
    np.testing.assert_allclose(rates, 0.02 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 4)), atol=1e-8)


class GivenCaptions(FullObjective):
    """The full model with samples that are a function of the image, and sentences without noise."""

    def rollout(self, batch, seed, greedy=True, sample_BT=None):
        first_BT = tf.cast(tf.reshape(batch["pixels"], [tf.shape(batch["pixels"])[0], -1])[:, :6], tf.int32)
        return super().rollout(batch, seed, greedy, first_BT % V)

    def noised(self, batch, seed):
        return batch["sentence"][:, 1:], batch["length"] - 1


def full(spec, **changes):
    encode = InStepEncoder(encoders.load_encoder(spec), 2)
    options = config.FullModel(**SIZES | {"max_caption_length": 6, "gen_lr": 0.1, "encoder_lr": 0.1} | changes)
    return GivenCaptions(options, V, encode.encoder.dim, encode)


def test_the_full_model_trains_the_encoder_with_the_generator(spec, pixels):
    """The discriminator's warm-up changes nothing."""
    objective = full(spec, dis_warmup_steps=5)
    variables = objective.encode.trainable_variables
    for phase in ("warm-up", "joint"):
        before = [variable.numpy() for variable in variables]
        metrics = objective.update(pixels, SEED, phase)
        changes = [np.abs(new - old).max() for new, old in zip(variables, before, strict=True)]
        assert all(change > 0 for change in changes) if phase == "joint" else not any(changes)
    assert float(metrics["gradient_norm/image_encoder"][0]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("semantics", ["fixed", "reference"])
def test_the_full_model_in_micro_batches(spec, pixels, semantics):
    found = []
    for accumulate in (1, 5):
        objective = full(spec, semantics=semantics, accumulate=accumulate)
        before = [variable.numpy() for variable in objective.encode.trainable_variables]
        tf.function(objective.update)(pixels, SEED)
        found.append([variable.numpy() for variable in objective.encode.trainable_variables])
    for old, whole, divided in zip(before, *found, strict=True):
        assert np.abs(whole - old).max() > 0
        np.testing.assert_allclose(divided, whole, atol=1e-6)


SCRIPT = """
import sys
import numpy as np
import config
from models import encoders
from models.encoders.in_step import InStepEncoder
from objectives.im_caption import ImageCaptionObjective
from tests.objectives import two_devices

pixels = np.random.default_rng(1).integers(0, 256, [8, 32, 32, 3]).astype(np.uint8)
shared = dict(emb_dim=8, mem_dim=8, keep_prob=1.0, lr=0.1, encoder_lr=10.0, clip_norm=0.2, optimizer="sgd")
spec = sys.argv[1]

def make(accumulate):
    encode = InStepEncoder(encoders.load_encoder(spec), 2)
    return ImageCaptionObjective(config.ImageCaption(accumulate=accumulate, **shared), 31, encode.encoder.dim, encode)

for replicas, accumulate, output in (1, 1, sys.argv[2]), (2, 2, sys.argv[3]):
    two_devices.run(replicas, output, lambda: make(accumulate), pixels, "pixels")
"""


def test_one_device_and_two_with_micro_batches(spec, tmp_path):
    outputs = [tmp_path / f"{name}.npz" for name in ("one", "several")]
    subprocess.run([sys.executable, "-c", SCRIPT, spec, *outputs], check=True, capture_output=True)
    one, several = (np.load(output) for output in outputs)
    assert len(one.files) > 10
    np.testing.assert_allclose(one["losses"], several["losses"], rtol=1e-5)
    for name in one.files:
        assert np.abs(one[name] - several[name]).max() <= 1e-6 * max(np.abs(one[name]).max(), 1.0), name
