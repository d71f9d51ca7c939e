"""CHAIR and the word scores against tables counted by hand."""

import json
import types

import pytest

from cli import UserError
from evaluation import hallucination

NAMES = hallucination.read_names()

# image: (annotated, detected, what the references name, caption, mentions, not annotated nor named, not named,
#         neither detected nor named)
TABLE = {
    1: ("dog", "dog", "dog", "a dog on grass", 1, 0, 0, 0),  # named and present
    2: ("dog", "dog", "", "a dog on grass", 1, 0, 1, 0),  # present, which no reference says
    3: ("", "dog", "", "a dog on grass", 1, 1, 1, 0),  # the detector is wrong: CHAIR-det believes it
    4: ("", "", "", "a dog on grass", 1, 1, 1, 1),  # named and absent
    5: ("dog", "dog", "dog", "grass", 0, 0, 0, 0),  # present and not named
    6: ("dog", "", "dog", "two dogs run", 1, 0, 0, 0),  # plural
    7: ("person", "", "person", "three men and women", 2, 0, 0, 0),  # plurals without s
    8: ("", "", "", "a woman with children", 2, 2, 2, 2),
    9: ("hot dog", "", "hot dog", "a hot dog on a plate", 1, 0, 0, 0),  # two words: it is no dog
    10: ("dog", "", "dog", "a hot dog on a plate", 1, 1, 1, 1),
    11: ("couch", "", "couch", "a cat on a sofa", 2, 1, 1, 1),  # synonym; the cat is absent
    12: ("bicycle car", "car", "car", "a bike beside an automobile", 2, 0, 1, 1),
    13: ("train", "", "train", "people on a train track", 1, 1, 1, 1),  # train track is no train
    14: ("", "", "", "the player slides to home plate", 1, 1, 1, 1),
    15: ("teddy bear", "", "teddy bear", "a teddy bear and a bear", 2, 1, 1, 1),
    16: ("traffic light", "", "", "a traffic light and traffic lights", 2, 0, 2, 2),  # mentions are counted, not kinds
    17: ("", "", "", "nothing at all", 0, 0, 0, 0),
    18: ("elephant", "", "elephant", "a baby elephant", 1, 0, 0, 0),  # no baby
    19: ("tv laptop", "tv", "laptop", "a television and a laptop", 2, 0, 1, 0),
    20: ("cow", "sheep", "cow", "sheep and cattle", 2, 1, 1, 0),
}


def classes(text):
    return NAMES.classes(text.split())


def test_twenty_captions_counted_by_hand():
    tokens = {image: line[3].split() for image, line in TABLE.items()}
    annotated = {image: classes(line[0]) for image, line in TABLE.items()}
    detected = {image: classes(line[1]) for image, line in TABLE.items()}
    references = {image: [line[2].split(), ["grass"]] for image, line in TABLE.items()}
    for image, line in TABLE.items():
        assert len(NAMES.mentions(tokens[image])) == line[4], line
    found = hallucination.measure(tokens, references, NAMES, detected, annotated)
    assert sum(line[4] for line in TABLE.values()) == 26
    assert [found[name] for name in ("CHAIR-i", "CHAIR-s")] == [10 / 26, 9 / 20]
    assert [found[name] for name in ("CHAIR-ref-i", "CHAIR-ref-s")] == [15 / 26, 13 / 20]
    assert [found[name] for name in ("CHAIR-det-i", "CHAIR-det-s")] == [11 / 26, 9 / 20]


def test_what_is_not_known_is_none():
    found = hallucination.measure({1: ["grass"]}, {1: [["grass"]]}, NAMES)
    assert found == dict.fromkeys((*hallucination.CHAIR, *hallucination.WORDS)) | {"CHAIR-ref-s": 0.0}


def test_words_by_hand():
    """The dog is detected: both say dog once; of other words, "a" and "runs" are common, caption 4, reference 3."""
    tokens, references = {1: "a dog runs past trees".split()}, {1: ["a dog runs fast".split()]}
    found = hallucination.word_scores(tokens, references, NAMES, {1: {"dog"}})
    assert found["detected_precision"] == found["detected_recall"] == found["detected_F1"] == 1.0
    assert (found["other_precision"], found["other_recall"], found["other_F1"]) == (2 / 4, 2 / 3, 4 / 7)
    apart = hallucination.word_scores(tokens, references, NAMES, {1: {"cat"}})
    assert apart["detected_F1"] is None and apart["other_precision"] == 3 / 5


def test_every_class_of_coco_is_known():
    with open("data/coco_labels.txt", encoding="utf-8") as file:
        labels = [line.split(maxsplit=1)[1].strip().lstrip(": ") for line in file]
    assert [label for label in labels if NAMES.class_of(label) != label] == []
    assert len({name for name in NAMES.phrases.values() if name != "-"}) == len(labels) == 80


def test_names_of_a_data_folder():
    concepts = types.SimpleNamespace(words=frozenset({"dog", "light"}), singular={"dogs": "dog", "puppy": "dog"})
    names = hallucination.of_concepts(concepts)
    assert [name for name, _, _ in names.mentions("dogs and a puppy near light".split())] == ["dog", "dog", "light"]
    assert names.class_of("Traffic light") == "light" and names.class_of("zebra") is None


def test_objects_from_both_kinds_of_file(tmp_path):
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"image_id": 7, "category_id": 1}],
    }
    for indent in (None, 1):
        (tmp_path / "instances.json").write_text(json.dumps(coco, indent=indent))
        found = hallucination.read_objects(tmp_path / "instances.json")
        assert found.captions == {"a.jpg": ["dog"], "b.jpg": []} and found.other_names["7"] == "a.jpg"
    objects = [{"name": "Dog", "score": 0.9}, {"name": "cat", "score": 0.3}]
    (tmp_path / "found.jsonl").write_text(json.dumps({"image": "a.jpg", "objects": objects}) + "\n")
    assert hallucination.read_objects(tmp_path / "found.jsonl").captions == {"a.jpg": ["Dog"]}
    (tmp_path / "instances.json").write_text('{"categories": [1]}')
    with pytest.raises(UserError, match="expected COCO's instances"):
        hallucination.read_objects(tmp_path / "instances.json")


def test_a_word_of_two_classes_is_an_error(tmp_path):
    (tmp_path / "names.txt").write_text("# mine\ndog: puppy\nseal: puppy\n")
    with pytest.raises(UserError, match="line 3: 'puppy' is a name of dog already"):
        hallucination.read_names(tmp_path / "names.txt")
    (tmp_path / "names.txt").write_text("dog\n")
    with pytest.raises(UserError, match="line 1 is 'dog"):
        hallucination.read_names(tmp_path / "names.txt")
