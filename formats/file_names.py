"""Converts between file names (str) and their bytes, also for names that are not UTF-8: Linux allows any bytes.

Python represents a byte that is not UTF-8 as a lone surrogate (0xE9, a Latin-1 e with an acute accent, as U+DCE9), so
the string opens the file. Records store the original bytes of the name. In JSON, in other text files and on the screen
the surrogate is written as `\\udce9`: this is valid UTF-8, and a JSON reader converts it back to the name.
"""


def to_bytes(name):
    """Returns the bytes of a file name. Raises: UnicodeEncodeError (a ValueError) if the text cannot be a file name."""
    return name.encode("utf-8", "surrogateescape")


def from_bytes(data):
    """Returns the file name (str) of its bytes; the inverse of `to_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def written(text):
    """Returns the UTF-8 bytes of a text; lone surrogates (of file names in it) become `\\udcXX`, as in JSON."""
    return text.encode("utf-8", "backslashreplace")


def is_utf8(name):
    """Returns whether all bytes of a file name are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
