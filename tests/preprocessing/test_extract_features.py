"""extract_features: the bank's content and order, its statistics, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest

import cli
from formats import images, records
from models import encoders
from models.encoders import registry
from models.encoders.tflite import TFLiteModel
from preprocessing import extract_features
from preprocessing.sharding import shards
from tests import small_networks
from tests.preprocessing.picture_files import jpeg, pixels, write_pictures


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return small_networks.encoder(tmp_path_factory.mktemp("network") / "small.tflite")


@pytest.fixture
def options(tmp_path, network):
    """Records of ten training images in two shards and of four validation images; none for test."""
    names = write_pictures(tmp_path / "photographs", 14)
    write_records(tmp_path / "data", "train", names[:10], tmp_path / "photographs", 2)
    write_records(tmp_path / "data", "val", names[10:], tmp_path / "photographs", 1)
    return extract_features.Options(data_dir=str(tmp_path / "data"), encoder=f"tflite:{network}", processes=1)


def write_records(data_dir, split, names, photographs, count, with_data=True):
    data_dir.mkdir(exist_ok=True)
    for i in range(count):
        chosen = names[i::count]
        examples = [
            records.image_example(name, (photographs / name).read_bytes() if with_data else b"", [3], [0.5])
            for name in chosen
        ]
        records.write_records(shards.shard_path(str(data_dir), f"image_{split}", i, count), examples)


def run(options, **changes):
    return extract_features.main(dataclasses.replace(options, **changes))


def bank_of(options, split):
    with open(f"{options.data_dir}/features_{split}.json") as file:
        return np.load(f"{options.data_dir}/features_{split}.npy"), json.load(file)


def expected(options, name, photographs, crops):
    encoder = encoders.load_encoder(options.encoder)
    image = images.read_image(photographs / name)
    return encoder.encode(encoder.crops(image, crops, shards.digest_of(name))).astype(np.float16)


def test_bank(options, tmp_path):
    run(options, crops=2)
    bank, about = bank_of(options, "train")
    assert bank.shape == (10, 3, 6) and bank.dtype == np.float16
    assert about["names"] == records.read_images(records.find_files(options.data_dir, "image_train")).names
    assert about["names"][0] == "pic_0000.jpg" and about["names"][1] == "pic_0002.jpg"
    for name, row in zip(about["names"], bank, strict=True):
        np.testing.assert_array_equal(row, expected(options, name, tmp_path / "photographs", 2))
    assert not np.array_equal(bank[:, 0], bank[:, 1])
    assert bank_of(options, "val")[0].shape == (4, 3, 6)


def test_sidecar(options, network):
    run(options, crops=1)
    bank, about = bank_of(options, "train")
    vectors = bank.astype(np.float64).reshape(-1, 6)
    np.testing.assert_allclose(about["mean"], vectors.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(about["std"], vectors.std(axis=0), rtol=1e-9)
    assert (about["count"], about["dim"], about["crops"], about["finite"]) == (10, 6, 1, True)
    assert registry.load_encoder_from(about["encoder"]).dim == 6
    assert about["encoder"]["preprocessing"]["resize"] == "modern"
    assert about["files"][0]["bytes"] == 128 + bank.nbytes


def test_batches_do_not_change_the_result(options, tmp_path, monkeypatch):
    run(options, crops=2)
    whole = bank_of(options, "train")[0]
    run(options, crops=2, batch_size=1, overwrite=True)
    np.testing.assert_array_equal(bank_of(options, "train")[0], whole)
    monkeypatch.setattr(extract_features, "CROPS_PER_PART", 9)
    run(options, crops=2, overwrite=True)
    np.testing.assert_array_equal(bank_of(options, "train")[0], whole)


def test_grid(options, network):
    number = next(n for n, d in TFLiteModel(network).tensors().items() if list(d["shape"]) == [1, 4, 4, 6])
    run(options, encoder=f"tflite:{network}#{number}", crops=1)
    bank, about = bank_of(options, "val")
    assert bank.shape == (4, 2, 16, 6) and about["cells"] == 16 and len(about["mean"]) == 6
    np.testing.assert_allclose(about["mean"], bank.astype(np.float64).reshape(-1, 6).mean(axis=0), rtol=1e-9)


def test_resize_is_recorded_and_matters(options, tmp_path):
    write_pictures(tmp_path / "photographs", 14, size=(96, 128))
    write_records(
        tmp_path / "data", "val", images.image_names(tmp_path / "photographs")[10:], tmp_path / "photographs", 1
    )
    run(options, splits=("val",), resize="legacy")
    legacy, about = bank_of(options, "val")
    assert about["encoder"]["preprocessing"]["resize"] == "legacy"
    with pytest.raises(cli.UserError, match="encoder preprocessing resize: legacy there, modern wanted"):
        run(options, splits=("val",))
    run(options, splits=("val",), overwrite=True)
    assert not np.array_equal(bank_of(options, "val")[0], legacy)


def test_records_without_bytes_read_the_folder(options, tmp_path):
    run(options)
    with_bytes = bank_of(options, "train")[0]
    names = images.image_names(tmp_path / "photographs")
    write_records(tmp_path / "data", "train", names[:10], tmp_path / "photographs", 2, with_data=False)
    with pytest.raises(cli.UserError, match="have no image bytes.*--image_dir"):
        run(options)
    run(options, image_dir=str(tmp_path / "photographs"), overwrite=True)
    np.testing.assert_array_equal(bank_of(options, "train")[0], with_bytes)


def test_complete_output_is_left_alone(options, tmp_path, capsys):
    run(options)
    before = (tmp_path / "data/features_train.npy").stat().st_mtime_ns
    capsys.readouterr()
    run(options)
    printed = capsys.readouterr().out
    assert printed.count("nothing to do") == 3 and "no image_test records" in printed
    assert (tmp_path / "data/features_train.npy").stat().st_mtime_ns == before
    with pytest.raises(cli.UserError, match="crops: 0 there, 3 wanted"):
        run(options, crops=3)


def test_new_photographs_are_noticed(options, tmp_path):
    run(options)
    (tmp_path / "photographs/pic_0000.jpg").write_bytes(jpeg(pixels(50, 50)))
    names = images.image_names(tmp_path / "photographs")
    write_records(tmp_path / "data", "train", names[:10], tmp_path / "photographs", 2)
    with pytest.raises(cli.UserError, match=r"images names_and_sizes: (.|\n)*--overwrite"):
        run(options)


@pytest.mark.parametrize(("value", "message"), [(np.nan, "not finite"), (-np.inf, "not finite"), (70000.0, "float16")])
def test_numbers_that_float16_cannot_hold_name_their_image(value, message):
    features = np.ones((3, 2, 4), np.float32)
    extract_features.check_finite(features, ["a.jpg", "b.jpg", "c.jpg"])
    features[1, 1, 2] = value
    with pytest.raises(cli.UserError, match=f"b.jpg: .*{message}"):
        extract_features.check_finite(features, ["a.jpg", "b.jpg", "c.jpg"])


def test_damaged_image_in_a_record_is_named(options, tmp_path):
    (tmp_path / "photographs/pic_0012.jpg").write_bytes(b"no picture")
    names = images.image_names(tmp_path / "photographs")
    write_records(tmp_path / "data", "val", names[10:], tmp_path / "photographs", 1)
    with pytest.raises(cli.UserError, match="pic_0012.jpg: not an image file.*process_images"):
        run(options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": ""}, "--encoder"),
        ({"encoder": "vgg:file"}, "--encoder"),
        ({"encoder": "tflite:/nowhere.tflite"}, "nowhere.tflite"),
        ({"crops": -1}, "--crops"),
        ({"splits": ("train", "dev")}, "--splits"),
        ({"splits": ("test",)}, "process_images"),
        ({"image_dir": "/nowhere"}, "--image_dir"),
    ],
)
def test_wrong_settings(options, changes, message):
    with pytest.raises(cli.UserError, match=message):
        run(options, **changes)
