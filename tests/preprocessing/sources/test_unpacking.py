"""Archives: unpacked where they should, refused where they lead elsewhere."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

import cli
from preprocessing.sources import unpacking
from tests.time_limit import time_limit


def pairs(members):
    """(name, content) pairs of a dict, or of a list of pairs, where names may stand twice."""
    return members.items() if isinstance(members, dict) else members


def tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in pairs(members):
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:  # (type, target)
                info.type, info.linkname = data
                archive.addfile(info)
    return str(path)


def zip_file(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in pairs(members):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if isinstance(data, int):
                info.external_attr, data = data << 16, b"/etc/passwd"
            archive.writestr(info, data)
    return str(path)


MAKERS = {"a.zip": zip_file, "a.tar.gz": tar, "a.tgz": tar}
CONTENT = {"./top/a.txt": b"a" * 10, "top/sub/b.txt": b"b", "top/.DS_Store": b"no", "__MACOSX/top/._a.txt": b"no"}


@pytest.mark.parametrize("name", MAKERS)
def test_files_and_folders(tmp_path, name):
    path = MAKERS[name](tmp_path / name, CONTENT)
    assert unpacking.unpack(path, str(tmp_path / "out")) == (2, 11)
    files = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}
    assert files == {"top/a.txt": b"a" * 10, "top/sub/b.txt": b"b"}
    assert unpacking.unpack(path, str(tmp_path / "flat"), flatten=True) == (2, 11)
    assert sorted(os.listdir(tmp_path / "flat")) == ["a.txt", "b.txt"]


BAD_NAMES = ["../evil.txt", "top/../../evil.txt", "/tmp/evil.txt", "C:/evil.txt", "..\\evil.txt"]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("bad", BAD_NAMES)
def test_names_that_lead_out(tmp_path, name, bad):
    path = MAKERS[name](tmp_path / name, {bad: b"evil"})
    for flatten in (False, True):
        with pytest.raises(cli.UserError, match="a name that leads out of the folder. It is not unpacked"):
            unpacking.unpack(path, str(tmp_path / "deep/out"), flatten=flatten)
    assert not list(tmp_path.rglob("evil*")) and not os.path.exists("/tmp/evil.txt")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_files(tmp_path, kind):
    path = tar(tmp_path / "a.tar.gz", {"link": (kind, "/etc"), "link/passwd": b"evil"})
    with pytest.raises(cli.UserError, match="'link' is a link or a device, not a plain file"):
        unpacking.unpack(path, str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []


def test_links_in_zip_files(tmp_path):
    path = zip_file(tmp_path / "a.zip", {"good": b"x", "link": stat.S_IFLNK | 0o777})
    with pytest.raises(cli.UserError, match="'link' is a link"):
        unpacking.unpack(path, str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []  # all names are looked at before the first file is written


def test_two_files_of_one_name(tmp_path):
    path = zip_file(tmp_path / "a.zip", {"a/x.jpg": b"1", "b/x.jpg": b"2"})
    with pytest.raises(cli.UserError, match="a/x.jpg and b/x.jpg would be written to the same file"):
        unpacking.unpack(path, str(tmp_path / "out"), flatten=True)


@pytest.mark.parametrize("name", MAKERS)
def test_damaged_archives(tmp_path, name):
    path = MAKERS[name](tmp_path / name, {f"{i}.bin": os.urandom(5000) for i in range(20)})
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:40_000])
    with pytest.raises(cli.UserError, match="damaged archive.*fetch it again"):
        unpacking.unpack(path, str(tmp_path / "out"))
    flipped = bytearray(data)
    flipped[30_000] ^= 255
    (tmp_path / name).write_bytes(flipped)
    with pytest.raises(cli.UserError, match="damaged archive"):
        unpacking.unpack(path, str(tmp_path / "out2"))
    assert not any(p.suffix == ".bin" and p.stat().st_size != 5000 for p in tmp_path.rglob("*"))  # none half-written


def test_an_interrupted_unpacking_goes_on(tmp_path, monkeypatch):
    path = zip_file(tmp_path / "a.zip", {f"{i}.txt": b"x" * i for i in range(1, 6)})
    with monkeypatch.context() as patch:

        def full(source, file, size, copy=unpacking.shutil.copyfileobj):
            copy(source, file, size)
            if file.tell() == 3:
                raise OSError(28, "No space left on device")

        patch.setattr(unpacking.shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            unpacking.unpack(path, str(tmp_path / "out"))
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.txt")}
    assert sorted(before) == ["1.txt", "2.txt"]
    assert unpacking.unpack(path, str(tmp_path / "out")) == (5, 15)
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*")}
    assert len(after) == 5 and all(after[name] == before[name] for name in before)


def test_an_empty_archive(tmp_path):
    with pytest.raises(cli.UserError, match="no files in the archive"):
        unpacking.unpack(zip_file(tmp_path / "a.zip", {}), str(tmp_path / "out"))


# --------------------------------------------------------------------------------------------------------------
# Made to harm


def header(name, size=0, kind=b"0", **more):
    """The header of a member of a tar file, with a size that tarfile itself would not write."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    if size < 0 or size >= 8**11:
        block[124:136] = (b"\xff" if size < 0 else b"\x80") + size.to_bytes(11, "big", signed=True)
    else:
        block[124:136] = b"%011o\0" % size
    block[148:156] = b"%06o\0 " % sum(block[:148] + b" " * 8 + block[156:512])
    return bytes(block)


END = bytes(1024)


def padded(data):
    return data + bytes(-len(data) % 512)


def extended(data):
    """A header with attributes (pax) in front of another header."""
    return header("pax", len(data), b"x") + padded(data)


def record(key, value):
    """One attribute of such a header."""
    text, length = f" {key}={value}\n", 0
    while length != len(text) + len(str(length)):
        length = len(text) + len(str(length))
    return f"{length}{text}".encode()


SPARSE_1_0 = record("GNU.sparse.major", 1) + record("GNU.sparse.minor", 0) + record("GNU.sparse.realsize", 1 << 60)
TARS = {
    "a negative size": (header("good") + header("evil", -512) + END, "negative size|-512 bytes"),
    "a negative size in attributes": (
        header("good") + extended(record("size", -2048)) + header("evil") + END,
        "negative size|-2048 bytes",
    ),
    "a huge size": (header("evil", 1 << 62) + END, "'evil' is a member with which .* more than 104,857,600"),
    "a sparse file of 2000": (header("evil", 0, tarfile.GNUTYPE_SPARSE) + END, "'evil' is a sparse file"),
    "a sparse file of today": (
        extended(SPARSE_1_0) + header("evil", 512) + padded(b"1\n0\n0\n") + END,
        "'evil' is a sparse file",
    ),
    "a sparse file with an endless map": (
        extended(SPARSE_1_0) + header("evil", 1 << 30) + b"9999999999\n" + b"1\n" * (1 << 20) + END,
        "damaged archive.*64 parts",
    ),
    "a long name of 1 GB": (header("evil", 1 << 30, b"L") + bytes(1 << 20), "damaged archive.*more than 16,384 bytes"),
    "attributes of 1 MB": (
        extended(b"1" * (1 << 20)) + header("evil") + END,
        "damaged archive.*more than 16,384 bytes",
    ),
    "very many long names": (
        (header("x", 512, b"L") + padded(b"name\0")) * 5000 + header("evil") + END,
        "damaged archive.*64 parts",
    ),
    "a damaged header": (header("good") + b"x" + header("evil")[1:] + END, "damaged archive.*a header in it"),
    "no end": (header("good"), "damaged archive.*its end is missing"),
    "a name of 300 letters": (extended(record("path", "e" * 300)) + header("evil") + END, "longer than 255 bytes"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("what", TARS)
def test_tar_files_made_to_harm(tmp_path, what, packed):
    data, message = TARS[what]
    path = tmp_path / ("a.tar.gz" if packed else "a.tar")
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    with time_limit(10), pytest.raises(cli.UserError, match=message) as caught:
        unpacking.unpack(str(path), str(tmp_path / "out"))
    assert str(caught.value).startswith(f"{path}: ") and os.listdir(tmp_path / "out") == []


CLASHES = {
    "the same name": (["x", "x"], "x and x would be written to the same file, x"),
    "the same name after all": (["a/x", "./a//x"], "would be written to the same file, a/x"),
    "case": (["a/x.jpg", "A/X.jpg"], "a/x.jpg and A/X.jpg would be written to the same file"),
    "normal form": (["\u00e9", "e\u0301"], "would be written to the same file"),
    "a file and then a folder": (["a", "A/b"], "a and A/b need A both as a file and as a folder"),
    "a folder and then a file": (["a/b/c", "a/b"], "a/b/c and a/b need a/b both as a file and as a folder"),
    "the temporary file": ([unpacking.PART], "the temporary file and .* would be written to the same file"),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("what", CLASHES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_clash(tmp_path, name, what):
    names, message = CLASHES[what]
    path = MAKERS[name](tmp_path / name, [(each, b"%d" % number) for number, each in enumerate(names)])
    with pytest.raises(cli.UserError, match=message) as caught:
        unpacking.unpack(path, str(tmp_path / "out"))
    assert str(caught.value).startswith(f"{path}: ") and os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("name", MAKERS)
def test_a_name_that_was_a_temporary_one(tmp_path, name):
    path = MAKERS[name](tmp_path / name, {"x.part": b"one", "x": b"other"})
    assert unpacking.unpack(path, str(tmp_path / "out")) == (2, 8)
    assert (tmp_path / "out/x.part").read_bytes() == b"one" and (tmp_path / "out/x").read_bytes() == b"other"


@pytest.mark.parametrize("name", MAKERS)
def test_what_stands_in_the_way(tmp_path, name):
    path = MAKERS[name](tmp_path / name, {"a/x": b"1"})
    for blocked in ("out/a/x/y", "other/a"):
        (tmp_path / blocked).parent.mkdir(parents=True)
        (tmp_path / blocked).write_bytes(b"mine")
        with pytest.raises(cli.UserError, match="'a/x' cannot be written to .*Move away what is there"):
            unpacking.unpack(path, str(tmp_path / blocked.partition("/")[0]))
        assert (tmp_path / blocked).read_bytes() == b"mine"


def changed(path, **fields):
    """Overwrites fields of the only member of a zip file, in both of its headers: offset in the second, bytes."""
    data = bytearray(path.read_bytes())
    for start, shift in ((data.index(b"PK\x01\x02"), 0), (data.index(b"PK\x03\x04"), -2)):
        for offset, value in fields.values():
            at = start + offset + shift
            data[at : at + len(value)] = value
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize(
    "field, message",
    [
        ((8, b"\x01\0"), "'x' is encrypted; there is no password"),
        ((10, b"\x09\0"), r"'x' is compressed by method 9 \(deflate64\); expected"),
        ((10, b"\x0e\0"), r"'x' is compressed by method 14 \(lzma\); expected"),
        ((10, b"\xfe\xfe"), r"'x' is compressed by method 65278 \(unknown\); expected"),
        ((8, b"\x20\0"), "damaged archive: 'x': compressed patched data"),
        ((24, b"\x0b\0"), "damaged archive: 'x' has 10 bytes, not 11 as it states"),
    ],
)
def test_zip_files_that_cannot_be_read(tmp_path, field, message):
    zip_file(tmp_path / "a.zip", {"x": b"0123456789"})
    path = changed(tmp_path / "a.zip", field=field)
    with pytest.raises(cli.UserError, match=message) as caught:
        unpacking.unpack(path, str(tmp_path / "out"))
    assert str(caught.value).startswith(f"{path}: ") and os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("name", MAKERS)
def test_bombs(tmp_path, name, monkeypatch):
    monkeypatch.setattr(unpacking, "ALWAYS", 1 << 20)
    path = MAKERS[name](tmp_path / name, [(f"{i}.bin", bytes(1 << 20)) for i in range(3)])
    with (
        time_limit(10),
        pytest.raises(cli.UserError, match="'1.bin' is a member with which the archive of .* bytes"),
    ):
        unpacking.unpack(path, str(tmp_path / "out"))
    monkeypatch.setattr(unpacking, "MAX_RATIO", 5000)
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 2)
    with pytest.raises(cli.UserError, match="more than 2 members"):
        unpacking.unpack(path, str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []


def test_zeros_behind_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "ALWAYS", 1 << 20)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(header("x") + END + bytes(64 << 20)))
    with time_limit(10), pytest.raises(cli.UserError, match="damaged archive .it unpacks to more than"):
        unpacking.unpack(str(path), str(tmp_path / "out"))
