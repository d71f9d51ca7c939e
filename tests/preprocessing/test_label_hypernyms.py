"""label_hypernyms: names of hypernyms behind those of a label, nearest first; what is missing is said."""

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
