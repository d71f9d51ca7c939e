"""Words and their numbers: the dictionary, the tokenizers, concept words and plurals."""

import collections
import functools
import hashlib
import os
import re

import cli
from formats import label_maps, made_by, readers, sidecars, texts

START, END, UNKNOWN = "<S>", "</S>", "<UNK>"


class Vocabulary:
    """The dictionary: a word's id is its line number in the file; the unknown word has the last id and no line.

    Source: docs/stages.md.
    """

    start_id, end_id = 0, 1

    def __init__(self, words, counts=None):
        """
        Args:
          words: list of words; the first two are the start and the end marker.
          counts: how often each word occurs in the corpus (default: zeros); kept for the file only.
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
        """Reads the file `word count` a line (the authors' format). Raises: cli.UserError naming file and line."""
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
        """Writes the file `word count` a line."""
        lines = [f"{word} {count}\n" for word, count in zip(self.words, self.counts, strict=True)]
        sidecars.write_whole(path, "".join(lines))

    @property
    def unknown_id(self):
        return len(self.words)

    @property
    def size(self):
        """Number of ids, the unknown word's included."""
        return len(self.words) + 1

    def __contains__(self, word):
        return word in self._ids

    def id(self, word):
        return self._ids.get(word, self.unknown_id)

    def word(self, id):
        return self.words[id] if id < len(self.words) else UNKNOWN

    def encode(self, tokens):
        """Ids of the tokens; no markers are added."""
        return [self._ids.get(token, self.unknown_id) for token in tokens]

    def decode(self, ids):
        """The text of ids: ends before the first end marker, leaves out start markers."""
        words = []
        for id in ids:
            if id == self.end_id:
                break
            if id != self.start_id:
                words.append(self.word(int(id)))
        return " ".join(words)

    def fingerprint(self):
        """sha256 (hex) of the words in order; two dictionaries with the same one give the same ids."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()


# --------------------------------------------------------------------------------------------------------------
# Tokenizers

TOKENIZERS = ("nltk_word", "nltk_punkt")


# Most descriptions are words, commas, colons, lone marks and a full stop at the end. NLTK's forty substitutions do
# nothing to them but split those off, which one expression does ten times faster; all others go through NLTK.
_WORD = "[a-z0-9]+(?:-[a-z0-9]+)*"
_PLAIN = re.compile(rf"(?:(?:{_WORD}[,:]?|[-.,:])(?: +|\Z))+|(?:(?:{_WORD}[,:]?|[-.,:]) +)*{_WORD}\.")
_PIECE = re.compile(rf"{_WORD}|[-.,:]")
_CONTRACTED = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b")


def tokenizer(name):
    """The function text -> list of lower-cased tokens with the given name.

    Args:
      name: "nltk_word": NLTK's word tokenizer on the whole text, needs no data. "nltk_punkt": NLTK's `word_tokenize`,
        which splits the text into sentences first, as the authors did; the two differ for texts of several sentences.
    Raises: cli.UserError when the sentence model of "nltk_punkt" is not installed.
    """
    if name == "nltk_word":
        from nltk.tokenize import NLTKWordTokenizer

        slow = NLTKWordTokenizer().tokenize

        def split(text):
            return _PIECE.findall(text) if _PLAIN.fullmatch(text) and not _CONTRACTED.search(text) else slow(text)

    elif name == "nltk_punkt":
        import nltk

        split = nltk.word_tokenize
        try:
            split("Two dogs. Two cats.")
        except LookupError as error:
            raise cli.UserError(
                "--tokenizer nltk_punkt needs NLTK's sentence model, which is not installed. Install it with: "
                "python -m nltk.downloader punkt_tab (or use --tokenizer nltk_word)"
            ) from error
    else:
        raise cli.UserError(f"no tokenizer {name!r}; there are: {', '.join(TOKENIZERS)}")
    return lambda text: split(text.lower())


# --------------------------------------------------------------------------------------------------------------
# Concept words

_BRACKETS = str.maketrans("[]{}\uff08\uff09", "()()()")
_AROUND = "()\"'.;:!?"  # marks around a word that are no part of it


def concept_word(class_name):
    """The word that stands for an object class: the last word of its display name, lower-cased.

    What stands in brackets is left out ("Squash (Plant)"), of several names the first one counts ("tench, Tinca
    tinca"), and underscores are blanks ("alarm_clock", LVIS' "bat_(animal)").

    Source: Feng et al. 2019, section 4.1, for the last word.
    """
    name = class_name.replace("_", " ").translate(_BRACKETS)
    plain, removed = name, 1
    while removed:
        plain, removed = re.subn(r"\([^()]*\)|\([^()]*$", " ", plain)
    first = next((part for part in plain.split(",") if part.split()), name)
    word = first.split()[-1].lower()
    return word.strip(_AROUND) or word


def load_class_names(path):
    """Display names of the object classes, from any file that `label_maps.read_labels` reads, without placeholders."""
    return label_maps.names_of(label_maps.read_labels(path))


def concept_words(class_names):
    """dict concept word -> the class names that it stands for; words in alphabetical order."""
    found = collections.defaultdict(list)
    for name in class_names:
        found[concept_word(name)].append(name)
    return {word: found[word] for word in sorted(found)}


def load_synonyms(path, concepts):
    """Other names of concept words, from lines `word: name name ...`; `#` starts a comment.

    Args:
      path: the file.
      concepts: the concept words; lines about other words, and names that are concept words themselves, are left out.
    Returns: dict name -> concept word.
    Raises: cli.UserError for a line of another form.
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
    import inflect

    return inflect.engine()


def _inflected(word):
    """The plural of a noun by rule; a word that is a plural already (scissors) stays."""
    engine = _inflect()
    if engine.singular_noun(word) and not word.endswith(("ss", "us")):  # it takes "bus" for the plural of "bu"
        return word
    return engine.plural_noun(word)


def plurals(source, words):
    """The replacement table plural -> singular for concept words.

    Args:
      source: "inflect" (by the rules of that library), "none", or the path of a JSON table word -> plural. A word that
        is not in the table has no plural.
      words: the concept words.
    Returns: dict. Where two words have the same plural, the alphabetically later one wins, so that a class named in
      the plural ("glasses") keeps its name.
    Source: docs/stages.md.
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
