"""Draws the picture of the README: photographs, their detected objects, a corpus sentence and the caption of a run.

    python -m docs.building.draw_overview --data_dir data/miniature --job_dir runs/demo/full

The photographs are the first ones, by name, of a split that have at least --classes detected classes; they are not
chosen by hand.
"""

import dataclasses
import os
import textwrap

import cli
from formats import concepts, images, record_files, records, sidecars

TITLES = ("photograph", "detected objects", "a sentence of the corpus", "generated caption")
SIDE = 256  # pixels of a photograph's longer side
WRAP = 22  # characters of a line of text
COLOURS = 128  # of the PNG file


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of this program."""

    data_dir: str = cli.field("data/miniature", "data folder")
    job_dir: str = cli.field("runs/demo/full", "run that captions the photographs")
    split: str = cli.field("test", "split of the photographs")
    images: int = cli.field(2, "number of photographs")
    classes: int = cli.field(2, "minimum number of detected classes in a photograph")
    output: str = cli.field("docs/images/overview.png", "the picture")

    def outputs(self):
        """Returns two tuples of paths, (files, folders): what the command writes; `cli.run` checks that it can."""
        return (self.output,), ()


def detections(data_dir, split):
    """Returns the detections of the images of all splits: dict image name -> list of Detection.

    Detections with a score below the threshold with which the image records were made are left out.

    Args: data_dir: data folder. split: split of which the sidecar of the image records states the threshold.
    Raises: cli.UserError if the detections or the sidecar of the image records are missing or damaged.
    """
    settings = sidecars.read_sidecar(os.path.join(data_dir, f"image_{split}.json"))["settings"]
    return {
        name: [found for found in all_found if found.score >= settings["score_threshold"]]
        for name, all_found in records.each_detections(record_files.find_files(data_dir, "detections"))
    }


def corpus_sentence(lines, words):
    """Returns the sentence (str) that contains the most of the given words, the first of several; "" without sentences.

    Args: lines: iterable of str, one sentence each. words: set of concept words.
    """
    best, most = "", -1
    for line in lines:
        count = len(words.intersection(line.split()))
        if count > most:
            best, most = line.strip(), count
        if most == len(words):
            break
    return best


def captions(job_dir, paths):
    """Returns the captions of image files, a list of str, by the best checkpoint of a run, decoded by beam search.

    Args: job_dir: the run. paths: list of image files.
    Raises: cli.UserError if a file cannot be read.
    """
    from captioning import photographs

    captioner, source = photographs.open_run(job_dir, "best")
    broken = []
    files = [(path, path) for path in paths]
    batches = photographs.caption_files(captioner, source, files, broken, "beam3")
    found = [hypotheses[0].text for _, _, batch in batches for hypotheses in batch]
    if broken:
        raise cli.UserError(f"{broken[0][0]}: {broken[0][1]}")
    return found


def figure(rows):
    """Returns the matplotlib Figure with a row of four panels for each photograph; their titles are TITLES.

    Args: rows: list with a tuple for each photograph: (pixels uint8 [H, W, 3], list of Detection, corpus sentence,
      caption of the run).
    """
    from matplotlib.figure import Figure

    from web import showing

    drawing = Figure(figsize=(10, 2.4 * len(rows) + 0.3), layout="constrained")
    panels = drawing.subplots(len(rows), len(TITLES), squeeze=False)
    for title, panel in zip(TITLES, panels[0], strict=True):
        panel.set_title(title, fontsize=12)
    for row, (image_HWC, objects, *texts) in zip(panels, rows, strict=True):
        for panel, found in zip(row, ([], objects), strict=False):
            panel.imshow(showing.draw_objects(image_HWC, found, SIDE))
        for panel, text in zip(row[2:], texts, strict=True):
            panel.text(0.5, 0.5, textwrap.fill(text, WRAP), ha="center", va="center", fontsize=13)
        for panel in row:
            panel.axis("off")
    return drawing


def main(options):
    """Draws the picture and writes it to --output. Args: options: Options.

    Raises: cli.UserError if no photograph of the split has enough detected classes.
    """
    from PIL import Image

    from web import showing

    found = detections(options.data_dir, options.split)
    words_of = concepts.load_concepts(options.data_dir, options.split).scores
    names = [name for name in sorted(words_of) if len(words_of[name]) >= options.classes][: options.images]
    if not names:
        raise cli.UserError(
            f"{options.data_dir}: no image of {options.split} has {options.classes} detected classes; lower --classes"
        )
    folder = sidecars.read_sidecar(os.path.join(options.data_dir, f"image_{options.split}.json"))["image_dir"]
    paths = [images.locate(folder, name) for name in names]
    rows = []
    for name, path, caption in zip(names, paths, captions(options.job_dir, paths), strict=True):
        with open(os.path.join(options.data_dir, "sentences.txt"), encoding="utf-8") as lines:
            sentence = corpus_sentence(lines, set(words_of[name]))
        rows.append((images.read_image(path), found[name], sentence, caption))
    drawing = Image.fromarray(showing.as_image(figure(rows)))
    drawing.quantize(COLOURS).save(options.output, optimize=True)  # a third of the bytes
    print(f"{options.output}: {len(rows)} photographs of {options.data_dir}, captions by {options.job_dir}")


if __name__ == "__main__":
    cli.run(main, Options)
