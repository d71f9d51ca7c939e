"""Records and sidecars: what is written is read back, and a broken file is named."""

import json

import numpy as np
import pytest
import tensorflow as tf

import cli
from formats import records, sidecars


def sentence_file(path, sentences):
    return records.write_records(str(path), (records.sentence_example(key, ids) for key, ids in sentences))


def test_sentences_are_read_back(tmp_path):
    sentences = [([5, 9], [0, 5, 6, 9, 1]), ([], [0, 18668, 1]), ([7], [0, 7, 1])] * 5
    assert sentence_file(tmp_path / "sentence-00000-of-00002.tfrec", sentences[:4]) == 4
    assert sentence_file(tmp_path / "sentence-00001-of-00002.tfrec", sentences[4:]) == 11
    read = records.read_sentences(records.find_files(str(tmp_path), "sentence"))
    assert len(read) == 15 and read.flat.dtype == read.key_flat.dtype == np.int32 and read.offsets.dtype == np.int64
    for i, (key, ids) in enumerate(sentences):
        assert read.flat[read.offsets[i] : read.offsets[i + 1]].tolist() == ids
        assert read.key_flat[read.key_offsets[i] : read.key_offsets[i + 1]].tolist() == key


def test_sentence_example_is_what_tensorflow_makes():
    def feature_list(values):
        int64 = [tf.train.Feature(int64_list=tf.train.Int64List(value=[value])) for value in values]
        return tf.train.FeatureList(feature=int64)

    lists = {"key": feature_list([300, 5]), "sentence": feature_list([0, 300, 5, 300, 1])}
    expected = tf.train.SequenceExample(feature_lists=tf.train.FeatureLists(feature_list=lists))
    assert tf.train.SequenceExample.FromString(records.sentence_example([300, 5], [0, 300, 5, 300, 1])) == expected


def test_images_are_read_back_with_the_place_of_their_bytes(tmp_path):
    path = str(tmp_path / "image_val.tfrec")
    jpegs = [b"\xff\xd8 one", b"\xff\xd8 the other \xff\xd9"]
    examples = [
        records.image_example("a.jpg", jpegs[0], [30, 4], [0.75, 0.5]),
        records.image_example("b.jpg", jpegs[1], [], []),
    ]
    assert records.write_records(path, examples) == 2
    images = records.read_images([path], with_data=True)
    assert images.names == ["a.jpg", "b.jpg"] and len(images) == 2
    assert images.class_flat.tolist() == [30, 4] and images.class_offsets.tolist() == [0, 2, 2]
    assert images.score_flat.tolist() == [0.75, 0.5]
    assert [records.read_at(location) for location in images.data] == jpegs
    assert records.read_images([path]).data is None


def test_detections_are_read_back(tmp_path):
    path = str(tmp_path / "detections.tfrec")
    boxes = np.asarray([[0.25, 0, 0.5, 1], [0, 0, 1, 1]])
    example = records.detection_example("a.jpg", [1, 7], ["Dog", "Größe"], [0.5, 0.25], boxes, ["ssd", "classifier"])
    records.write_records(path, [example, records.detection_example("b.jpg", [], [], [], [], [])])
    assert dict(records.each_detections([path])) == {
        "a.jpg": [
            records.Detection(1, "Dog", 0.5, (0.25, 0.0, 0.5, 1.0), "ssd"),
            records.Detection(7, "Größe", 0.25, (0.0, 0.0, 1.0, 1.0), "classifier"),
        ],
        "b.jpg": [],
    }
    with pytest.raises(cli.UserError, match="record 0 is a second record of a.jpg"):
        dict(records.each_detections([path, path]))


@pytest.mark.parametrize(
    "scores, boxes", [([0.5], [[0, 0, 1, 1]] * 2), ([0.5], [[0, 0, float("nan"), 1]]), ([float("inf")], [[0, 0, 1, 1]])]
)
def test_bad_detections_are_refused(scores, boxes):
    with pytest.raises(ValueError, match="a.jpg"):
        records.detection_example("a.jpg", [1], ["Dog"], scores, boxes, ["ssd"])


def test_captions_are_read_back_with_and_without_names(tmp_path):
    named, unnamed = str(tmp_path / "named.tfrec"), str(tmp_path / "unnamed.tfrec")
    records.write_records(named, [records.caption_example([4, 5], "a.jpg"), records.caption_example([], "b.jpg")])
    records.write_records(unnamed, [records.caption_example([4, 5])])
    names, flat, offsets = records.read_captions([named])
    assert names == ["a.jpg", "b.jpg"] and flat.tolist() == [4, 5] and offsets.tolist() == [0, 2, 2]
    assert records.read_captions([unnamed])[0] is None
    with pytest.raises(cli.UserError, match="only 2 of 3"):
        records.read_captions([named, unnamed])


# --------------------------------------------------------------------------------------------------------------
# Broken files


def test_a_damaged_record_is_named(tmp_path):
    path = tmp_path / "sentence.tfrec"
    sentence_file(path, [([1], [0, 2, 1])] * 3)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF  # inside the second of three equal records
    path.write_bytes(data)
    for read in (records.read_sentences, records.read_captions, lambda paths: list(records.read_examples(paths[0]))):
        with pytest.raises(cli.UserError, match=r"sentence\.tfrec: record 1 is damaged"):
            read([str(path)])


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "sentence.tfrec"
    sentence_file(path, [([1], [0, 2, 1])] * 3)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(cli.UserError, match=r"sentence\.tfrec: record 2 is damaged"):
        records.read_sentences([str(path)])


def test_a_file_of_another_kind_is_named(tmp_path):
    path = str(tmp_path / "image_val.tfrec")
    records.write_records(path, [records.image_example("a.jpg", b"x", [], [])])
    with pytest.raises(cli.UserError, match="record 0 has no tokens"):
        records.read_sentences([path])
    sentence_file(path, [([1], [0, 2, 1])])
    with pytest.raises(cli.UserError, match="record 0 has no field 'image/name'"):
        records.read_images([path])
    records.write_records(path, [b"\xff\xff\xff not a message"])
    with pytest.raises(cli.UserError, match="record 0 is not a SequenceExample"):
        records.read_sentences([path])


def test_no_records_is_an_error(tmp_path):
    path = str(tmp_path / "sentence.tfrec")
    records.write_records(path, [])
    with pytest.raises(cli.UserError, match="no records"):
        records.read_sentences([path])
    with pytest.raises(cli.UserError, match="no such file"):
        list(records.read_examples(str(tmp_path / "none.tfrec")))


def test_a_failing_writer_leaves_no_file(tmp_path):
    def examples():
        yield records.caption_example([1])
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        records.write_records(str(tmp_path / "x.tfrec"), examples())
    assert not (tmp_path / "x.tfrec").exists()


# --------------------------------------------------------------------------------------------------------------
# Finding files


def test_find_files_says_what_is_missing_and_what_makes_it(tmp_path):
    with pytest.raises(cli.UserError, match="python -m preprocessing.process_images --data_dir"):
        records.find_files(str(tmp_path), "image_train")
    (tmp_path / "sentence-00000-of-00003.tfrec").touch()
    (tmp_path / "sentence-00002-of-00003.tfrec").touch()
    with pytest.raises(cli.UserError, match="1 of 3 shards are missing, the first is sentence-00001-of-00003.tfrec"):
        records.find_files(str(tmp_path), "sentence")
    (tmp_path / "sentence-00001-of-00003.tfrec").touch()
    names = [f"sentence-0000{i}-of-00003.tfrec" for i in range(3)]
    assert records.find_files(str(tmp_path), "sentence") == [str(tmp_path / name) for name in names]
    (tmp_path / "sentence.tfrec").touch()
    with pytest.raises(cli.UserError, match="several sets"):
        records.find_files(str(tmp_path), "sentence")


def test_find_files_compares_sizes_with_the_sidecar(tmp_path):
    path, json_path = tmp_path / "sentence.tfrec", str(tmp_path / "sentence.json")
    sentence_file(path, [([1], [0, 2, 1])] * 3)
    sidecars.write_sidecar(json_path, files=[str(path)], count=3, settings={}, made_from={})
    assert records.find_files(str(tmp_path), "sentence") == [str(path)]
    sentence_file(path, [([1], [0, 2, 1])] * 2)  # a whole file, but not the one that was made
    with pytest.raises(cli.UserError, match=r"sentence\.tfrec has .* bytes, not the"):
        records.find_files(str(tmp_path), "sentence")


# --------------------------------------------------------------------------------------------------------------
# Sidecars


@pytest.fixture
def output(tmp_path):
    """(path of a sidecar, path of its file)"""
    path, json_path = tmp_path / "a.txt", str(tmp_path / "a.json")
    path.write_text("hello\n")
    settings, made_from = {"size": 3, "names": ("x", "y")}, {"input": "1234"}
    sidecars.write_sidecar(
        json_path, files=[str(path)], count=1, settings=settings, made_from=made_from, counts=[1], more=7
    )
    return json_path, path


def test_sidecar_fields(output):
    sidecar = json.loads(open(output[0]).read())
    hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert sidecar.pop("checksum") == sidecars.checksum_of(sidecar)
    assert sidecar.pop("command")
    assert sidecar == {
        "schema": sidecars.SCHEMA_VERSION,
        "count": 1,
        "files": [{"name": "a.txt", "bytes": 6, "sha256": hello, "count": 1}],
        "settings": {"size": 3, "names": ["x", "y"]},
        "made_from": {"input": "1234"},
        "more": 7,
    }


def test_the_innermost_differences_are_told():
    there = {"a": {"b": [1, {"c": 2, "d": 3}], "e": "same"}, "f": [1, 2], "g": None}
    here = {"a": {"b": [1, {"c": 2, "d": 4}], "e": "same"}, "f": [1], "h": "x" * 500}
    found = sidecars.differing("", there, here)
    assert found == [("a b 2 d", 3, 4), ("f", [1, 2], [1]), ("h", None, "x" * 500)]
    assert len(sidecars.shown("x" * 500)) == 100 and sidecars.shown([1, 2]) == "1, 2" and sidecars.shown([]) == "none"
    assert sidecars.differing("x", 1, 1) == []


def test_sidecar_status(output, tmp_path, capsys):
    json_path, path = output
    settings = {"size": 3, "names": ("x", "y")}
    assert sidecars.sidecar_status(str(tmp_path / "b.json"), settings)[0] == "missing"
    assert sidecars.sidecar_status(json_path, settings)[0] == "complete"
    assert sidecars.sidecar_status(json_path, settings, {"input": "1234"})[0] == "complete"
    assert sidecars.sidecar_status(json_path, settings, {"input": "9"}) == (
        "different",
        "input: 1234 there, 9 wanted",
    )
    assert sidecars.sidecar_status(json_path, {**settings, "size": 4}) == ("different", "size: 3 there, 4 wanted")
    status, details = sidecars.sidecar_status(json_path, {**settings, "size": 4, "names": ("x", "z")}, {"input": "9"})
    lines = ["names 2: y there, z wanted", "size: 3 there, 4 wanted", "input: 1234 there, 9 wanted"]
    assert (status, details.split("\n  ")) == ("different", lines)
    assert sidecars.already_made(json_path, settings)
    assert "nothing to do" in capsys.readouterr().out
    assert not sidecars.already_made(json_path, settings, overwrite=True)
    with pytest.raises(cli.UserError, match="(?s)size: 3 there, 4 wanted.*--overwrite"):
        sidecars.already_made(json_path, {**settings, "size": 4})
    assert not sidecars.already_made(json_path, settings, others=[str(tmp_path / "b.json")])
    path.write_text("longer than before\n")
    assert sidecars.sidecar_status(json_path, settings)[0] == "damaged"
    assert not sidecars.already_made(json_path, settings)
    path.unlink()
    assert "is missing" in sidecars.sidecar_status(json_path, settings)[1]


def test_a_broken_sidecar_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(cli.UserError, match="a.json: not a JSON file"):
        sidecars.sidecar_status(str(tmp_path / "a.json"), {})
