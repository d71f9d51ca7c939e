"""Archives: unpacked where they should, refused where they lead elsewhere."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

import config
from preprocessing import unpacking


def tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
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
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
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
        with pytest.raises(config.UserError, match="a name that leads out of the folder. It is not unpacked"):
            unpacking.unpack(path, str(tmp_path / "deep/out"), flatten=flatten)
    assert not list(tmp_path.rglob("evil*")) and not os.path.exists("/tmp/evil.txt")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_files(tmp_path, kind):
    path = tar(tmp_path / "a.tar.gz", {"link": (kind, "/etc"), "link/passwd": b"evil"})
    with pytest.raises(config.UserError, match="'link' is a link or a device, not a plain file"):
        unpacking.unpack(path, str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []


def test_links_in_zip_files(tmp_path):
    path = zip_file(tmp_path / "a.zip", {"good": b"x", "link": stat.S_IFLNK | 0o777})
    with pytest.raises(config.UserError, match="'link' is a link"):
        unpacking.unpack(path, str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []  # all names are looked at before the first file is written


def test_two_files_of_one_name(tmp_path):
    path = zip_file(tmp_path / "a.zip", {"a/x.jpg": b"1", "b/x.jpg": b"2"})
    with pytest.raises(config.UserError, match="a/x.jpg and b/x.jpg would be written to the same file"):
        unpacking.unpack(path, str(tmp_path / "out"), flatten=True)


@pytest.mark.parametrize("name", MAKERS)
def test_damaged_archives(tmp_path, name):
    path = MAKERS[name](tmp_path / name, {f"{i}.bin": os.urandom(5000) for i in range(20)})
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:40_000])
    with pytest.raises(config.UserError, match="damaged archive.*fetch it again"):
        unpacking.unpack(path, str(tmp_path / "out"))
    flipped = bytearray(data)
    flipped[30_000] ^= 255
    (tmp_path / name).write_bytes(flipped)
    with pytest.raises(config.UserError, match="damaged archive"):
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
    with pytest.raises(config.UserError, match="no files in the archive"):
        unpacking.unpack(zip_file(tmp_path / "a.zip", {}), str(tmp_path / "out"))
