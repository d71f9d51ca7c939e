"""Reads `sentences.txt` of extract_descriptions or of the user: one sentence a line, tokens separated by blanks."""

import os

import cli
from formats import made_by, sidecars, texts
from formats.vocabulary import END, START, UNKNOWN
from preprocessing.sharding import shards

# Markers in sentences of other programs, which must not be there: the stages add the markers themselves.
MARKERS = frozenset({START, END, UNKNOWN, "<s>", "<unk>", "<pad>", "<sos>", "<eos>", "<bos>", "<start>", "<end>"})


def sentences_file(data_dir):
    """Returns the path of sentences.txt in a data folder, after checking it.

    If it has a sidecar, its size is compared; a file that the user made need not have one.

    Raises: cli.UserError if it is missing, damaged, compressed or not UTF-8.
    """
    path, json_path = (os.path.join(data_dir, name) for name in ("sentences.txt", "sentences.json"))
    make = made_by.command(data_dir, "sentences")
    damage = sidecars.damaged_file(json_path) if os.path.exists(json_path) else ""
    if damage or not os.path.exists(path):
        raise cli.UserError(f"{damage or path + ': no such file'}. Make it with: {make}")
    if not texts.lies_as_utf8(path):
        raise cli.UserError(
            f"{path}: compressed or UTF-16; expected plain UTF-8. Decompress or convert it, or make it with: {make}"
        )
    return path


def token_lines(piece):
    """Yields the list of tokens of each sentence in a piece of sentences.txt, without empty lines.

    Args: piece: shards.Piece.
    Raises: cli.UserError naming a line that is not UTF-8 or contains a marker (`<S>`, `</S>`, `<UNK>`, …).
    """
    for index, line in enumerate(shards.lines_of(piece)):
        try:
            tokens = line.decode().split()
        except UnicodeDecodeError as error:
            raise _fault(piece, index, f"{texts.bad_byte(error)} is not UTF-8; {texts.ADVICE}") from error
        if marker := next((token for token in tokens if token in MARKERS or "\0" in token), None):
            raise _fault(
                piece, index, f"contains {marker!r}, expected only words: no markers and no word for unknown words"
            )
        if tokens:
            yield tokens


def _fault(piece, index, reason):
    """Returns the cli.UserError about line `index` (from 0) of a Piece."""
    return cli.UserError(f"{piece.shown}: line {shards.line_number(piece, index)}: {reason}")


def note_capitals(path, results):
    """Prints how many sentences contain capital letters, because "Dog" and "dog" are different words of the dictionary.

    Args: path: file of the sentences. results: list of dicts with the counts "sentences" and "capitals".
    """
    capitals, total = (sum(result.get(name, 0) for result in results) for name in ("capitals", "sentences"))
    if capitals:
        print(
            f"NOTE: {path}: {capitals} of {total} sentences contain capital letters, so Dog and dog are two words; "
            "preprocessing.extract_descriptions makes lower-cased tokens from any text"
        )
