"""Reading files that may be damaged: text, JSON and arrays. What is wrong is a cli.UserError that names the file.

The libraries below raise a dozen different exceptions for damaged files, allocate what a header claims before they look
whether the file holds it, and nest as deeply as a file asks for. So files of these kinds are read by these functions.
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

DEFLATE = 1032  # no deflated data unpack to more than so many times their bytes
LARGEST_NUMBER = float(np.finfo(np.float64).max)
LARGEST_DATASET = 1 << 28  # bytes of one HDF5 dataset, which is about one photograph


# --------------------------------------------------------------------------------------------------------------
# Text and JSON, in any encoding that texts.py knows


def check_regular(path):
    """Raises cli.UserError unless a path is a file: no folder, no pipe (it would be waited for), no link to nowhere."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        where = f"a link to {os.readlink(path)}: " if os.path.islink(path) else ""
        raise unreadable(path, f"{where}{error.strerror}", "a file") from error
    if not stat.S_ISREG(mode):
        raise unreadable(path, "a folder" if stat.S_ISDIR(mode) else "a pipe or device", "a file")


def text_lines(path, errors="strict"):
    """Yields (line number, line) of the lines of a file that are not empty.

    Args: errors: "surrogateescape" for a list of file names, which need not be UTF-8 (formats/file_names.py).
    """
    return ((number, line) for number, line in texts.lines(path, errors=errors) if line.strip())


def parse_json(text, unique=False, encoding=None):
    """The value of a JSON text, or of its bytes.

    Args:
      encoding: of bytes that do not tell theirs.
      unique: a key that stands twice in an object is an error; else the last one counts, as is usual.

    Raises: ValueError, also where it is nested too deeply.
    """
    pairs = {"object_pairs_hook": _unique} if unique else {}
    try:
        return json.loads(text if isinstance(text, str) else texts.decode(text, encoding), **pairs)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _unique(pairs):
    found = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise ValueError(f"the key {key[:80]!r} stands twice")
    return found


def read_json(path, expected="", kind=None, encoding=None):
    """The value in a JSON file.

    Args:
      expected: what the file should hold, for messages. kind: type of the value, such as dict; None takes any.
      encoding: of a file that does not tell its own.

    Raises: cli.UserError.
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
    """Yields (place, value) of a file with one JSON value a line, or with one list of them.

    Args: expected: what a value should be, for messages.
    Raises: cli.UserError naming the line.
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
            raise unreadable(path, f"line {number} is {line[:80]!r}, no JSON ({error})", expected) from error


def check_fields(value, fields, path, mend=""):
    """Raises cli.UserError unless a JSON value is an object whose fields are what they should be.

    Args:
      value: from a JSON file.
      fields: dict name -> function that says whether the field's value is right; it gets None where there is none.
      path: the file, or a place in it. mend: what the user can do.
    """
    mend = f"; {mend}" if mend else ""
    if not isinstance(value, dict):
        raise cli.UserError(f"{path}: found a {type(value).__name__}, expected an object{mend}")
    for name, fits in fields.items():
        if not fits(value.get(name)):
            found = repr(value[name])[:80] if name in value else "missing"
            raise cli.UserError(f"{path}: {name} is {found}, another kind of value than expected{mend}")


def is_object(value):
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value):
    """Whether a JSON value is a list."""
    return isinstance(value, list)


def is_text(value):
    """Whether a JSON value is a string."""
    return isinstance(value, str)


def is_count(value):
    """Whether a JSON value is an integer that is not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value):
    """Whether a JSON value is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= LARGEST_NUMBER  # integers may be larger than any float


def are_texts(value):
    """Whether a JSON value is a list of strings."""
    return isinstance(value, list) and all(map(is_text, value))


def are_numbers(value):
    """Whether a JSON value is a list of finite numbers."""
    return isinstance(value, list) and all(map(is_number, value))


def optional(fits):
    """The same check for a field that may be absent or null."""
    return lambda value: value is None or fits(value)


# --------------------------------------------------------------------------------------------------------------
# NumPy's files


def _npy_header(file, size):
    """(shape, Fortran order, dtype) of a .npy file. Raises: ValueError unless it has just the `size` bytes it claims.

    Args: file: open at its beginning, then stands at the data. size: bytes from there to the end.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except Exception as error:  # numpy evaluates the header as Python: any of six exceptions, by the kind of damage
        raise ValueError(f"its header is damaged: {type(error).__name__} {error}") from error
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"an array {list(shape)} of {dtype}, expected numbers or text")
    claimed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if claimed != there:
        raise ValueError(f"its header claims {claimed} bytes ({dtype} {list(shape)}), {there} are there")
    return shape, fortran, dtype


def map_npy(path):
    """The array of a .npy file, memory-mapped: only what is looked at is read. Raises: cli.UserError."""
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
    """dict name -> array of an .npz file as np.savez writes it (not compressed), read-only; checksums are compared.

    Raises: cli.UserError, also where its arrays claim more bytes than the file has.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            claimed, size = sum(member.file_size for member in members), os.path.getsize(path)
            if claimed > size:
                raise ValueError(f"its arrays claim {claimed} bytes, the file has {size}")
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except FileNotFoundError as error:
        raise unreadable(path, "no such file", expected) from error
    except Exception as error:  # zipfile raises BadZipFile, EOFError, struct.error, zlib.error, NotImplementedError, …
        raise unreadable(path, f"not a readable .npz file ({type(error).__name__}: {error})", expected) from error


def _array(data):
    file = io.BytesIO(data)
    shape, fortran, dtype = _npy_header(file, len(data))
    return np.ndarray(shape, dtype, data, file.tell(), order="F" if fortran else "C")


def check_arrays(arrays, wanted, path, mend):
    """Raises cli.UserError unless arrays are there, of these kinds and dimensions, with finite numbers.

    Args:
      arrays: dict name -> array. wanted: dict name -> (kinds of numpy's dtypes, such as "f" or "iu", dimensions).
      path: the file. mend: what the user can do.
    """
    for name, (kinds, dimensions) in wanted.items():
        if name not in arrays:
            raise cli.UserError(f"{path}: has no array {name}; {mend}")
        array = arrays[name]
        if array.dtype.kind not in kinds or array.ndim != dimensions:
            raise cli.UserError(f"{path}: {name} is {array.dtype} {list(array.shape)}; {mend}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise cli.UserError(f"{path}: {name} holds numbers that are not finite; {mend}")


# --------------------------------------------------------------------------------------------------------------
# HDF5


def open_hdf5(path):
    """(open h5py.File, names of what it holds). Raises: cli.UserError."""
    import h5py

    try:
        file = h5py.File(path, "r", locking=False)
        return file, list(file)
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError or ValueError, by the kind of damage
        raise unreadable(path, f"not a readable HDF5 file ({error})") from error


def read_dataset(node, name, path, expected):
    """A dataset of numbers below a node of an HDF5 file, as an array.

    Raises: cli.UserError, also where it claims more than the file can hold, before anything is read.
    """
    try:
        dataset = node[name]
        claimed, stored = dataset.size * dataset.dtype.itemsize, dataset.id.get_storage_size()
        if dataset.dtype.kind not in "fiu":
            raise ValueError(f"it holds {dataset.dtype}")
        if claimed > min(LARGEST_DATASET, DEFLATE * min(stored, os.path.getsize(path))):
            raise ValueError(f"it claims {claimed} bytes, {stored} are stored")
        return dataset[()]
    except Exception as error:  # as above
        raise unreadable(path, f"{name} cannot be read ({error})", expected) from error
