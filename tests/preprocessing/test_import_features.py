"""Imported features: the bank's numbers and statistics, names matched, everything odd named."""

import dataclasses
import json
import os

import h5py
import numpy as np
import pytest

import cli
from formats import sidecars
from input_pipeline import FeatureBank, ImageSet
from preprocessing import import_features
from tests import tiny_world

DIM = 7


@pytest.fixture
def world(tmp_path):
    tiny_world.make(tmp_path, images=20, sentences=5)
    for path in tmp_path.glob("features_*"):
        os.remove(path)
    return tmp_path


def image_names():
    return [f"train_{i:03d}.jpg" for i in range(20)] + [f"val_{i:03d}.jpg" for i in range(10)]


def vectors(shape=(DIM,), seed=0):
    """{name: array} in an order of their own, with one image more than the records have."""
    rng = np.random.default_rng(seed)
    names = [*image_names(), "other.jpg"]
    return {names[i]: rng.normal(size=shape).astype(np.float32) for i in rng.permutation(len(names))}


def write_npy(folder, values, names=None):
    np.save(folder / "vectors.npy", np.stack(list(values.values())))
    (folder / "vectors.txt").write_text("\n".join(names or values) + "\n")
    return import_features.Options(
        data_dir=str(folder), features=str(folder / "vectors.npy"), names=str(folder / "vectors.txt")
    )


def write_hdf5(folder, values):
    with h5py.File(folder / "vectors.hdf5", "w") as file:
        for name, value in values.items():
            file[name] = value
    return import_features.Options(data_dir=str(folder), features=str(folder / "vectors.hdf5"))


def check_bank(folder, values):
    for split in ("train", "val"):
        bank = FeatureBank(str(folder), split)
        names = [name for name in image_names() if name.startswith(split)]
        expected = np.stack([values[name] for name in names])
        assert bank.names == names and bank.features.dtype == np.float16
        np.testing.assert_allclose(np.asarray(bank.features, np.float32), expected, rtol=1e-3, atol=1e-4)
        flat = np.asarray(bank.features, np.float64).reshape(-1, expected.shape[-1])
        for found, wanted in zip(bank.statistics, (flat.mean(0), flat.std(0)), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert sidecars.read_sidecar(str(folder / "features_train.json"))["finite"] is True


def test_npy_with_names(world):
    values = vectors()
    import_features.main(write_npy(world, values))
    check_bank(world, {name: value[None] for name, value in values.items()})
    assert ImageSet.from_bank(str(world), "val").bank.dim == DIM
    assert not list(world.glob("*.part"))


def test_crops_and_cells(world):
    values = vectors((3, DIM))
    options = write_npy(world, values)
    import_features.main(options)
    check_bank(world, values)
    import_features.main(dataclasses.replace(options, layout="cells", overwrite=True))
    check_bank(world, {name: value[None] for name, value in values.items()})
    assert sidecars.read_sidecar(str(world / "features_train.json"))["cells"] == 3


def test_hdf5_of_the_fork(world):
    values = vectors((1, DIM))
    import_features.main(write_hdf5(world, values))
    check_bank(world, values)


def test_several_files_and_names_without_extension(world):
    values = {name.removesuffix(".jpg"): value for name, value in vectors((1, DIM)).items()}
    half = dict(list(values.items())[:15])
    options = write_npy(world, half)
    rest = write_hdf5(world, {name: value for name, value in values.items() if name not in half})
    import_features.main(dataclasses.replace(options, features=f"{options.features},{rest.features}"))
    check_bank(world, {f"{name}.jpg": value for name, value in values.items()})


def test_names_in_a_json_file(world):
    values = vectors()
    options = write_npy(world, values)
    (world / "names.json").write_text(json.dumps({"names": list(values)}))
    import_features.main(dataclasses.replace(options, names=str(world / "names.json")))
    check_bank(world, {name: value[None] for name, value in values.items()})


def test_nothing_to_do_and_other_vectors(world, capsys):
    options = write_npy(world, vectors())
    import_features.main(options)
    import_features.main(options)
    assert capsys.readouterr().out.count("complete (") == 2
    with pytest.raises(cli.UserError, match="(?s)made with other settings.*--overwrite"):
        import_features.main(write_npy(world, vectors(seed=1)))


def test_images_without_vectors_are_named(world):
    values = vectors()
    del values["val_003.jpg"], values["val_007.jpg"]
    with pytest.raises(cli.UserError, match=r"2 of 10 images have no vectors in .*: val_003\.jpg, val_007\.jpg\."):
        import_features.main(write_npy(world, values))
    assert not list(world.glob("features_*"))


@pytest.mark.parametrize(("number", "message"), [(np.nan, "not finite"), (1e6, "too large for float16")])
def test_numbers_that_cannot_be_kept(world, number, message):
    values = vectors()
    values["train_011.jpg"][2] = number
    with pytest.raises(cli.UserError, match=rf"train_011\.jpg: a feature is {message}"):
        import_features.main(write_npy(world, values))
    assert not (world / "features_train.npy").exists() and not (world / "features_train.json").exists()


def test_broken_input(world):
    values = vectors()
    with pytest.raises(cli.UserError, match=r"has shape \[31, 7\], but .* has 30 names"):
        import_features.main(write_npy(world, values, list(values)[:-1]))
    with pytest.raises(cli.UserError, match=r"train_000\.jpg occurs twice"):
        import_features.main(write_npy(world, values, ["train_000.jpg"] * len(values)))
    good = write_npy(world, values)
    (world / "text.npy").write_text("no")
    (world / "text.hdf5").write_text("no")
    for changes, message in (
        ({"features": ""}, "--features names no file"),
        ({"features": f"{world}/none.npy"}, "--features .*none.npy: expected a file"),
        ({"names": None}, "gives 0 files for 1 .npy"),
        ({"names": f"{world}/none.txt"}, "none.txt: no such file; expected for --names"),
        ({"features": f"{world}/text.npy"}, "text.npy: not a readable .npy file"),
        ({"features": f"{world}/text.hdf5", "names": None}, "not a readable HDF5"),
        ({"splits": ("all",)}, "--splits all"),
        ({"encoder": "magic:x"}, "--encoder 'magic:x'"),
    ):
        with pytest.raises(cli.UserError, match=message):
            import_features.main(dataclasses.replace(good, **changes))


def test_datasets_of_different_shapes(world):
    values = vectors((1, DIM))
    values["train_004.jpg"] = np.zeros((1, DIM + 1), np.float32)
    with pytest.raises(cli.UserError, match=r"train_004\.jpg has shape \[1, 8\], other images have \[1, 7\]"):
        import_features.main(write_hdf5(world, values))
    values["train_004.jpg"] = np.zeros((1, DIM), np.int32)
    os.remove(world / "vectors.hdf5")
    with pytest.raises(cli.UserError, match="expected real vectors"):
        import_features.main(write_hdf5(world, values))


def test_with_its_encoder(world):
    """A run can then caption new photographs: the encoder is described as extract_features would."""
    from models import encoders
    from models.encoders import registry
    from tests import photo_world

    photo_world.write_encoder(world / "encoder.npz")
    spec = f"compact:{world}/encoder.npz"
    dim = encoders.load_encoder(spec).dim
    import_features.main(dataclasses.replace(write_npy(world, vectors((dim,))), encoder=spec))
    description = sidecars.read_sidecar(str(world / "features_val.json"))["encoder"]
    assert registry.load_encoder_from(description).dim == dim
    with pytest.raises(cli.UserError, match=f"makes vectors of {dim} dimensions and no cells, the files have 7"):
        import_features.main(dataclasses.replace(write_npy(world, vectors()), encoder=spec, overwrite=True))


def test_without_an_encoder_a_run_is_told_so(world):
    from models.encoders import registry

    import_features.main(write_npy(world, vectors()))
    description = sidecars.read_sidecar(str(world / "features_val.json"))["encoder"]
    with pytest.raises(ValueError, match="no such kind"):
        registry.load_encoder_from(description)
