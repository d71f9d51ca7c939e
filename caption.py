"""Captions image files or folders with a trained run; the run directory is all it needs.

    python caption.py --job_dir runs/full photo.jpg holiday/ --output captions.json

`--attention DIR` draws where a run of baselines.show_attend_tell looked before each word, `--embedding_map FILE` a map
of the run's word vectors with the words of the captions and their neighbours.

A broken image, or a path that is not there, is reported and the rest go on. Exit code: 0 when every image got a
caption, 1 if some did not, 2 if none did. Outputs are tried first; captions that cannot be written in the end go to
another file.
"""

import collections
import dataclasses
import json
import os
import sys

import cli
import registry
from captioning.decode import parse_decode
from formats import file_names, folders, sidecars
from training import rankings
from training.run_directory import read_config


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of caption.py."""

    paths: tuple[str, ...] = cli.field((), "image files and folders; they are also taken as plain arguments")
    recursive: bool = cli.field(False, "of a folder, also take the files in the folders inside")
    job_dir: str = cli.field("runs/full", "run directory, or a copy of one")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    decode: str = cli.field("beam3", "greedy or beamK")
    length_normalization: float = cli.field(0.0, "finished captions are ordered by log p / length^this")
    nbest: int = cli.field(1, "captions an image, best first, with their log-probabilities when more than one")
    format: str = cli.choice("auto", ("auto", "text", "json", "jsonl"), "auto: by the ending of --output, else text")
    output: str | None = cli.field(None, "file to write; the screen if not given")
    encoder: str | None = cli.field(None, "where the run's encoder is now, if it has moved")
    detector: str | None = cli.field(None, "R2M: the detector, where the run keeps none or it has moved")
    labels: str | None = cli.field(None, "class names of --detector")
    exif: bool | None = cli.field(
        None,
        "turn photographs as their EXIF orientation says, or (--noexif) do not; default: as those that the run learned "
        "from, of runs of earlier versions as they are stored",
    )
    batch_size: int = cli.field(16, "images at a time")
    system: tuple[str, ...] = registry.packages_field()
    attention: str | None = cli.field(None, "folder for a picture of each image: where the network looked, by word")
    embedding_map: str | None = cli.field(None, "PNG file for a map of the word vectors with the captions' words")
    map_method: str = cli.choice("pca", ("pca", "tsne"), "how word vectors become points; tsne takes longer")

    def outputs(self):
        """The files and the folders that it writes, see cli.run."""
        return (self.output, self.embedding_map), (self.attention,)


@dataclasses.dataclass
class Files:
    """What is to be captioned.

    Attributes:
      files: list of (path, image id); the id is the file name, with its folder where two files share a name.
      missing: list of (path, why) of arguments that cannot be read.
      notes: lines about what lies in the folders and is not taken.
    """

    files: list
    missing: list
    notes: list


def files_of(paths, recursive=False):
    """The files to caption: `Files`. A folder stands for its files in the order of their names.

    Args: recursive: also those in the folders inside.
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
    return "; --recursive takes the folders" if "a folder" in left_out.values() else ""


def check(options):
    """What can be said before TensorFlow starts. Returns the `Files`. Raises cli.UserError."""
    registry.import_packages(options.system)
    if not options.paths:
        raise cli.UserError("no image given: python caption.py --job_dir RUN PATH...")
    if options.nbest < 1 or options.batch_size < 1:
        raise cli.UserError("--nbest and --batch_size must be at least 1")
    if options.nbest > max(parse_decode(options.decode), 1):
        raise cli.UserError(f"--nbest {options.nbest} needs a beam of that size: --decode beam{options.nbest}")
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
        raise cli.UserError("; ".join(reasons) or f"{', '.join(options.paths)}: no file in there")
    print(f"{len(found.files)} files to caption", *found.notes, sep="\n", file=sys.stderr, flush=True)
    return found


def main(options):
    """Captions the files; returns the exit code."""
    asked = check(options)

    from captioning import photographs

    with cli.tried(*options.outputs()):
        captioner, source = photographs.open_run(
            options.job_dir, options.checkpoint, options.encoder, options.detector, options.labels, exif=options.exif
        )
    results, broken, lying = {}, list(asked.missing), []
    how = (options.decode, options.length_normalization, options.batch_size, "captioning")
    try:
        for done, rows, found in photographs.caption_files(captioner, source, asked.files, broken, *how):
            results |= dict(zip([image_id for _, image_id in done], found, strict=True))
            lying += [path for path, _ in done if photographs.lies_otherwise(source, path)]
            if options.attention:
                draw_attention(captioner, rows, done, found, options.attention, source.exif)
    except BaseException:
        if results:
            print(sidecars.keep_elsewhere(options.output or "captions.txt", text_of(results, options)), file=sys.stderr)
        raise
    write(results, options)
    if options.embedding_map:
        draw_map(captioner, results, options)
    for path, reason in broken:
        print(f"no caption for {path}: {reason}", file=sys.stderr)
    if lying and options.exif is None:
        print(
            f"NOTE: {len(lying)} photographs, the first {lying[0]}, were captioned as they are stored, not as viewers "
            "show them: the run learned from photographs whose EXIF orientation was not applied. --exif turns them",
            file=sys.stderr,
        )
    print(f"{len(results)} of {len(asked.files) + len(asked.missing)} images captioned", file=sys.stderr)
    return 0 if not broken else 1 if results else 2


def draw_attention(captioner, rows, files, found, folder, exif):
    """Writes FOLDER/IMAGE.png for each image: where the network looked before each word of the best caption."""
    from evaluation.report import attention_pictures
    from formats.images import read_image

    ids = [several[0].ids for several in found]
    for (path, image_id), weights, row in zip(files, captioner.attention(rows, ids), ids, strict=True):
        said = [t for t, word in enumerate(row) if word > 1]  # markers have no panel
        words = [captioner.vocabulary.word(row[t]) for t in said]
        name = image_id.strip("/").replace("/", "_") + ".png"
        attention_pictures.save(os.path.join(folder, name), read_image(path, exif), words, weights[said])


def draw_map(captioner, results, options):
    """Writes the map of the word vectors with the words of all captions."""
    from evaluation.report import attention_pictures, word_map

    own = captioner.input_embedding
    vectors = captioner.generator.embedding if own is None else own
    ids = {i for found in results.values() for i in found[0].words}
    drawing = word_map.figure(vectors.numpy(), captioner.vocabulary, ids, options.map_method)
    attention_pictures.save_figure(options.embedding_map, drawing)


def write(results, options):
    """Writes the captions to --output or the screen; where that fails after all, to another file (UserError)."""
    text = text_of(results, options)
    if options.output:
        sidecars.write_results(options.output, text)
    else:
        sidecars.print_results(text)


def text_of(results, options):
    """The captions as --format, or the ending of --output, says: COCO results (JSON), JSON lines, or text.

    In a text file names keep their bytes, whatever they are: it is bytes then.
    """
    ending = os.path.splitext(options.output or "")[1]
    kind = {".json": "json", ".jsonl": "jsonl"}.get(ending, "text") if options.format == "auto" else options.format
    if kind == "text":
        lines = [
            f"{image_id}\t{h.text}" + (f"\t{h.log_prob:.4f}" if options.nbest > 1 else "")
            for image_id, found in results.items()
            for h in found[: options.nbest]
        ]
        text = "".join(line + "\n" for line in lines)
        return file_names.to_bytes(text) if options.output else text
    entries = [entry(image_id, found, options.nbest) for image_id, found in results.items()]
    return json.dumps(entries, indent=1) + "\n" if kind == "json" else "".join(json.dumps(e) + "\n" for e in entries)


def entry(image_id, found, nbest):
    """One image in COCO results format, with the n-best list where it was asked for."""
    result = {"image_id": image_id, "caption": found[0].text, "log_prob": round(found[0].log_prob, 6)}
    if nbest > 1:
        result["nbest"] = [{"caption": h.text, "log_prob": round(h.log_prob, 6)} for h in found[:nbest]]
    return result


if __name__ == "__main__":
    cli.run(main, Options)
