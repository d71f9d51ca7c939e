"""Checks an archive of results: its tables in the pages, and its scores against its captions."""

import os

import experiments
from cli import UserError
from evaluation import metrics, table
from evaluation.metrics import tokenizers
from evaluation.results import archive, tables
from evaluation.results.add import corpus_of, references_digest
from formats import readers

TOLERANCE = 2e-4  # scores are written with four digits
METRICS = ("BLEU", "ROUGE-L", "CIDEr")  # rescored by default: METEOR and SPICE take most of the time


def stale_pages(entries, root="."):
    """Returns the list of the paths of files (pages, modules of configs/) whose tables differ from the archive.

    Args: entries: list of archive.Entry. root: folder of the project.
    """
    return [path for path, old, new in tables.current(entries, root) if old != new]


class References:
    """Finds the references and corpora of experiments; references are read once and then kept.

    Args: data_dirs: dict experiment -> data folder with its references. Without a folder, the references of the
      miniature world are made again, and others are read from the data set that the experiment names.
    """

    def __init__(self, data_dirs=None):
        self._data_dirs, self._known = data_dirs or {}, {}

    def of(self, experiment, split):
        """Returns the references of a split of an experiment and, if they are missing, the reason.

        Returns: (dict image name -> list of captions, ""), or (None, why they are not available). The dict is shared by
          all calls: the caller must not change it.
        """
        key = experiment, split
        if key not in self._known:
            try:
                self._known[key] = self._read(experiment, split), ""
            except UserError as error:
                self._known[key] = None, str(error)
        return self._known[key]

    def sentences_of(self, experiment):
        """Returns the function that archive.read_captions needs to look up sentences of an experiment's corpus.

        The function takes the sha256 of a corpus and returns the list of its sentences; None if the data folder of the
        experiment (default: data/EXPERIMENT) has no sentence records or another corpus.
        """

        def read(digest):
            folder = self._data_dirs.get(experiment, os.path.join("data", experiment))
            if not os.path.exists(os.path.join(folder, "sentence.json")):
                return None
            sentences, found = corpus_of(folder)
            return sentences if found == digest else None

        return read

    def _read(self, experiment, split):
        """Reads the references of a split: dict image name -> list of captions.

        Raises: UserError if they are not available.
        """
        folder = self._data_dirs.get(experiment)
        if folder:
            from formats.captions import read_references

            return read_references(os.path.join(folder, f"refs_{split}.json"))
        data = experiments.load(experiment).DATA
        if "make_miniature" in data:
            from preprocessing import make_miniature

            return make_miniature.references(make_miniature.Options(**data["make_miniature"]), split)
        from preprocessing.process_images import Options
        from preprocessing.sources import datasets

        options = experiments.Stage("process_images").settings(experiment, Options)
        options = experiments.Recipes().fill_in(options, {}, experiment)
        found = datasets.load_dataset(options.dataset)
        names = found.splits.get(split, ())
        return {name: found.captions[name] for name in names if name in found.captions}


def data_of(entry):
    """Returns the name of the experiment in configs/ whose data an entry was scored on: str.

    It is that of the entry. An experiment of the archive without recipes of its own (flickr8k_supervised) has those
    that its runs name in their settings.

    Args: entry: archive.Entry.
    """
    path = entry.file("config.json")
    if entry.experiment in experiments.names() or not os.path.exists(path):
        return entry.experiment
    settings = readers.read_json(path, kind=dict).get("settings") or {}
    return str(settings.get("recipe") or entry.experiment).partition("/")[0]


def rescore(entries, references, names=METRICS):
    """Scores archived captions again, and compares the scores with the archived ones.

    Args:
      entries: list of archive.Entry. references: References.
      names: metrics that are computed, some of evaluation.metrics.METRICS.

    Returns:
      (number of equal rows; list of sentences, one for each difference; list of sentences, one for each row that could
      not be checked, with the reason).
    """
    equal, differences, unchecked = 0, [], []
    scorers = {}
    try:
        for entry in entries:
            data = data_of(entry)
            for row in entry.rows:
                where = f"{entry.path} ({row['split']}, {row['decode'] or 'no decoding'})"
                found, reason = references.of(data, row["split"])
                captions = found and archive.read_captions(entry.file(row["captions"]), references.sentences_of(data))
                if found is None or captions is None:
                    unchecked.append(f"{where}: {reason or 'its corpus is not there'}")
                    continue
                if references_digest(found) != row["references_sha256"]:
                    differences.append(f"{where}: scored against other references than those of the experiment today")
                    continue
                key = data, row["split"], row["tokenizer"]
                known = row["tokenizer"] if row["tokenizer"] in tokenizers.CHOICES else "auto"
                scorers[key] = scorers.get(key) or metrics.Scorer(found, names, known)
                lines = _differences(captions, found, row, scorers[key])
                if isinstance(lines, str):
                    unchecked.append(f"{where}: {lines}")
                    continue
                differences += [f"{where}: {line}" for line in lines]
                equal += not lines
    finally:
        for scorer in scorers.values():
            scorer.close()
    return equal, differences, unchecked


def _differences(captions, references, row, scorer):
    """Scores captions again, and compares the scores with the row that the archive has.

    Args: captions: dict image name -> caption. references: dict image name -> list of captions. row: dict, one of
      archive.Entry.rows. scorer: metrics.Scorer of these references.
    Returns: list of strings, one for each difference, [] if all are equal; or, if nothing can be compared, one string
      with the reason.
    """
    if table.digest_of_scored(captions, references) != row["scored"]:
        return ["its captions are not those that were scored"]
    scores = scorer.score(captions)
    if scores.tokenizer != row["tokenizer"]:
        return f"tokens are {scores.tokenizer} here, {row['tokenizer']} in the archive"
    lines = []
    for name, value in scores.values.items():
        if value is not None and row.get(name) is not None and abs(value - row[name]) > TOLERANCE:
            lines.append(f"{name} {value:.4f}, {row[name]:.4f} in the archive")
    if not any(value is not None for value in scores.values.values()):
        return next(iter(scores.reasons.values()))
    return lines
