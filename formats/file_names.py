"""Converts file names that are not UTF-8: on Linux any bytes can be a name.

Python represents such a byte as a lone surrogate (0xE9, a Latin-1 e with an acute accent, as U+DCE9), so the string
opens the file. Records store the original bytes of the name. In JSON and in text, on the screen and in files, the
surrogate is written as `\\udce9`: this is valid UTF-8, and a JSON reader converts it back to the name.
"""


def to_bytes(name):
    """Returns the bytes of a file name. Raises: UnicodeEncodeError (a ValueError) if it cannot be a file name."""
    return name.encode("utf-8", "surrogateescape")


def from_bytes(data):
    """Returns the file name (str) for its bytes, the inverse of `to_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def written(text):
    """Returns the UTF-8 bytes of a text that may contain names: lone surrogates become `\\udcXX`, as in JSON."""
    return text.encode("utf-8", "backslashreplace")


def is_utf8(name):
    """Returns whether all bytes of a file name are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
