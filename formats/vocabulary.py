"""Words and their ids: dictionary, concept words (the words that name object classes) and plurals."""

import collections
import contextlib
import functools
import hashlib
import os
import re

import cli
from formats import label_maps, made_by, readers, sidecars, texts
from formats.languages import unicode_text

START, END, UNKNOWN = "<S>", "</S>", "<UNK>"
_noted = []  # sets of `unknown_words`, the innermost last


@contextlib.contextmanager
def unknown_words():
    """Context manager: collects the words that were looked up in any Vocabulary within the block and are not in it.

    Yields: dict whose keys are these words, in the order of the look-ups; its values are None. It is filled during the
      block. Of nested blocks only the innermost one collects words.
    """
    _noted.append({})
    try:
        yield _noted[-1]
    finally:
        _noted.pop()


class Vocabulary:
    """The dictionary of a corpus: the id of a word is its line number in the file, from 0.

    The unknown word has the last id and no line. This is the authors' format (docs/stages.md).

    Attributes:
      words: list of str by id, without the unknown word.
      counts: list of int, how often each of them occurs in the corpus.
      start_id, end_id: ids of the start and the end marker.
    """

    start_id, end_id = 0, 1

    def __init__(self, words, counts=None):
        """Makes a dictionary.

        Args:
          words: list of words; the first two are the start and the end marker.
          counts: list, how often each word occurs in the corpus (default: zeros); used only to write the file.

        Raises: cli.UserError if the markers are missing or a word occurs twice.
        """
        if list(words[:2]) != [START, END]:
            raise cli.UserError(f"a dictionary begins with {START} and {END}, this one with {list(words[:2])}")
        self.words = list(words)
        self.counts = list(counts) if counts is not None else [0] * len(self.words)
        self._ids = {word: i for i, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            twice = next(word for word, count in collections.Counter(self.words).items() if count > 1)
            raise cli.UserError(f"a dictionary lists every word once, this one lists {twice!r} twice")

    @classmethod
    def load(cls, path):
        """Returns the Vocabulary in a file with `word count` on each line (the authors' format).

        Raises: cli.UserError naming file and line.
        """
        words, counts = [], []
        folder, name = os.path.split(path)
        expected = "`word count` a line"
        if name == "word_counts.txt":
            expected += f". Make it with: {made_by.command(folder or '.', 'dictionary')}"
        lines = texts.read(path, expected).removesuffix("\n").split("\n")
        for number, line in enumerate(lines, 1):
            word, _, count = line.rstrip("\r").partition(" ")
            if not word or not re.fullmatch("[0-9]{1,18}", count):
                raise cli.UserError(f"{path}: line {number} is {line!r}, expected `word count`")
            words.append(word)
            counts.append(int(count))
        try:
            return cls(words, counts)
        except cli.UserError as error:
            raise cli.UserError(f"{path}: {error}") from error

    def save(self, path):
        """Writes the file with `word count` on each line, atomically. Raises: OSError."""
        lines = [f"{word} {count}\n" for word, count in zip(self.words, self.counts, strict=True)]
        sidecars.write_whole(path, "".join(lines))

    @property
    def unknown_id(self):
        """Returns the id of the unknown word."""
        return len(self.words)

    @property
    def size(self):
        """Returns the number of ids, including that of the unknown word."""
        return len(self.words) + 1

    def __contains__(self, word):
        return word in self._ids

    def id(self, word):
        """Returns the id of a word; that of the unknown word if the dictionary does not have it."""
        found = self._ids.get(word)
        if found is None and _noted:
            _noted[-1][word] = None
        return self.unknown_id if found is None else found

    def word(self, id):
        """Returns the word of an id; "<UNK>" for the id of the unknown word."""
        return self.words[id] if id < len(self.words) else UNKNOWN

    def encode(self, tokens):
        """Returns the list of the ids of tokens (the unknown word's for unknown tokens); adds no markers."""
        return [self.id(token) for token in tokens]

    def words_of(self, ids):
        """Returns the list of the words of ids, up to the first end marker and without start markers."""
        words = []
        for id in ids:
            if id == self.end_id:
                break
            if id != self.start_id:
                words.append(self.word(int(id)))
        return words

    def decode(self, ids):
        """Returns the text of ids (`unicode_text.join`), up to the first end marker and without start markers."""
        return unicode_text.join(self.words_of(ids))

    def fingerprint(self):
        """Returns the sha256 (hex) of the words in order; dictionaries with the same fingerprint give the same ids."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()


# --------------------------------------------------------------------------------------------------------------
# Concept words

_BRACKETS = str.maketrans("[]{}\uff08\uff09", "()()()")
_AROUND = "()\"'.;:!?"  # punctuation around a word that is not part of it


def concept_word(class_name):
    """Returns the concept word of an object class: the last word of its display name, lower-cased.

    Text in brackets is removed ("Squash (Plant)"), the first of several names is used ("tench, Tinca tinca"), and
    underscores count as blanks ("alarm_clock", LVIS' "bat_(animal)").

    Source: Feng et al. 2019, section 4.1, for the last word.
    """
    name = class_name.replace("_", " ").translate(_BRACKETS)
    plain, removed = name, 1
    while removed:
        plain, removed = re.subn(r"\([^()]*\)|\([^()]*$", " ", plain)
    first = next((part for part in plain.split(",") if part.split()), name)
    word = unicode_text.fold(first.split()[-1])
    return word.strip(_AROUND) or word


def load_class_names(path):
    """Returns the list of the display names of object classes in a label file, without placeholders for unused numbers.

    Args: path: file in a format of `label_maps.read_labels`.
    Raises: cli.UserError if it is missing or has another format.
    """
    return label_maps.names_of(label_maps.read_labels(path))


def concept_words(class_names, class_map=None):
    """Returns dict concept word -> list of the class names that have it; the words are in alphabetical order.

    Args: class_map: dict class name -> concept word, or None for a class without one ; the word of a
      class that is not in it is `concept_word`.
    """
    found, class_map = collections.defaultdict(list), class_map or {}
    for name in class_names:
        word = class_map.get(name, concept_word(name))
        if word is not None:
            found[word].append(name)
    return {word: found[word] for word in sorted(found)}


def load_synonyms(path, concepts):
    """Reads synonyms of concept words from lines `word: name name ...`; `#` starts a comment line.

    Args:
      path: the file.
      concepts: the concept words; lines for other words, and names that are concept words themselves, are left out.

    Returns: dict name -> concept word.
    Raises: cli.UserError for a line in another format.
    """
    lines = texts.read(path, "lines `word: name name ...`").splitlines()
    names = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        word, colon, others = line.partition(":")
        if not colon or not others.split():
            raise cli.UserError(f"{path}: line {number} is {line!r}; expected `word: name name ...`")
        if word.strip() in concepts:
            names |= {name: word.strip() for name in others.split() if name not in concepts}
    return names


# --------------------------------------------------------------------------------------------------------------
# Plurals


@functools.cache
def _inflect():
    """Returns the engine of the library inflect (cached).

    At its import, inflect has typeguard compile each of its functions once more with checks of the argument types. This
    takes 1.8 s, at the start of most commands. Here it is only given strings, so it is imported without the checks.
    """
    import typeguard

    checks, typeguard.typechecked = typeguard.typechecked, lambda function: function
    try:
        import inflect
    finally:
        typeguard.typechecked = checks
    return inflect.engine()


def _inflected(word):
    """Returns the plural of a noun by the rules of inflect; a plural (scissors) is returned unchanged."""
    engine = _inflect()
    if engine.singular_noun(word) and not word.endswith(("ss", "us")):  # inflect takes "bus" for the plural of "bu"
        return word
    return engine.plural_noun(word)


def plurals(source, words):
    """Returns the replacement table of concept words: dict plural -> singular.

    If two words have the same plural, the alphabetically later one is used, so that a class with a plural name
    ("glasses") keeps it (quirk Q5, docs/implementation_details.md).

    Args:
      source: "inflect" (by the rules of that library), "none" (no plurals), or the path of a JSON table word -> plural.
        A word that is not in the table has no plural.
      words: the concept words.

    Raises: cli.UserError if the table cannot be read.
    """
    if source == "none":
        return {}
    if source == "inflect":
        table = {word: _inflected(word) for word in words}
    else:
        expected = "a JSON table for --plurals, word -> plural; or give inflect, or none"
        table = readers.read_json(source, expected, dict)
        readers.check_fields(table, dict.fromkeys(table, readers.is_text), source, f"expected {expected}")
    return {table[word]: word for word in sorted(words) if word in table}
