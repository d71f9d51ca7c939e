"""The Penn Treebank tokenizer of the COCO evaluation, by pycocoevalcap's jar.

pycocoevalcap's wrapper writes a temporary file into its package folder, which fails in a read-only installation, and
assigns lines to captions without counting them. Here the text goes through a pipe and the lines are counted. The
tokens are the same.
"""

import functools
import os
import subprocess

from evaluation.metrics.java import JavaError, command, environment
from formats.captions import sanitise

NAME = "ptb-java"


def jar():
    """Returns the path of the tokenizer's jar inside pycocoevalcap."""
    from pycocoevalcap.tokenizer import ptbtokenizer

    return os.path.join(os.path.dirname(ptbtokenizer.__file__), ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)


def tokenize(texts, java):
    """Tokenizes captions as the COCO evaluation does: PTB tokens, lower case, without punctuation.

    Args:
      texts: sequence of captions.
      java: the runtime, see `java.find_java`.

    Returns:
      List of as many strings, tokens joined by spaces. A caption of punctuation only becomes "".

    Raises:
      JavaError: the tokenizer failed, or its number of lines differs from that of the captions.
    """
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    if not texts:
        return []
    lines = "".join(sanitise(text).replace("\0", " ") + "\n" for text in texts)
    arguments = ("-cp", jar(), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase")
    try:
        answer = subprocess.run(
            command(java, *arguments),
            input=lines.encode(),
            capture_output=True,
            env=environment(),
            timeout=120 + len(texts) / 500,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaError(f"the PTB tokenizer could not be run: {error}") from None
    if answer.returncode != 0:
        complaint = answer.stderr.decode(errors="replace").strip()[-300:]
        raise JavaError(f"the PTB tokenizer ended with code {answer.returncode}: {complaint}")
    tokenized = answer.stdout.decode().split("\n")[:-1]
    if len(tokenized) != len(texts):
        raise JavaError(f"the PTB tokenizer gave {len(tokenized)} lines for {len(texts)} captions")
    removed = set(PUNCTUATIONS)
    return [" ".join(token for token in line.split() if token not in removed) for line in tokenized]


@functools.lru_cache(maxsize=4)
def tokenize_once(texts, java):
    """As `tokenize`, cached: for a tuple of texts that is tokenized repeatedly, such as the references."""
    return tokenize(texts, java)
