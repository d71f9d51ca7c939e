"""Scores systems without training: the rows `random`, `constant` and `retrieval` of the table.

    python -m evaluation.untrained --data_dir data/miniature --split test --table runs/demo/table.json

random     a random corpus sentence for each image, a lower bound.
constant   the one corpus sentence with the best CIDEr-D as the caption of all images: the best score of a collapsed
           captioner. For the test split it is chosen on validation; for validation it is chosen on one half of the
           images and scored on the other half, and the reverse.
retrieval  the most typical corpus sentence among those whose concept words fit the detections best.

Sentences are those of the sentence records, with plurals of concept words replaced and without sentences that have an
unknown word. Captions are written beside the table, as ROW_CORPUS_SPLIT.json. `constant` is chosen by validation
references: mild supervision, like the choice of a checkpoint.
"""

import dataclasses
import hashlib
import os
import time

import experiments
from cli import UserError, choice, command_line, field, run
from evaluation.metrics import tokenizers
from formats import file_names, inventory, made_by

ROWS = ("random", "constant", "retrieval")


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.untrained."""

    data_dir: str = field("data/default", "Data folder: sentence and image records, refs_{val,test}.json.")
    split: str = choice("val", ("val", "test"), "Split to caption and score.")
    table: str = field("runs/untrained/table.json", "Table file to which the rows are added.")
    rows: tuple[str, ...] = field(ROWS, "Rows to make.")
    corpus: str = field("", "Name of the corpus in the table; empty = name of the data folder.")
    seed: int = field(0, "Seed of the row random.")
    threshold: float = field(0.5, "Minimum detection score (retrieval, class recall and precision).")
    bonus: float = field(
        0.7, "retrieval: added to the score of a named detected word, subtracted for other named words."
    )
    metrics: tuple[str, ...] = field(("BLEU", "METEOR", "ROUGE-L", "CIDEr", "SPICE"), "Metrics to compute.")
    tokenizer: str = choice("auto", tokenizers.CHOICES, tokenizers.HELP)
    verify: bool = field(False, "Compare the checksums of all data files with their sidecars first.")
    overwrite: bool = field(False, "Make existing rows again.")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths.

        cli.run checks before `main` that they can be written; empty paths are ignored.
        """
        return (self.table,), ()


@dataclasses.dataclass(frozen=True)
class SentenceTexts:
    """The sentences of the sentence records as text.

    Attributes: texts: list of sentences, their words joined (`unicode_text.join`), without markers.
      keys: list with the sorted tuple of concept words of each sentence, in the same order.
    """

    texts: list
    keys: list


# --------------------------------------------------------------------------------------------------------------
# The corpus


def load_corpus(data_dir):
    """Reads the sentences of `sentence*.tfrec` that have no unknown word.

    Args: data_dir: data folder with sentence records and word_counts.txt.
    Returns: SentenceTexts.
    Raises: UserError: every sentence has an unknown word.
    """
    import numpy as np

    from formats import records, vocabulary
    from formats.languages import unicode_text

    words = vocabulary.Vocabulary.load(os.path.join(data_dir, "word_counts.txt"))
    sentences = records.read_sentences(records.find_files(data_dir, "sentence"))
    known = np.logical_and.reduceat(sentences.flat < words.unknown_id, sentences.offsets[:-1])
    spelled = [words.word(i) for i in range(words.size)]
    flat, keys = sentences.flat.tolist(), sentences.key_flat.tolist()
    offsets, key_offsets = sentences.offsets.tolist(), sentences.key_offsets.tolist()
    corpus = SentenceTexts([], [])
    for i in np.flatnonzero(known).tolist():
        ids = flat[offsets[i] + 1 : offsets[i + 1] - 1]  # without the markers
        if ids:
            corpus.texts.append(unicode_text.join([spelled[k] for k in ids]))
            corpus.keys.append(tuple(sorted(spelled[k] for k in keys[key_offsets[i] : key_offsets[i + 1]])))
    if not corpus.texts:
        raise UserError(
            f"{data_dir}: each of the {len(sentences)} sentences has an unknown word; expected a dictionary that "
            f"fits the corpus: {made_by.command(data_dir, 'dictionary', again=True, min_word_count='4')}"
        )
    return corpus


# --------------------------------------------------------------------------------------------------------------
# The rows


def random_captions(names, texts, seed):
    """Returns dict image name -> a random sentence of the corpus, drawn with replacement.

    Args: names: list of image names. texts: list of sentences; repeated ones are drawn more often. seed: int.
    """
    import numpy as np

    draws = np.random.default_rng(seed).integers(0, len(texts), len(names))
    return {name: texts[draw] for name, draw in zip(names, draws.tolist(), strict=True)}


def best_constant(texts, references, tokenizer):
    """Returns for each set of references the sentence with the highest mean CIDEr-D as the caption of all its images.

    Args:
      texts: list of distinct sentences; of equally good ones the first is taken.
      references: list of dicts image name -> list of captions.
      tokenizer: from metrics.tokenizers.find.

    Returns: list of (sentence, its CIDEr-D x100), one for each dict of `references`.
    Raises: UserError if a dict has fewer than 2 images, or the tokenizer fails.
    """
    from evaluation.consensus import Consensus
    from evaluation.metrics.java import JavaError

    if min(map(len, references)) < 2:
        raise UserError("row constant: CIDEr needs at least 2 images to choose on (4 if the split is halved)")
    try:
        candidates = tokenizer.tokenize(texts)
        result = []
        for split in references:
            lines = iter(tokenizer.tokenize([text for name in sorted(split) for text in split[name]]))
            tokenized = [[next(lines) for _ in split[name]] for name in sorted(split)]
            scores = Consensus(tokenized).scores(candidates)
            result.append((texts[int(scores.argmax())], float(scores.max())))
        return result
    except JavaError as error:
        raise UserError(f"row constant: {error}") from None


def constant_captions(texts, references, tokenizer, validation=None):
    """Returns the best constant caption of the images, never chosen on the images that it is scored on.

    Args:
      texts: list of sentences to choose from.
      references: dict image name -> list of captions, for the split that is captioned.
      tokenizer: from metrics.tokenizers.find.
      validation: dict image name -> list of captions, of other images to choose on. None: images are divided into two
        halves (every second one, by name); each half gets the sentence chosen on the other half.

    Returns:
      (dict image name -> caption, dict of fields of the table row: "chosen_on" (text) and "chosen_CIDEr" (list of the
      CIDEr-D x100 that each chosen sentence has on the images that it was chosen on)).
    Raises: UserError if there are fewer than 2 images to choose on, or the tokenizer fails.
    """
    distinct = list(dict.fromkeys(texts))
    names = sorted(references)
    if validation:
        [(text, score)] = best_constant(distinct, [validation], tokenizer)
        return dict.fromkeys(names, text), {"chosen_on": "val", "chosen_CIDEr": [round(score, 4)]}
    halves = [names[0::2], names[1::2]]
    split = [{name: references[name] for name in half} for half in halves]
    chosen = best_constant(distinct, split, tokenizer)
    captions = dict.fromkeys(halves[0], chosen[1][0]) | dict.fromkeys(halves[1], chosen[0][0])
    return captions, {"chosen_on": "the other half", "chosen_CIDEr": [round(score, 4) for _, score in chosen]}


def retrieval_captions(names, corpus, concepts, threshold, bonus, mend=""):
    """Returns dict image name -> the most typical of the sentences that fit the image's detections best.

    Args:
      names: list of image names. corpus: SentenceTexts.
      concepts: formats.concepts.Concepts with the detections.
      threshold: minimum detection score.
      bonus: added to the fit of a sentence for a detected word that it names, subtracted for any other.
      mend: the command that makes image records and references again, for the error message.

    Raises: UserError if an image has no image record.
    """
    from evaluation.retrieval import retrieve

    missing = [name for name in names if name not in concepts.scores]
    if missing:
        raise UserError(
            f"{len(missing)} images with references have no image record, the first is {missing[0]}; expected both "
            f"from one run of {mend or 'process_images'}"
        )
    found = [{word: s for word, s in concepts.scores[name].items() if s >= threshold} for name in names]
    return dict(zip(names, retrieve(corpus.texts, corpus.keys, found, bonus), strict=True))


# --------------------------------------------------------------------------------------------------------------
# The stage


def _made_from(options):
    """Returns what the rows depend on: dict of settings and short sha256 of the data files that exist.

    A row of the table is made again only if this has changed.
    """
    result = {name: getattr(options, name) for name in ("threshold", "bonus")} | {"metrics": list(options.metrics)}
    result |= tokenizers.noted(options.tokenizer)
    for name in ("word_counts.txt", "sentence.json", f"image_{options.split}.json", "refs_val.json", "refs_test.json"):
        path = os.path.join(options.data_dir, name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                result[name] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return result


def _check(options):
    """Checks the flags before files are read. Raises: UserError naming the flag."""
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown or not options.rows:
        raise UserError(f"--rows {','.join(options.rows)}: expected some of {', '.join(ROWS)}")
    if not 0 <= options.threshold <= 1:
        raise UserError(f"--threshold {options.threshold}: expected a score between 0 and 1")
    if options.bonus < 0:
        raise UserError(f"--bonus {options.bonus}: expected at least 0")


def _captions(row, options, corpus, concepts, scorer):
    """Makes the captions of one row.

    Args: row: one of ROWS. corpus: SentenceTexts. concepts: Concepts. scorer: metrics.Scorer of the split's references.
    Returns: (dict image name -> caption, dict of further fields of the table row).
    """
    references, names = scorer.references, list(scorer.references)
    if row == "random":
        return random_captions(names, corpus.texts, options.seed), {}
    if row == "retrieval":
        mend = made_by.command(options.data_dir, f"image_{options.split}", again=True)
        return retrieval_captions(names, corpus, concepts, options.threshold, options.bonus, mend), {}
    validation = os.path.join(options.data_dir, "refs_val.json")
    if options.split == "test" and os.path.exists(validation):
        from formats.captions import read_references

        return constant_captions(corpus.texts, references, scorer.tokenizer, read_references(validation))
    return constant_captions(corpus.texts, references, scorer.tokenizer)


def _there(options, row, corpus, seed):
    """Finds the row that the table already has for this data folder.

    Args: options: Options. row: one of ROWS. corpus: name of the corpus in the table. seed: int or None.
    Returns: (the table's row as dict, {} if it has none; path of the row's captions file, which differs from that of
      another data folder with the same name).
    """
    from evaluation import table

    known = table.read_table(options.table) if os.path.exists(options.table) else []
    wanted = {"row": row, "corpus": corpus, "split": options.split, "decode": None, "seed": seed}
    known = {entry.get("run"): entry for entry in known if all(entry.get(name) == wanted[name] for name in wanted)}
    run = os.path.realpath(options.data_dir)
    own, plain = known.pop(run, {}), f"{row}_{corpus}_{options.split}" + ("" if seed is None else f"_seed{seed}")
    name = os.path.basename(own.get("captions") or f"{plain}.json")
    if not own and any(entry.get("captions") == name for entry in known.values()):
        name = f"{plain}_{hashlib.sha256(file_names.to_bytes(run)).hexdigest()[:8]}.json"
    return own, os.path.join(os.path.dirname(options.table), name)


def _holds(path, row, references):
    """Returns whether the captions file `path` has the captions that were scored for a row.

    Args: row: dict of the table. references: dict image name -> list of captions.
    """
    from evaluation import table
    from formats import captions

    return os.path.exists(path) and row.get("scored") == table.digest_of_scored(
        captions.read_captions(path), references
    )


def main(options):
    """Makes, scores and prints the rows while the data files are locked against changes. Args: options: Options."""
    _check(options)
    read = ("dictionary", "sentence", f"image_{options.split}", f"refs_{options.split}")
    with inventory.reading(options.data_dir, read):
        _make(options, read)


def _make(options, read):
    """Makes and scores the rows that are missing or outdated, adds them to the table, and prints it.

    Args: options: Options. read: tuple of the data files that are used, by their names in formats.inventory, e.g.
      "dictionary" or "image_val".
    """
    from captioning import splits
    from evaluation import hallucination, metrics, table
    from formats import captions, writing
    from formats.concepts import load_concepts

    inventory.require_fit(options.data_dir, read, options.verify)

    corpus_name = options.corpus or os.path.basename(os.path.normpath(options.data_dir))
    references = splits.references_of(options.data_dir, options.split)
    if not references:
        raise UserError(f"{options.data_dir}: no image of {options.split} has a caption, so no row can be scored")
    names, made_from = sorted(references), _made_from(options)
    todo = []
    for row in options.rows:
        seed = options.seed if row == "random" else None
        there, path = _there(options, row, corpus_name, seed)
        if not options.overwrite and there.get("made_from") == made_from and _holds(path, there, references):
            print(f"{options.table}: row {row} is complete, nothing to do; --overwrite makes it again")
        else:
            todo.append((row, seed, path))
    if todo:
        corpus, concepts = load_corpus(options.data_dir), load_concepts(options.data_dir, options.split)
        print(f"{len(corpus.texts)} sentences without unknown words, {len(names)} images")
    with metrics.Scorer(references, options.metrics, options.tokenizer) as scorer:
        for row, seed, path in todo:
            start = time.monotonic()
            made, extra = _captions(row, options, corpus, concepts, scorer)
            minutes = round((time.monotonic() - start) / 60, 2)
            result = table.make_row(
                row,
                scorer.score(made),
                corpus=corpus_name,
                split=options.split,
                seed=seed,
                concepts=concepts,
                annotated=hallucination.annotated_in(options.data_dir),
                threshold=options.threshold,
                minutes=minutes,
                command=command_line(),
                made_from=made_from,
                captions=os.path.basename(path),
                scored=table.digest_of_scored(made, references),
                **extra,
            )
            with writing.merging(path):  # so that captions and row are those of one process
                captions.write_captions(path, made.items())
                table.merge_row(options.table, result, options.data_dir)
            print(f"row {row}: captions in {path}, made in {minutes} min")
    table.print_table([row for row in table.read_table(options.table) if row.get("split") == options.split])


if __name__ == "__main__":
    run(main, Options, experiments.Stage("untrained"))
