"""Names of files that are not UTF-8, as on Linux: any bytes can be a name.

Python keeps such a byte as a lone surrogate (0xE9, a Latin-1 e with an acute accent, as U+DCE9), so the string opens
the file. In records the name has its own bytes again. In JSON and in text, on the screen and in files, the surrogate is
written as `\\udce9`: valid UTF-8, and a JSON reader turns it back into the name.
"""


def to_bytes(name):
    """The bytes of a name. Raises: UnicodeEncodeError (a ValueError) for a string that is no file's name."""
    return name.encode("utf-8", "surrogateescape")


def from_bytes(data):
    """The name with these bytes."""
    return data.decode("utf-8", "surrogateescape")


def written(text):
    """UTF-8 bytes of a text that may hold names: lone surrogates become `\\udcXX`, which JSON turns back."""
    return text.encode("utf-8", "backslashreplace")


def is_utf8(name):
    """Whether a name has no byte that is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
