"""Writes, finds and reads TFRecord files; damaged records are reported, or left out and counted.

A record consists of its length (8 bytes), the checksum of the length (4), the data, and the checksum of the data (4).
TensorFlow's reader stops at the first wrong checksum. To leave out only the damaged records, this module then reads the
file itself: after damaged data the next record starts where the length says; after a damaged length it starts at the
next position where eight bytes are followed by their checksum. TensorFlow is imported inside the functions.
"""

import contextlib
import errno
import glob
import mmap
import os
import re
import sys

import numpy as np

import cli
from formats import made_by, writing
from formats.sidecars import damaged_file

HEADER, FOOTER = 12, 4  # bytes before and after the data of a record
CUT_IN_LENGTH = "the file ends inside its length"  # TensorFlow's reader accepts this as the end of the file


def files_of(data_dir, stem):
    """Returns the sorted list of the paths of the existing record files `STEM.tfrec` and `STEM-00000-of-0000N.tfrec`.

    Unlike `find_files` it does not check that they are one complete set; without any it returns [].

    Args: stem: beginning of the file names, such as "image_train".
    """
    pattern = re.compile(re.escape(stem) + r"(-\d{5}-of-\d{5})?\.tfrec$")
    found = glob.glob(os.path.join(glob.escape(data_dir), f"{stem}*.tfrec"))
    return sorted(path for path in found if pattern.fullmatch(os.path.basename(path)))


def _tensorflow():
    import tensorflow as tf

    return tf


def _warn(message):
    """Prints a warning to standard error."""
    print(f"WARNING: {message}", file=sys.stderr, flush=True)


def write_records(path, serialized):
    """Writes an iterable of serialized examples (bytes) to a TFRecord file atomically; returns their number.

    Raises: OSError or a TensorFlow error if the file cannot be written.
    """
    tf = _tensorflow()
    count = 0
    with writing.replacing(path) as part, tf.io.TFRecordWriter(part) as writer:
        for example in serialized:
            writer.write(example)
            count += 1
    return count


def _mend(data_dir, stem, beginning, again):
    """Returns the advice for an error message: the command that makes record files.

    Args: stem: beginning of their names. beginning: first words of the advice, such as "Make it". again: whether they
      exist.
    """
    if stem not in made_by.OUTPUTS:
        return f"{beginning} with the command that its JSON file names, or copy it here"
    return f"{beginning} with: {made_by.command(data_dir, stem, again)}"


def find_files(data_dir, stem, skip_damaged=False):
    """Returns the list of the paths of one set of record files, in the order of its shards.

    The set is `STEM.tfrec`, or all of `STEM-00000-of-0000N.tfrec`.

    Args:
      data_dir: the folder. stem: beginning of the file names, such as "image_train".
      skip_damaged: whether a file whose size differs from that in the sidecar is a warning and not an error.

    Raises: cli.UserError when there is no file, a shard is missing, there is more than one set, or the size of a file
      differs from that in the sidecar.
    """
    whole = os.path.join(data_dir, f"{stem}.tfrec")
    sets = [[whole]] if os.path.exists(whole) else []
    pattern = re.compile(re.escape(stem) + r"-(\d{5})-of-(\d{5})\.tfrec$")
    matches = [pattern.match(os.path.basename(path)) for path in glob.glob(os.path.join(glob.escape(data_dir), "*"))]
    for total in sorted({int(match[2]) for match in matches if match}):
        names = [f"{stem}-{i:05d}-of-{total:05d}.tfrec" for i in range(total)]
        missing = [name for name in names if not os.path.exists(os.path.join(data_dir, name))]
        if missing:
            raise cli.UserError(
                f"{data_dir}: {len(missing)} of {total} shards are missing, the first is {missing[0]}. "
                f"{_mend(data_dir, stem, 'Make them', True)}"
            )
        sets.append([os.path.join(data_dir, name) for name in names])
    if not sets:
        raise cli.UserError(
            f"{data_dir}: neither {stem}.tfrec nor {stem}-00000-of-NNNNN.tfrec is there. "
            f"{_mend(data_dir, stem, 'Make it', False)}"
        )
    if len(sets) > 1:
        found = " and ".join(os.path.basename(files[0]) for files in sets)
        raise cli.UserError(f"{data_dir}: several sets of {stem} records ({found}). Keep one, remove the others.")
    sidecar = os.path.join(data_dir, f"{stem}.json")  # released files have no sidecar
    damage = damaged_file(sidecar) if os.path.exists(sidecar) else ""
    if damage and not skip_damaged:
        raise cli.UserError(f"{damage}. {_mend(data_dir, stem, 'Make it again', True)}")
    if damage:
        _warn(damage)
    return sets[0]


# --------------------------------------------------------------------------------------------------------------
# Reading


class ImpossibleLength(Exception):
    """Raised when a record declares more bytes than the file has. Attributes: index: index of the record, from 0."""

    def __init__(self, index, length, size):
        super().__init__(f"its length is {length} bytes, the file has {size}")
        self.index = index


def dataset(path):
    """Returns a tf.data.TFRecordDataset of a file. Only this function opens record files with TensorFlow.

    It checks the lengths of the records first: TensorFlow allocates any length whose checksum is valid, and is killed
    if that is a terabyte.

    Raises: ImpossibleLength; cli.UserError when the file does not exist.
    """
    count, position = 0, 0
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file, _mapped(file, size) as content:
            while position + HEADER <= size:
                length = int.from_bytes(content[position : position + 8], "little")
                if length > size:
                    header = content[position : position + HEADER]
                    if int.from_bytes(header[8:], "little") == _masked(crc32c(header[:8])):
                        raise ImpossibleLength(count, length, size)
                    break  # TensorFlow stops here or earlier
                count, position = count + 1, position + HEADER + length + FOOTER
    except OSError as error:
        raise cli.UserError(f"{path}: {'no such file' if error.errno == errno.ENOENT else error.strerror}") from error
    return _tensorflow().data.TFRecordDataset(path, buffer_size=1 << 20)


def _mapped(file, size):
    """Context manager: yields the bytes of an open file, memory-mapped. Args: size: of the file, in bytes."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else contextlib.nullcontext(b"")


def read_examples(path, skip_damaged=False):
    """Yields (index, byte offset of the data, data) for the records of a TFRecord file; the data are bytes.

    Args:
      skip_damaged: leave damaged records out, with a warning that counts them; the indices count them too.

    Raises: cli.UserError naming the file and the index of the first damaged record; if a record declares an impossible
      length, before any record is yielded.
    """
    count = position = 0
    try:
        for serialized in dataset(path).as_numpy_iterator():
            yield count, position + HEADER, serialized
            count, position = count + 1, position + HEADER + len(serialized) + FOOTER
        if position == os.path.getsize(path):
            return
        reason = CUT_IN_LENGTH
    except ImpossibleLength as error:
        if skip_damaged:
            yield from salvaged(path, 0, 0)
            return
        count, reason = error.index, str(error)
    except _tensorflow().errors.OpError as error:
        reason = error.message.splitlines()[0]
    if not skip_damaged:
        raise cli.UserError(
            f"{path}: record {count} is damaged ({reason}). Remove the file and run the command that made it again (it "
            "is in the JSON file beside it), or leave such records out: the trainers' --skip_damaged"
        )
    yield from salvaged(path, count, position)


def begins_with_record(head):
    """Returns whether `head`, the first 12 or more bytes of a file, begins with a length and its checksum: TFRecord."""
    head = head[:HEADER]
    return len(head) == HEADER and int.from_bytes(head[8:], "little") == _masked(crc32c(head[:8]))


def count_records(path):
    """Returns the number of records of a TFRecord file, from their lengths alone and without TensorFlow.

    Only the checksum of the first length is compared, to recognise files of other kinds.

    Raises: cli.UserError for a file of another kind, and when a record extends beyond the end of the file.
    """
    count, position, size = 0, 0, os.path.getsize(path)
    with open(path, "rb", buffering=1 << 16) as file:
        head = file.read(HEADER)
        if head and not begins_with_record(head):
            raise cli.UserError(f"{path}: not a file of records, or damaged: the length of the first record is wrong")
        while position < size:
            file.seek(position)
            position += HEADER + int.from_bytes(file.read(8), "little") + FOOTER
            count += 1
    if position != size:
        raise cli.UserError(f"{path}: cut short or damaged: record {count - 1} extends beyond the end of the file")
    return count


def salvaged(path, index, position):
    """Yields (index, byte offset of the data, data) for the undamaged records after a damaged one; the data are bytes.

    At the end it prints a warning with the number of the damaged records that were left out.

    Args: index, position: index and byte offset of the first damaged record.
    """
    lost = []
    with open(path, "rb") as file, _mapped(file, os.path.getsize(path)) as content:
        while position < len(content):
            length = _length_at(content, position)
            if length is None:
                lost.append(index)
                position = _next_record(content, position + 1)
            else:
                start, end = position + HEADER, position + HEADER + length
                data = content[start:end]
                if int.from_bytes(content[end : end + FOOTER], "little") == _masked(crc32c(data)):
                    yield index, start, data
                else:
                    lost.append(index)
                position = end + FOOTER
            index += 1
    shown = ", ".join(map(str, lost[:10])) + (", …" if len(lost) > 10 else "")
    _warn(f"{path}: {len(lost)} damaged records left out (number {shown}), {index - len(lost)} read")


def _length_at(content, position):
    """Returns the length of the record at a position; None if its checksum is wrong or the file ends too early.

    Args: content: bytes of the file. position: byte offset.
    """
    header = content[position : position + HEADER]
    length, checksum = int.from_bytes(header[:8], "little"), int.from_bytes(header[8:], "little")
    fits = len(header) == HEADER and position + HEADER + length + FOOTER <= len(content)
    return length if fits and checksum == _masked(crc32c(header[:8])) else None


def _next_record(content, position, window=1 << 20):
    """Returns the first byte offset, from `position` on, where a record can start; else the end of the file.

    At this offset there is a length with a valid checksum that fits into the file.

    Args: content: bytes of the file. window: bytes that are searched at a time.
    """
    for start in range(position, len(content), window):
        found = np.frombuffer(content[start : start + window + HEADER - 1], np.uint8)
        places = len(found) - HEADER + 1
        if places <= 0:
            break
        crc = np.full(places, 0xFFFFFFFF, np.uint32)
        for byte in range(8):
            crc = CRC_TABLE[(crc ^ found[byte : byte + places]) & 255] ^ (crc >> 8)
        stored = sum(found[8 + i : 8 + i + places].astype(np.uint32) << (8 * i) for i in range(4))
        for place in np.flatnonzero(stored == _masked(crc ^ np.uint32(0xFFFFFFFF))):
            if _length_at(content, start + int(place)) is not None:
                return start + int(place)
    return len(content)


def _crc_table():
    """Returns the lookup table of CRC-32C, uint32 [256]: the checksum's remainder for each value of a byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


CRC_TABLE = _crc_table()
_CRC_LIST = CRC_TABLE.tolist()


def crc32c(data):
    """Returns the CRC-32C checksum (int) of bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_LIST[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(crc):
    """Returns a checksum in the form that TFRecord files store: rotated right by 15 bits, plus a constant.

    Args: crc: int or uint32 array. Returns: uint64, of the same shape.
    """
    crc = np.asarray(crc, np.uint64)
    rotated = ((crc >> np.uint64(15)) | (crc << np.uint64(17))) & np.uint64(0xFFFFFFFF)
    return (rotated + np.uint64(0xA282EAD8)) & np.uint64(0xFFFFFFFF)


def read_at(location):
    """Returns the bytes at a location in a file. Args: location: (path, byte offset, number of bytes)."""
    path, offset, length = location
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)
