"""The rules by which texts become the tokens of a corpus: `--text` and `--tokenizer` of extract_descriptions."""

import functools

import cli
import extensions
from formats.languages import tokenizers, unicode_text
from preprocessing.sources import ascii_text

# --text -> function text -> (text as it is kept, number of characters that are lost)
RULES = {"ascii": ascii_text.to_ascii, "unicode": unicode_text.to_unicode}
LOST = {"ascii": "are not ASCII", "unicode": "are halves of characters"}  # what is dropped, for messages


def lines_of(text, rule):
    """Returns (list of the lines of a text as bytes, number of its characters that are lost).

    Args: rule: key of RULES.
    """
    found, lost = RULES[rule](text.replace("\r\n", "\n").replace("\r", "\n"))
    return found.encode().split(b"\n"), lost


def settings_of(text, tokenizer):
    """Returns the rules as settings of a sidecar, a dict; `text` is only in it if it is not "ascii".

    Folders that were made before there was the setting stay complete.

    Args: text, tokenizer: values of the flags.
    """
    found = {"tokenizer": tokenizers.tokenizer_name(tokenizer)}
    return found if text == "ascii" else found | {"text": text}


def tokens_of(settings):
    """Returns the function text -> list of tokens by which a corpus was made, in the same case.

    Args: settings: dict of `settings_of`, from the sidecar of sentences.txt; {} for a corpus without one: by the
      defaults of extract_descriptions.
    Raises: cli.UserError for a tokenizer that is a program: none is run because a stored file names it.
    """
    rule, name = settings.get("text", "ascii"), settings.get("tokenizer", "nltk_word")
    if extensions.is_file(name):
        raise cli.UserError(
            f"the corpus was tokenised by {name}, a program, which is not run because a stored file names it. Make "
            "sentences.txt with --tokenizer whitespace from texts and captions that the program has tokenised"
        )
    keep, split = RULES[rule], tokenizers.tokenizer(name, rule)
    return functools.partial(_tokens, keep, split)


def _tokens(keep, split, text):
    return split(keep(text)[0])
