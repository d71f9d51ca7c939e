"""process_images: classes to words, record content and order, references, what is reported."""

import dataclasses
import functools
import json

import numpy as np
import pytest

import cli
from formats import images, records, vocabulary
from formats.records import Detection
from preprocessing import detect_objects, process_images
from preprocessing.detection import concept_objects
from preprocessing.sharding import shards
from tests.preprocessing.picture_files import write_odd_files, write_pictures

WORDS = ["<S>", "</S>", "a", "dog", "light", "person"]


def detection(class_id, name, score, source="test"):
    return Detection(class_id, name, score, (0.0, 0.0, 1.0, 1.0), source)


# --------------------------------------------------------------------------------------------------------------
# Objects


def test_class_words():
    words = vocabulary.Vocabulary(WORDS)
    names = ["Traffic light", "Street light", "Dog", "Kite", "Man", "Face", "Dog"]
    ids, absent = concept_objects.class_words(names, words, {"Man": "person", "Face": None})
    assert ids == {"Traffic light": 4, "Street light": 4, "Dog": 3, "Man": 5}
    assert absent == {"Kite": "kite"}


def test_objects_are_unique_ascending_with_the_best_score():
    """Classes 7 and 2 share a word and stay two entries; the class number decides the order, not the score."""
    ids = {"Traffic light": 4, "Street light": 4, "Dog": 3}
    detections = [
        detection(7, "Street light", 0.5),
        detection(2, "Traffic light", 0.4),
        detection(2, "Traffic light", 0.9),
        detection(3, "Dog", 0.3),
        detection(3, "Dog", 0.29),
        detection(5, "Kite", 0.99),
    ]
    assert concept_objects.objects_of(detections, ids, 0.3) == ([4, 3, 4], [0.9, 0.3, 0.5])
    assert concept_objects.objects_of(detections, ids, 0.6) == ([4], [0.9])
    assert concept_objects.objects_of([], ids, 0.3) == ([], [])


def test_probabilities_of_a_classifiers_labels_with_one_word_add_up():
    ids = {"Dog": 3, "golden retriever": 3, "lamp": 4, "torch": 4, "groom": 5}
    classifier = functools.partial(detection, source="classifier:network.tflite")
    detections = [
        detection(1, "Dog", 0.5),
        classifier(91, "torch", 0.125),
        classifier(93, "golden retriever", 0.25),
        classifier(90, "lamp", 0.25),
        classifier(92, "groom", 0.25),
    ]
    assert concept_objects.objects_of(detections, ids, 0.4, 0.3) == ([3, 4], [0.5, 0.375])
    assert concept_objects.objects_of(detections, ids, 0.4, 0.25) == ([3, 4, 5, 3], [0.5, 0.375, 0.25, 0.25])
    assert concept_objects.objects_of(detections, ids, 0.375) == ([3, 4], [0.5, 0.375])


def test_prior_doubts_what_the_corpus_hardly_speaks_of():
    """A dog in half of the images and an eighth of the sentences: a quarter of the odds, half with strength 1/2."""
    objects, key_flat = [[3], [3], [4], []], np.array([3] + [4, 5] * 6)
    assert concept_objects.prior_factors(objects, key_flat, 8, 1.0) == {3: 0.25, 4: 1.0}
    factors = concept_objects.prior_factors(objects, key_flat, 8, 0.5)
    assert factors == {3: 0.5, 4: 1.0}
    ids, scores = concept_objects.with_prior([3, 4, 5, 3], [0.8, 0.5, 0.5, 0.4], factors, 0.3)
    assert ids == [3, 4, 5]
    assert scores == pytest.approx([2 / 3, 0.5, 0.5])
    assert concept_objects.with_prior([3], [1.0], factors, 0.3) == ([3], [1.0])
    assert concept_objects.with_prior([3], [1.0], {3: 0.0}, 0.3) == ([], [])
    assert concept_objects.with_prior([3, 3], [0.75, 0.5], {3: 0.25}, 0.3, below=0.6) == ([3], [0.75])


def test_references():
    captions = {"b.jpg": ["B one", "B two"], "a.jpg": ["A"]}
    refs = process_images.references(["b.jpg", "a.jpg"], captions)
    assert refs["images"] == [{"id": "b.jpg", "file_name": "b.jpg"}, {"id": "a.jpg", "file_name": "a.jpg"}]
    triples = [(item["image_id"], item["id"], item["caption"]) for item in refs["annotations"]]
    assert triples == [("b.jpg", 0, "B one"), ("b.jpg", 1, "B two"), ("a.jpg", 2, "A")]
    assert process_images.references(["c.jpg"], captions) is None
    refs = process_images.references(["c.jpg", "a.jpg", "d.jpg"], captions | {"d.jpg": [" "]})
    assert [item["id"] for item in refs["images"]] == ["a.jpg"] and len(refs["annotations"]) == 1


# --------------------------------------------------------------------------------------------------------------
# The stage


@pytest.fixture
def options(tmp_path):
    """Twenty training images, three each for validation and test, every one with a dog, a light and a kite."""
    names = write_pictures(tmp_path / "photographs", 26)
    lists = {"train": names[:20], "val": names[25:22:-1], "test": names[20:23]}
    for split, members in lists.items():
        lines = [{"image": name, "captions": [f"{split} {name} .", "Two"]} for name in members]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    objects = [("Dog", 0.8), ("Traffic light", 0.5), ("Dog", 0.4), ("Kite", 0.9), ("Person", 0.1)]
    objects = [{"name": name, "score": score} for name, score in objects]
    lines = [{"image": name, "objects": [] if name == names[0] else objects} for name in names]
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "data").mkdir()
    vocabulary.Vocabulary(WORDS).save(str(tmp_path / "data/word_counts.txt"))
    common = {
        "data_dir": str(tmp_path / "data"),
        "image_dir": str(tmp_path / "photographs"),
        "dataset": f"jsonl:{tmp_path}",
        "processes": 1,
    }
    detect_objects.main(detect_objects.Options(detector=f"annotations:{tmp_path}/known.jsonl", shards=2, **common))
    return process_images.Options(shards=4, **common)


def run(options, **changes):
    return process_images.main(dataclasses.replace(options, **changes))


def split_of(options, split, with_data=False):
    return records.read_images(records.find_files(options.data_dir, f"image_{split}"), with_data)


def sidecar(options, split):
    with open(f"{options.data_dir}/image_{split}.json") as file:
        return json.load(file)


def test_records(options, tmp_path):
    run(options)
    train = split_of(options, "train", with_data=True)
    assert len(train) == 20
    for i, name in enumerate(train.names):
        ids = train.class_flat[train.class_offsets[i] : train.class_offsets[i + 1]].tolist()
        scores = train.score_flat[train.class_offsets[i] : train.class_offsets[i + 1]]
        assert ids == ([] if name == "pic_0000.jpg" else [3, 4])
        np.testing.assert_allclose(scores, [0.8, 0.5][: len(ids)])
        assert records.read_at(train.data[i]) == (tmp_path / "photographs" / name).read_bytes()


def test_order(options):
    """Training images by their hash, so one file and four hold the same sequence; the others as listed."""
    run(options)
    names = split_of(options, "train").names
    assert names == sorted(names, key=shards.digest_of) and names != sorted(names)
    assert split_of(options, "val").names == ["pic_0025.jpg", "pic_0024.jpg", "pic_0023.jpg"]
    run(options, shards=1, overwrite=True)
    assert records.find_files(options.data_dir, "image_train") == [f"{options.data_dir}/image_train.tfrec"]
    assert split_of(options, "train").names == names


def test_sidecars_and_references(options, capsys):
    run(options)
    about = sidecar(options, "train")
    assert about["count"] == 20 and [entry["count"] for entry in about["files"]] == [
        len(records.read_images([path])) for path in records.find_files(options.data_dir, "image_train")
    ]
    assert about["objects"] == 38 and about["without_objects"] == 1
    assert about["classes"]["words"] == {"Dog": "dog", "Person": "person", "Traffic light": "light"}
    assert about["classes"]["not_in_dictionary"] == {"Kite": {"word": "kite", "detections": 25}}
    assert "1 classes are left out, the dictionary has no such word: kite (25)" in capsys.readouterr().out
    assert about["references"] is None
    with open(f"{options.data_dir}/refs_val.json") as file:
        refs = json.load(file)
    assert [item["id"] for item in refs["images"]] == ["pic_0025.jpg", "pic_0024.jpg", "pic_0023.jpg"]
    assert refs["annotations"][0] == {"image_id": "pic_0025.jpg", "id": 0, "caption": "val pic_0025.jpg ."}
    assert len(refs["annotations"]) == 6


def test_no_caption_enters_a_record(options):
    run(options)
    for split in ("train", "val", "test"):
        for path in records.find_files(options.data_dir, f"image_{split}"):
            with open(path, "rb") as file:
                assert b"Two" not in file.read()


def test_threshold_and_class_map(options, tmp_path):
    (tmp_path / "map.json").write_text('{"Kite": "person", "Dog": null}')
    run(options, score_threshold=0.05, class_map=str(tmp_path / "map.json"))
    test = split_of(options, "test")
    assert test.class_flat[:3].tolist() == [5, 5, 4]  # kite, person, light: ascending by the detector's numbers
    np.testing.assert_allclose(test.score_flat[:3], [0.9, 0.1, 0.5])


def test_without_images(options, tmp_path):
    run(options, store_images=False)
    val = split_of(options, "val", with_data=True)
    assert [size for _, _, size in val.data] == [0, 0, 0] and val.class_flat.tolist() == [3, 4] * 3
    assert (tmp_path / "data/image_val.tfrec").stat().st_size < 1000


def test_odd_files(options, tmp_path, capsys):
    """Broken images are named and left out of records and references; CMYK and GIF become JPEG."""
    odd = ["cmyk.jpg", "animated.gif", *write_odd_files(tmp_path / "photographs")]
    with open(tmp_path / "test.jsonl", "a") as file, open(tmp_path / "known.jsonl", "a") as known:
        for name in odd:
            file.write(json.dumps({"image": name, "captions": ["Odd"]}) + "\n")
            known.write(json.dumps({"image": name, "objects": []}) + "\n")
    common = {"data_dir": options.data_dir, "image_dir": options.image_dir, "dataset": options.dataset}
    again = {"detector": f"annotations:{tmp_path}/known.jsonl", "processes": 1, "overwrite": True}
    detect_objects.main(detect_objects.Options(**common, **again))
    with pytest.raises(cli.UserError, match="3 of 31 images"):
        run(options)
    run(options, max_failures=0.1)
    printed = capsys.readouterr().out
    assert all(f"process_images: {name}: " in printed for name in odd[2:])
    test = split_of(options, "test", with_data=True)
    assert test.names == ["pic_0020.jpg", "pic_0021.jpg", "pic_0022.jpg", "cmyk.jpg", "animated.gif"]
    for location in test.data:
        assert images.read_image(records.read_at(location)).shape == (24, 32, 3)
        assert records.read_at(location)[:2] == b"\xff\xd8"
    with open(f"{options.data_dir}/refs_test.json") as file:
        assert [item["id"] for item in json.load(file)["images"]] == test.names
    assert [entry["name"] for entry in sidecar(options, "test")["unreadable"]] == odd[2:]


def test_complete_output_is_left_alone(options, tmp_path, capsys):
    run(options)
    capsys.readouterr()
    run(options)
    assert capsys.readouterr().out.count("nothing to do") == 3
    with pytest.raises(cli.UserError, match="score_threshold: 0.3 there, 0.5 wanted"):
        run(options, score_threshold=0.5)
    (tmp_path / "data/refs_val.json").unlink()
    run(options)
    assert (tmp_path / "data/refs_val.json").exists()


def test_images_without_detections_are_an_error(options, tmp_path):
    write_pictures(tmp_path / "photographs", 27)
    with open(tmp_path / "train.jsonl", "a") as file:
        file.write('{"image": "pic_0026.jpg"}\n')
    with pytest.raises(cli.UserError, match="no detections of 1 of 27 images, the first is pic_0026.jpg.*detect_obj"):
        run(options)


def test_a_photograph_that_is_listed_and_absent_is_called_absent(options, tmp_path):
    with open(tmp_path / "train.jsonl", "a") as file:
        file.write('{"image": "gone.jpg"}\n')
    with pytest.raises(cli.UserError, match="1 of 27 images .* the first is gone.jpg.*o such file") as refused:
        run(options)
    assert "no detections" not in str(refused.value)


def test_what_later_stages_will_lack_is_said_beforehand(options, capsys):
    run(options)
    said = capsys.readouterr().out
    assert "images of val have captions: with fewer than 200 the choice among checkpoints means little" in said


def test_missing_inputs_name_their_command(options, tmp_path):
    (tmp_path / "data/word_counts.txt").rename(tmp_path / "words.txt")
    with pytest.raises(cli.UserError, match="process_descriptions"):
        run(options)
    (tmp_path / "words.txt").rename(tmp_path / "data/word_counts.txt")
    (tmp_path / "data/detections-00000-of-00002.tfrec").unlink()
    with pytest.raises(cli.UserError, match="detections-00000-of-00002.tfrec.*detect_objects"):
        run(options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": ""}, "--dataset"),
        ({"image_dir": "/nowhere"}, "--image_dir"),
        ({"score_threshold": -1.0}, "--score_threshold"),
        ({"class_map": "/nowhere.json"}, "--class_map"),
        ({"shards": -1}, "--shards"),
    ],
)
def test_wrong_settings(options, changes, message):
    with pytest.raises(cli.UserError, match=message):
        run(options, **changes)


def test_thresholds_by_share():
    # Eight sentences name word 3 in four (a half) and word 4 in one; word 5 in none. Four training images.
    class Corpus:
        key_flat = np.array([3, 3, 3, 3, 4])

        def __len__(self):
            return 8

    objects = [([3, 5], [0.9, 0.8]), ([3, 4, 3], [0.2, 0.1, 0.7]), ([3], [0.3]), ([4], [0.6])]
    found = concept_objects.thresholds_by_share(objects, Corpus())
    assert found == {3: 0.7}, "half of four images; an eighth of four rounds to none"
    kept = [concept_objects.above_thresholds(*own, found) for own in objects]
    assert kept == [([3], [0.9]), ([3], [0.7]), ([], []), ([], [])]
    twice = concept_objects.thresholds_by_share(objects * 2, Corpus())
    assert twice == {3: 0.7, 4: 0.6}
