"""Converts tokenised sentences to the dictionary and the sentence records.

Counts the words and makes the dictionary (or uses an existing one), replaces the plurals of concept words by their
singulars, drops sentences with too many unknown words, and writes the others as ids with the concept words in them.

    python -m preprocessing.process_descriptions --data_dir data/default --new_dict

Reads `sentences.txt`. Writes `word_counts.txt`, `concepts.json` (concept word -> class names) and `word_counts.json`;
`sentence-*.tfrec` and `sentence.json`. The records are in pseudo-random order, so any range of them is a random sample.
Source: docs/stages.md.
"""

import collections
import dataclasses
import json
import os
import shutil

import cli
import experiments
from formats import label_maps, record_files, records, sidecars, vocabulary, writing
from formats.languages import unicode_text
from preprocessing.sharding import outputs, shards
from preprocessing.sources import dictionaries, sentences


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of process_descriptions."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    new_dict: bool = cli.field(False, "make a new dictionary from the sentences; else use an existing one as it is")
    word_counts: str | None = cli.field(
        None, "existing dictionary, `word count` a line (default: word_counts.txt in the data folder)"
    )
    min_word_count: int = cli.field(40, "new dictionary: rarer words become unknown, unless they are concept words")
    word_list: str | None = cli.field(
        None, "new dictionary: only words of this file (the first word of each line, e.g. a GloVe file)"
    )
    only_with: str | None = cli.field(
        None, "only sentences that contain a word of this file, one a line (R2M's GCC corpus: words of COCO)"
    )
    class_names: str = cli.field(
        "data/coco_names.txt", "names of the detector's classes, in any form that docs/data_formats.md lists"
    )
    class_map: str | None = cli.field(
        None,
        "JSON object class name -> its concept word, such as a translation; null: no concept. Other classes are named "
        "by their last word; process_images uses the same table",
    )
    plurals: str = cli.field(
        "inflect",
        "plurals of concept words, replaced by the singular: inflect (English), none, or a JSON table word -> plural; "
        "keep: plurals stay in the text and name the concept",
    )
    synonyms: str | None = cli.field(
        None, "other names of concept words, lines `word: name name ...`, e.g. data/synonyms.txt; they stay in the text"
    )
    max_unknown: float = cli.field(0.15, "sentences with a larger share of unknown words are dropped")
    min_length: int = cli.field(0, "drop sentences of fewer tokens than this, 0 keeps all")
    max_length: int = cli.field(0, "drop sentences of more tokens than this, 0: of more than 998")
    runner: str | None = cli.field(None, shards.RUNNER)
    shards: int = cli.field(0, "record files, 0 = one for every 8 MB of text; 1 writes sentence.tfrec")
    processes: int = cli.field(0, "processes, 0 = all cores; the output is the same for any number")
    overwrite: bool = cli.field(False, "make the output again although it is there")


# --------------------------------------------------------------------------------------------------------------
# One sentence, and the two passes over all sentences


@dataclasses.dataclass(frozen=True)
class Rules:
    """The rules by which a sentence becomes a record; the limits are the values of the flags with the same names.

    Attributes: singulars: dict plural -> singular. names: dict word -> its concept word. concepts: frozenset of words.
    """

    singulars: dict  # plural -> singular
    names: dict  # word -> the concept word that it names
    concepts: frozenset  # concept words
    max_unknown: float
    min_length: int
    max_length: int


def encode_sentence(tokens, words, rules):
    """Converts one sentence to ids (docs/stages.md).

    Args: tokens: list of tokens without markers. words: vocabulary.Vocabulary. rules: Rules.
    Returns: (sorted list of concept ids, list of ids with markers, ""); (None, None, "length" or "unknown") if dropped.
    """
    longest = records.LONGEST_SENTENCE - 2  # without the markers
    if not max(1, rules.min_length) <= len(tokens) <= min(rules.max_length or longest, longest):
        return None, None, "length"
    tokens = [rules.singulars.get(token, token) for token in tokens]
    ids = [words.start_id, *words.encode(tokens), words.end_id]
    if ids.count(words.unknown_id) > rules.max_unknown * len(ids):
        return None, None, "unknown"
    return sorted(words.encode(rules.concepts.intersection(rules.names.get(token, token) for token in tokens))), ids, ""


@dataclasses.dataclass(frozen=True)
class DealTask:
    """First pass: distributes the sentences of `piece` that have a word in `wanted` to `shards` buckets in one file."""

    piece: shards.Piece  # part of sentences.txt
    path: str  # holds all buckets; `encode`, the second pass, makes shard i of bucket i of all such files
    shards: int
    wanted: frozenset  # words: sentences without any of them are left out; empty: all are kept
    whole: frozenset = frozenset()  # words whose characters become one token (unicode_text.merger)


def deal(task):
    """Distributes the sentences of a DealTask to the buckets of its file, unless it exists; returns a dict.

    Of the kept sentences: "sentences" (number), "counts" (dict word -> int), "capitals" (number with a capital letter).
    """

    def write(part):
        found = map(unicode_text.merger(task.whole), sentences.token_lines(task.piece))
        lines = [tokens for tokens in found if _is_wanted(tokens, task.wanted)]
        counts = collections.Counter(word for tokens in lines for word in tokens)
        shards.write_buckets(part, (" ".join(tokens).encode() for tokens in lines), task.shards)
        capitals = sum(any(token != token.lower() for token in tokens) for tokens in lines)
        return {"sentences": len(lines), "counts": counts, "capitals": capitals}

    return shards.write_once(task.path, write)


def _is_wanted(tokens, wanted):
    return not wanted or not wanted.isdisjoint(tokens)


TALLY = ("count", "with_concept", "dropped_length", "dropped_unknown")  # counts of the second pass


@dataclasses.dataclass(frozen=True)
class EncodeTask:
    """Second pass: writes bucket `shard` of the files `dealt` as records to `path`; `dictionary` is a path, too."""

    dealt: tuple  # paths of the files of the first pass
    shard: int  # index of the bucket
    path: str  # record file to write
    dictionary: str  # path of a file of words with their counts
    rules: Rules


def encode(task):
    """Runs an EncodeTask unless done; returns numbers of sentences: keys TALLY, "named" (dict concept word -> int)."""

    def write(part):
        words, lines, tally = vocabulary.Vocabulary.load(task.dictionary), [], collections.Counter()
        named = collections.Counter()
        for path in task.dealt:
            lines += shards.read_bucket(path, task.shard)
        lines.sort(key=lambda line: (shards.digest_of(line), line))

        def examples():
            for line in lines:
                key, ids, reason = encode_sentence(line.decode().split(), words, task.rules)
                tally[f"dropped_{reason}" if reason else "count"] += 1
                if not reason:
                    tally["with_concept"] += bool(key)
                    named.update(key)
                    yield records.sentence_example(key, ids)

        records.write_records(part, examples())
        return {name: tally[name] for name in TALLY} | {"named": {words.word(id): named[id] for id in sorted(named)}}

    return shards.write_once(task.path, write)


# --------------------------------------------------------------------------------------------------------------
# The stage


def _check(options):
    if not 0 <= options.max_unknown <= 1:
        raise cli.UserError(f"--max_unknown {options.max_unknown}: expected a share between 0 and 1")
    if min(options.min_word_count, options.min_length, options.max_length, options.shards, options.processes) < 0:
        raise cli.UserError(
            "--min_word_count, --min_length, --max_length, --shards, --processes: expected no negative numbers"
        )
    if options.new_dict and options.word_counts:
        raise cli.UserError("--new_dict makes a dictionary, --word_counts names an existing one: give only one of them")
    if options.word_list and not options.new_dict:
        raise cli.UserError("--word_list is only for a new dictionary: add --new_dict")


def _sha256(path):
    if not os.path.exists(path):
        raise cli.UserError(f"{path}: no such file")
    return sidecars.fingerprint(path)["sha256"]


def _describe(options, path, given, singulars):
    """Returns the sidecar's dicts (settings, made_from). Args: path: sentences.txt. given: dictionary file or None."""
    names = ("new_dict", "min_word_count", "max_unknown", "min_length", "max_length")
    settings = {name: getattr(options, name) for name in names}
    settings["plurals"] = os.path.basename(options.plurals)
    settings["shards"] = shards.shard_count(options.shards, os.path.getsize(path))
    table = json.dumps(singulars, sort_keys=True)
    made_from = {
        "sentences": _sha256(path),
        "class_names": _sha256(options.class_names),
        "plurals": f"{shards.digest_of(table):016x}",
        "word_counts": _sha256(given) if given else None,
        "word_list": _sha256(options.word_list) if options.word_list else None,
        "synonyms": _sha256(options.synonyms) if options.synonyms else None,
    }
    for name in ("only_with", "class_map"):
        if path := getattr(options, name):
            made_from[name] = _sha256(path)
    return settings, made_from


def _deal_all(how, path, work, count, wanted, whole):
    """Runs the first pass over sentences.txt; returns the tuple of the paths of its files, in the order of the text.

    Args: how: dict of arguments of shards.map_shards. path: sentences.txt. work: work folder. count: number of shards.
      wanted: frozenset of words: sentences without any of them are left out; all are kept if it is empty.
      whole: frozenset of words whose characters become one token.
    """
    pieces = shards.cut([path], -(-os.path.getsize(path) // count))
    paths = [os.path.join(work, f"dealt-{i:05d}") for i in range(len(pieces))]
    tasks = [DealTask(piece, part, count, wanted, whole) for piece, part in zip(pieces, paths, strict=True)]
    results = shards.map_shards(deal, tasks, **how, description="counting words")
    sentences.note_capitals(path, results)
    return tuple(task.path for task in tasks)


def _new_dictionary(options, dealt, concepts):
    """Returns the Vocabulary made from the counts in the files `dealt` of the first pass."""
    counts, total = collections.Counter(), 0
    for path in dealt:
        result = shards.result_of(path)
        counts.update(result["counts"])
        total += result["sentences"]
    word_list = dictionaries.read_word_list(options.word_list) if options.word_list else None
    return dictionaries.build_dictionary(counts, total, concepts, options.min_word_count, word_list)


def _note_unnamed(concepts, results):
    """Prints the concept words that no sentence contains. Args: results: list of the dicts that `encode` returns."""
    named = {word for result in results for word in result["named"]}
    if absent := [word for word in concepts if word not in named]:
        shown = ", ".join(absent[: outputs.SHOWN]) + (", …" if len(absent) > outputs.SHOWN else "")
        print(f"NOTE: {len(absent)} of {len(concepts)} concept words occur in no sentence: {shown}")


def _check_some_left(total, path):
    if total["count"] == 0:
        raise cli.UserError(
            f"{path}: no sentence is left, {total['dropped_unknown']} have too many unknown words and "
            f"{total['dropped_length']} the wrong length. "
            "Check --min_word_count, --max_unknown, --min_length, --max_length and --only_with"
        )


def _publish_dictionary(options, dictionary, words, concepts, names, made_from, class_map):
    """Writes word_counts.txt, concepts.json, names.json and their sidecar. Args: dictionary: file to copy unchanged."""
    paths = [os.path.join(options.data_dir, name) for name in ("word_counts.txt", "concepts.json", "names.json")]
    if os.path.abspath(dictionary) != os.path.abspath(paths[0]):
        with writing.replacing(paths[0]) as part:
            shutil.copyfile(dictionary, part)
    sidecars.write_json(paths[1], concepts)
    sidecars.write_json(paths[2], names)
    sidecars.write_sidecar(
        os.path.join(options.data_dir, "word_counts.json"),
        files=paths,
        count=len(words.words),
        settings={"new_dict": options.new_dict, "min_word_count": options.min_word_count if options.new_dict else None},
        made_from=made_from,
        vocabulary=words.fingerprint(),
        concept_words=len(concepts),
        **({"class_map": class_map} if class_map else {}),
    )


def _refuse_unknown(options, given):
    """Raises cli.UserError if files of other programs would be replaced. Args: given: path of a dictionary, or None."""
    target = os.path.join(options.data_dir, "word_counts.txt")
    sidecars.refuse_unknown(
        record_files.files_of(options.data_dir, "sentence"),
        os.path.join(options.data_dir, "sentence.json"),
        options.overwrite,
    )
    if given != target:
        sidecars.refuse_unknown([target], os.path.join(options.data_dir, "word_counts.json"), options.overwrite)


def main(options):
    """Checks the settings, locks the outputs and makes them; cli.UserError names a wrong setting or input."""
    _check(options)
    with writing.working(options.data_dir, ["sentence", "word_counts"], ["sentences"]):
        _make(options)


def _make(options):
    how = shards.where(options)
    path = sentences.sentences_file(options.data_dir)
    given = None if options.new_dict else options.word_counts or os.path.join(options.data_dir, "word_counts.txt")
    words = vocabulary.Vocabulary.load(given) if given else None
    labels = label_maps.read_labels(options.class_names)
    class_names = label_maps.names_of(labels)
    class_map = dictionaries.class_table(options.class_map, class_names)
    concepts = vocabulary.concept_words(class_names, class_map)
    absent = [word for word in concepts if words and word not in words]
    concepts = {word: names for word, names in concepts.items() if word not in absent}
    singulars, names = dictionaries.naming(options, concepts)
    settings, made_from = _describe(options, path, given, singulars)
    json_path, dictionary_json = (
        os.path.join(options.data_dir, name) for name in ("sentence.json", "word_counts.json")
    )
    work = os.path.join(options.data_dir, ".process_descriptions")
    plan = {"settings": settings, "made_from": made_from}
    if sidecars.already_made(json_path, settings, made_from, options.overwrite, [dictionary_json]):
        return shards.discard(work, plan)
    if shards.is_unfinished(work, plan):
        print(f"{work}: continuing the unfinished work of the same command")
    else:
        _refuse_unknown(options, given)
        shards.begin(work, plan)
    print(f"{options.class_names}: {label_maps.describe(labels)}")
    dictionaries.note_english_rules(options)
    if absent:
        print(f"NOTE: {len(absent)} concept words are not in {given} and are left out: {', '.join(absent)}")

    count = settings["shards"]
    wanted = frozenset(dictionaries.read_word_list(options.only_with, "--only_with") if options.only_with else ())
    dealt = _deal_all(how, path, work, count, wanted, frozenset({*concepts, *singulars, *names}))
    dictionary = given or os.path.join(work, "word_counts.txt")
    if words is None:
        words = _new_dictionary(options, dealt, concepts)
        words.save(dictionary)
    rules = Rules(singulars, names, frozenset(concepts), options.max_unknown, options.min_length, options.max_length)
    tasks = [EncodeTask(dealt, i, os.path.join(work, f"sentence-{i:05d}"), dictionary, rules) for i in range(count)]
    results = shards.map_shards(encode, tasks, **how, description="writing records")
    total = {name: sum(result[name] for result in results) for name in TALLY}
    _check_some_left(total, path)
    if os.path.exists(json_path):
        os.remove(json_path)
    names = {name: word for name, word in names.items() if name in words}
    _publish_dictionary(options, dictionary, words, concepts, names, made_from, class_map)
    sidecars.write_sidecar(
        json_path,
        files=outputs.publish_records(options.data_dir, "sentence", [task.path for task in tasks]),
        count=total["count"],
        counts=[result["count"] for result in results],
        settings=settings,
        made_from=made_from,
        vocabulary=words.fingerprint(),
        plurals=singulars,
        class_names=class_names,
        concepts_left_out=absent,
        sentences=total,
    )
    shutil.rmtree(work)
    print(
        f"{options.data_dir}: {total['count']} sentences ({total['with_concept']} with a concept word; "
        f"{total['dropped_unknown']} dropped for unknown words, {total['dropped_length']} for their length), "
        f"{words.size} words with the unknown word"
    )
    _note_unnamed(concepts, results)


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("process_descriptions"))
