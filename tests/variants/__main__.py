"""Reads inputs in every spelling that people bring, and counts what comes of it.

    python -m tests.variants [--outfits 4] [--kinds "labels,own sentences"] [--seed 1] [--write docs/data_formats.md]

Right: what was read is what the input says. Clear error: it names the file and the place. Anything else is a fault:
another result in silence, a damaged input that is taken, another exception, an error without file or place. Exit code 1
with any.
"""

import contextlib
import dataclasses
import io
import os
import shutil
import sys
import tempfile
import time

import cli
from tests.hostile.__main__ import table, write
from tests.variants import corpora, labels, lists, outputs

MARKS = ("<!-- tests.variants: begin -->", "<!-- tests.variants: end -->")
RIGHT, ERROR, REFUSED, FAULT = "right", "clear error", "damaged, clear error", "faults"
OUTCOMES = (RIGHT, ERROR, REFUSED, FAULT)
KINDS = {
    "label files": labels.forms,
    "numbered labels": labels.numbers,
    "placeholders": labels.placeholders,
    "damaged labels": labels.wrong,
    "class names": labels.concepts,
    "detectors' outputs": outputs.outputs,
    "corpora": corpora.corpora,
    "declared encodings": corpora.declared,
    "tables of captions": corpora.tables,
    "damaged corpora": corpora.wrong,
    "own sentences": corpora.own_sentences,
    "JSON lists": lists.json_lists,
    "Flickr lists": lists.flickr_lists,
    "COCO lists": lists.coco_lists,
    "damaged lists": lists.wrong_lists,
    "known objects": lists.annotations,
    "folders": lists.walks,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of tests.variants."""

    outfits: int = cli.field(4, "ways to write each form: encodings, line ends, packings")
    kinds: tuple[str, ...] = cli.field((), "kinds of inputs, separated by commas; all if not given")
    seed: int = cli.field(1, "of the choice among the outfits")
    errors: bool = cli.field(False, "print the clear errors about inputs that are not damaged as well")
    write: str = cli.field("", "page whose table is replaced")


def outcome_of(variant, folder):
    """(outcome, what was wrong or said) of one input, whose files are written below a folder."""
    for name, data in variant.files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = variant.read(folder)
    except cli.UserError as error:
        message = str(error)
        named = any(os.path.basename(name) in message for name in variant.files)
        placed = all(place in message for place in variant.places)
        if not named or not placed:
            return FAULT, f"an error without file or place {variant.places}: {message}"
        return (ERROR if variant.right is not None else REFUSED), message
    except Exception as error:  # whatever a reader lets through
        return FAULT, f"{type(error).__name__}: {error}"
    if variant.right is None:
        return FAULT, f"taken although it is damaged: {found}"
    return (RIGHT, "") if found == variant.right else (FAULT, f"read {found}, expected {variant.right}")


def run(options):
    """dict kind -> dict outcome -> number of inputs; faults are printed as they come."""
    counts = {}
    for kind in options.kinds or KINDS:
        began, counts[kind] = time.monotonic(), dict.fromkeys(OUTCOMES, 0)
        for variant in KINDS[kind](options.outfits, options.seed):
            folder = tempfile.mkdtemp(prefix="variant_")
            outcome, text = outcome_of(variant, os.path.join(folder, "inputs"))
            shutil.rmtree(folder)
            counts[kind][outcome] += 1
            if outcome == ERROR and options.errors:
                print(f"{kind}: {variant.name}: {text}\n")
            if outcome == FAULT:
                print(f"FAULT {kind}: {variant.name}: {text}\n")
        shown = ", ".join(f"{number} {outcome}" for outcome, number in counts[kind].items())
        print(f"{kind}: {shown} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    return counts


def main(options):
    """Reads the inputs; returns the exit code."""
    unknown = [name for name in options.kinds if name not in KINDS]
    if unknown or options.outfits < 1:
        raise cli.UserError(f"--kinds {','.join(unknown)}: expected some of {', '.join(KINDS)}")
    counts = run(options)
    shown = table(counts)
    print("\n" + shown)
    if options.write:
        write(options.write, f"`{cli.command_line()}`\n\n{shown}", MARKS)
    return int(any(found[FAULT] for found in counts.values()))


if __name__ == "__main__":
    cli.run(main, Options)
