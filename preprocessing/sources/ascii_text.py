"""Texts as ASCII, as the authors had theirs, and how much of them is lost on the way."""

import re
import unicodedata

APART = "\x01"  # in the place of what is dropped, until it is known whether words stood before and behind it
QUOTES = frozenset("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u02bc\u00ab\u00bb\u2039\u203a")
# Signs that keep words or numbers apart, or together, and have a spelling in ASCII.
SPELLED = {
    **dict.fromkeys("\u2010\u2011\u2212", "-"),
    **dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\u0085\u2028\u2029", "\n"),
    "\u2044": "/",
    "\u200b": APART,  # a blank without width
}
HTML = re.compile(r"&(?:[a-z]{2,8}|#\d{2,5}|#x[0-9a-f]{2,5});|</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>", re.IGNORECASE)


def _spelled(char):
    """(ASCII in the place of a character, whether the character is lost)."""
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
    if kind in ("Mn", "Me", "Cf"):  # accents, which the letter before them loses; marks without width
        return "", False
    if char in QUOTES:  # dropped, as by the authors: they stand inside of words as well
        return "", True
    if kind[0] in "PZ":  # dashes, bullets, blanks: what stood apart stays apart
        return APART, False
    return (APART if kind[0] in "SC" else ""), True


class _Table(dict):
    """For str.translate: character number -> ASCII, worked out when it is first met."""

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
    """(the text in ASCII, the number of its characters that are lost).

    Accents are split off and dropped, and so are letters without an ASCII spelling and curly quotes, as the authors
    did (Unicode's NFKD, then what is ASCII). Unlike there, a dash, bullet or other sign between two words becomes a
    blank, so that they stay apart.
    """
    if text.isascii() and text.isprintable():
        return text, 0
    found = _BETWEEN.sub(" ", text.translate(_TABLE)).replace(APART, "")
    return found, 0 if text.isascii() else sum(char in _TABLE.lost for char in text)


def ascii_lines(text):
    """(the lines of a text as ASCII bytes, the number of characters that are lost)."""
    found, lost = to_ascii(text.replace("\r\n", "\n").replace("\r", "\n"))
    return found.encode("ascii").split(b"\n"), lost


def holds_html(text):
    """Whether a text holds tags or entities (`<b>`, `&amp;`), which become words."""
    return ("&" in text or "<" in text) and HTML.search(text) is not None
