"""caption.py: captions files and folders with any content, from a copied run directory."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import caption
import cli
import train
from captioning.captioner import Captioner
from formats.images import read_image
from models.encoders import registry
from tests import photo_world, tiny_runs
from web import showing


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns a copy of a run whose data and original folder were removed."""
    folder = tmp_path_factory.mktemp("captioning")
    world = photo_world.make(str(folder / "world"))
    train.main(tiny_runs.full(world, folder / "original", max_steps=16))
    shutil.copytree(folder / "original", folder / "copy")
    shutil.move(os.path.join(world, "photos"), folder / "photos")
    shutil.rmtree(folder / "original")
    shutil.rmtree(world)
    return folder / "copy"


@pytest.fixture(scope="module")
def photos(run):
    return run.parent / "photos"


def captions(run, *paths, **flags):
    """Runs caption.py; returns (exit code, parsed output file)."""
    output = run.parent / f"out{len(os.listdir(run.parent))}.json"
    options = caption.Options(paths=tuple(map(str, paths)), job_dir=str(run), output=str(output), **flags)
    code = caption.main(options)
    return code, json.loads(output.read_text())


def test_a_folder_in_coco_results_format(run, photos):
    code, found = captions(run, photos)
    assert code == 0
    assert [entry["image_id"] for entry in found] == sorted(os.listdir(photos))
    assert all(entry["caption"] and entry["log_prob"] < 0 for entry in found)
    assert {"<S>", "</S>"}.isdisjoint(word for entry in found for word in entry["caption"].split())


def test_the_captions_are_those_of_the_encoders_vectors(run, photos):
    encoder = registry.load_encoder_from(str(run / "encoder"))
    captioner = Captioner.from_run(str(run))
    names = sorted(os.listdir(photos))[:5]
    vectors = encoder.encode(np.stack([encoder.crops(read_image(str(photos / name)), 0, 0)[0] for name in names]))
    wanted = captioner.captions_of(names, vectors, "greedy")
    _, found = captions(run, *[photos / name for name in names], decode="greedy", batch_size=2)
    assert {entry["image_id"]: entry["caption"] for entry in found} == wanted
    assert np.abs(captioner.standardise.mean.numpy()).max() > 0, "the statistics come from the checkpoint"


@pytest.mark.parametrize("decode", ["greedy", "beam1", "beam5"])
def test_decodings(run, photos, decode):
    _, found = captions(run, photos / "val_000.jpg", decode=decode)
    assert len(found) == 1 and found[0]["caption"]


def test_the_run_says_how_it_is_decoded_by_default(run, photos, tmp_path):
    content = json.loads((run / "config.json").read_text())
    assert content["settings"]["decode"] == "beam3"
    same = lambda found, **flags: found == captions(run, photos, **flags)[1]  # noqa: E731
    assert same(captions(run, photos)[1], decode="beam3")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for decode in ("greedy", "beam8,min_length=5"):
        content["settings"]["decode"] = decode
        (other / "config.json").write_text(json.dumps(content))
        _, found = captions(other, photos)
        assert same(found, decode=decode) and not same(found, decode="beam3")
        assert same(captions(other, photos, decode="beam3")[1]) and same(
            captions(other, photos, samples=2)[1], samples=2
        )
        assert showing.Shown(str(other), "best").answer(str(photos / "val_000.jpg")).hypotheses[0].text == next(
            entry["caption"] for entry in found if entry["image_id"] == "val_000.jpg"
        )
    _, shortened = captions(other, photos, min_length=6)  # a setting beside the run's decoding
    assert same(shortened, decode="beam8,min_length=6")
    content["settings"]["decode"] = "beam3,unheard"
    (other / "config.json").write_text(json.dumps(content))
    with pytest.raises(cli.UserError, match="unheard"):
        captions(other, photos)


def test_n_best_are_ordered_and_begin_with_the_best(run, photos):
    _, best = captions(run, photos)
    _, several = captions(run, photos, nbest=3)
    for one, many in zip(best, several, strict=True):
        assert many["caption"] == one["caption"] == many["nbest"][0]["caption"] and len(many["nbest"]) == 3
        log_probs = [found["log_prob"] for found in many["nbest"]]
        assert log_probs == sorted(log_probs, reverse=True) and log_probs[0] == one["log_prob"]


def test_length_normalisation_orders_by_log_p_a_word(run, photos):
    _, found = captions(run, photos, nbest=3, length_normalization=1.0, decode="beam3")
    assert all(len(entry["nbest"]) <= 3 and entry["nbest"][0]["caption"] == entry["caption"] for entry in found)


def test_samples_are_written_with_the_log_probabilities_of_their_words(run, photos):
    flags = {"samples": 4, "top_p": 0.9, "sample_seed": 2, "min_length": 2}
    _, found = captions(run, photos, **flags)
    _, again = captions(run, photos, **flags, batch_size=3)
    texts = [[one["caption"] for one in entry["nbest"]] for entry in found]
    assert [[one["caption"] for one in entry["nbest"]] for entry in again] == texts and {len(t) for t in texts} == {4}
    for one in found[0]["nbest"]:
        assert sum(log_prob for _, log_prob in one["words"]) == pytest.approx(one["log_prob"], abs=1e-4)
        assert len(one["caption"].split()) >= 2
    _, other = captions(run, photos, **flags | {"sample_seed": 3})
    assert [[one["caption"] for one in entry["nbest"]] for entry in other] != texts


@pytest.mark.parametrize("kind", ["text", "json", "jsonl"])
def test_formats(run, photos, capsys, kind):
    paths = (str(photos / "val_000.jpg"), str(photos / "val_001.jpg"))
    assert caption.main(caption.Options(paths=paths, job_dir=str(run), format=kind)) == 0
    printed = capsys.readouterr().out
    if kind == "text":
        rows = [line.split("\t") for line in printed.splitlines()]
        assert [row[0] for row in rows] == ["val_000.jpg", "val_001.jpg"] and all(len(row) == 2 for row in rows)
    else:
        entries = json.loads(printed) if kind == "json" else [json.loads(line) for line in printed.splitlines()]
        assert [entry["image_id"] for entry in entries] == ["val_000.jpg", "val_001.jpg"]


def test_the_ending_of_the_output_chooses_the_format(run, photos, tmp_path):
    for ending, first in ((".json", "["), (".jsonl", "{"), (".txt", "v")):
        path = tmp_path / f"captions{ending}"
        caption.main(caption.Options(paths=(str(photos / "val_000.jpg"),), job_dir=str(run), output=str(path)))
        assert path.read_text()[0] == first and not (tmp_path / f"captions{ending}.part").exists()


# --------------------------------------------------------------------------------------------------------------
# Contents of folders


@pytest.fixture
def mixed(tmp_path):
    """Makes a folder with images of many kinds and files that are not images."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    plain = photo_world.picture(3, 1)
    plain.save(folder / "plain.jpg")
    plain.convert("CMYK").save(folder / "cmyk.jpg")
    plain.convert("L").save(folder / "grey.png")
    plain.convert("RGBA").save(folder / "transparent.webp")
    frames = [photo_world.picture(noun, noun) for noun in (3, 4, 5)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "truncated.jpg").write_bytes((folder / "plain.jpg").read_bytes()[:900])
    (folder / ".hidden.jpg").write_bytes(b"")
    (folder / "sub").mkdir()
    return folder


GOOD = ["animated.gif", "cmyk.jpg", "grey.png", "plain.jpg", "transparent.webp"]


def test_broken_images_are_reported_and_the_rest_go_on(run, mixed, capsys):
    code, found = captions(run, mixed, batch_size=2)
    assert code == 1 and [entry["image_id"] for entry in found] == GOOD
    errors = capsys.readouterr().err
    for name, reason in [
        ("empty.jpg", "empty file"),
        ("notes.txt", "not an image file"),
        ("truncated.jpg", "damaged or cut-short JPEG file"),
    ]:
        assert f"no caption for {mixed / name}: {reason}" in errors
    assert "5 of 8 images captioned" in errors


def test_the_first_frame_stands_for_an_animation(run, mixed):
    with Image.open(mixed / "animated.gif") as image:
        image.convert("RGB").save(mixed / "first.png")
    _, found = captions(run, mixed / "animated.gif", mixed / "first.png")
    assert found[0]["log_prob"] == found[1]["log_prob"]


def test_no_image_at_all(run, mixed, capsys):
    code, found = captions(run, mixed / "empty.jpg", mixed / "notes.txt")
    assert code == 2 and found == [] and "0 of 2 images captioned" in capsys.readouterr().err


def test_two_files_of_one_name_keep_their_folders(run, mixed, photos):
    other = mixed / "sub" / "plain.jpg"
    shutil.copy(photos / "val_000.jpg", other)
    _, found = captions(run, mixed / "plain.jpg", other, mixed / "grey.png")
    assert [entry["image_id"] for entry in found] == [str(mixed / "plain.jpg"), str(other), "grey.png"]


# --------------------------------------------------------------------------------------------------------------
# Errors


def test_wrong_arguments(run, photos, tmp_path):
    here = {"job_dir": str(run)}
    (tmp_path / "nothing").mkdir()
    for options, message in [
        (caption.Options(**here), "no image given"),
        (caption.Options(paths=("none.jpg",), **here), "none.jpg: no such file or folder"),
        (caption.Options(paths=(str(tmp_path / "nothing"),), **here), "contains no file"),
        (caption.Options(paths=(str(photos),), nbest=4, **here), "--nbest 4 needs a beam of that size: --decode beam4"),
        (caption.Options(paths=(str(photos),), nbest=2, decode="greedy", **here), "--decode beam2"),
        (caption.Options(paths=(str(photos),), checkpoint="77", **here), "ckpt-77"),
    ]:
        with pytest.raises(cli.UserError, match=message):
            caption.main(options)


def test_an_encoder_that_is_gone_is_asked_for(run, photos, tmp_path):
    moved = shutil.copytree(run, tmp_path / "moved")
    shutil.move(moved / "encoder" / "encoder.npz", tmp_path / "elsewhere.npz")
    paths = (str(photos / "val_000.jpg"),)
    with pytest.raises(cli.UserError, match="encoder.npz"):
        caption.main(caption.Options(paths=paths, job_dir=str(moved)))
    spec = f"compact:{tmp_path}/elsewhere.npz"
    assert caption.main(caption.Options(paths=paths, job_dir=str(moved), encoder=spec)) == 0
    with open(tmp_path / "elsewhere.npz", "ab") as file:
        file.write(b"changed")
    with pytest.raises(cli.UserError, match="is not the one that the features were made with"):
        caption.main(caption.Options(paths=paths, job_dir=str(moved), encoder=spec))


def test_a_changed_vocabulary_is_refused(run, photos, tmp_path):
    changed = shutil.copytree(run, tmp_path / "changed")
    (changed / "vocabulary.txt").write_text((changed / "vocabulary.txt").read_text().replace("dog", "doge"))
    with pytest.raises(cli.UserError, match="vocabulary.txt is not the dictionary that the run was trained with"):
        caption.main(caption.Options(paths=(str(photos),), job_dir=str(changed)))


def test_the_command_and_its_exit_code(run, mixed):
    command = [sys.executable, "caption.py", "--job_dir", str(run), str(mixed), "--format", "jsonl"]
    done = subprocess.run(command, cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert [json.loads(line)["image_id"] for line in done.stdout.splitlines()] == GOOD


@pytest.mark.slow
def test_real_photographs(tmp_path, capsys):
    """Captions COCO photographs with a run whose encoder is a published network."""
    real = pathlib.Path(os.environ.get("UIC_REALDATA", tiny_runs.ROOT.parent / "shared" / "realdata"))
    network = real / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    if not network.exists():
        pytest.skip(f"{network} is not here (set UIC_REALDATA)")
    world = photo_world.make(str(tmp_path / "world"), spec=f"tflite:{network}#172")
    train.main(tiny_runs.full(world, tmp_path / "run", max_steps=8))
    shutil.rmtree(world)
    shutil.move(tmp_path / "run", tmp_path / "copy")
    code, found = captions(tmp_path / "copy", real / "coco" / "images")
    files = sorted(os.listdir(real / "coco" / "images"))
    assert code == 0, capsys.readouterr().err
    assert [entry["image_id"] for entry in found] == files and len(files) > 200
