"""Unpacks archives that need not be trustworthy: writes only regular files, and only inside the target folder.

All members are checked before the first file is written, so an archive that is refused leaves no files.
"""

import contextlib
import dataclasses
import gzip
import math
import os
import re
import shutil
import stat
import struct
import tarfile
import typing
import unicodedata
import zipfile
import zlib

import cli
from preprocessing.sources import downloads

IGNORED = ("__MACOSX", ".DS_Store")  # members that macOS adds
PART = ".unpacking.part"  # the file that is being written, in the folder; no member may have its name
# The largest archive of data/MANIFEST.json has 118,287 members and 19 GB; compression reduces JSON to a tenth.
MAX_MEMBERS = 500_000
MAX_BYTES = 100 * 10**9  # bytes of all files
MAX_RATIO = 100  # bytes of all files for one byte of the archive ...
ALWAYS = 100 << 20  # ... but up to this size any ratio is accepted
MAX_NAME = 255  # bytes of a file name, on all common file systems
# Largest read of a tar file. A header with a long name or attributes is read at once, and Python before 3.11.10 and
# 3.12.6 needs quadratic time for it.
BLOCK = 1 << 14
MAX_READS = 64  # reads for the headers of one member: a long name, attributes, the map of a sparse file
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)  # LZMA can ask for 4 GB of memory
DAMAGE = (  # exceptions of zipfile and tarfile for damaged archives
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
)


@dataclasses.dataclass(frozen=True)
class Member:
    """One member (file or folder) of an archive.

    Attributes:
      name: path in the archive.
      size: bytes of its content.
      folder: whether it is a folder.
      fault: why it must not be unpacked, or "".
      open: function without arguments that returns its content as a binary file.
    """

    name: str
    size: int
    folder: bool
    fault: str
    open: typing.Callable


def unpack(path, folder, flatten=False):
    """Unpacks a .zip, .tar, .tar.gz or .tgz file.

    Each file is written atomically; an existing file of the right size is kept, so that an interrupted unpacking
    continues.

    Args:
      path: the archive.
      folder: target folder.
      flatten: whether to write all files directly into the target folder, without the folders of the archive.

    Returns: (number of files, bytes of all files).
    Raises: cli.UserError if the archive is damaged, encrypted, a decompression bomb or without files, if a member has
      an unsafe name or the path of another, or is not a plain file or folder, or if the disk is too full.
    """
    os.makedirs(folder, exist_ok=True)
    members = _zip_members if path.endswith(".zip") else _tar_members
    with _damage_explained(path):
        targets, total = _plan(path, members(path, folder), flatten)
        if not targets:
            raise cli.UserError(f"{path}: no files in the archive")
        downloads.need_space(folder, total, "unpacking")
        part = os.path.join(folder, PART)
        try:
            for member in cli.progress(members(path, folder), f"unpacking {os.path.basename(path)}"):
                if member.name in targets:
                    _write(path, member, part, os.path.join(folder, *targets[member.name]))
        finally:
            if os.path.exists(part):
                os.remove(part)
    return len(targets), total


@contextlib.contextmanager
def _damage_explained(path, member=""):
    """Context manager: converts exceptions for damaged archives to cli.UserError.

    Args: path: the archive. member: name of the member that is read, or "".
    """
    try:
        yield
    except DAMAGE as error:
        what = f"{error or type(error).__name__}"
        what = f": {member!r}: {what}" if member else f" ({what})"
        raise cli.UserError(
            f"{path}: damaged archive{what}. Remove it and fetch it again with the same command"
        ) from error


# --------------------------------------------------------------------------------------------------------------
# Where members are written


def _plan(path, members, flatten):
    """Checks all members of an archive and determines where they are written.

    Args: path: the archive, for messages. members: iterable of Member.
      flatten: whether the folders of the archive are left out.
    Returns: (dict member name -> tuple of the parts of its path in the target folder, bytes of all files).
    Raises: cli.UserError for an unsafe archive.
    """
    targets, total = {}, 0
    packed_size = os.path.getsize(path)
    taken = {_key((PART,)): ("the temporary file", True)}  # key -> (name, whether it is a file)
    for count, member in enumerate(members, 1):
        if count > MAX_MEMBERS:
            raise cli.UserError(f"{path}: more than {MAX_MEMBERS:,} members. It is not unpacked; do not use it")
        parts = _safe_parts(path, member.name)
        if member.fault:
            _refuse(path, member.name, member.fault)
        if member.size < 0:
            _refuse(path, member.name, f"a member of {member.size} bytes")
        if not parts or any(part in IGNORED for part in parts) or member.folder and flatten:
            continue
        total += member.size
        if total > _most_bytes(packed_size):
            what = f"a member with which the archive of {packed_size:,} bytes unpacks to {total:,} bytes, more than "
            _refuse(path, member.name, what + f"{_most_bytes(packed_size):,}")
        parts = parts[-1:] if flatten else parts
        _take(path, taken, parts, member)
        if not member.folder:
            targets[member.name] = parts
    return targets, total


def _most_bytes(packed_size):
    """Returns the largest number of bytes that an archive of `packed_size` bytes may unpack to."""
    return min(MAX_BYTES, max(ALWAYS, MAX_RATIO * packed_size))


def _take(path, taken, parts, member):
    """Adds the path of a member to the dict `taken`.

    Raises: cli.UserError if another member has the same path, as a file or as a folder.
    Args:
      path: the archive, for messages. taken: dict key of a path -> (member name, whether it is a file); is changed.
      parts: tuple of the parts of the member's path. member: Member.
    """
    for length in range(1, len(parts) + 1):
        is_file = length == len(parts) and not member.folder
        other, other_is_file = taken.get(_key(parts[:length]), ("", False))
        if is_file and other_is_file:
            raise cli.UserError(
                f"{path}: {other} and {member.name} would be written to the same file, {'/'.join(parts)}, on some or "
                "all systems. It is not unpacked"
            )
        if other and is_file != other_is_file:
            raise cli.UserError(
                f"{path}: {other} and {member.name} need {'/'.join(parts[:length])} both as a file and as a folder. "
                "It is not unpacked"
            )
        taken[_key(parts[:length])] = (member.name, is_file)


def _key(parts):
    """Returns a text that is equal for two paths if some file system treats them as one (case, Unicode normal form)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", "/".join(parts)).casefold())


def _safe_parts(path, name):
    """Returns the parts of a member's name as a tuple.

    Raises: cli.UserError if it leads out of the folder or is too long.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise cli.UserError(
            f"{path}: the archive holds {name!r}, a name that leads out of the folder. It is not unpacked; "
            "do not use it"
        )
    if any(len(part.encode(errors="surrogateescape")) > MAX_NAME for part in parts):
        raise cli.UserError(f"{path}: {name[:MAX_NAME]!r}… is longer than {MAX_NAME} bytes. It is not unpacked")
    return parts


def _write(path, member, part, target):
    """Writes a member to the path `target`, unless a file of its size exists there.

    Args: path: the archive, for messages. part: path of a temporary file.
    Raises: cli.UserError if the member is damaged, or an existing file or folder is in the way.
    """
    if os.path.exists(target) and os.path.getsize(target) == member.size and not os.path.islink(target):
        return
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with _damage_explained(path, member.name), member.open() as source, open(part, "wb") as file:
            shutil.copyfileobj(source, file, BLOCK)
            written = file.tell()
        if written != member.size:
            raise cli.UserError(
                f"{path}: damaged archive: {member.name!r} has {written} bytes, not {member.size} as it states. "
                "Remove it and fetch it again with the same command"
            )
        os.replace(part, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise cli.UserError(
            f"{path}: {member.name!r} cannot be written to {target}: {error.strerror} ({error.filename}). Move away "
            "what is there"
        ) from error


def _refuse(path, name, what):
    """Raises cli.UserError for an archive with a member that must not be unpacked.

    Args: path: the archive. name: the member's name. what: what is wrong with it, as text after "is".
    """
    raise cli.UserError(f"{path}: {name!r} is {what}. It is not unpacked; do not use it")


# --------------------------------------------------------------------------------------------------------------
# Members of archives


def _zip_members(path, folder):
    """Yields the Members of a .zip file. Args: folder: not used."""
    del folder
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind, fault = stat.S_IFMT(info.external_attr >> 16), ""
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                fault = "a link or a device, not a plain file"
            elif info.flag_bits & 1:
                fault = "encrypted; there is no password"
            elif info.compress_type not in COMPRESSIONS:
                name = zipfile.compressor_names.get(info.compress_type, "unknown")
                fault = f"compressed by method {info.compress_type} ({name}); expected: stored, deflate or bzip2"
            yield Member(info.filename, info.file_size, info.is_dir(), fault, lambda info=info: archive.open(info))


def _tar_members(path, folder):
    """Yields the Members of a tar file, compressed by gzip or not; reads on to its end, where a checksum is compared.

    Args: folder: target folder.
    """
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source = _ForwardOnly(gzip.GzipFile(fileobj=raw) if packed else raw, 2 * _most_bytes(os.path.getsize(path)))
        with tarfile.open(fileobj=source, mode="r:") as archive:
            while info := archive.next():
                source.reads_left = math.inf
                fault = _tar_fault(info, folder)
                yield Member(info.name, info.size, info.isdir(), fault, lambda info=info: archive.extractfile(info))
                source.reads_left = MAX_READS
            if len(source.last) != tarfile.BLOCKSIZE or any(source.last):  # tarfile treats a damaged header as the end
                raise tarfile.ReadError("its end is missing, or a header in it is damaged")
            source.reads_left = math.inf
            while source.read(BLOCK):
                pass


def _tar_fault(info, folder):
    """Returns why a tarfile.TarInfo must not be unpacked into a folder; "" if it may."""
    if info.issparse() or info.type == tarfile.GNUTYPE_SPARSE:
        return "a sparse file, not a plain file"
    if not info.isreg() and not info.isdir():
        return "a link or a device, not a plain file"
    try:
        tarfile.data_filter(info, folder)
    except tarfile.FilterError as error:
        return f"refused by tarfile's filter for data: {error}"
    return ""


class _ForwardOnly:
    """A decompressed tar file as a stream that can only be read forward, in small blocks and up to a limited size.

    Args:
      file: the decompressed stream.
      most: largest number of bytes that are read or skipped in total.

    Attributes:
      last: result of the last `read`.
      reads_left: how often `read` may still be called.
    """

    def __init__(self, file, most):
        self._file, self._most, self.last, self.reads_left = file, most, b"", MAX_READS

    def read(self, size):
        """Returns the next bytes, at most `size`. Raises: tarfile.ReadError if a limit is exceeded."""
        self.reads_left -= 1
        if size > BLOCK or self.reads_left < 0:
            raise tarfile.ReadError(f"the header of a member has more than {BLOCK:,} bytes or {MAX_READS} parts")
        self._check(self.tell() + size)
        self.last = self._file.read(size)
        return self.last

    def seek(self, position):
        """Moves forward to a position in bytes. Raises: tarfile.ReadError for a move backward, or beyond the limit."""
        # tarfile seeks back only by one byte, to check that the byte before a header exists. A member of negative size
        # would lead it back to an earlier header in an endless loop (CVE-2025-8194).
        if position < self.tell() - 1:
            raise tarfile.ReadError("a member of negative size")
        self._check(position)
        return self._file.seek(position)

    def tell(self):
        """Returns the position in bytes."""
        return self._file.tell()

    def _check(self, position):
        """Raises tarfile.ReadError if a position in bytes is beyond the limit."""
        if position > self._most:
            raise tarfile.ReadError(f"it unpacks to more than {self._most:,} bytes")
