"""Texts in any language: case folding, words and characters, and captions from words.

Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan are written without blanks between words. Their scripts are
called unspaced here: a tokenizer divides them into characters, and a caption is written without blanks between them.
"""

import functools
import re
import sys
import unicodedata

# Blocks of the unspaced scripts, with their punctuation: Thai, Lao, Tibetan, Burmese, Khmer, Chinese and Japanese.
UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u303f\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
)
JOINERS = "\u200c\u200d"  # within words of Persian and of Indian languages; they change how letters look
_LINE_ENDS = dict.fromkeys(map(ord, "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), "\n")
_UNSPACED = re.compile(f"[{UNSPACED}]")
OTHER_LETTERS = re.compile(r"[^\W\d_\x00-\u024f]")  # neither ASCII nor Latin with accents
BETWEEN = re.compile(f"(?<=[{UNSPACED}]) | (?=[{UNSPACED}])")


def fold(text):
    """Returns a text in Unicode's composed form (NFC) with its case folded: "Straße" becomes "strasse"."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


class _Cleaning(dict):
    """Table for str.translate that removes what is no text: code point -> text, computed at the first access."""

    def __missing__(self, code):
        char = chr(code)
        kind = unicodedata.category(char)
        if kind == "Cs":  # half of a character; UTF-8 cannot hold it
            self[code] = ""
        elif kind == "Cc" or char == "\u200b":  # a control character, or a blank without width
            self[code] = char if char in "\t\n" else " "
        else:  # marks of direction, soft hyphens and the like would make two words of one
            self[code] = "" if kind == "Cf" and char not in JOINERS else char
        return self[code]


_CLEANING = _Cleaning(_LINE_ENDS)


def to_unicode(text):
    """Returns (a text in NFC, number of lost characters: halves of characters, which UTF-8 cannot hold).

    Letters, accents and punctuation stay. Line ends of all kinds become `\\n`, control characters become blanks, and
    invisible marks (direction, soft hyphen, byte order) are dropped.
    """
    if text.isascii() and text.isprintable():
        return text, 0
    lost = 0 if text.isascii() else sum("\ud800" <= char <= "\udfff" for char in text)
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").translate(_CLEANING)), lost


# --------------------------------------------------------------------------------------------------------------
# Words and characters


@functools.cache
def _pieces():
    """Returns the pattern of one token of `characters`.

    Python's `\\w` lacks the marks that are part of a letter (vowel signs, accents without a composed letter).
    """
    points = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]
    ranges, first = [], points[0]
    for before, code in zip(points, [*points[1:], None], strict=True):
        if code != before + 1:
            ranges.append(f"{chr(first)}-{chr(before)}")
            first = code
    mark = "".join(ranges)
    letter = rf"(?:(?![{UNSPACED}])[\w{mark}{JOINERS}])"
    return re.compile(rf"[{UNSPACED}][{mark}{JOINERS}]*|{letter}+(?:['\u2019-]{letter}+)*|\S[{mark}{JOINERS}]*")


def characters(text):
    """Returns the tokens of a text: each character of an unspaced script, each word of others, each punctuation mark.

    A character keeps the marks that belong to it; "l'homme" and "well-known" are one word.
    """
    return _pieces().findall(text)


def join(words):
    """Returns the text of a list of words: joined by blanks, except beside a character of an unspaced script."""
    text = " ".join(words)
    return text if text.isascii() else BETWEEN.sub("", text)


def has_unspaced(text):
    """Returns whether a text has a character of an unspaced script: bool."""
    return bool(_UNSPACED.search(text))


def split(text):
    """Returns the words of a text that `join` made: what blanks separate, with unspaced scripts as characters."""
    if text.isascii() or not has_unspaced(text):
        return text.split()
    return [token for word in text.split() for token in (characters(word) if has_unspaced(word) else [word])]


def merger(words):
    """Returns a function that merges, in a list of tokens, the characters of each of the given words to one token.

    For example, the concept word "自行车" (bicycle) is three tokens in a corpus that was divided into characters.
    Of words that begin at the same character the longest is taken. Words without unspaced characters are not merged.

    Args: words: iterable of words. Returns: function list of tokens -> list of tokens; tokens are read from the left.
    """
    spelled = {tuple(parts): word for word in words if len(parts := split(word)) > 1}
    if not spelled:
        return lambda tokens: tokens
    lengths, firsts = sorted({len(parts) for parts in spelled}, reverse=True), {parts[0] for parts in spelled}

    def merge(tokens):
        if firsts.isdisjoint(tokens):
            return tokens
        found, place = [], 0
        while place < len(tokens):
            sizes = lengths if tokens[place] in firsts else ()
            size = next((size for size in sizes if tuple(tokens[place : place + size]) in spelled), 1)
            found.append(spelled.get(tuple(tokens[place : place + size]), tokens[place]))
            place += size
        return found

    return merge
