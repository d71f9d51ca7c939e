"""Finds a concept word for each label of a classifier.

    python -m preprocessing.classifier_words --data_dir data/default --class_names coco_labels.txt --labels imagenet.txt

A classifier has more classes than a detector, but its labels are species and product names ("golden retriever", "sports
car, sport car"). Each label has one or more names, separated by commas ("ski_slope" is read as "ski slope"). Its
concept word is the last word of the first name whose last word occurs at least --min_word_count times in
`sentences.txt`. If this word is a synonym (--synonyms) of a detector's class, the word of that class is used instead.
Labels without such a word are left out.

Reads `sentences.txt`. Writes `class_names.txt`, the detector's classes and the new words, for `process_descriptions
--class_names`; `class_map.json`, label -> word or null, for `process_images --class_map`; and `classifier_words.json`.
"""

import collections
import dataclasses
import os

import cli
import experiments
from formats import label_maps, readers, sidecars, vocabulary, writing
from preprocessing.sources import sentences


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of classifier_words."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    class_names: str = cli.field("data/coco_names.txt", "names of the detector's classes, as process_descriptions")
    labels: str = cli.field(
        "",
        "labels of the classifier, one a line; names of one label separated by commas; several files (of classifiers "
        "and of detectors with other classes than --class_names) separated by commas",
    )
    synonyms: str | None = cli.field(None, "other names of the detector's classes, e.g. data/synonyms.txt")
    min_word_count: int = cli.field(40, "minimum count of a word in the corpus; as for process_descriptions")
    overwrite: bool = cli.field(False, "make the output again although it is there")


def words_of_labels(labels, counts, min_count, classes, synonyms):
    """Returns the concept word of each label: dict first name of the label -> word, or None if it has none.

    Args:
      labels: list of labels, each with names separated by commas.
      counts: dict word -> occurrences in the corpus.
      min_count: minimum count of a concept word.
      classes: concept words of the detector, accepted whatever their count.
      synonyms: dict word -> concept word of the detector that it names.
    """
    found = {}
    for label in labels:
        names = [name.strip() for name in label.split(",") if name.strip()]
        texts = [name.replace("_", " ") for name in names]
        heads = (synonyms.get(head, head) for head in map(vocabulary.concept_word, texts))
        known = (head for head in heads if head in classes or counts.get(head, 0) >= max(1, min_count))
        found[names[0]] = next(known, None)
    return found


def main(options):
    """Writes class_names.txt, class_map.json and their sidecar classifier_words.json, unless they are complete.

    Raises: cli.UserError if a setting is out of range or an input is missing.
    """
    if options.min_word_count < 0:
        raise cli.UserError(f"--min_word_count {options.min_word_count}: expected no negative number")
    with writing.working(options.data_dir, ["classifier_words"], ["sentences"]):
        _make(options)


def _make(options):
    """Makes the output of `main` unless it is complete. Raises: cli.UserError if an input is missing."""
    path = sentences.sentences_file(options.data_dir)
    label_files = options.labels.split(",")
    given = [("class_names", options.class_names), *(("labels", file) for file in label_files)]
    given += [("synonyms", options.synonyms)] if options.synonyms else []
    for flag, file in given:
        if not os.path.isfile(file):
            raise cli.UserError(f"--{flag} {file}: no such file")
    inputs = {"sentences": path}
    for flag, file in given:
        before = sum(name.startswith(flag) for name in inputs)
        inputs[f"{flag}_{before + 1}" if before else flag] = file
    settings = {"min_word_count": options.min_word_count}
    made_from = {flag: sidecars.fingerprint(file)["sha256"] for flag, file in inputs.items()}
    target = os.path.join(options.data_dir, "classifier_words.json")
    if sidecars.already_made(target, settings, made_from, options.overwrite):
        return
    read = {file: label_maps.read_labels(file) for file in (options.class_names, *label_files)}
    print("\n".join(f"{file}: {label_maps.describe(found)}" for file, found in read.items()))
    names = label_maps.names_of(read[options.class_names])
    labels = [label for file in label_files for label in label_maps.names_of(read[file])]
    classes = vocabulary.concept_words(names)
    synonyms = vocabulary.load_synonyms(options.synonyms, classes) if options.synonyms else {}
    counts = collections.Counter(word for _, line in readers.text_lines(path) for word in line.split())
    table = words_of_labels(labels, counts, options.min_word_count, classes, synonyms)
    table = {label: word for label, word in table.items() if label not in names}
    new = sorted({word for word in table.values() if word} - set(classes))
    if os.path.exists(target):
        os.remove(target)
    paths = [os.path.join(options.data_dir, name) for name in ("class_names.txt", "class_map.json")]
    sidecars.write_whole(paths[0], "".join(f"{name}\n" for name in [*names, *new]))
    sidecars.write_json(paths[1], table)
    sidecars.write_sidecar(target, files=paths, count=len(new), settings=settings, made_from=made_from)
    named = sum(word is not None for word in table.values())
    print(f"{paths[0]}: {named} of {len(labels)} labels have a word, {len(new)} of the words are new concepts")


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("classifier_words"))
