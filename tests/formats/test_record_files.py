"""Damaged record files: named by default, left out and counted on request; files that others made get a sidecar."""

import json
import subprocess
import sys

import numpy as np
import pytest

import cli
from formats import record_files, records
from preprocessing import records as index_command

SENTENCES = [([3], [0, 3 + i % 5, *range(3, 3 + i % 4), 1]) for i in range(40)]


@pytest.fixture
def path(tmp_path):
    """A file of 40 sentences."""
    name = str(tmp_path / "sentence.tfrec")
    records.write_records(name, (records.sentence_example(*row) for row in SENTENCES))
    return name


def starts(path):
    """Byte offset of the frame of every record, and the end of the file."""
    found = [offset - record_files.HEADER for _, offset, _ in record_files.read_examples(path)]
    with open(path, "rb") as file:
        return [*found, len(file.read())]


def damage(path, position, value=None):
    """Flips a bit of the byte at a position, or overwrites bytes from there on."""
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 4]) if value is None else value)


def sentences(found):
    return [found.flat[first:last].tolist() for first, last in zip(found.offsets, found.offsets[1:], strict=False)]


# name -> (function(path, starts): what is done to the file, numbers of the records that are lost by it)
DAMAGES = {
    "flipped bit in the data": (lambda path, at: damage(path, at[7] + 20), [7]),
    "flipped bit in the data's checksum": (lambda path, at: damage(path, at[8] - 1), [7]),
    "flipped bit in the length": (lambda path, at: damage(path, at[7]), [7]),
    "flipped bit in the length's checksum": (lambda path, at: damage(path, at[7] + 9), [7]),
    "a huge length": (lambda path, at: damage(path, at[7], b"\xff" * 8), [7]),
    "two records": (lambda path, at: (damage(path, at[7] + 20), damage(path, at[30])), [7, 30]),
    "neighbours": (lambda path, at: (damage(path, at[7] + 20), damage(path, at[8] + 20)), [7, 8]),
    "the first": (lambda path, at: damage(path, at[0] + 3), [0]),
    "the last": (lambda path, at: damage(path, at[39] + 20), [39]),
    "truncated in the last record": (lambda path, at: open(path, "r+b").truncate(at[40] - 5), [39]),
    "truncated in a length": (lambda path, at: open(path, "r+b").truncate(at[38] + 5), [38, 39]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_record_is_named_with_its_file(path, name):
    harm, lost = DAMAGES[name]
    harm(path, starts(path))
    for read in (records.read_sentences, records.read_captions, lambda paths: list(records.read_examples(paths[0]))):
        with pytest.raises(cli.UserError, match=rf"sentence\.tfrec: record {lost[0]} is damaged.*--skip_damaged"):
            read([path])


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_records_and_no_others_are_left_out(path, name, capfd):
    harm, lost = DAMAGES[name]
    harm(path, starts(path))
    found = records.read_sentences([path], skip_damaged=True)
    assert sentences(found) == [ids for i, (_, ids) in enumerate(SENTENCES) if i not in lost]
    counted = 1 if "truncated" in name else len(lost)  # what was cut off behind it cannot be counted
    printed = capfd.readouterr().err
    assert f"sentence.tfrec: {counted} damaged records left out (number {lost[0]}" in printed
    assert f"{40 - len(lost)} read" in printed


def test_what_comes_before_and_after_large_damage_is_read(path):
    at = starts(path)
    damage(path, at[5], bytes(at[20] - at[5]))
    found = records.read_sentences([path], skip_damaged=True)
    assert sentences(found) == [ids for _, ids in SENTENCES[:5] + SENTENCES[20:]]


def test_more_records_than_a_batch_are_read_around_a_damage(tmp_path):
    path = str(tmp_path / "sentence.tfrec")
    records.write_records(path, (records.sentence_example([], [0, i, 1]) for i in range(10_000)))
    damage(path, starts(path)[5000] + 20)
    found = records.read_sentences([path], skip_damaged=True)
    assert found.flat.reshape(-1, 3)[:, 1].tolist() == [i for i in range(10_000) if i != 5000]


def test_images_around_a_damage_keep_their_bytes(tmp_path):
    path = str(tmp_path / "image_train.tfrec")
    pixels = [bytes([i]) * (100 + i) for i in range(10)]
    records.write_records(path, (records.image_example(f"{i}.jpg", data, [i], [0.5]) for i, data in enumerate(pixels)))
    damage(path, starts(path)[3])
    found = records.read_images([path], with_data=True, skip_damaged=True)
    kept = [i for i in range(10) if i != 3]
    assert found.names == [f"{i}.jpg" for i in kept] and found.class_flat.tolist() == kept
    assert [records.read_at(location) for location in found.data] == [pixels[i] for i in kept]


def test_a_file_of_another_size_than_stated_is_refused_or_read_with_a_warning(path, tmp_path, capsys):
    records.write_sidecar(str(tmp_path / "sentence.json"), files=[path], count=40, settings={}, made_from={})
    with open(path, "r+b") as file:
        file.truncate(starts(path)[38])
    with pytest.raises(cli.UserError, match="sentence.tfrec has .* bytes, not the .*process_descriptions"):
        records.find_files(str(tmp_path), "sentence")
    assert records.find_files(str(tmp_path), "sentence", skip_damaged=True) == [path]
    assert "WARNING" in capsys.readouterr().err


def test_checksum_against_known_values():
    assert record_files.crc32c(b"123456789") == 0xE3069283
    assert record_files.crc32c(bytes(32)) == 0x8A9136AA


def test_search_across_the_window_of_reading(path):
    """The next record is found wherever the window of the search ends."""
    at = starts(path)
    with open(path, "rb") as file:
        content = file.read()
    for window in range(1, 60):
        assert record_files._next_record(content, at[3] + 1, window) == at[4]


# --------------------------------------------------------------------------------------------------------------
# python -m preprocessing.records --index


def index(path, *more):
    command = [sys.executable, "-m", "preprocessing.records", "--index", path, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_file_without_sidecar_gets_one(path, tmp_path):
    done = index(path)
    assert done.returncode == 0 and "40 records, none damaged" in done.stdout, done.stderr
    sidecar = json.loads((tmp_path / "sentence.json").read_text())
    assert sidecar["count"] == sidecar["files"][0]["count"] == 40
    assert sidecar["files"][0]["bytes"] == starts(path)[-1] and len(sidecar["files"][0]["sha256"]) == 64
    damage(path, 30)
    refused = index(path, "--overwrite")
    assert refused.returncode == 1 and "record 0 is damaged" in refused.stderr
    assert json.loads((tmp_path / "sentence.json").read_text()) == sidecar


def test_index_says_what_it_expects(path, tmp_path, capsys):
    (tmp_path / "sentence.json").write_text("{}")
    with pytest.raises(cli.UserError, match="the file has a sidecar. Add --overwrite"):
        index_command.main(index_command.Options(index=path))
    for wrong in ("", str(tmp_path / "none.tfrec"), str(tmp_path / "sentence.json")):
        with pytest.raises(cli.UserError, match="expected a .tfrec file that is there"):
            index_command.main(index_command.Options(index=wrong))


def test_masked_checksums_of_arrays_and_numbers_agree():
    values = [0, 1, 0xFFFFFFFF, 0x8A9136AA]
    assert record_files._masked(np.asarray(values, np.uint32)).tolist() == [
        int(record_files._masked(value)) for value in values
    ]
