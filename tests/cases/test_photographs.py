"""Photographs as phones write them: every place where they come in shows the network what a viewer shows a person."""

import io
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import caption
import cli
from captioning import photographs
from evaluation.report import run_facts
from formats import images, records
from models import encoders
from models.encoders import base
from preprocessing import detect_objects, extract_features, import_features, process_images
from preprocessing.sharding import shards
from tests import given_world, tiny_runs
from tests.cases import turned
from tests.preprocessing.picture_files import pixels
from training import setup
from web import showing

FOREGROUND = f"{tiny_runs.ROOT}/docs/examples/foreground.py:dog"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The stages' own world, whose photographs lie in all eight ways; `old` is its data folder made with --noexif."""
    folder = tmp_path_factory.mktemp("phone")
    made = given_world.make(folder)
    for i, name in enumerate(sorted(os.listdir(made.photos))):
        path = os.path.join(made.photos, name)
        with Image.open(path) as image:
            shown = np.asarray(image.convert("RGB"))
        kind = "JPEG" if i % 2 else "PNG"
        pathlib.Path(path).write_bytes(turned.file_bytes(shown, 1 + i % 8, kind))
    shutil.copytree(made.data, folder / "old")
    for data, exif in ((made.data, True), (str(folder / "old"), False)):
        process_images.main(_process_options(made, data, exif))
    return made


def _process_options(world, data, exif):
    lists = f"jsonl:{world.folder}/lists"
    return process_images.Options(
        data_dir=data, image_dir=world.photos, dataset=lists, processes=1, overwrite=True, exif=exif
    )


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return f"compact:{given_world.write_encoder(str(tmp_path_factory.mktemp('encoder') / 'small.npz'))}"


def with_features(world, spec, name, exif):
    data = os.path.join(world.folder, f"data_{name}")
    shutil.copytree(world.data if exif else os.path.join(world.folder, "old"), data)
    extract_features.main(extract_features.Options(data_dir=data, encoder=spec, crops=1, processes=1))
    return data


@pytest.fixture(scope="module")
def data(world, spec):
    """exif -> data folder with features."""
    return {exif: with_features(world, spec, f"exif_{exif}", exif) for exif in (True, False)}


@pytest.fixture(scope="module")
def runs(world, data):
    """exif -> a run that learned from such photographs; that without is one of an earlier version."""
    return {exif: given_world.untrained_run(data[exif], os.path.join(world.folder, f"run_{exif}")) for exif in data}


@pytest.fixture
def phone(tmp_path):
    """The same scene in files of all eight orientations, and as a picture that is stored upright."""
    shown = pixels(60, 80, seed=5)
    for orientation in turned.SHOWN:
        (tmp_path / f"phone{orientation}.png").write_bytes(turned.file_bytes(shown, orientation))
    Image.fromarray(shown).save(tmp_path / "upright.png")
    return tmp_path


def said(run, *paths, **flags):
    output = os.path.join(os.path.dirname(run), "said.json")
    options = caption.Options(paths=tuple(map(str, paths)), job_dir=run, output=output, nbest=3, **flags)
    assert caption.main(options) == 0
    with open(output) as file:
        return {entry.pop("image_id"): entry for entry in json.load(file)}


# --------------------------------------------------------------------------------------------------------------
# The data stages


@pytest.mark.parametrize("exif", [True, False])
def test_the_bank_holds_vectors_of_the_pictures_that_are_shown(world, data, spec, exif):
    encoder = encoders.load_encoder(spec, exif=exif)
    with open(f"{data[exif]}/features_val.json") as file:
        about = json.load(file)
    bank = np.load(f"{data[exif]}/features_val.npy")
    for name, row in zip(about["names"], bank, strict=True):
        kept = images.jpeg_bytes(os.path.join(world.photos, name), exif)
        wanted = encoder.encode(encoder.crops(images.read_image(kept, exif), 1, shards.digest_of(name)))
        np.testing.assert_array_equal(row, wanted.astype(np.float16))
    assert about["encoder"]["preprocessing"]["decode"] == base.EXIF[exif]
    assert not np.array_equal(np.load(f"{data[True]}/features_val.npy"), np.load(f"{data[False]}/features_val.npy"))


def test_noexif_leaves_the_sidecars_of_earlier_versions(data):
    for exif, folder in data.items():
        with open(f"{folder}/image_train.json") as file:
            assert json.load(file)["settings"].get("exif", False) is exif


def test_features_cannot_be_made_otherwise_than_the_records(world, spec, data):
    for exif, folder in data.items():
        options = extract_features.Options(data_dir=folder, encoder=spec, crops=1, processes=1, exif=not exif)
        flag = "--exif" if exif else "--noexif"
        with pytest.raises(cli.UserError, match=f"process_images made .*image_train with {flag}"):
            extract_features.main(options)


def test_the_detector_sees_what_is_shown(world, tmp_path):
    """A dark patch in the upper right corner: its box is there, however the file lies."""
    shown = np.full((40, 60, 3), 230, np.uint8)
    shown[2:20, 40:56] = 20
    for orientation in turned.SHOWN:
        (tmp_path / f"{orientation}.jpg").write_bytes(turned.file_bytes(shown, orientation, "JPEG"))
    for exif in (True, False):
        options = {"image_dir": str(tmp_path), "detector": FOREGROUND, "processes": 1, "exif": exif}
        data = str(tmp_path / f"data{exif}")
        detect_objects.main(detect_objects.Options(data_dir=data, **options))
        found = dict(records.each_detections(records.find_files(data, "detections")))
        near = [np.allclose(items[0].box, (0.05, 2 / 3, 0.5, 14 / 15), atol=0.04) for items in found.values()]
        assert len(near) == 8 and sum(near) == (8 if exif else 1)
        with open(f"{data}/detections.json") as file:
            assert json.load(file)["settings"].get("exif", False) is exif


def test_stages_that_see_the_photographs_differently_say_so(world, tmp_path, capsys):
    shutil.copytree(world.data, tmp_path / "data")  # detect_objects ran with --exif
    process_images.main(_process_options(world, str(tmp_path / "data"), False))
    assert "NOTE: objects were detected with --exif, records are made with --noexif" in capsys.readouterr().out
    process_images.main(_process_options(world, str(tmp_path / "data"), True))
    assert "NOTE: objects" not in capsys.readouterr().out


def test_an_encoder_in_the_step_sees_what_is_shown(world, spec):
    found = records.read_images(records.find_files(world.data, "image_train"), with_data=True)
    draws = np.zeros((1, 2))
    seeing = [encoders.load_encoder(spec, exif=exif) for exif in (True, False)]
    for location in found.data[:8]:
        data = records.read_at(location)
        upright = turned.file_bytes(images.read_image(data), 1, "JPEG")
        with_tag, without = (setup.load_random_crops([location], draws, encoder) for encoder in seeing)
        with Image.open(world.photos + "/" + found.names[found.data.index(location)]) as image:
            lies = image.format == "JPEG" and image.getexif()[turned.ORIENTATION] != 1
        assert images.is_turned(data) == lies and np.array_equal(with_tag, without) == (not lies)
        np.testing.assert_array_equal(images.read_image(upright, False).shape, images.read_image(data).shape)


# --------------------------------------------------------------------------------------------------------------
# caption.py


def alike(entry, wanted):
    """Whether two entries of caption.py say the same, up to the rounding of another place in the batch."""
    texts, log_probs = (
        [[one[key] for one in said["nbest"]] for said in (entry, wanted)] for key in ("caption", "log_prob")
    )
    return texts[0] == texts[1] and log_probs[0] == pytest.approx(log_probs[1], abs=1e-4)


def test_all_eight_get_the_caption_of_the_upright_picture(runs, phone, capsys):
    found = said(runs[True], phone)
    wanted = found.pop("upright.png")
    assert len(found) == 8
    assert all(alike(entry, wanted) for entry in found.values())
    assert "NOTE" not in capsys.readouterr().err


def test_a_run_of_an_earlier_version_captions_as_it_did_and_says_so(runs, phone, capsys):
    found = said(runs[False], phone)
    wanted = found.pop("upright.png")
    same = [name for name, entry in found.items() if alike(entry, wanted)]
    assert "phone1.png" in same and len(same) < 8
    message = f"NOTE: 7 photographs, the first {phone}/phone2.png, were captioned without their EXIF orientation"
    assert message in capsys.readouterr().err


def test_the_flag_decides(runs, phone, capsys):
    turns, leaves = (said(runs[not exif], phone, exif=exif) for exif in (True, False))
    assert all(alike(entry, turns["upright.png"]) for entry in turns.values())
    assert not all(alike(entry, leaves["upright.png"]) for entry in leaves.values())
    assert "NOTE" not in capsys.readouterr().err


def test_a_photograph_is_captioned_as_it_was_scored(world, runs, data):
    """The vectors of the bank are those of the files, turned or not, where the record keeps the file's own bytes."""
    for exif, run in runs.items():
        with open(f"{data[exif]}/features_val.json") as file:
            names = json.load(file)["names"]
        bank = np.load(f"{data[exif]}/features_val.npy")[:, 0].astype(np.float32)
        encoder = encoders.load_encoder_from(f"{run}/encoder")
        for name, row in zip(names, bank, strict=True):
            path = os.path.join(world.photos, name)
            with Image.open(path) as image:
                kept = image.format == "JPEG"
            found = encoder.encode(encoder.crops(images.read_image(path, encoder.exif), 0, 0))[0]
            assert np.array_equal(found, row) or not kept


# --------------------------------------------------------------------------------------------------------------
# Runs that are told concepts, vectors from elsewhere, the report


@pytest.mark.parametrize(("detected", "processed"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_run_keeps_how_its_detector_saw_the_photographs(world, tmp_path, detected, processed):
    data = shutil.copytree(world.data if processed else os.path.join(world.folder, "old"), tmp_path / "data")
    shared = {"data_dir": str(data), "image_dir": world.photos, "processes": 1, "overwrite": True}
    detect_objects.main(detect_objects.Options(detector=f"annotations:{world.objects}", exif=detected, **shared))
    photographs.keep_detector(_Run(tmp_path), str(data))
    assert photographs.read_detector(str(tmp_path))["settings"]["exif"] is detected


class _Run:
    """What keep_detector reads of a RunDirectory."""

    writes = True

    def __init__(self, folder):
        self.file = lambda name: str(folder / name)


def test_vectors_from_elsewhere_say_what_they_saw(world, data, spec, tmp_path):
    with open(f"{data[True]}/features_val.json") as file:
        names = json.load(file)["names"]
    (tmp_path / "names.txt").write_text("\n".join(names))
    shutil.copy(f"{data[True]}/features_val.npy", tmp_path / "vectors.npy")
    for exif in (True, False):
        folder = str(tmp_path / f"data{exif}")
        shutil.copytree(world.data, folder)
        files = {"features": f"{tmp_path}/vectors.npy", "names": f"{tmp_path}/names.txt"}
        options = import_features.Options(data_dir=folder, splits=("val",), encoder=spec, exif=exif, **files)
        import_features.main(options)
        with open(f"{folder}/features_val.json") as file:
            assert json.load(file)["encoder"]["preprocessing"]["decode"] == base.EXIF[exif]


def test_the_report_shows_what_the_network_saw(world, data):
    names = [name for name in sorted(os.listdir(world.photos)) if name.startswith("val")]
    for exif, folder in data.items():
        small = run_facts.thumbnails(folder, "val", names)
        for name in names:
            kept = images.read_image(images.jpeg_bytes(os.path.join(world.photos, name), exif), exif)
            with Image.open(io.BytesIO(small[name])) as picture:
                assert picture.size == kept.shape[1::-1] and picture.size[0] <= 220
                assert np.abs(np.asarray(picture).astype(int) - kept).mean() < 12


# --------------------------------------------------------------------------------------------------------------
# The page


def test_the_page_shows_the_picture_as_the_run_sees_it(runs, phone):
    from web import endpoint, turns

    shown = [showing.Shown(run, "best") for run in runs.values()]
    for run in shown:
        assert run.source.exif == (run.job_dir == runs[True])
    pictures, answers = endpoint.answer_of(shown, str(phone / "phone6.png"), "beam3", 0.3, turns.Turns())
    assert [picture.shape for picture in pictures] == [(60, 80, 3), (80, 60, 3)]
    assert [answer.lies_otherwise for answer in answers] == [False, True]
    said = [endpoint.as_json(run, answer) for run, answer in zip(shown, answers, strict=True)]
    assert "note" not in said[0] and "as it is stored" in said[1]["note"]
    _, upright = endpoint.answer_of(shown, str(phone / "upright.png"), "beam3", 0.3, turns.Turns())
    assert upright[0].hypotheses == answers[0].hypotheses and not upright[1].lies_otherwise
    turns_all = showing.Shown(runs[False], "best", exif=True)
    assert (
        turns_all.answer(str(phone / "phone6.png")).hypotheses
        == turns_all.answer(str(phone / "upright.png")).hypotheses
    )
