"""Reads text files in several encodings, with any line ends, compressed or not.

The encoding is that of the byte order mark (UTF-8, UTF-16, UTF-32), else the caller's `encoding`, else UTF-8, or UTF-16
if the positions of its zero bytes show it. Line ends may be `\\n`, `\\r\\n` or `\\r`. Files compressed by gzip, bzip2
or xz are recognised by their first bytes. A file that cannot be read raises an error that names the file, the line and
the first wrong byte.
"""

import bz2
import codecs
import errno
import gzip
import io
import json
import lzma
import os
import stat
import zlib

import cli

PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # first bytes of the files
PACKED_NAMES = (".gz", ".bz2", ".xz")
LARGEST_TEXT = 1 << 32  # bytes of a text that is read as a whole; a small compressed file may declare any size
HEAD = 4096  # bytes from which the encoding is found
MARK = "\ufeff"  # also at the beginning of later lines, where files with marks were concatenated
ADVICE = "convert it, e.g. iconv -f CP1252 -t UTF-8 OLD > NEW"
_UNPACK_FAULTS = (EOFError, zlib.error, lzma.LZMAError)


def unreadable(path, reason, expected=""):
    """Returns (does not raise) the cli.UserError for a file that cannot be read.

    Args: reason: why. expected: what the file should contain; "" to leave this out of the message.
    """
    return cli.UserError(f"{path}: {reason}" + (f"; expected {expected}" if expected else ""))


# --------------------------------------------------------------------------------------------------------------
# Bytes


def open_bytes(path):
    """Opens a file for reading bytes, decompressed if it is compressed; returns the open file, which the caller closes.

    Raises: OSError; also for a pipe, because the file is opened twice.
    """
    if stat.S_ISFIFO(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "a pipe, which can be read only once; write its content to a file", path)
    with open(path, "rb") as file:
        head = file.read(8)
    return next((unpack for begin, unpack in PACKED.items() if head.startswith(begin)), open)(path, "rb")


def is_packed(path):
    """Returns whether a file is compressed by gzip, bzip2 or xz. Raises: OSError."""
    with open(path, "rb") as file:
        return file.read(8).startswith(tuple(PACKED))


def unpacked_name(name):
    """Returns a file name without the extension of a compression: "a.txt" for "a.txt.gz" and for "a.txt"."""
    ending = next((ending for ending in PACKED_NAMES if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def read_bytes(path, expected="", limit=LARGEST_TEXT):
    """Returns the bytes of a file, decompressed if it is compressed.

    Args: expected: what the file should contain, for the message of the error. limit: largest number of bytes.
    Raises: cli.UserError: no such file, damaged, not readable, or more than `limit` bytes.
    """
    try:
        with open_bytes(path) as file:
            data = file.read() if isinstance(file, io.BufferedReader) else _unpacked(file, limit)
    except FileNotFoundError as error:
        raise unreadable(path, "no such file", expected) from error
    except (*_UNPACK_FAULTS, gzip.BadGzipFile) as error:
        raise unreadable(path, f"a damaged packed file ({error})", expected) from error
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        raise unreadable(path, f"cannot be read ({getattr(error, 'strerror', None) or error})", expected) from error
    if len(data) > limit:
        raise unreadable(path, f"more than {limit} bytes", expected)
    return data


def _unpacked(file, limit):
    """Returns the decompressed bytes of an open file.

    If there are more than `limit`, it stops soon after `limit` bytes.
    """
    data = bytearray()
    while len(data) <= limit and (piece := file.read(1 << 20)):
        data += piece
    return bytes(data)


def head_of(path, size=HEAD):
    """Returns the first `size` bytes of a file, decompressed if it is compressed; fewer if it is shorter.

    Raises: cli.UserError if the file is missing or damaged.
    """
    try:
        with open_bytes(path) as file:
            return file.read(size)
    except FileNotFoundError as error:
        raise unreadable(path, "no such file") from error
    except (*_UNPACK_FAULTS, gzip.BadGzipFile) as error:
        raise unreadable(path, f"a damaged packed file ({error})") from error
    except OSError as error:
        raise unreadable(path, f"cannot be read ({error.strerror or error})") from error


# --------------------------------------------------------------------------------------------------------------
# Encodings


def encoding_of(head, declared=None):
    """Returns the encoding of a text (str): that of its byte order mark, else the declared one, else a guess.

    The guess is UTF-16 or UTF-32 if the positions of zero bytes show it, else UTF-8.

    Args: head: first bytes of the text. declared: name of an encoding, or None.
    Raises: cli.UserError: the declared encoding does not exist.
    """
    if declared:
        check_encoding(declared)
    found = json.detect_encoding(head[:HEAD])  # by the mark, or by the positions of zero bytes
    marked = found in ("utf-8-sig", "utf-16", "utf-32")
    if marked or (found != "utf-8" and not declared and _is_wide(head, found)):
        return found
    return declared or "utf-8"


def check_encoding(name):
    """Raises cli.UserError unless Python knows a text encoding of this name."""
    try:
        known = codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):  # ValueError: a zero byte in the name
        known = False
    if not known:
        raise cli.UserError(
            f"there is no encoding {name!r}; expected e.g. utf-8, utf-16, latin-1, cp1252, gb18030, shift_jis"
        )


def _is_wide(head, encoding):
    """Returns whether bytes can be decoded to text of which half is ASCII, so that they are a text and not binary data.

    Args: head: first bytes of a file. encoding: UTF-16 or UTF-32, as found by the positions of zero bytes.
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head[:HEAD])
    except UnicodeDecodeError:
        return False
    return "\0" not in text and sum(map(str.isascii, text)) >= 0.5 * len(text)


def decode(data, encoding=None, errors="strict"):
    """Returns the text (str) of bytes, without byte order mark and with line ends `\\n`.

    Args:
      encoding: encoding of bytes without a byte order mark; None: UTF-8.
      errors: error handler of `bytes.decode`.

    Raises: ValueError naming the first byte that cannot be decoded, and its line; also for a text with a zero byte.
    """
    try:
        text = data.decode(encoding_of(data, encoding), errors)
    except UnicodeDecodeError as error:
        raise ValueError(fault_of(error)) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix(MARK).replace("\n" + MARK, "\n")
    if "\0" in text:
        raise ValueError(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1} has a zero byte, so it is not a text")
    return text


def bad_byte(error):
    """Returns text such as "byte 0xe9 at position 12" for the byte that could not be decoded.

    Args: error: UnicodeDecodeError.
    """
    bad = error.object[error.start : error.start + 1]
    return f"byte 0x{bad.hex()} at position {error.start}" if bad else "the end"


def fault_of(error):
    """Returns a message for bytes that are not text: the first byte that cannot be decoded, its line, how to convert.

    Args: error: UnicodeDecodeError.
    """
    before = error.object[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    name = "UTF-8 text" if error.encoding == "utf-8" else f"UTF-8 text, nor {error.encoding.upper()}"
    return f"not {name}: {bad_byte(error)}, line {before.count(bytes([10])) + 1}; {ADVICE}"


# --------------------------------------------------------------------------------------------------------------
# Whole texts and lines


def read(path, expected="", encoding=None, errors="strict"):
    """Returns the text of a file (str), decompressed, without byte order mark and with line ends `\\n`.

    Args:
      path: the file.
      expected: what it should contain, for the message of the error.
      encoding: encoding of a file without a byte order mark; None: UTF-8.
      errors: error handler of `bytes.decode`; "surrogateescape" for a list of file names, which need not be UTF-8
        (formats/file_names.py).

    Raises: cli.UserError if the file is missing, damaged, too large or not text.
    """
    try:
        return decode(read_bytes(path, expected), encoding, errors)
    except ValueError as error:
        raise unreadable(path, str(error), expected) from error


def lines(path, encoding=None, errors="strict"):
    """Yields (line number from 1, line without line end) for all lines of a file, without reading it as a whole.

    Args:
      encoding: encoding of a file without a byte order mark; None: UTF-8.
      errors: error handler of `bytes.decode`; "surrogateescape" for a list of file names.

    Raises: cli.UserError if the file cannot be read or decoded.
    """
    found = encoding_of(head_of(path), encoding)
    try:
        with open_bytes(path) as packed, io.TextIOWrapper(packed, found, errors) as file:
            for number, line in enumerate(file, 1):
                if "\0" in line:
                    raise unreadable(path, f"line {number} has a zero byte, so it is not a text")
                yield number, line.removesuffix("\n").removeprefix(MARK)
    except UnicodeDecodeError:  # its position counts from the current part of the file
        read(path, encoding=encoding, errors=errors)
        raise
    except (*_UNPACK_FAULTS, gzip.BadGzipFile) as error:
        raise unreadable(path, f"a damaged packed file ({error})") from error
    except OSError as error:
        raise unreadable(path, f"cannot be read ({error.strerror or error})") from error


def head_text(path, size, encoding=None):
    """Returns (text in the first `size` bytes of a file, whether these are the whole file): (str, bool).

    Bytes that cannot be decoded become U+FFFD; line ends become `\\n`.

    Args: encoding: encoding of a file without a byte order mark; None: UTF-8.
    Raises: cli.UserError if the file cannot be read.
    """
    head = head_of(path, size + 1)
    decoder = codecs.getincrementaldecoder(encoding_of(head, encoding))("replace")
    text = decoder.decode(head[:size], final=len(head) <= size)
    return text.removeprefix(MARK).replace("\r\n", "\n").replace("\r", "\n"), len(head) <= size


def lies_as_utf8(path, encoding=None):
    """Returns whether a file is uncompressed UTF-8, so that a reader can seek to the byte offset of a line.

    Args: encoding: encoding of a file without a byte order mark; None: UTF-8.
    Raises: cli.UserError if the file cannot be read.
    """
    return not is_packed(path) and encoding_of(head_of(path), encoding).lower() in ("utf-8", "utf8", "utf-8-sig")


def copy_as_utf8(path, target, encoding=None):
    """Copies a text file to the path `target`, decompressed, in UTF-8 with line ends `\\n`, line by line.

    An existing file `target` is replaced, but not atomically.

    Args: encoding: encoding of a file without a byte order mark; None: UTF-8.
    Raises: cli.UserError if the file cannot be read; OSError if `target` cannot be written.
    """
    with open(target, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for _, line in lines(path, encoding))
