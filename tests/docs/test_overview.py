"""The picture of the README is drawn from a data folder and a run."""

import os

import matplotlib.image
import pytest

import caption
import cli
from docs.building import draw_overview
from formats.captions import read_captions
from tests import given_world


def test_the_sentence_with_most_words_of_the_image():
    lines = ["a cat\n", "a dog and a ball\n", "a ball and a dog\n", "a dog\n"]
    assert draw_overview.corpus_sentence(lines, {"dog", "ball", "bird"}) == "a dog and a ball"
    assert draw_overview.corpus_sentence(iter(lines), {"cat"}) == "a cat"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data folder with features and sentences, and a run with random weights beside it."""
    folder = tmp_path_factory.mktemp("world")
    made = given_world.make(folder)
    spec = f"compact:{given_world.write_encoder(str(folder / 'small.npz'))}"
    given_world.extract_features.main(
        given_world.extract_features.Options(data_dir=made.data, encoder=spec, crops=1, processes=1)
    )
    given_world.untrained_run(made.data, str(folder / "run"))
    with open(os.path.join(made.data, "sentences.txt"), "w") as file:
        file.write("a dog runs\na cat sleeps\na bird runs\n")
    return made


def test_the_picture(world, tmp_path, monkeypatch):
    drawn = []
    figure = draw_overview.figure
    monkeypatch.setattr(draw_overview, "figure", lambda rows: figure(drawn.extend(rows) or rows))
    options = draw_overview.Options(world.data, os.path.join(world.folder, "run"), "val", 2, 1, str(tmp_path / "a.png"))
    draw_overview.main(options)
    assert matplotlib.image.imread(options.output).shape[:2] > (400, 1000)
    output = str(tmp_path / "captions.json")
    caption.main(caption.Options(paths=(world.photos,), job_dir=options.job_dir, output=output))
    said = read_captions(output)
    names = [name for name in sorted(said) if name.startswith("val")]
    shown = {text: [found.class_name for found in objects] for _, objects, _, text in drawn}
    assert len(drawn) == 2 and set(shown) <= {said[name] for name in names}
    for _, objects, sentence, _ in drawn:
        assert [found.class_name.lower() for found in objects] == [sentence.split()[1]]


def test_no_photograph_with_so_many_classes(world, tmp_path):
    options = draw_overview.Options(world.data, os.path.join(world.folder, "run"), "val", 2, 3, str(tmp_path / "a.png"))
    with pytest.raises(cli.UserError, match="no image of val has 3 detected classes"):
        draw_overview.main(options)
