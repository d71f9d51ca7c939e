"""Raw descriptions -> one tokenised sentence a line.

Reads what a crawl or a corpus gives (text files, JSON lines, the authors' crawl dumps), turns it into ASCII, splits it
at line ends, drops lines that occur twice, tokenises, and keeps what is long enough.

    python -m preprocessing.extract_descriptions --data_dir data/default --input descriptions/

Writes `sentences.txt` (lower-cased tokens joined by a space, no markers) and `sentences.json`.
Source: unsupervised_captioning.md 4.2.
"""

import collections
import dataclasses
import json
import os
import shutil
import unicodedata

import config
from preprocessing import shards, sidecars, vocabulary


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of extract_descriptions."""

    data_dir: str = config.field("data/default", "folder that all stages share")
    input: str = config.field(
        "",
        "files or folders, separated by commas: *.txt (one text a line), *.jsonl (objects with a description), "
        "*.json (crawl dumps {page: [{description: ...}]})",
    )
    min_tokens: int = config.field(8, "shortest sentence that is kept, in tokens without markers")
    tokenizer: str = config.choice(
        "nltk_word",
        vocabulary.TOKENIZERS,
        "nltk_word needs no data; nltk_punkt splits a line into sentences first, as the authors did",
    )
    shards: int = config.field(0, "parts that the text is worked on in, 0 = one for every 8 MB")
    processes: int = config.field(0, "processes, 0 = all cores; the output is the same for any number")
    overwrite: bool = config.field(False, "make the output again although it is there")


# --------------------------------------------------------------------------------------------------------------
# Reading descriptions

EXTENSIONS = (".txt", ".jsonl", ".json")


def input_files(text):
    """The files that `--input` names, sorted."""
    paths = []
    for part in filter(None, text.split(",")):
        if not os.path.exists(part):
            raise config.UserError(f"--input {part}: no such file or folder")
        inside = [os.path.join(part, name) for name in os.listdir(part)] if os.path.isdir(part) else [part]
        matching = [path for path in inside if path.endswith(EXTENSIONS)]
        if not matching:
            raise config.UserError(f"--input {part}: expected files that end in {', '.join(EXTENSIONS)}")
        paths += matching
    if not paths:
        raise config.UserError("--input names no file; expected files or folders, separated by commas")
    return sorted(set(paths))


def _description(value):
    """The description in one JSON object, None when it has none; ValueError says what is wrong with it."""
    if not isinstance(value, dict):
        raise ValueError(f'expected an object with a "description", found {str(value)[:80]!r}')
    text = value.get("description")
    if text is not None and not isinstance(text, str):
        raise ValueError(f"the description is not a text but {str(text)[:80]!r}")
    return text


def _crawl_dump(path):
    """Yields the descriptions of a crawl file {page number: [{"description": ...}, ...]}."""
    try:
        with open(path, "rb") as file:
            pages = json.load(file)
        if not isinstance(pages, dict) or not all(isinstance(page, list) for page in pages.values()):
            raise ValueError("expected a crawl dump {page: [objects]}; is it another kind of file?")
        yield from [_description(value) for page in pages.values() for value in page]
    except ValueError as error:
        raise config.UserError(f"{path}: {error}") from error


def descriptions(piece):
    """Yields the texts in a piece of an input file; None for an object without a description.

    Raises: config.UserError naming the file and the line that cannot be read.
    """
    if piece.path.endswith(".json"):
        yield from _crawl_dump(piece.path)
        return
    for index, line in enumerate(shards.lines_of(piece)):
        try:
            text = line.decode()
            if piece.path.endswith(".jsonl"):
                if not text.strip():
                    continue
                text = _description(json.loads(text))
        except ValueError as error:  # of the encoding, the JSON, or its content
            number = shards.line_number(piece, index)
            raise config.UserError(f"{piece.path}: line {number}: {getattr(error, 'msg', error)}") from error
        yield text


def ascii_lines(text):
    """The lines of a text as ASCII bytes: accents are split off and dropped with everything else that is not ASCII."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").split(b"\n")


# --------------------------------------------------------------------------------------------------------------
# The two passes


@dataclasses.dataclass(frozen=True)
class DealTask:
    """First pass: the lines of one piece, dealt out into buckets."""

    piece: shards.Piece
    path: str
    shards: int


def deal(task):
    def write(part):
        counts, lines = collections.Counter(), {}  # a dict is a set that keeps its order
        for text in descriptions(task.piece):
            counts["without_description" if text is None else "texts"] += 1
            lines.update(dict.fromkeys(ascii_lines(text or "")) if text is not None else {})
        return {**counts, "offsets": shards.write_buckets(part, lines, task.shards)}

    return shards.write_once(task.path, write)


@dataclasses.dataclass(frozen=True)
class TokeniseTask:
    """Second pass: one bucket of all pieces, without repetitions, tokenised and sorted."""

    dealt: tuple
    shard: int
    path: str
    tokenizer: str
    min_tokens: int


def tokenise(task):
    def write(part):
        lines = set()
        for path in task.dealt:
            lines.update(shards.read_bucket(path, shards.result_of(path)["offsets"], task.shard))
        split = vocabulary.tokenizer(task.tokenizer)
        tokenised = (split(line.decode()) for line in lines)
        kept = sorted(" ".join(tokens) for tokens in tokenised if len(tokens) >= task.min_tokens)
        with open(part, "w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{sentence}\n" for sentence in kept)
        return {"distinct_lines": len(lines), "kept": len(kept)}

    return shards.write_once(task.path, write)


# --------------------------------------------------------------------------------------------------------------
# The stage


def _settings(options, paths):
    """(settings, made_from) of the sidecar, and the number of shards."""
    import nltk

    count = shards.shard_count(options.shards, sum(os.path.getsize(path) for path in paths))
    settings = {
        "min_tokens": options.min_tokens,
        "tokenizer": options.tokenizer,
        "nltk": nltk.__version__,
        "shards": count,
    }
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    made_from = {os.path.relpath(path, root): sidecars.fingerprint(path)["sha256"] for path in paths}
    return settings, made_from, count


def _concatenate(paths, path):
    with open(path + ".part", "wb") as output:
        for source in paths:
            with open(source, "rb") as file:
                shutil.copyfileobj(file, output, 1 << 20)
    os.replace(path + ".part", path)


def main(options):
    if options.min_tokens < 1 or options.shards < 0 or options.processes < 0:
        raise config.UserError("--min_tokens must be at least 1, --shards and --processes at least 0")
    paths = input_files(options.input)
    vocabulary.tokenizer(options.tokenizer)  # says now whether its data is there
    settings, made_from, count = _settings(options, paths)
    output, json_path = (os.path.join(options.data_dir, name) for name in ("sentences.txt", "sentences.json"))
    if sidecars.already_made(json_path, settings, made_from, options.overwrite):
        return
    os.makedirs(options.data_dir, exist_ok=True)
    work = os.path.join(options.data_dir, ".extract_descriptions")
    plan = {"settings": settings, "made_from": made_from}
    if shards.is_unfinished(work, plan):
        print(f"{work}: unfinished work of the same command, going on")
    else:
        sidecars.refuse_unknown([output], json_path, options.overwrite)
        shards.begin(work, plan)

    # At least as many pieces as shards, so that small inputs are shared among the processes as well.
    total_bytes = sum(os.path.getsize(path) for path in paths)
    pieces = shards.cut(paths, -(-total_bytes // count), is_whole=lambda path: path.endswith(".json"))
    dealing = [DealTask(piece, os.path.join(work, f"dealt-{i:05d}"), count) for i, piece in enumerate(pieces)]
    dealt = shards.map_shards(deal, dealing, processes=options.processes, description="reading")
    dealt_paths = tuple(task.path for task in dealing)
    tokenising = [
        TokeniseTask(dealt_paths, i, os.path.join(work, f"sentences-{i:05d}"), options.tokenizer, options.min_tokens)
        for i in range(count)
    ]
    results = shards.map_shards(tokenise, tokenising, processes=options.processes, description="tokenising")

    counts = {
        name: sum(result.get(name, 0) for result in dealt + results)
        for name in ("texts", "without_description", "distinct_lines", "kept")
    }
    if counts["kept"] == 0:
        raise config.UserError(
            f"--input {options.input}: no sentence of at least {options.min_tokens} tokens in {counts['texts']} texts "
            f"({counts['without_description']} objects have no description)"
        )
    if os.path.exists(json_path):
        os.remove(json_path)
    _concatenate([task.path for task in tokenising], output)
    sidecars.write_sidecar(
        json_path, files=[output], count=counts["kept"], settings=settings, made_from=made_from, counts_read=counts
    )
    shutil.rmtree(work)
    print(f"{output}: {counts['kept']} sentences of {counts['distinct_lines']} distinct lines, {counts['texts']} texts")


if __name__ == "__main__":
    config.run(main, Options)
