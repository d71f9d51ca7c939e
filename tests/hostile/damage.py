"""Ways to damage a file: functions (path, data, rng) that replace the good file by a damaged one.

`data` are the bytes of the good file, `rng` is a random.Random. Some functions fit any file, others one format.
"""

import io
import json
import os
import random
import struct
import zipfile

import numpy as np

from formats.record_files import _masked, crc32c

HUGE = 1 << 40


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def _piece(data, rng, longest=64):
    """Returns (start, end) of a random piece of `data`."""
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.randint(1, longest))


# --------------------------------------------------------------------------------------------------------------
# Any file


def flipped_bits(path, data, rng):
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    write(path, damaged)


def other_bytes(path, data, rng):
    start, end = _piece(data, rng)
    write(path, data[:start] + rng.randbytes(end - start) + data[end:])


def other_first_bytes(path, data, rng):
    damaged = bytearray(data)
    for _ in range(3):
        damaged[rng.randrange(min(len(data), 64))] = rng.randrange(256)
    write(path, damaged)


def cut(path, data, rng):
    write(path, data[: rng.randrange(len(data))])


def cut_a_little(path, data, rng):
    write(path, data[: -rng.randint(1, min(8, len(data)))])


def inserted(path, data, rng):
    start, _ = _piece(data, rng)
    write(path, data[:start] + rng.randbytes(rng.randint(1, 64)) + data[start:])


def removed(path, data, rng):
    start, end = _piece(data, rng)
    write(path, data[:start] + data[end:])


def doubled(path, data, rng):
    start, end = _piece(data, rng, len(data))
    write(path, data[:end] + data[start:end] + data[end:])


def zeroed(path, data, rng):
    start, end = _piece(data, rng, len(data))
    write(path, data[:start] + bytes(end - start) + data[end:])


def appended(path, data, rng):
    write(path, data + rng.randbytes(rng.randint(1, 4096)))


def empty(path, data, rng):
    write(path, b"")


def random_bytes(path, data, rng):
    write(path, rng.randbytes(rng.choice((1, 100, len(data), 5000))))


def only_zeros(path, data, rng):
    write(path, bytes(len(data)))


def a_folder(path, data, rng):
    os.mkdir(path)


def a_link_to_nothing(path, data, rng):
    os.symlink(path + ".gone", path)


def a_link_to_itself(path, data, rng):
    os.symlink(os.path.basename(path), path)


def a_link_to_a_folder(path, data, rng):
    os.symlink(os.path.dirname(path), path)


ANY = (
    flipped_bits,
    other_bytes,
    other_first_bytes,
    cut,
    cut_a_little,
    inserted,
    removed,
    doubled,
    zeroed,
    appended,
    empty,
    random_bytes,
    only_zeros,
    a_folder,
    a_link_to_nothing,
    a_link_to_itself,
    a_link_to_a_folder,
)

# --------------------------------------------------------------------------------------------------------------
# Text


def in_latin_1(path, data, rng):
    text = data.decode("utf-8", "replace")
    start, _ = _piece(data, rng)
    write(path, (text[:start] + "é\x85" + text[start:]).encode("latin-1", "replace"))


def in_utf_16(path, data, rng):
    write(path, data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-be", "utf-32"))))


def one_long_line(path, data, rng):
    words = b"word " * 150_000
    write(path, rng.choice((words, data.rstrip(b"\n") + words, words.replace(b" ", b"\t") + data)))


def lines_shuffled(path, data, rng):
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    write(path, b"".join(lines))


def a_line_twice(path, data, rng):
    lines = data.splitlines(keepends=True)
    write(path, b"".join(lines + [rng.choice(lines)]))


def a_large_number(path, data, rng):
    places = [i for i, byte in enumerate(data) if 48 <= byte < 58] or [0]
    place = rng.choice(places)
    number = rng.choice((b"9" * 30, b"9" * 5000, b"-1", b"1e999", b"NaN", "²".encode()))
    write(path, data[:place] + number + data[place + 1 :])


TEXT = (in_latin_1, in_utf_16, one_long_line, lines_shuffled, a_line_twice, a_large_number)

# --------------------------------------------------------------------------------------------------------------
# JSON and JSON lines

DEEP = "[" * 100_000
VALUES = (None, True, 0, -1, 0.5, 10**30, -(10**400), 1 << 62, float("inf"), float("nan"), "", "x", "\ud800", "a\0b")
VALUES += ("../../x", [], {}, [1], [None], [[]], {"a": 1}, DEEP)


def _places(value, found=None):
    """Returns [(container, key)] of all values inside a JSON value."""
    found = [] if found is None else found
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found.append((value, key))
        _places(value[key], found)
    return found


def _dumped(value):
    return json.dumps(value).replace(json.dumps(DEEP), DEEP)


def _mutated(value, rng, change):
    places = _places(value)
    if not places:
        return rng.choice(VALUES)
    shallow = [place for place in places if place[0] is value]
    container, key = rng.choice(rng.choice((places, shallow)))
    change(container, key, rng)
    return value


def _other(container, key, rng):
    container[key] = rng.choice(VALUES)


def _gone(container, key, rng):
    del container[key]


def _again(container, key, rng):
    if isinstance(container, list):
        container.insert(key, container[key])
    else:
        container[key + " "] = container.pop(key)


def _scaled(container, key, rng):
    if isinstance(container[key], int | float) and not isinstance(container[key], bool):
        container[key] = rng.choice((container[key] * 1000, -container[key], container[key] + 0.5, str(container[key])))
    else:
        _other(container, key, rng)


def _json_damage(change, name):
    def damage(path, data, rng):
        try:
            write(path, _dumped(_mutated(json.loads(data), rng, change)).encode())
            return
        except ValueError:
            pass
        lines = data.decode().splitlines()  # JSON lines, or text
        index = rng.randrange(len(lines))
        try:
            lines[index] = _dumped(_mutated(json.loads(lines[index]), rng, change))
        except ValueError:
            lines[index] = _dumped(rng.choice(VALUES))
        write(path, ("\n".join(lines) + "\n").encode())

    damage.__name__ = name
    return damage


def another_json(path, data, rng):
    write(path, _dumped(rng.choice(VALUES)).encode())


JSON = (
    _json_damage(_other, "another_value"),
    _json_damage(_gone, "a_missing_key"),
    _json_damage(_again, "a_value_twice"),
    _json_damage(_scaled, "another_number"),
    _json_damage(_other, "another_value_again"),
    another_json,
)

# --------------------------------------------------------------------------------------------------------------
# Binary formats


def _frames(data):
    """Returns [(start, length)] of the records of a TFRecord file."""
    found, position = [], 0
    while position < len(data):
        found.append((position, struct.unpack_from("<Q", data, position)[0]))
        position += 16 + found[-1][1]
    return found


def _framed(payload, length=None):
    header = struct.pack("<Q", len(payload) if length is None else length)
    checksums = [struct.pack("<I", int(_masked(crc32c(part)))) for part in (header, payload)]
    return header + checksums[0] + payload + checksums[1]


def record_of_huge_length(path, data, rng):
    start, length = rng.choice(_frames(data))
    payload = data[start + 12 : start + 12 + length]
    huge = rng.choice((HUGE, len(data) + 1, (1 << 63) - 1, (1 << 64) - 20))
    write(path, data[:start] + _framed(payload, huge) + data[start + 16 + length :])


def record_of_other_bytes(path, data, rng):
    """Replaces a record by another message of the same length with a valid checksum; no accident does this."""
    start, length = rng.choice(_frames(data))
    payload = bytearray(data[start + 12 : start + 12 + length])
    for _ in range(rng.randint(1, 4)):
        payload[rng.randrange(length)] = rng.randrange(256)
    write(path, data[:start] + _framed(bytes(payload)) + data[start + 16 + length :])


def _header(shape, dtype="<f4", order=False):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": order, "shape": shape})
    return file.getvalue()


def header_of_huge_shape(path, data, rng):
    write(path, _header(rng.choice(((HUGE,), (1 << 31, 1 << 31), (10, -3), (0, HUGE)))) + data[128:])


def header_of_other_type(path, data, rng):
    write(path, _header((len(data) - 128,), rng.choice(("|O", "|u1", "<U1", "<c16", "|V3"))) + data[128:])


def archive_with_huge_array(path, data, rng):
    write(path, _rezipped(data, lambda name, content: _header((HUGE,)) + content[128:], rng))


def archive_with_other_array(path, data, rng):
    write(path, _rezipped(data, lambda name, content: _header((3, 2), "<f8") + bytes(48), rng))


def archive_without_array(path, data, rng):
    write(path, _rezipped(data, lambda name, content: None, rng))


def zip_bomb(path, data, rng):
    write(path, _rezipped(data, lambda name, content: bytes(1 << 28), rng, zipfile.ZIP_DEFLATED))


def _rezipped(data, change, rng, compression=zipfile.ZIP_STORED):
    """Returns the archive with one member changed by `change`; a result None removes the member."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", compression) as archive:
        names = source.namelist()
        chosen = rng.choice(names)
        for name in names:
            content = source.read(name)
            content = change(name, content) if name == chosen else content
            if content is not None:
                archive.writestr(name, content)
    return target.getvalue()


def hdf5_with_other_dataset(path, data, rng):
    """Replaces one dataset by 10^12 zeros that are not stored, by another shape or type, or by a broken link."""
    import h5py

    write(path, data)
    with h5py.File(path, "r+") as file:
        names = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        chosen = rng.choice(names)
        del file[chosen]
        kind = rng.randrange(5)
        if kind == 0:
            file.create_dataset(chosen, shape=(10**12,), chunks=(1 << 16,), dtype="f4")
        elif kind == 1:
            file[chosen] = np.full((3, 7), np.nan)
        elif kind == 2:
            file[chosen] = ["text", "of no use"]
        elif kind == 3:
            file[chosen] = h5py.SoftLink("/nowhere")
        else:
            file.create_group(chosen)


RECORDS = (record_of_huge_length, record_of_other_bytes)
NPY = (header_of_huge_shape, header_of_other_type)
NPZ = (archive_with_huge_array, archive_without_array, archive_with_other_array, zip_bomb)
HDF5 = (hdf5_with_other_dataset,) * 5
FORGED = (record_of_other_bytes, archive_with_other_array)  # their checksums are valid, so another result is accepted


def apply(method, path, data, seed):
    """Replaces the file at `path` by a damaged one."""
    method(path, data, random.Random(seed))
