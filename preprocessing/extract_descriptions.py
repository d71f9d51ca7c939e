"""Converts raw descriptions to one tokenised sentence a line.

Reads a crawl or a corpus (formats: sources/corpora.py), converts it to ASCII (rules: sources/ascii_text.py), splits it
at line ends, drops repeated lines, tokenises, and keeps sentences of at least --min_tokens tokens. With --text unicode
the text of any language stays as it is, but for its case.

    python -m preprocessing.extract_descriptions --data_dir data/default --input descriptions/,coco:captions.json
    python -m preprocessing.extract_descriptions --input chinese.txt --text unicode --tokenizer characters

Writes `sentences.txt` (lower-cased tokens joined by a space, no markers) and `sentences.json`.
Source: docs/stages.md.
"""

import collections
import dataclasses
import math
import os
import shutil

import cli
import experiments
import extensions
from formats import sidecars, texts, writing
from formats.languages import tokenizers
from preprocessing.sharding import shards
from preprocessing.sources import ascii_text, corpora, corpus_files, text_rules


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of extract_descriptions."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    input: str = cli.field(
        "",
        "files or folders, separated by commas; FORMAT:PATH names the format, else it is recognised by the content: "
        + ", ".join(corpora.FORMATS),
    )
    min_tokens: int = cli.field(8, "shorter sentences are dropped, in tokens without markers")
    text: str = cli.choice(
        "ascii",
        tuple(text_rules.RULES),
        "ascii: accents and other letters are dropped, as by the authors; unicode: any language, composed (NFC) and "
        "with its case folded by Unicode",
    )
    tokenizer: str = cli.field("nltk_word", tokenizers.TOKENIZER_HELP)
    encoding: str | None = cli.field(
        None, "encoding of files without a byte order mark, such as latin-1, cp1252, gb18030 (default: utf-8)"
    )
    max_failures: float = cli.field(0.0, "largest share of unreadable lines or objects that is accepted")
    runner: str | None = cli.field(None, shards.RUNNER)
    shards: int = cli.field(0, "parts in which the text is processed, 0 = one for every 8 MB")
    processes: int = cli.field(0, "processes, 0 = all cores; the output is the same for any number")
    overwrite: bool = cli.field(False, "make the output again although it is there")


# --------------------------------------------------------------------------------------------------------------
# The two passes


READ = ("texts", "without_description", "unreadable")  # counts of the first pass
NOTED = ("texts", "characters", "lost", "with_html", "without_description")
NAMED = 5  # files that a warning names
WARN, REFUSE = 0.05, 0.5  # shares of lost characters


@dataclasses.dataclass(frozen=True)
class DealTask:
    """Task of the first pass: distributes the lines of one piece to buckets, one for each task of the second pass.

    Attributes:
      piece: the lines to read.
      format: format of the file, one of corpora.FORMATS.
      path: file to write, with all buckets.
      shards: number of buckets.
      text: value of --text.
    """

    piece: shards.Piece
    format: str
    path: str
    shards: int
    text: str


def deal(task):
    """Distributes the lines of a DealTask's piece to the buckets of its file, unless this exists; returns a dict.

    Its counts are "unreadable" (entries) and, absent if there is none, "texts", "without_description" (objects or rows
    without a text), "characters" (without blanks), "lost" (those that --text drops) and "with_html" (texts).
    "named" is a list of messages on the first unreadable entries.
    """

    def write(part):
        counts, lines = collections.Counter(), {}  # a dict is a set that keeps its order
        bad = corpora.BadEntries()
        for text in corpora.read(task.piece, task.format, bad):
            counts["without_description" if text is None else "texts"] += 1
            if text is not None:
                found, lost = text_rules.lines_of(text, task.text)
                lines.update(dict.fromkeys(found))
                counts.update(characters=len(text) - text.count(" "), lost=lost, with_html=ascii_text.holds_html(text))
        shards.write_buckets(part, lines, task.shards)
        return {**counts, "unreadable": bad.count, "named": bad.named}

    return shards.write_once(task.path, write)


@dataclasses.dataclass(frozen=True)
class TokeniseTask:
    """Task of the second pass: tokenises and sorts one bucket of all pieces, without repeated lines.

    Attributes:
      dealt: paths of the files of the first pass.
      shard: index of the bucket.
      path: file to write, one tokenised sentence a line.
      tokenizer, text: values of the flags. min_tokens: sentences of fewer tokens are dropped.
    """

    dealt: tuple
    shard: int
    path: str
    tokenizer: str
    text: str
    min_tokens: int


def tokenise(task):
    """Tokenises the bucket of a TokeniseTask and writes its file, unless this exists.

    Returns: {"distinct_lines": number of different lines in the bucket, "kept": number of sentences in the file}.
    """

    def write(part):
        lines = set()
        for path in task.dealt:
            lines.update(shards.read_bucket(path, task.shard))
        split = tokenizers.tokenizer(task.tokenizer, task.text)
        tokenised = (split(line.decode()) for line in lines)
        kept = sorted(" ".join(tokens) for tokens in tokenised if len(tokens) >= task.min_tokens)
        with open(part, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{sentence}\n" for sentence in kept)
        return {"distinct_lines": len(lines), "kept": len(kept)}

    return shards.write_once(task.path, write)


# --------------------------------------------------------------------------------------------------------------
# The stage


def _settings(options, files):
    """Returns (settings, made_from, number of shards); the first two are dicts for the sidecar.

    Args: files: list of corpus_files.CorpusFile.
    """
    import nltk

    paths = [file.path for file in files]
    count = shards.shard_count(options.shards, sum(os.path.getsize(path) for path in paths))
    settings = {
        "min_tokens": options.min_tokens,
        **text_rules.settings_of(options.text, options.tokenizer),
        "nltk": nltk.__version__,
        "shards": count,
    }
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    made_from = {os.path.relpath(path, root): sidecars.fingerprint(path)["sha256"] for path in paths}
    # A recognised format follows from the content; a given format is a setting.
    if given := {os.path.relpath(file.path, root): file.format for file in files if file.given}:
        settings["formats"] = given
    if options.encoding:
        settings["encoding"] = options.encoding
    if extensions.is_file(options.tokenizer):
        made_from[options.tokenizer] = sidecars.fingerprint(options.tokenizer)["sha256"]
    return settings, made_from, count


def _report_unreadable(options, dealt, counts):
    """Prints the lines and objects that cannot be read; returns a list of messages on the first of them, [] for none.

    Args: dealt: results of `deal`. counts: dict with the sums over `dealt` of the counts READ.
    Raises: cli.UserError if their share is larger than --max_failures.
    """
    if not counts["unreadable"]:
        return []
    named = [line for result in dealt for line in result["named"]][: corpora.BAD_KEPT]
    total = counts["unreadable"] + counts["texts"] + counts["without_description"]
    share = counts["unreadable"] / total
    more = f"\n  … and {counts['unreadable'] - len(named)} more" if counts["unreadable"] > len(named) else ""
    message = f"{counts['unreadable']} of {total} texts cannot be read:\n  " + "\n  ".join(named) + more
    if share > options.max_failures:
        enough = math.ceil(share * 1000) / 1000
        raise cli.UserError(
            f"{message}\nRepair or remove them; name the format (FORMAT:PATH) if it was not recognised correctly; or "
            f"leave them out with --max_failures {enough}"
        )
    print(f"NOTE: {message}\nThey are left out")
    return named


def _report_lost(files, dealing, dealt, counts, text):
    """Prints how many characters are lost by --text, and how many texts contain HTML or are missing.

    Args:
      text: value of --text.
      files: list of corpus_files.CorpusFile. dealing: list of DealTask. dealt: the result of each task.
      counts: dict with the sums over `dealt` of the counts NOTED.

    Raises: cli.UserError if more than the share REFUSE of the characters would be lost.
    """
    share = counts["lost"] / max(1, counts["characters"])
    by_file = {file.path: [0, 0] for file in files}
    for task, result in zip(dealing, dealt, strict=True):
        for i, name in enumerate(("lost", "characters")):
            by_file[task.piece.shown][i] += result.get(name, 0)
    shares = {path: lost / max(1, total) for path, (lost, total) in by_file.items() if lost > WARN * total}
    most = sorted(shares, key=shares.get, reverse=True)[:NAMED]
    where = f" (most in {', '.join(f'{path}: {shares[path]:.0%}' for path in most)})" if most else ""
    if share > REFUSE:
        other = "; for another language add --text unicode, and --tokenizer characters if it is written without blanks"
        raise cli.UserError(
            f"{share:.0%} of the characters {text_rules.LOST[text]} and would be dropped{where}; expected sentences in "
            + ("English" + other if text == "ascii" else "valid Unicode")
        )
    if counts["lost"]:
        warning = "WARNING" if share > WARN or most else "NOTE"
        keeps = "; --text unicode keeps them" if warning == "WARNING" and text == "ascii" else ""
        what = f"{counts['lost']} characters ({share:.2%}) {text_rules.LOST[text]}"
        print(f"{warning}: {what} and were dropped{where}{keeps}")
    if counts["with_html"]:
        warning = "WARNING" if counts["with_html"] > WARN * counts["texts"] else "NOTE"
        print(
            f"{warning}: {counts['with_html']} texts contain HTML or markers (<b>, &amp;, <s>), which are kept as words"
        )
    if counts["without_description"]:
        print(f"NOTE: {counts['without_description']} objects or rows have no text")


def _pieces(files, work, count, encoding):
    """Returns the input of the first pass: list of shards.Piece of files in UTF-8.

    Files in another encoding, and compressed ones, are first copied to the work folder.

    Args: files: list of CorpusFile. work: work folder. count: number of shards.
      encoding: encoding of files without a byte order mark; None: UTF-8.
    """
    originals, whole = {}, set()
    for number, file in enumerate(files):
        path = file.path
        if not texts.lies_as_utf8(path, encoding):
            path = os.path.join(work, f"text-{number:05d}")
            if not os.path.exists(path):
                with writing.replacing(path) as part:
                    texts.copy_as_utf8(file.path, part, encoding)
        originals[path] = file.path
        whole |= {path} if corpora.is_whole(file.format) else set()
    # At least as many pieces as shards, so that small inputs use all processes too.
    total_bytes = sum(os.path.getsize(path) for path in originals)
    pieces = shards.cut(originals, max(1, -(-total_bytes // count)), is_whole=whole.__contains__)
    return [dataclasses.replace(piece, name=originals[piece.path]) for piece in pieces]


def _concatenate(paths, path):
    """Writes the contents of the files `paths`, one after the other, to the file `path`, atomically."""
    with writing.replacing(path) as part, open(part, "wb") as output:
        for source in paths:
            with open(source, "rb") as file:
                shutil.copyfileobj(file, output, 1 << 20)


def main(options):
    """Checks the settings, locks the output and makes it; cli.UserError names a wrong setting or input."""
    if options.min_tokens < 1 or options.shards < 0 or options.processes < 0:
        raise cli.UserError("--min_tokens must be at least 1, --shards and --processes at least 0")
    if options.encoding:
        texts.check_encoding(options.encoding)
    if not 0 <= options.max_failures <= 1:
        raise cli.UserError(f"--max_failures {options.max_failures}: expected a number between 0 and 1")
    os.makedirs(options.data_dir, exist_ok=True)
    with writing.working(options.data_dir, ["sentences"]):
        _make(options)


def _make(options):
    """Makes `sentences.txt` and its sidecar; continues unfinished work of the same command."""
    how = shards.where(options)
    files, notes = corpus_files.corpora_of(options.input, options.encoding)
    tokenizers.tokenizer(options.tokenizer, options.text)  # raises now if its data is missing
    settings, made_from, count = _settings(options, files)
    output, json_path = (os.path.join(options.data_dir, name) for name in ("sentences.txt", "sentences.json"))
    work = os.path.join(options.data_dir, ".extract_descriptions")
    plan = {"settings": settings, "made_from": made_from}
    if sidecars.already_made(json_path, settings, made_from, options.overwrite):
        return shards.discard(work, plan)
    for note in notes:
        print(note)
    if shards.is_unfinished(work, plan):
        print(f"{work}: continuing the unfinished work of the same command")
    else:
        sidecars.refuse_unknown([output], json_path, options.overwrite)
        shards.begin(work, plan)

    formats = {file.path: file.format for file in files}
    dealing = [
        DealTask(piece, formats[piece.shown], os.path.join(work, f"dealt-{i:05d}"), count, options.text)
        for i, piece in enumerate(_pieces(files, work, count, options.encoding))
    ]
    dealt = shards.map_shards(deal, dealing, **how, description="reading")
    read = {name: sum(result.get(name, 0) for result in dealt) for name in READ}
    unreadable = _report_unreadable(options, dealt, read)
    noted = {name: sum(result.get(name, 0) for result in dealt) for name in NOTED}
    _report_lost(files, dealing, dealt, noted, options.text)
    dealt_paths = tuple(task.path for task in dealing)
    how_split = options.tokenizer, options.text, options.min_tokens
    tokenising = [
        TokeniseTask(dealt_paths, i, os.path.join(work, f"sentences-{i:05d}"), *how_split) for i in range(count)
    ]
    results = shards.map_shards(tokenise, tokenising, **how, description="tokenising")

    counts = read | {name: sum(result[name] for result in results) for name in ("distinct_lines", "kept")}
    if counts["kept"] == 0:
        raise cli.UserError(
            f"--input {options.input}: no sentence of at least {options.min_tokens} tokens in {counts['texts']} texts "
            f"({counts['without_description']} objects have no description)"
        )
    if os.path.exists(json_path):
        os.remove(json_path)
    _concatenate([task.path for task in tokenising], output)
    sidecars.write_sidecar(
        json_path,
        files=[output],
        count=counts["kept"],
        settings=settings,
        made_from=made_from,
        counts_read=counts,
        characters={name: noted[name] for name in ("characters", "lost")},
        unreadable=unreadable,
    )
    shutil.rmtree(work)
    print(f"{output}: {counts['kept']} sentences of {counts['distinct_lines']} distinct lines, {counts['texts']} texts")


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("extract_descriptions"))
