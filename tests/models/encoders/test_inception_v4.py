"""Inception-v4: folding of batch normalisation, and loading of intact and damaged checkpoints of every kind."""

import numpy as np
import pytest
import tensorflow as tf

from models.encoders import inception_v4

BETA = "InceptionV4/Mixed_5b/Branch_0/Conv2d_0a_1x1/BatchNorm/beta"


@pytest.fixture(scope="module")
def weights():
    return inception_v4.rule_weights()


@pytest.fixture(scope="module")
def slim_file(weights, tmp_path_factory):
    """Writes a single-file TF1 checkpoint, the released one's format, with the extra variables of a training run."""
    path = str(tmp_path_factory.mktemp("slim") / "inception_v4.ckpt")
    extra = {
        "global_step": np.int64(7),
        BETA + "/RMSProp": weights[BETA],
        "InceptionV4/AuxLogits/Aux_logits/biases": np.zeros(1001, np.float32),
    }
    save_v1(path, weights | extra)
    return path


def save_v1(path, arrays):
    tf.raw_ops.Save(filename=path, tensor_names=list(arrays), data=list(arrays.values()))


def save_v2(prefix, arrays):
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=list(arrays), shape_and_slices=[""] * len(arrays), tensors=list(arrays.values())
    )


def test_number_of_variables_and_parameters():
    assert len(inception_v4.variable_shapes()) == 598
    assert len(inception_v4.variable_shapes(aux=True)) == 608
    sizes = [np.prod(shape) for shape in inception_v4.variable_shapes().values()]
    assert sum(sizes) == 42_712_937


def test_folding_equals_batch_normalisation():
    rng = np.random.default_rng(0)
    kernel, images = rng.standard_normal((3, 3, 4, 5)), rng.standard_normal((2, 6, 6, 4))
    beta, mean, variance = rng.standard_normal(5), rng.standard_normal(5), rng.random(5) + 0.1
    plain = tf.nn.conv2d(images, kernel, 1, "SAME").numpy()
    expected = (plain - mean) / np.sqrt(variance + 1e-3) + beta
    folded, bias = inception_v4.fold_batch_norm(kernel, beta, mean, variance)
    assert folded.dtype == bias.dtype == np.float32
    np.testing.assert_allclose(tf.nn.conv2d(images, folded, 1, "SAME") + bias, expected, rtol=1e-5, atol=1e-5)


def test_single_file_checkpoint(weights, slim_file):
    loaded = inception_v4.load_checkpoint(slim_file)
    assert list(loaded) == list(weights)
    for name in weights:
        np.testing.assert_array_equal(loaded[name], weights[name])


def test_prefix_checkpoint(weights, tmp_path):
    save_v2(str(tmp_path / "model.ckpt-1"), weights)
    loaded = inception_v4.load_checkpoint(str(tmp_path / "model.ckpt-1"))
    np.testing.assert_array_equal(loaded[BETA], weights[BETA])


def test_object_checkpoint(weights, tmp_path):
    """TF2's own format names objects, not variables; the variables' names are in its object graph."""
    module = tf.Module()
    module.variables_of_slim = [tf.Variable(array, name=name) for name, array in weights.items()]
    path = tf.train.Checkpoint(net=module).write(str(tmp_path / "ckpt"))
    loaded = inception_v4.load_checkpoint(path)
    np.testing.assert_array_equal(loaded[BETA], weights[BETA])


def test_missing_variable_is_named(weights, tmp_path):
    save_v2(str(tmp_path / "model"), {name: array for name, array in weights.items() if name != BETA})
    with pytest.raises(ValueError, match=f"no variable {BETA}"):
        inception_v4.load_checkpoint(str(tmp_path / "model"))


def test_wrong_shape_is_named(weights, tmp_path):
    save_v2(str(tmp_path / "model"), weights | {BETA: np.zeros(97, np.float32)})
    with pytest.raises(ValueError, match=rf"{BETA} has shape \[97\], expected \[96\]"):
        inception_v4.load_checkpoint(str(tmp_path / "model"))


def test_number_that_is_not_finite_is_named(weights):
    bad = weights[BETA].copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match=BETA):
        inception_v4.InceptionV4(weights | {BETA: bad})


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_cut_short_file_is_named(slim_file, tmp_path, share):
    with open(slim_file, "rb") as file:
        content = file.read()
    path = tmp_path / "cut.ckpt"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="cut.ckpt"):
        inception_v4.load_checkpoint(str(path))


def test_cut_short_data_of_a_prefix_is_named(weights, tmp_path):
    save_v2(str(tmp_path / "model"), weights)
    data = tmp_path / "model.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1_000_000])
    with pytest.raises(ValueError, match="model"):
        inception_v4.load_checkpoint(str(tmp_path / "model"))


def test_absent_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="nothing.ckpt"):
        inception_v4.load_checkpoint(str(tmp_path / "nothing.ckpt"))
