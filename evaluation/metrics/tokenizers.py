"""The Penn Treebank tokenizer of the COCO evaluation, by pycocoevalcap's jar or without Java; others for any language.

    with tokenizers.find("auto") as found:        # the jar, or our own rules if there is no Java
        found.tokenize(captions), found.name     # the name is stored with every score computed from the tokens

pycocoevalcap's wrapper starts Java for every call, writes a temporary file into its package folder, which fails in a
read-only installation, and assigns lines to captions without counting them. Here one process answers all calls through
a pipe, and the lines are counted. The tokens are the same.
"""

import dataclasses
import functools
import os

from cli import UserError
from evaluation.metrics import java, ptb_python
from evaluation.metrics.java import JavaError
from formats.captions import sanitise
from formats.languages import unicode_text

JAVA, PYTHON = "ptb-java", "ptb-python"
NONE, CHARACTERS = "none", "characters"
CHOICES = ("auto", JAVA, PYTHON, NONE, CHARACTERS)
HELP = (
    "tokenizer of captions and references: ptb-java (the COCO evaluation's), ptb-python; auto: ptb-java if Java runs. "
    "For other languages: none: what blanks separate, and each character of scripts without blanks (Chinese, Japanese, "
    "Thai); characters: the same, with punctuation split off and left out"
)
# The jar writes its answer only when two buffers of 8,192 characters are full; these lines push it out.
MOST = 0.3  # share of letters of another script above which a text is in another language
FILLER = "filler\n" * 4000


def find(name="auto"):
    """Returns a Tokenizer. The process of a JavaTokenizer starts at `start` or at the first `tokenize`.

    Args: name: one of CHOICES; "auto" is ptb-java if a Java runtime starts, else ptb-python.
    Raises: UserError if ptb-java is requested and there is no Java, or the name is unknown.
    """
    if name not in CHOICES:
        raise UserError(f"no tokenizer {name!r}; expected one of {', '.join(CHOICES)}")
    if name in (NONE, CHARACTERS):
        return PlainTokenizer(name)
    if name == PYTHON:
        return PythonTokenizer()
    try:
        return JavaTokenizer(java.find_java())
    except JavaError as error:
        if name == JAVA:
            raise UserError(f"--tokenizer {JAVA}: {error}, or give --tokenizer {PYTHON}") from None
        return PythonTokenizer()


def noted(name):
    """Returns the field of a score file that names the tokenizer, as a dict: {"tokenizer": NAME}, but {} for ptb-java.

    Score files without this field are from ptb-java, which was once the only one.

    Args: name: one of CHOICES; "auto" is ptb-java if a Java runtime starts, else ptb-python.
    Raises: UserError if ptb-java is requested and there is no Java, or the name is unknown.
    """
    found = find(name).name
    return {} if found == JAVA else {"tokenizer": found}


class Tokenizer:
    """Base class of the tokenizers: a context manager that calls `close` at the end.

    Subclasses define `tokenize(texts)`, which returns the tokens of each text joined by spaces as list of str, and
    `name`, one of CHOICES.

    Attributes: english: whether the tokens are of English text, as METEOR and SPICE expect.
    """

    english = True

    def start(self):
        """Starts the process that `tokenize` uses, if any, so that the first call is fast."""

    def close(self):
        """Ends the process of the tokenizer, if any; may be called twice. A later `tokenize` starts a new one."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


@dataclasses.dataclass(frozen=True)
class PythonTokenizer(Tokenizer):
    """The Penn Treebank tokenizer in Python, without Java (ptb_python.py)."""

    name = PYTHON

    def tokenize(self, texts):
        """Returns the tokens of each caption, joined by spaces: list of str. Args: texts: sequence of captions."""
        return ptb_python.tokenize(texts)


@dataclasses.dataclass(frozen=True)
class PlainTokenizer(Tokenizer):
    """A tokenizer for any language, on texts in composed form (NFC) with their case folded.

    Attributes: name: "none": tokens are those of unicode_text.split, so that captions that were joined without blanks
      are compared as well. "characters": those of unicode_text.characters that have a letter or a digit.
    """

    name: str
    english = False

    def tokenize(self, texts):
        """Returns the tokens of each caption, joined by spaces: list of str. Args: texts: sequence of captions."""
        folded = [unicode_text.fold(unicode_text.to_unicode(sanitise(text))[0]) for text in texts]
        if self.name == NONE:
            return [" ".join(unicode_text.split(text)) for text in folded]
        return [" ".join(t for t in unicode_text.characters(text) if any(map(str.isalnum, t))) for text in folded]


def misfit(name, texts):
    """Returns a sentence about a tokenizer for English and texts in another alphabet; "" if the tokenizer fits.

    Args: name: of the tokenizer. texts: list of references.
    """
    found = sum(len(unicode_text.OTHER_LETTERS.findall(text)) for text in texts if not text.isascii())
    share = found / max(1, sum(map(len, texts)))
    if name not in (JAVA, PYTHON) or share <= MOST:
        return ""
    return (
        f"{name} is for English, but {share:.0%} of the references' characters are letters of another alphabet: give "
        f"--tokenizer {CHARACTERS}, or {NONE} for texts that are tokenized already"
    )


@dataclasses.dataclass(unsafe_hash=True)
class JavaTokenizer(Tokenizer):
    """The Penn Treebank tokenizer of pycocoevalcap's jar, run in one Java process.

    Attributes: runtime: java.Java from `java.find_java`. program: java.Program, None before the first `start`; a closed
      one is replaced by the next call. calls: number of calls of `tokenize`, used to mark where an answer begins.
    """

    name = JAVA
    runtime: java.Java
    program: java.Program | None = dataclasses.field(default=None, compare=False)
    calls: int = dataclasses.field(default=0, compare=False)

    def start(self):
        """Starts the process, which is ready after half a second. Raises: JavaError."""
        if self.program is None or self.program.process is None:
            main = "edu.stanford.nlp.process.PTBTokenizer"
            arguments = ("-cp", _jar(), main, "-preserveLines", "-lowerCase")
            self.program = java.Program("the PTB tokenizer", self.runtime, *arguments)

    def tokenize(self, texts):
        """Tokenizes captions as the COCO evaluation does: PTB tokens, lower case, without punctuation.

        Args:
          texts: sequence of captions.

        Returns:
          List of str, for each caption its tokens joined by spaces; "" for a caption of punctuation only.

        Raises:
          JavaError: the tokenizer failed, or its number of lines differs from that of the captions.
        """
        from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

        if not texts:
            return []
        self.start()
        self.calls += 1
        begin, end = f"captions{self.calls}begin", f"captions{self.calls}end"
        lines = "".join(sanitise(text).replace("\0", " ") + "\n" for text in texts)
        program, tokenized = self.program, []
        with program.limited(120 + len(texts) / 500):
            program.send(f"{begin}\n{lines}\n{end}\n{FILLER}")
            while program.line() != begin:  # what is left of the last call's filler
                pass
            while (line := program.line()) != end:
                tokenized.append(line)
        if len(tokenized) != len(texts) + 1:  # an empty line separates the last caption from the end
            program.close()
            raise JavaError(f"the PTB tokenizer gave {len(tokenized) - 1} lines for {len(texts)} captions")
        removed = set(PUNCTUATIONS)
        return [" ".join(token for token in line.split() if token not in removed) for line in tokenized[:-1]]

    def close(self):
        """Kills the process; may be called twice. A later `tokenize` starts a new one."""
        if self.program is not None:
            self.program.close()


def _jar():
    """Returns the path of the tokenizer's jar inside pycocoevalcap."""
    from pycocoevalcap.tokenizer import ptbtokenizer

    return os.path.join(os.path.dirname(ptbtokenizer.__file__), ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)


@functools.lru_cache(maxsize=4)
def tokenize_once(texts, found):
    """Returns the tokens of each text, joined by spaces: list of str. Equal calls share one cached result.

    The cache is for texts that are tokenized repeatedly, such as references. The caller must not change the list.

    Args: texts: tuple of captions. found: Tokenizer. Raises: JavaError if a JavaTokenizer fails.
    """
    return found.tokenize(texts)
