"""Reads files that may be damaged: text, JSON, NumPy and HDF5. Damage raises cli.UserError, which names the file.

The libraries that parse these formats raise a dozen different exceptions for damaged files, allocate the memory that a
header declares before they check the size of the file, and recurse as deeply as a file is nested. So all files of these
formats are read by this module.
"""

import io
import json
import math
import os
import stat
import zipfile

import numpy as np

import cli
from formats import texts
from formats.texts import unreadable

DEFLATE = 1032  # largest compression ratio of deflate
LARGEST_NUMBER = float(np.finfo(np.float64).max)
LARGEST_DATASET = 1 << 28  # bytes of one HDF5 dataset, which is about one photograph


# --------------------------------------------------------------------------------------------------------------
# Text and JSON, in any encoding that texts.py knows


def check_regular(path):
    """Raises cli.UserError unless a path leads to a regular file: a folder, device or pipe is an error too."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        where = f"a link to {os.readlink(path)}: " if os.path.islink(path) else ""
        raise unreadable(path, f"{where}{error.strerror}", "a file") from error
    if not stat.S_ISREG(mode):
        raise unreadable(path, "a folder" if stat.S_ISDIR(mode) else "a pipe or device", "a file")


def text_lines(path, errors="strict"):
    """Returns a generator of (line number from 1, line) for the lines of a text file that are not empty.

    Args: errors: "surrogateescape" for a list of file names, which need not be UTF-8 (formats/file_names.py).
    Raises: cli.UserError, while it is read, if the file is missing or not text.
    """
    return ((number, line) for number, line in texts.lines(path, errors=errors) if line.strip())


def parse_json(text, unique=False, encoding=None):
    """Returns the value of a JSON text.

    Args:
      text: str or bytes.
      unique: whether a key that occurs twice in an object with different values is an error; else its last value is
        used.
      encoding: encoding of bytes without a byte order mark; None: UTF-8.

    Raises: ValueError if the text is not JSON or is nested too deeply.
    """
    pairs = {"object_pairs_hook": _unique} if unique else {}
    try:
        return json.loads(text if isinstance(text, str) else texts.decode(text, encoding), **pairs)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _unique(pairs):
    """Returns a dict of (key, value) pairs. Raises: ValueError if a key has two different values."""
    found = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise ValueError(f"the key {key[:80]!r} occurs twice")
    return found


def read_json(path, expected="", kind=None, encoding=None):
    """Returns the value in a JSON file.

    Args:
      path: the file.
      expected: what the file should contain, for the message of the error.
      kind: required type of the value, such as dict; None: any.
      encoding: encoding of a file without a byte order mark; None: UTF-8.

    Raises: cli.UserError if the file is missing or damaged, or its value is of another type.
    """
    data = texts.read_bytes(path, expected)
    try:
        value = parse_json(data, encoding=encoding)
    except ValueError as error:
        raise unreadable(path, f"not a JSON file ({error})", expected) from error
    if kind is not None and not isinstance(value, kind):
        raise unreadable(path, f"found a {type(value).__name__}", expected or f"a {kind.__name__}")
    return value


def json_values(path, expected=""):
    """Yields (place, value) for each value of a file with one JSON value a line, or with a single JSON list of values.

    The place is text such as "line 3" or "entry 3".

    Args: expected: what a value should be, for the message of the error.
    Raises: cli.UserError if the file cannot be read, or naming a line that is not JSON.
    """
    head, _ = texts.head_text(path, texts.HEAD)
    if head.lstrip().startswith("["):
        for number, value in enumerate(read_json(path, f"a list of {expected}", list), 1):
            yield f"entry {number}", value
        return
    for number, line in text_lines(path):
        try:
            yield f"line {number}", parse_json(line)
        except ValueError as error:
            raise unreadable(path, f"line {number} is {line[:80]!r}, not JSON ({error})", expected) from error


def check_fields(value, fields, path, mend=""):
    """Raises cli.UserError unless a JSON value is an object whose fields are valid.

    Args:
      value: from a JSON file.
      fields: dict name -> function that returns whether the field's value is valid; a missing field is passed as None.
      path: the file, or a place in it, for the message of the error.
      mend: advice for the user, appended to the message.
    """
    mend = f"; {mend}" if mend else ""
    if not isinstance(value, dict):
        raise cli.UserError(f"{path}: found a {type(value).__name__}, expected an object{mend}")
    for name, fits in fields.items():
        if not fits(value.get(name)):
            found = repr(value[name])[:80] if name in value else "missing"
            raise cli.UserError(f"{path}: {name} is {found}, not the expected kind of value{mend}")


def is_object(value):
    """Returns whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value):
    """Returns whether a JSON value is a list."""
    return isinstance(value, list)


def is_text(value):
    """Returns whether a JSON value is a string."""
    return isinstance(value, str)


def is_count(value):
    """Returns whether a JSON value is a non-negative integer."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value):
    """Returns whether a JSON value is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= LARGEST_NUMBER  # integers may be larger than any float


def are_texts(value):
    """Returns whether a JSON value is a list of strings."""
    return isinstance(value, list) and all(map(is_text, value))


def are_numbers(value):
    """Returns whether a JSON value is a list of finite numbers."""
    return isinstance(value, list) and all(map(is_number, value))


def optional(fits):
    """Returns a check for `check_fields` that also accepts a field that is missing or null.

    Args: fits: function that returns whether a value is valid.
    """
    return lambda value: value is None or fits(value)


# --------------------------------------------------------------------------------------------------------------
# NumPy's files


def _npy_header(file, size):
    """Reads the header of a .npy file; returns (shape: tuple, whether axes are in Fortran's order: bool, dtype).

    Args:
      file: open file at its beginning; afterwards it is at the first byte of the data.
      size: bytes of the whole file.

    Raises: ValueError for a damaged header, an array of Python objects, or a size other than the header declares.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except Exception as error:  # numpy evaluates the header as Python and can raise six exceptions
        raise ValueError(f"its header is damaged: {type(error).__name__} {error}") from error
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"an array {list(shape)} of {dtype}, expected numbers or text")
    claimed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if claimed != there:
        raise ValueError(f"its header declares {claimed} bytes ({dtype} {list(shape)}), the file has {there}")
    return shape, fortran, dtype


def map_npy(path):
    """Returns the array in a .npy file, memory-mapped and read-only (an empty array is read into memory).

    Raises: cli.UserError if it is missing, damaged, or has neither numbers nor text.
    """
    expected = "a .npy file of numbers"
    try:
        with open(path, "rb") as file:
            shape, _, _ = _npy_header(file, os.path.getsize(path))
        return np.load(path, mmap_mode="r") if math.prod(shape) else np.load(path)
    except OSError as error:
        raise unreadable(path, f"cannot be read ({error.strerror or error})", expected) from error
    except ValueError as error:
        raise unreadable(path, f"not a readable .npy file ({error})", expected) from error


def read_npz(path, expected=""):
    """Returns dict name -> array (read-only) of an .npz file that np.savez wrote, i.e. one that is not compressed.

    Args: expected: what the file should contain, for the message of the error.
    Raises: cli.UserError if the file is missing or damaged: a wrong checksum, or fewer bytes than the arrays declare.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            claimed, size = sum(member.file_size for member in members), os.path.getsize(path)
            if claimed > size:
                raise ValueError(f"its arrays declare {claimed} bytes, the file has {size}")
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except FileNotFoundError as error:
        raise unreadable(path, "no such file", expected) from error
    except Exception as error:  # zipfile raises BadZipFile, EOFError, struct.error, zlib.error, NotImplementedError, …
        raise unreadable(path, f"not a readable .npz file ({type(error).__name__}: {error})", expected) from error


def _array(data):
    """Returns the array in the bytes of a .npy file, as a read-only view of them. Raises: ValueError."""
    file = io.BytesIO(data)
    shape, fortran, dtype = _npy_header(file, len(data))
    return np.ndarray(shape, dtype, data, file.tell(), order="F" if fortran else "C")


def check_arrays(arrays, wanted, path, mend):
    """Raises cli.UserError unless arrays exist, have the wanted kinds and dimensions, and contain finite numbers.

    Args:
      arrays: dict name -> array.
      wanted: dict name -> (allowed values of `dtype.kind`, such as "f" or "iu"; number of dimensions).
      path: the file. mend: advice for the user, appended to the message.
    """
    for name, (kinds, dimensions) in wanted.items():
        if name not in arrays:
            raise cli.UserError(f"{path}: has no array {name}; {mend}")
        array = arrays[name]
        if array.dtype.kind not in kinds or array.ndim != dimensions:
            raise cli.UserError(f"{path}: {name} is {array.dtype} {list(array.shape)}; {mend}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise cli.UserError(f"{path}: {name} has numbers that are not finite; {mend}")


# --------------------------------------------------------------------------------------------------------------
# HDF5


def open_hdf5(path):
    """Opens an HDF5 file for reading; the caller must close it.

    Returns: (h5py.File, list of the names of its top-level groups and datasets).
    Raises: cli.UserError if it cannot be read.
    """
    import h5py

    try:
        file = h5py.File(path, "r", locking=False)
        return file, list(file)
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError or ValueError
        raise unreadable(path, f"not a readable HDF5 file ({error})") from error


def read_dataset(node, name, path, expected):
    """Returns a dataset of numbers in an HDF5 file as an array.

    Args:
      node: h5py.File or Group. name: name of the dataset in it.
      path: the file, for messages. expected: what it should contain, for messages.

    Raises: cli.UserError if it is missing, damaged, not of numbers, or declares much more data than the file has.
    """
    try:
        dataset = node[name]
        claimed, stored = dataset.size * dataset.dtype.itemsize, dataset.id.get_storage_size()
        if dataset.dtype.kind not in "fiu":
            raise ValueError(f"it holds {dataset.dtype}")
        if claimed > min(LARGEST_DATASET, DEFLATE * min(stored, os.path.getsize(path))):
            raise ValueError(f"it declares {claimed} bytes, {stored} are stored")
        return dataset[()]
    except Exception as error:  # as above
        raise unreadable(path, f"{name} cannot be read ({error})", expected) from error
