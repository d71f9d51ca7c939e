"""Converts texts to ASCII, as the authors did, and counts the characters that are lost."""

import re
import unicodedata

APART = "\x01"  # marks a dropped character until it is known whether there are words before and after it
QUOTES = frozenset("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u02bc\u00ab\u00bb\u2039\u203a")
# Signs that separate or join words or numbers and have a spelling in ASCII.
SPELLED = {
    **dict.fromkeys("\u2010\u2011\u2212", "-"),
    **dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\u0085\u2028\u2029", "\n"),
    "\u2044": "/",
    "\u200b": APART,  # a blank without width
}
HTML = re.compile(r"&(?:[a-z]{2,8}|#\d{2,5}|#x[0-9a-f]{2,5});|</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", re.IGNORECASE)


def _spelled(char):
    """Returns (ASCII text for a character, whether the character is lost)."""
    if char in SPELLED:
        return SPELLED[char], False
    if char.isascii():
        return char if char.isprintable() or char.isspace() else APART, False
    parts = unicodedata.normalize("NFKD", char)
    if parts != char:
        found = [_spelled(part) for part in parts]
        before = " " if "\u2044" in parts else ""  # 1\u00bd is 1 1/2
        return before + "".join(text for text, _ in found), all(lost for _, lost in found)
    kind = unicodedata.category(char)
    if kind in ("Mn", "Me", "Cf"):  # accents, which are dropped; marks without width
        return "", False
    if char in QUOTES:  # dropped, as by the authors, because they also occur inside words
        return "", True
    if kind[0] in "PZ":  # dashes, bullets, blanks: the words around them stay separate
        return APART, False
    return (APART if kind[0] in "SC" else ""), True


class _Table(dict):
    """Table for str.translate: code point -> ASCII text, computed at the first access.

    Attributes: lost: set of the characters without an ASCII spelling among those that were looked up so far.
    """

    def __init__(self):
        super().__init__()
        self.lost = set()

    def __missing__(self, code):
        self[code], lost = _spelled(chr(code))
        if lost:
            self.lost.add(chr(code))
        return self[code]


_TABLE = _Table()
_BETWEEN = re.compile(rf"(?<=[^\s{APART}]){APART}+(?=[^\s{APART}])")


def to_ascii(text):
    """Returns (the text in ASCII, the number of lost characters: those of `text` that have no ASCII spelling).

    Accents, letters without an ASCII spelling and curly quotes are dropped, as in the authors' program (Unicode's NFKD,
    then only ASCII characters). Other than there, a dash, bullet or other sign between two words becomes a blank, so
    that the words stay separate. Accents, dashes and bullets do not count as lost.
    """
    if text.isascii() and text.isprintable():
        return text, 0
    found = _BETWEEN.sub(" ", text.translate(_TABLE)).replace(APART, "")
    return found, 0 if text.isascii() else sum(char in _TABLE.lost for char in text)


def holds_html(text):
    """Returns whether a text contains HTML tags or entities (`<b>`, `&amp;`), which would become words."""
    return ("&" in text or "<" in text) and HTML.search(text) is not None
