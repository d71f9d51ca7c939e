"""Writes the labels of an ImageNet classifier with their hypernyms (more general terms) from WordNet.

    python -m nltk.downloader wordnet
    python -m preprocessing.label_hypernyms --synsets imagenet_synsets.txt --output data/imagenet_labels.txt

A corpus mentions dogs and mountains, a classifier has labels such as borzoi and alp. A line of the output has the names
of one label, then those of its hypernyms, nearest first: `classifier_words --labels` takes the first name that occurs
in the corpus. Hypernyms of too many labels ("animal", "device") are too general and are left out.

The file --synsets has one line for each label: its WordNet 3.0 synset in ImageNet's notation, such as n02090622.
"""

import collections
import dataclasses
import os
import re

import cli
import experiments
from formats import sidecars, texts


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of label_hypernyms."""

    synsets: str = cli.field("", "file with the synset of each label, one a line: n02090622")
    output: str = cli.field("data/imagenet_labels.txt", "the file to write")
    widest: float = cli.field(0.125, "hypernyms of more than this share of the labels are left out")

    def outputs(self):
        """Returns two tuples of paths, (files, folders): what the command writes; `cli.run` checks that it can."""
        return (self.output,), ()


def hypernyms(synset):
    """Returns the list of all hypernyms (nltk synsets) of an nltk synset, nearest first, without the synset itself."""
    return list(synset.closure(lambda s: s.hypernyms() + s.instance_hypernyms()))


def lines(synsets, widest):
    """Returns a list with one text for each label: its names, then those of its hypernyms, separated by commas.

    Args:
      synsets: list of nltk synsets, one for each label.
      widest: hypernyms of more than this share (0 to 1) of the labels are left out.
    """
    above = [hypernyms(synset) for synset in synsets]
    covers = collections.Counter(hypernym for several in above for hypernym in several)
    result = []
    for synset, several in zip(synsets, above, strict=True):
        kept = [hypernym for hypernym in several if covers[hypernym] <= widest * len(synsets)]
        names = [name.replace("_", " ") for s in [synset, *kept] for name in s.lemma_names()]
        result.append(", ".join(dict.fromkeys(names)))
    return result


def read_synsets(path):
    """Returns the list of the nltk synsets that a file names in ImageNet's notation (n02090622), in its order.

    Raises: cli.UserError for a name that is not a noun synset, or if WordNet is missing.
    """
    from nltk.corpus import wordnet

    numbers = texts.read(path).split()
    found = []
    for number in numbers:
        if not re.fullmatch(r"n\d{8}", number):
            raise cli.UserError(f"--synsets {path}: {number!r} is not a noun synset; expected e.g. n02090622")
        try:
            found.append(wordnet.synset_from_pos_and_offset("n", int(number[1:])))
        except LookupError as error:
            raise cli.UserError("WordNet is missing. Get it with: python -m nltk.downloader wordnet") from error
        if found[-1] is None:
            version = wordnet.get_version()
            raise cli.UserError(f"--synsets {path}: {number} is not in WordNet {version}; expected 3.0")
    return found


def main(options):
    """Writes the file of labels with their hypernyms.

    Raises: cli.UserError if a setting is out of range or --synsets cannot be read.
    """
    if not os.path.isfile(options.synsets):
        raise cli.UserError(f"--synsets {options.synsets!r}: no such file; expected lines such as n02090622")
    if not 0 < options.widest <= 1:
        raise cli.UserError(f"--widest {options.widest}: expected a share above 0, at most 1")
    found = lines(read_synsets(options.synsets), options.widest)
    sidecars.write_whole(options.output, "".join(f"{line}\n" for line in found))
    print(f"{options.output}: {len(found)} labels")


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("label_hypernyms"))
