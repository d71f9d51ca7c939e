"""Label maps: the class names of every kind of file, by number."""

import pytest

import cli
from formats import label_maps, vocabulary

PBTXT = r"""
# as the object-detection zoo writes them
item {
  name: "/m/01g317"
  id: 1
  display_name: "Person"
}
item { id: 4 name: '/m/x' display_name: 'Men\'s {odd} name' }
item { name: "only a name" id: 2 }
"""


def write(path, text):
    path.write_text(text)
    return str(path)


def test_label_map(tmp_path):
    path = write(tmp_path / "map.pbtxt", PBTXT)
    assert label_maps.read_labels(path) == ["???", "Person", "only a name", "???", "Men's {odd} name"]
    assert vocabulary.load_class_names(path) == ["Person", "only a name", "Men's {odd} name"]


def test_table_of_open_images(tmp_path):
    path = write(tmp_path / "classes.csv", '/m/011k07,Tortoise\n/m/0cmf2,"Kitchen, dining"\n')
    assert label_maps.read_labels(path) == ["???", "Tortoise", "Kitchen, dining"]
    path = write(tmp_path / "v7.csv", "LabelName,DisplayName\n/m/011k07,Tortoise\n")
    assert vocabulary.load_class_names(path) == ["Tortoise"]


def test_plain_lines(tmp_path):
    path = write(tmp_path / "names.txt", "person\n\ntraffic light\n")
    assert label_maps.read_labels(path) == ["person", "???", "traffic light"]
    assert label_maps.from_one(label_maps.read_labels(path)) == ["???", "person", "???", "traffic light"]
    assert label_maps.from_one(["background", "person"]) == ["background", "person"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.pbtxt", "item { name: 'x' }", "expected id: NUMBER"),
        ("a.pbtxt", "item { id: 1 name: 'x' } item { id: 1 name: 'y' }", "class 1 stands twice"),
        ("a.pbtxt", "item { id: 99999999 name: 'x' }", "an item is"),
        ("a.pbtxt", "nothing of the kind", "no class names"),
        ("a.csv", "/m/1,a\n/m/2\n", "line 2"),
        ("a.txt", "???\n", "no class names"),
    ],
)
def test_broken_files_are_named(tmp_path, name, text, message):
    with pytest.raises(cli.UserError, match=message) as error:
        label_maps.read_labels(write(tmp_path / name, text))
    assert name in str(error.value)
