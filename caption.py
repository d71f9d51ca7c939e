"""Captions image files or folders with a trained run, of which only the run directory is needed.

    python caption.py --job_dir runs/full photo.jpg holiday/ --output captions.json

`--attention DIR` draws for each word of a caption which parts of the image the network attended to, for a run of
baselines.show_attend_tell. `--embedding_map FILE` draws the run's word vectors in two dimensions, with the words of the
captions and their nearest neighbours marked.

Damaged images and missing paths are reported, and the other images are captioned. Exit code: 0 if every image has a
caption, 1 if some have none, 2 if all have none. Before the work begins, the outputs are checked; captions that cannot
be written at the end are written to another file, whose name is printed.
"""

import collections
import dataclasses
import json
import os
import sys

import cli
import registry
from captioning.decode import DecodingFlags, decoding_of, of_run
from formats import file_names, folders, sidecars
from training import rankings
from training.run_directory import read_config

LONGEST = 200  # bytes of an image id that the name of its picture keeps


@dataclasses.dataclass(frozen=True)
class Options(DecodingFlags):
    """Flags of caption.py."""

    decode: str | None = cli.field(
        None,
        "greedy, beamK or sampleN; settings may follow, e.g. beam3,no_repeat_ngram=3; default: the run's setting "
        "`decode`, which is beam3 unless its recipe says otherwise",
    )
    paths: tuple[str, ...] = cli.field((), "image files and folders; also as positional arguments")
    recursive: bool = cli.field(False, "also caption the files in subfolders")
    job_dir: str = cli.field("runs/full", "run directory, or a copy of one")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    nbest: int | None = cli.field(
        None,
        "number of captions of an image, best first; with log-probabilities if several. Default: 1, or all samples",
    )
    min_confidence: float | None = cli.field(
        None, "withhold captions with a lower expected CIDEr x100; needs evaluation.confidence for this run"
    )
    format: str = cli.choice("auto", ("auto", "text", "json", "jsonl"), "auto: by the ending of --output, else text")
    output: str | None = cli.field(None, "file to write; default: standard output")
    encoder: str | None = cli.field(None, "the run's encoder with its new path, if it has moved")
    detector: str | None = cli.field(None, "R2M: the detector, if the run has none or it has moved")
    labels: str | None = cli.field(None, "class names of --detector")
    exif: bool | None = cli.field(
        None,
        "apply (--exif) or ignore (--noexif) the EXIF orientation; default: as in the run's training images, in "
        "runs of earlier versions not applied",
    )
    batch_size: int = cli.field(16, "number of images encoded and decoded at once")
    system: tuple[str, ...] = registry.packages_field()
    attention: str | None = cli.field(None, "folder for a figure of each image: its attention for each word")
    embedding_map: str | None = cli.field(
        None, "PNG file for a map of the word vectors, with the captions' words marked"
    )
    map_method: str = cli.choice("pca", ("pca", "tsne"), "projection of the word vectors; tsne takes longer")

    @property
    def shown(self):
        """The number of captions of an image to write: int."""
        decoding = decoding_of(self)
        return self.nbest or (decoding.size if decoding.is_sampled else 1)

    def outputs(self):
        """Returns the paths that the command writes, for cli.run: (files, folders), two tuples of str.

        An item is None if its flag is not given.
        """
        return (self.output, self.embedding_map), (self.attention,)


@dataclasses.dataclass
class Files:
    """The files to caption.

    Attributes:
      files: list of (path, image id); the id is the file name, or the path if two files have the same name.
      missing: list of (path, reason) of paths that cannot be read, two str.
      notes: list of str, lines to print about files and subfolders of the folders that are not captioned.
    """

    files: list
    missing: list
    notes: list


def files_of(paths, recursive=False):
    """Finds the files to caption, each once, those of a folder sorted by name: returns `Files`.

    Args: paths: files and folders. recursive: whether to include the files in subfolders of the folders.
    """
    found, missing, notes = [], [], []
    for path in paths:
        try:
            if os.path.isdir(path):
                inside = folders.walk(path, lambda name: "", recursive)
                found += inside.files
                missing += inside.broken.items()
                left_out = {path: why for path, why in inside.left_out.items() if why != "hidden"}
                notes += filter(None, [folders.note(path, left_out) + _hint(left_out)])
            else:
                os.stat(path)
                found.append(path)
        except (OSError, ValueError) as error:  # ValueError: no file can have such a name
            why = (
                "no such file or folder" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", error)
            )
            missing.append((path, why))
    found = list(dict.fromkeys(found))
    names = collections.Counter(os.path.basename(path) for path in found)
    ids = (name if names[name := os.path.basename(path)] == 1 else path for path in found)
    return Files(list(zip(found, ids, strict=True)), missing, notes)


def _hint(left_out):
    """Returns a hint to use --recursive, for the end of a note; "" if no folder was left out.

    Args: left_out: dict path -> reason.
    """
    return "; --recursive takes the folders" if "a folder" in left_out.values() else ""


def check(options):
    """Checks the flags before TensorFlow starts, and prints the number of files.

    Args: options: Options. Returns: the `Files` to caption.
    Raises: cli.UserError if a flag is wrong, does not fit the run, or names no file to caption.
    """
    registry.import_packages(options.system)
    if not options.paths:
        raise cli.UserError("no image given: python caption.py --job_dir RUN PATH...")
    if (options.nbest is not None and options.nbest < 1) or options.batch_size < 1:
        raise cli.UserError("--nbest and --batch_size must be at least 1")
    decoding = decoding_of(options)
    if options.shown > decoding.size:
        needed = f"--samples {options.nbest}" if decoding.is_sampled else f"--decode beam{options.nbest}"
        what = "this number of samples" if decoding.is_sampled else "a beam of that size"
        raise cli.UserError(f"--nbest {options.nbest} needs {what}: {needed}")
    if options.min_confidence is not None:
        from evaluation import confidence

        path = confidence.path_of(options.job_dir, decoding.name)
        if not os.path.exists(path):
            raise cli.UserError(
                f"--min_confidence: {path} is missing; make it from the validation images: python -m "
                f"evaluation.confidence --job_dir {options.job_dir} --decode {decoding.name}"
            )
    system = registry.system_of(read_config(options.job_dir), options.job_dir)
    if options.attention and not system.attends:
        raise cli.UserError(
            f"--attention: a run of {system.stage} has no attention; only runs of baselines.show_attend_tell have"
        )
    if options.embedding_map and os.path.splitext(options.embedding_map)[1].lower() != ".png":
        raise cli.UserError(f"--embedding_map {options.embedding_map}: expected a name that ends in .png")
    found = files_of(options.paths, options.recursive)
    if not found.files:
        reasons = [f"{path}: {why}" for path, why in found.missing] + found.notes
        raise cli.UserError("; ".join(reasons) or f"{', '.join(options.paths)}: contains no file")
    print(f"{len(found.files)} files to caption", *found.notes, sep="\n", file=sys.stderr, flush=True)
    return found


def main(options):
    """Captions the files and writes the outputs. Args: options: Options.

    Returns: the exit code: 0 if every image has a caption, 1 if some have none, 2 if all have none.
    Raises: cli.UserError if a flag is wrong, or the run or an output cannot be used.
    """
    if options.decode is None and options.samples is None:
        content = read_config(options.job_dir, missing_ok=True)  # `check` says what is wrong if there is none
        options = dataclasses.replace(options, decode=of_run(content) if content else None)
    asked = check(options)

    from captioning import photographs

    with cli.tried(*options.outputs()):
        captioner, source = photographs.open_run(
            options.job_dir, options.checkpoint, options.encoder, options.detector, options.labels, exif=options.exif
        )
    results, broken, lying, withheld, calibrated = {}, list(asked.missing), [], 0, calibration(options)
    how = (decoding_of(options), options.batch_size, "captioning")
    try:
        for done, rows, found in photographs.caption_files(captioner, source, asked.files, broken, *how):
            if options.shown > 1:
                found = captioner.with_word_log_probs(rows, [several[: options.shown] for several in found])
            results |= dict(zip([image_id for _, image_id in done], found, strict=True))
            lying += [path for path, _ in done if photographs.lies_otherwise(source, path)]
            if options.attention:
                draw_attention(captioner, rows, done, found, options.attention, source.exif)
    except BaseException:
        if results:
            text = text_of(results, options, {})
            print(sidecars.keep_elsewhere(options.output or "captions.txt", text), file=sys.stderr)
        raise
    best = [several[0] for several in results.values()]
    expected = dict(zip(results, calibrated(best).tolist(), strict=True)) if calibrated else {}
    if options.min_confidence is not None:
        low = [name for name in results if expected[name] < options.min_confidence]
        for name in low:
            del results[name]
            print(f"caption of {name} withheld: expected CIDEr {expected[name]:.1f}", file=sys.stderr)
        withheld = len(low)
    write(results, options, expected)
    if options.embedding_map:
        draw_map(captioner, results, options)
    for path, reason in broken:
        print(f"no caption for {path}: {reason}", file=sys.stderr)
    if lying and options.exif is None:
        print(
            f"NOTE: {len(lying)} photographs, the first {lying[0]}, were captioned without their EXIF orientation, "
            "because the run was trained without it; viewers show them turned. --exif applies it",
            file=sys.stderr,
        )
    count, several = len(asked.files) + len(asked.missing), f", {withheld} withheld" if withheld else ""
    print(f"{len(results)} of {count} images captioned{several}", file=sys.stderr)
    return 0 if not broken else 1 if results or withheld else 2


def calibration(options):
    """Returns the evaluation.confidence.Confidence of the run's checkpoint and decoding, None if there is none.

    Args: options: Options. Raises: cli.UserError if its file is damaged; with --min_confidence also if it was made for
      another checkpoint.
    """
    from evaluation import confidence
    from training import checkpoints

    name, step = decoding_of(options).name, checkpoints.choose(options.job_dir, options.checkpoint).step
    found = confidence.load(options.job_dir, name)
    if found is None or step in (None, found.step):
        return found
    if options.min_confidence is not None:
        raise cli.UserError(
            f"--min_confidence: {confidence.path_of(options.job_dir, name)} was made for step {found.step}, these are "
            f"captions of step {step}; make it again: python -m evaluation.confidence --job_dir {options.job_dir} "
            f"--decode {name} --checkpoint {step}"
        )
    return None


def draw_attention(captioner, rows, files, found, folder, exif):
    """Writes `folder`/IMAGE.png for each image: the image with the attention for each word of its best caption.

    Args:
      captioner: captioning.captioner.Captioner. rows: float32 [N, cells, D], the grids of image vectors of the N files.
      files: list of (path, image id). found: list with each file's list of captioning.captioner.Hypothesis, best first.
      folder: path of the folder to write to.
      exif: whether the photographs are turned by their EXIF orientation.
    """
    from evaluation.report import attention_pictures
    from formats.images import read_image

    ids = [several[0].ids for several in found]
    for (path, image_id), weights, row in zip(files, captioner.attention(rows, ids), ids, strict=True):
        said = [t for t, word in enumerate(row) if word > 1]  # markers have no panel
        words = [captioner.vocabulary.word(row[t]) for t in said]
        name = file_names.from_bytes(file_names.to_bytes(image_id.strip("/").replace("/", "_"))[-LONGEST:]) + ".png"
        attention_pictures.save(os.path.join(folder, name), read_image(path, exif), words, weights[said])


def draw_map(captioner, results, options):
    """Writes a plot of the word vectors in two dimensions to --embedding_map.

    The words of the captions and their nearest neighbours are marked.

    Args: captioner: captioning.captioner.Captioner. results: dict image id -> list of captioning.captioner.Hypothesis,
      best first. options: Options.
    """
    from evaluation.report import attention_pictures, word_map

    own = captioner.input_embedding
    vectors = captioner.generator.embedding if own is None else own
    ids = {i for found in results.values() for i in found[0].words}
    drawing = word_map.figure(vectors.numpy(), captioner.vocabulary, ids, options.map_method)
    attention_pictures.save_figure(options.embedding_map, drawing)


def write(results, options, expected):
    """Writes the captions to --output or to standard output; if that fails, to another file.

    Args: as of `text_of`.
    Raises: cli.UserError if --output or standard output cannot be written; the message names the other file.
      BrokenPipeError if the reader of standard output has ended.
    """
    text = text_of(results, options, expected)
    if options.output:
        sidecars.write_results(options.output, text)
    else:
        sidecars.print_results(text)


def text_of(results, options, expected):
    """Returns the captions in the format of --format or of --output's ending: COCO results, JSON lines, or plain text.

    Args: results: dict image id -> list of captioning.captioner.Hypothesis, best first. options: Options.
      expected: dict image id -> expected CIDEr x100 of its best caption, {} if it is not calibrated.
    Returns: str; bytes if plain text is written to a file, because file names may be any bytes.
    """
    ending = os.path.splitext(options.output or "")[1]
    kind = {".json": "json", ".jsonl": "jsonl"}.get(ending, "text") if options.format == "auto" else options.format
    if kind == "text":
        lines = [
            f"{image_id}\t{h.text}" + (f"\t{h.log_prob:.4f}" if options.shown > 1 else "")
            for image_id, found in results.items()
            for h in found[: options.shown]
        ]
        text = "".join(line + "\n" for line in lines)
        return file_names.to_bytes(text) if options.output else text
    entries = [entry(image_id, found, options.shown, expected.get(image_id)) for image_id, found in results.items()]
    return json.dumps(entries, indent=1) + "\n" if kind == "json" else "".join(json.dumps(e) + "\n" for e in entries)


def entry(image_id, found, nbest, expected=None):
    """Returns one image's entry of the COCO results format: dict with `image_id`, `caption` and `log_prob`.

    With `expected`, the expected CIDEr x100 of the caption, it also has `expected_cider`.

    If `nbest` is above 1, it also has `nbest`: a list of dicts with `caption`, `log_prob` and `words`, best first;
    `words` is a list of pairs [word, log-probability], the end token included.
    Args: found: list of captioning.captioner.Hypothesis, best first. nbest: maximum number of captions in that list.
    """
    result = {"image_id": image_id, "caption": found[0].text, "log_prob": round(found[0].log_prob, 6)}
    if expected is not None:
        result["expected_cider"] = round(expected, 2)
    if nbest > 1:
        result["nbest"] = [one.to_json() for one in found[:nbest]]
    return result


if __name__ == "__main__":
    cli.run(main, Options)
