"""Draws the picture of README.md: a photograph, its detected objects, sentences of the corpus, the caption.

    python -m docs.building.readme_picture --data_dir data/miniature --job_dir runs/demo/full --image test_00003.jpg

The photograph is one of the drawn world (`scripts/demo.sh`), so the picture may be published.
"""

import dataclasses
import os

import cli

TARGET = os.path.join("docs", "images", "overview.png")


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of readme_picture."""

    data_dir: str = cli.field("data/miniature", "data folder of the demo")
    job_dir: str = cli.field("runs/demo/full", "run that captions the photograph")
    image: str = cli.field("test_00003.jpg", "name of the photograph")
    output: str = cli.field(TARGET, "picture to write")


def sentences_about(data_dir, words, count=3):
    """The first sentences of the corpus that name as many of the words as possible, one for each length."""
    found = {}
    with open(os.path.join(data_dir, "sentences.txt")) as file:
        for line in file:
            named = len(set(words) & set(line.split()))
            found.setdefault(named, []).append(line.strip())
    best = found[max(found)]
    return [best[i * len(best) // count] for i in range(min(count, len(best)))]


def main(options):
    """Writes the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import textwrap

    from matplotlib import patches, pyplot
    from PIL import Image

    from captioning import photographs
    from formats import records

    path = os.path.join(options.data_dir, "raw", "images", options.image)
    captioner, source = photographs.open_run(options.job_dir, "best")
    [(_, _, [hypotheses])] = photographs.caption_files(captioner, source, [(path, options.image)], [], "beam3")
    caption = hypotheses[0].text
    detections = records.each_detections(records.find_files(options.data_dir, "detections"))
    objects = next(found for name, found in detections if name == options.image)
    image = Image.open(path)
    figure, panels = pyplot.subplots(1, 4, figsize=(12, 3.1), gridspec_kw={"width_ratios": [1, 1, 1.5, 1.2]})
    titles = ("a photograph", "an object detector", "sentences about other things", "the caption")
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, fontsize=12)
        panel.axis("off")
    for panel in panels[:2]:
        panel.imshow(image)
    for found in objects:
        top, left, bottom, right = found.box
        corner = left * image.width, top * image.height
        size = (right - left) * image.width, (bottom - top) * image.height
        panels[1].add_patch(patches.Rectangle(corner, *size, fill=False, edgecolor="#e65100", linewidth=2))
        panels[1].text(*corner, found.class_name, color="white", backgroundcolor="#e65100", fontsize=9)
    for row, sentence in enumerate(sentences_about(options.data_dir, [found.class_name for found in objects])):
        text = textwrap.fill(sentence, 34)
        panels[2].text(0.02, 0.85 - 0.32 * row, text, fontsize=10.5, style="italic", va="top")
    panels[3].text(0.02, 0.6, textwrap.fill(caption, 24), fontsize=13, weight="bold", va="center")
    figure.tight_layout()
    figure.savefig(options.output, dpi=110)
    print(f"{options.output} written")


if __name__ == "__main__":
    cli.run(main, Options)
