"""label_hypernyms: names of hypernyms behind those of a label, nearest first; what is missing is said."""

import dataclasses
import json
import os
import types

import nltk
import pytest

import cli
from formats import vocabulary
from preprocessing import label_hypernyms

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Synset:
    """As much of an nltk synset as is used."""

    def __init__(self, names, *above, instance_of=()):
        self.names, self.above, self.instance_of = names, above, instance_of

    def lemma_names(self):
        return self.names

    def hypernyms(self):
        return list(self.above)

    def instance_hypernyms(self):
        return list(self.instance_of)

    def closure(self, relation):
        queue, seen = relation(self), set()
        while queue:
            synset = queue.pop(0)
            if synset not in seen:
                seen.add(synset)
                yield synset
                queue += relation(synset)


def test_lines():
    animal = Synset(["animal"])
    dog, cat = Synset(["dog", "domestic_dog"], animal), Synset(["cat"], animal)
    labels = [Synset(["borzoi"], Synset(["hound"], dog)), Synset(["husky"], dog), Synset(["tabby"], instance_of=[cat])]
    assert label_hypernyms.lines(labels, 0.7) == [
        "borzoi, hound, dog, domestic dog",
        "husky, dog, domestic dog",
        "tabby, cat",
    ]
    assert label_hypernyms.lines(labels, 1.0)[2] == "tabby, cat, animal"


TREE = {
    "LabelName": "/m/root",
    "Subcategory": [
        {
            "LabelName": "/m/animal",
            "Subcategory": [
                {"LabelName": "/m/dog"},
                {"LabelName": "/m/bird", "Subcategory": [{"LabelName": "/m/owl"}]},
            ],
        },
        {"LabelName": "/m/car", "Part": [{"LabelName": "/m/wheel"}]},
        {"LabelName": "/m/pet", "Subcategory": [{"LabelName": "/m/dog"}]},
    ],
}
NAMES = {f"/m/{name}": name.title() for name in ("animal", "dog", "bird", "owl", "car", "wheel", "pet")}


def test_a_class_of_open_images_has_its_ancestors():
    labels = ["owl (bird)", "dog", "wheel", "car", "boat"]
    found, unknown = label_hypernyms.lines_of_hierarchy(TREE, NAMES, labels, 1.0)
    assert found == ["owl (bird), owl, Bird, Animal", "dog, Animal, Pet", "wheel", "car", "boat"] and unknown == [
        "boat"
    ]
    assert label_hypernyms.lines_of_hierarchy(TREE, NAMES, labels, 0.3)[0][1] == "dog, Pet"
    with pytest.raises(ValueError, match="expected an object with LabelName"):
        label_hypernyms.ancestors({"LabelName": "/m/root", "Subcategory": ["/m/dog"]})


def test_the_files_of_open_images(tmp_path):
    (tmp_path / "tree.json").write_text(json.dumps(TREE))
    (tmp_path / "names.csv").write_text("".join(f"{one},{name}\n" for one, name in NAMES.items()))
    (tmp_path / "labels.txt").write_text("Owl\nDog\n")
    options = label_hypernyms.Options(
        hierarchy=str(tmp_path / "tree.json"),
        descriptions=str(tmp_path / "names.csv"),
        labels=str(tmp_path / "labels.txt"),
        output=str(tmp_path / "out.txt"),
        widest=1.0,
    )
    label_hypernyms.main(options)
    assert (tmp_path / "out.txt").read_text() == "Owl, Bird, Animal\nDog, Animal, Pet\n"
    (tmp_path / "names.csv").write_text("/m/dog\n")
    with pytest.raises(cli.UserError, match="names.csv: '/m/dog'; expected /m/01g317,Person"):
        label_hypernyms.main(options)
    with pytest.raises(cli.UserError, match="expected either --synsets FILE, or --hierarchy"):
        label_hypernyms.main(dataclasses.replace(options, descriptions=""))


def test_errors(tmp_path, monkeypatch):
    path = tmp_path / "synsets.txt"
    path.write_text("n02090622\ngolden retriever\n")
    with pytest.raises(cli.UserError, match="no such file"):
        label_hypernyms.main(label_hypernyms.Options(synsets=str(tmp_path / "absent.txt")))
    with pytest.raises(cli.UserError, match="expected a share"):
        label_hypernyms.main(label_hypernyms.Options(synsets=str(path), widest=0.0))
    wordnet = types.SimpleNamespace(synset_from_pos_and_offset=lambda pos, offset: Synset([pos]))
    wordnet.get_version = lambda: "3.1"
    monkeypatch.setattr(nltk.corpus, "wordnet", wordnet)
    with pytest.raises(cli.UserError, match="'golden' is not a noun synset"):
        label_hypernyms.read_synsets(str(path))
    path.write_text("n02090622\n")
    assert label_hypernyms.read_synsets(str(path))[0].names == ["n"]

    def missing(pos, offset):
        raise LookupError("Resource wordnet not found.")

    wordnet.synset_from_pos_and_offset = missing
    with pytest.raises(cli.UserError, match="python -m nltk.downloader wordnet"):
        label_hypernyms.read_synsets(str(path))
    wordnet.synset_from_pos_and_offset = lambda pos, offset: None
    with pytest.raises(cli.UserError, match="n02090622 is not in WordNet 3.1; expected 3.0"):
        label_hypernyms.read_synsets(str(path))


def test_the_list_that_is_kept():
    labels = vocabulary.load_class_names(os.path.join(ROOT, "data", "imagenet_labels.txt"))
    assert len(labels) == 1000
    names = {label.split(",")[0]: label.split(", ") for label in labels}
    assert "dog" in names["borzoi"]
    assert "mountain" in names["alp"]
    assert "animal" not in names["borzoi"]
