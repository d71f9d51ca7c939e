"""Tokenizers of corpora: functions from a text to its list of tokens, with the case folded."""

import re

import cli
import extensions
from formats.languages import unicode_text

TOKENIZERS = ("nltk_word", "nltk_punkt", "whitespace", "characters")
TOKENIZER_HELP = (
    "nltk_word (or nltk) needs no data; nltk_punkt splits a line into sentences first, as the authors did; whitespace: "
    "what blanks separate; characters: each character of scripts without blanks (Chinese, Japanese, Thai), each word "
    "of others, each punctuation mark; FILE.py: your function tokenize(text) -> list of tokens"
)
FOLD = {"ascii": str.lower, "unicode": unicode_text.fold}  # --text -> how its letters lose their case


def tokenizer_name(name):
    """Returns the full name of a tokenizer, for the sidecar: "nltk_word" for "nltk"."""
    return "nltk_word" if name == "nltk" else name


# Most descriptions consist of words, commas, colons, single punctuation marks and a full stop at the end. For these,
# NLTK's forty substitutions only split off the punctuation, which one regular expression does ten times faster. All
# other texts are tokenised by NLTK.
_WORD = "[a-z0-9]+(?:-[a-z0-9]+)*"
_PLAIN = re.compile(rf"(?:(?:{_WORD}[,:]?|[-.,:])(?: +|\Z))+|(?:(?:{_WORD}[,:]?|[-.,:]) +)*{_WORD}\.")
_PIECE = re.compile(rf"{_WORD}|[-.,:]")
_CONTRACTED = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b")


def tokenizer(name, text="ascii"):
    """Returns the tokenizer with the given name: a function text -> list of tokens, with case folded.

    Args:
      name: "nltk_word": NLTK's word tokenizer on the whole text, needs no data. "nltk_punkt": NLTK's `word_tokenize`,
        which splits the text into sentences first, as the authors did; the two differ for texts of several sentences.
        "whitespace", "characters": see TOKENIZER_HELP. FILE.py: a program, which is executed.
      text: key of FOLD: what becomes of capitals.

    Raises: cli.UserError for another name, a file without the function, or when the sentence model of "nltk_punkt" is
      not installed.
    """
    name = tokenizer_name(name)
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
    elif name in ("whitespace", "characters"):
        split = str.split if name == "whitespace" else unicode_text.characters
    elif extensions.is_file(name):
        split = _own_tokenizer(name)
    else:
        raise cli.UserError(f"no tokenizer {name!r}; there are: {', '.join(TOKENIZERS)}, FILE.py")
    fold = FOLD[text]
    return lambda text: split(fold(text))


def _own_tokenizer(path):
    """Returns the function `tokenize` of a user's file, with a check of its results.

    Raises: cli.UserError if the file cannot be used; the function raises it for a result that is no list of tokens.
    """
    try:
        own = extensions.load(path, "tokenize")
    except ValueError as error:
        raise cli.UserError(f"--tokenizer {error}") from error

    def split(text):
        try:
            tokens = own(text)
        except Exception as error:  # a foreign function may raise anything
            raise cli.UserError(f"--tokenizer {path}: {type(error).__name__}: {error} for {text[:60]!r}") from error
        right = isinstance(tokens, (list, tuple)) and all(isinstance(t, str) and t.split() == [t] for t in tokens)
        if not right:
            raise cli.UserError(
                f"--tokenizer {path}: tokenize({text[:60]!r}) returned {str(tokens)[:80]!r}; expected a list of "
                "tokens, texts without blanks"
            )
        return tokens

    return split
