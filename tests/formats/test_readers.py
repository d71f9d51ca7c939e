"""readers: damaged JSON and arrays are the user's error, before anything that a header claims is allocated."""

import io
import json
import resource
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import cli
from captioning import splits
from formats import readers, record_files, records, texts


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\xfa", b"{", b"[" * 100_000, b"1" * 5000, b'{"a": 1} x', b'"\xe9"', b"\0"]
)
def test_a_damaged_json_file_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(cli.UserError, match=r"a\.json: not a JSON file"):
        readers.read_json(str(tmp_path / "a.json"))


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to("loop.json")
    for name in ("folder", "loop", "none"):
        for read in (readers.read_json, texts.read, readers.map_npy, readers.read_npz, readers.open_hdf5):
            with pytest.raises(cli.UserError, match=f"{name}.json: "):
                read(str(tmp_path / f"{name}.json"))


def test_fields():
    fields = {"count": readers.is_count, "names": readers.are_texts, "more": readers.optional(readers.is_number)}
    readers.check_fields({"count": 3, "names": ["a"], "other": 1}, fields, "a.json")
    for change in ({"count": True}, {"count": -1}, {"names": [1]}, {"names": "a"}, {"more": 10**400}, {"more": "1"}):
        with pytest.raises(cli.UserError, match=f"a.json: {next(iter(change))} is .*; mend it"):
            readers.check_fields({"count": 3, "names": []} | change, fields, "a.json", "mend it")
    with pytest.raises(cli.UserError, match="found a list, expected an object"):
        readers.check_fields([], fields, "a.json")


# --------------------------------------------------------------------------------------------------------------
# Arrays


def npy(array, shape=None):
    """Bytes of a .npy file; `shape` is claimed in its header."""
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(array) | ({"shape": shape} if shape else {})
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 4), (5,), (-6,), (3, 3)])
def test_a_header_that_claims_other_bytes_than_are_there(tmp_path, shape):
    (tmp_path / "a.npy").write_bytes(npy(np.zeros(6), shape))
    with pytest.raises(cli.UserError, match=r"a\.npy: not a readable .npy file"):
        readers.map_npy(str(tmp_path / "a.npy"))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy(np.zeros(6), shape))
    with pytest.raises(cli.UserError, match=r"a\.npz: not a readable .npz file"):
        readers.read_npz(str(tmp_path / "a.npz"))


def test_arrays_come_back(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.eye(3)[:2]), "c": np.array("text")}
    np.savez(tmp_path / "a.npz", **arrays, empty=np.zeros((0, 3)))
    found = readers.read_npz(str(tmp_path / "a.npz"))
    assert all(np.array_equal(found[name], array) for name, array in arrays.items()) and found["empty"].shape == (0, 3)
    np.save(tmp_path / "a.npy", arrays["b"])
    assert np.array_equal(readers.map_npy(str(tmp_path / "a.npy")), arrays["b"])


def test_a_zip_bomb_is_refused_by_its_table_of_contents(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(4 << 20))
    with pytest.raises(cli.UserError, match=r"bomb\.npz.*its arrays declare 33554\d+ bytes, the file has"):
        readers.read_npz(str(tmp_path / "bomb.npz"))


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    with pytest.raises(cli.UserError, match="expected numbers or text"):
        readers.read_npz(str(tmp_path / "a.npz"))


def test_every_flipped_bit_of_an_archive_is_seen(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(8, dtype=np.float32))
    whole = (tmp_path / "a.npz").read_bytes()
    for place in range(0, 8 * len(whole), 7):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        (tmp_path / "b.npz").write_bytes(damaged)
        try:
            found = readers.read_npz(str(tmp_path / "b.npz"))
        except cli.UserError:
            continue
        assert "x" not in found or np.array_equal(found["x"], np.arange(8)), f"bit {place}"


def test_an_hdf5_dataset_that_claims_more_than_is_stored(tmp_path):
    path = str(tmp_path / "a.hdf5")
    with h5py.File(path, "w") as file:
        file.create_dataset("huge", shape=(10**12,), chunks=(1000,), dtype="f4")
        file["text"] = ["a", "b"]
        file["fine"] = np.ones((2, 3), np.float32)
        file.create_dataset("packed", data=np.zeros(100_000), compression="gzip")
        file["lost"] = h5py.SoftLink("/nowhere")
    file, names = readers.open_hdf5(path)
    assert sorted(names) == ["fine", "huge", "lost", "packed", "text"]
    assert readers.read_dataset(file, "fine", path, "").shape == (2, 3)
    assert not readers.read_dataset(file, "packed", path, "").any()
    for name in ("huge", "text", "lost", "none"):
        with pytest.raises(cli.UserError, match=rf"a\.hdf5: {name} cannot be read .*expected a dataset"):
            readers.read_dataset(file, name, path, "a dataset")


# --------------------------------------------------------------------------------------------------------------
# Records


def with_length(path, length):
    """Puts a length with the right checksum in front of the third record."""
    offset = list(records.read_examples(path))[2][1] - records.HEADER
    header = struct.pack("<Q", length)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(header + int(record_files._masked(record_files.crc32c(header))).to_bytes(4, "little"))


def test_a_length_beyond_the_file_is_refused_before_tensorflow_allocates_it(tmp_path, capsys):
    path = str(tmp_path / "sentence.tfrec")
    records.write_records(path, [records.sentence_example([3], [0, i, 1]) for i in range(3, 8)])
    with_length(path, 1 << 40)
    for read in (records.read_sentences, records.read_captions):
        with pytest.raises(cli.UserError, match=r"sentence\.tfrec: record 2 is damaged \(its length is 1099511627776"):
            read([path])
    assert len(records.read_sentences([path], skip_damaged=True)) == 4
    assert "1 damaged records left out (number 2)" in capsys.readouterr().err


def test_one_sentence_of_very_many_words_takes_no_memory_and_is_refused(tmp_path):
    path = str(tmp_path / "sentence.tfrec")
    short = [records.sentence_example([3], [0, 3, 1])] * 4000
    records.write_records(path, [*short, records.sentence_example([3], [0, *[4] * 150_000, 1])])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(cli.UserError, match=r"record 4000 has 150002 tokens, expected at most 1000"):
        records.read_sentences([path])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20, "KiB; padded it was 4.9 GB"


# --------------------------------------------------------------------------------------------------------------
# Logs, names


def test_damaged_lines_of_timing_cost_no_row(tmp_path, capsys):
    entries = [{"step": 60, "seconds_per_step": 1.0}, {"step": 120, "seconds_per_step": "x"}]
    lines = [json.dumps(entry) for entry in entries] + ["{", json.dumps({"step": 180, "seconds_per_step": 1.0})]
    (tmp_path / "timing.jsonl").write_text("\n".join(lines) + "\n")
    assert splits.training_minutes(str(tmp_path), 180) == 3.0
    assert "timing.jsonl: 1 damaged lines left out (line 3)" in capsys.readouterr().err


def test_programs_print_names_that_are_no_utf8():
    program = (
        "import dataclasses, cli\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Options:\n    x: int = 1\n"
        "cli.run(lambda options: print('caf\\udce9.jpg', '\\u00e9'), Options)"
    )
    environment = {"PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert done.stdout == b"caf\\udce9.jpg \\xe9\n", done.stderr
