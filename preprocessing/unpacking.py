"""Unpacking archives that come from elsewhere: nothing is written outside the folder, and nothing but plain files."""

import gzip
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib

import config
from preprocessing import downloads

IGNORED = ("__MACOSX", ".DS_Store")  # what some computers add


def unpack(path, folder, flatten=False):
    """Unpacks a .zip, .tar, .tar.gz or .tgz file.

    Each file is written under a temporary name and renamed; one that is there with the right size is kept, so that an
    unpacking that was interrupted goes on.

    Args:
      path: the archive. folder: where its files go.
      flatten: all files into that one folder, whatever folders the archive has.

    Returns: (number of files, bytes of all files).
    Raises: config.UserError: damaged, an unsafe name, a link, two files of one name, or no room; files that were
      written before stay.
    """
    os.makedirs(folder, exist_ok=True)
    members = _zip_members if path.endswith(".zip") else _tar_members
    count, total, seen = 0, 0, {}
    try:
        for name, size, read in config.progress(members(path, folder), f"unpacking {os.path.basename(path)}"):
            parts = _safe_parts(path, name)
            if not parts or any(part in IGNORED for part in parts):
                continue
            target = os.path.join(folder, *parts[-1 if flatten else 0 :])
            if seen.setdefault(target, name) != name:
                raise config.UserError(f"{path}: {seen[target]} and {name} would be written to the same file, {target}")
            _write(target, size, read)
            count, total = count + 1, total + size
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise config.UserError(
            f"{path}: damaged archive ({error}). Remove it and fetch it again with the same command"
        ) from error
    if not count:
        raise config.UserError(f"{path}: no files in the archive")
    return count, total


def _safe_parts(path, name):
    """The parts of a member's name; config.UserError when it leads out of the folder."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise config.UserError(
            f"{path}: the archive holds {name!r}, a name that leads out of the folder. It is not unpacked; "
            "do not use it"
        )
    return parts


def _write(target, size, read):
    if os.path.exists(target) and os.path.getsize(target) == size and not os.path.islink(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with read() as source, open(target + ".part", "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    os.replace(target + ".part", target)


def _refuse(path, name, what):
    raise config.UserError(f"{path}: {name!r} is {what}, not a plain file. It is not unpacked; do not use it")


def _zip_members(path, folder):
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        downloads.need_space(folder, sum(member.file_size for member in members), "unpacking")
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                _refuse(path, member.filename, "a link or a device")
        for member in members:
            _safe_parts(path, member.filename)  # all of them before the first is written
        for member in members:
            yield member.filename, member.file_size, lambda member=member: archive.open(member)


def _tar_members(path, folder):
    # Two passes, because the checksum of a compressed archive stands at its very end: a flipped bit is noticed before
    # the first file is written.
    total = 0
    with tarfile.open(path) as archive:
        for member in archive:
            _safe_parts(path, member.name)
            if not member.isreg() and not member.isdir():
                _refuse(path, member.name, "a link or a device")
            total += member.size
        while archive.fileobj.read(1 << 20):
            pass
    downloads.need_space(folder, total, "unpacking")
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isreg():
                yield member.name, member.size, lambda member=member: archive.extractfile(member)
