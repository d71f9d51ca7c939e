"""Label files: the class names of every kind of file, by number, and how they fit the numbers of a network."""

import pytest

import cli
from formats import label_maps, vocabulary
from formats.label_names import Labels, is_placeholder

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


def read(path, text):
    path.write_text(text)
    return label_maps.read_labels(str(path))


# --------------------------------------------------------------------------------------------------------------
# What stands for no class


@pytest.mark.parametrize(
    "name",
    "??? ? n/a N/A N/a NA na n.a. #N/A nan none None NONE null unused UNUSED unused_12 unused12 Unused-3 background "
    "BACKGROUND Background __background__ _background_ <background> [background] BG bg unlabeled Unlabelled UNLABELED "
    "void - -- --- \u2013 \u2014 _ . ... \u2026 * / reserved_7 dummy unknown undefined ignore empty".split()
    + [
        "",
        " ",
        "not used",
        "unused class",
        "class_none",
        "Background category",
        "no class",
        "No label",
        "- none -",
        "background 0",
        "(background)",
        "'background'",
    ],
)
def test_placeholders(name):
    assert is_placeholder(name)


@pytest.mark.parametrize(
    "name",
    "person nape bgcolor nanny avoid emptiness nun 7up NBA nonet a \u72ac".split()
    + ["no parking sign", "unused car", "class photo", "none-such"],
)
def test_names_that_are_no_placeholders(name):
    assert not is_placeholder(name)


# --------------------------------------------------------------------------------------------------------------
# Label maps


def test_label_map(tmp_path):
    expected = ["???", "Person", "only a name", "???", "Men's {odd} name"]
    assert read(tmp_path / "map.pbtxt", PBTXT) == expected
    assert read(tmp_path / "map.txt", PBTXT) == expected  # by its content, under any name
    assert vocabulary.load_class_names(str(tmp_path / "map.pbtxt")) == ["Person", "only a name", "Men's {odd} name"]


@pytest.mark.parametrize(
    "text",
    [
        "item: { id: 1 name: 'a' } item { id: 2; name: 'b' }",
        "item < id: 1, name: 'a' > item { id: 2 name: 'b' }",
        'item { id: 1 name: "a" keypoints { id: 0 label: "nose" } } item { id: 2 name: "b" ancestor_ids: [7, 8] }',
        "item { # it's {\n id: 1 name: 'a' }\nitem { id: 2 name: 'b' frequency: RARE instance_count: 3 }",
        "item { id: 0x1 name: '\\x61' } item { id: 2 name: 'b' '' }",
    ],
)
def test_all_of_protobufs_text_form(tmp_path, text):
    assert read(tmp_path / "labels", text) == ["???", "a", "b"]


# --------------------------------------------------------------------------------------------------------------
# JSON, YAML, tables

ABC = ["a", "???", "c"]
FORMS = {
    "list.json": '["a", null, "c"]',
    "object.json": '{"0": "a", "2": "c"}',
    "reversed.json": '{"c": 2, "a": 0}',
    "names.json": '{"names": ["a", "???", "c"], "other": 3}',
    "id2label.json": '{"architectures": ["x"], "id2label": {"0": "a", "1": "N/A", "2": "c"}, "label2id": {"a": 0}}',
    "coco.json": '{"images": [], "categories": [{"id": 2, "name": "c", "supercategory": "x"}, {"id": 0, "name": "a"}]}',
    "imagenet.json": '{"0": ["n01440764", "a"], "2": ["n01443537", "c"]}',
    "lines.txt": '{"id": 0, "name": "a"}\n{"id": 2, "name": "c"}\n',
    "records.json": '[{"name": "a"}, {"name": ""}, {"name": "c"}]',
    "yolo.yaml": "path: ../x\nnc: 3\nnames: ['a', '', c]\n",
    "yolo2.yaml": "# comment\nnames:\n  0: a\n  2: c\n",
    "yolo.txt": "train: x\nnames:\n  - a\n  - ~\n  - c\n",
    "python.txt": "{0: 'a', 2: 'c'}",
    "header.csv": "id,name\n0,a\n2,c\n",
    "semicolon.csv": "Class Name;Class ID\na;0\nc;2\n",
    "three.tsv": "index\tlabel\tsupercategory\n0\ta\tx\n2\tc\ty\n",
    "quoted.csv": '"id","display_name"\r\n"0","a"\r\n"2","c"\r\n',
    "table.txt": "0;a\n2;c\n",
    "counts.csv": "label,count\na,50\n,1\nc,20\n",
    "coco.csv": "category_id,category_name,supercategory\n0,a,x\n2,c,y\n",
    "index.csv": ",name\n0,a\n2,c\n",
    "unsorted.txt": "c: 2\na: 0\nnone: 1\n",
    "yes.yaml": "names: [a, no, c]",
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(tmp_path, name):
    assert read(tmp_path / name, FORMS[name]) == (["a", "no", "c"] if name == "yes.yaml" else ABC)


def test_table_of_open_images(tmp_path):
    assert read(tmp_path / "classes.csv", '/m/011k07,Tortoise\n/m/0cmf2,"Kitchen, dining"\n') == [
        "???",
        "Tortoise",
        "Kitchen, dining",
    ]
    assert read(tmp_path / "v7.csv", "LabelName,DisplayName\n/m/011k07,Tortoise\n") == ["???", "Tortoise"]
    assert read(tmp_path / "old.csv", "/m/011k07;Tortoise\r/m/0cmf2;Magpie\r") == ["???", "Tortoise", "Magpie"]


def test_lists_of_imagenet_and_places(tmp_path):
    assert read(tmp_path / "words.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n") == [
        "tench, Tinca tinca",
        "goldfish",
    ]
    assert read(tmp_path / "map_clsloc.txt", "n02119789 1 kit_fox\nn02100735 2 setter\n") == [
        "???",
        "kit_fox",
        "setter",
    ]
    assert read(tmp_path / "places.txt", "/a/airfield 0\n/b/bow_window/indoor 1\n") == [
        "airfield",
        "bow_window/indoor",
    ]


# --------------------------------------------------------------------------------------------------------------
# Lines


def test_plain_lines(tmp_path):
    labels = read(tmp_path / "names.txt", "person\n\ntraffic light\n\n\n")
    assert labels == ["person", "???", "traffic light"] and not labels.numbered
    assert label_maps.from_one(labels) == ["???", "person", "???", "traffic light"]
    assert label_maps.from_one(["???", "person"]) == ["???", "person"]
    assert read(tmp_path / "quoted.txt", '"person",\n\'dog\',\n"cat"\n') == ["person", "dog", "cat"]
    assert read(tmp_path / "semicolons.txt", "person;\ndog;\ncat;\n") == ["person", "dog", "cat"]
    assert read(tmp_path / "dashes.txt", "---\nperson\n") == ["???", "person"]
    assert read(tmp_path / "bullets.txt", "- person\n- dog\n") == ["person", "dog"]
    assert read(tmp_path / "one.csv", "class\nperson\ndog\n") == ["person", "dog"]
    names = ["7up can", "rock 'n' roll", "4x4", "cat's tail", "\u72ac", "Kitchen & table (round)", "person"]
    assert read(tmp_path / "odd.txt", "\n".join(names)) == names


@pytest.mark.parametrize(
    "form",
    ["{}: {}", "{}={}", "{}  {}", "{}\t{}", "{},{}", "{};{}", "{}. {}", "{}) {}", "({}) {}", "[{}] {}", "{} - {}"]
    + ["{} -> {}", "{} => {}", "{}|{}", '"{}": "{}",', "{}:{}", "#{} {}", "{} \u2013 {}", "'{}' '{}'"],
)
@pytest.mark.parametrize("first", [0, 1])
def test_the_number_in_the_line_counts(tmp_path, form, first):
    names = {0: "person", 1: "bicycle", 11: "stop sign", 13: "3d printer"}
    labels = read(tmp_path / "a.txt", "\n".join(form.format(n + first, name) for n, name in names.items()))
    expected = ["???"] * first + [names.get(number, "???") for number in range(14)]
    assert labels == expected and labels.numbered


def test_numbers_behind_the_names(tmp_path):
    for form in ("{1} {0}", "{1}: {0}", "{1},{0}", "{1}\t{0}"):
        text = "\n".join(form.format(n, name) for n, name in ((0, "person"), (1, "bus 1"), (3, "dog")))
        assert read(tmp_path / "a.txt", text) == ["person", "bus 1", "???", "dog"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.pbtxt", "item { name: 'x' }", "item 1 is .*expected id: NUMBER"),
        ("a.pbtxt", "item { id: 1 name: 'x' } item { id: 1 name: 'y' }", "class 1 occurs twice"),
        ("a.pbtxt", "item { id: 99999999 name: 'x' }", "item 1 has the number 99999999"),
        ("a.pbtxt", "item { id: 1 name: 'x' }\nitem { id: 2 name: 'y'\nitem { id: 3 name: 'z' }", "line 3: .*item"),
        ("a.txt", "item {\n id: 1\n name: 'x'\n}\nitme { id: 2 name: 'y' }", "line 5: .*itme"),
        ("a.pbtxt", "item { id: 1 name: '/m/01g317' }", "item 1 is '/m/01g317', which is not a class name"),
        ("a.pbtxt", "nothing of the kind", "not a label map .line 1"),
        ("a.csv", "/m/1,a\n/m/2\n", "line 2"),
        ("a.csv", "id,name\n1,a\n2,b,c\n", "line 3: 3 cells, expected 2"),
        ("a.csv", "a,b\nc,d\n", "line 1 has the columns"),
        ("a.txt", "???\n", "no class names"),
        ("a.txt", "", "no class names"),
        ("a.txt", "person\ndog {\n", "line 2 is 'dog {', which is not a class name"),
        ("a.txt", "# classes\nperson\n", "line 1 is '# classes'"),
        ("a.txt", "person # a human\ncar\n", "line 1 is 'person # a human'"),
        ("a.txt", "person;\ndog {;\n", "line 2 is 'dog {'"),
        ("a.txt", "person\n17\ncat\n", "line 2 is '17'"),
        ("a.txt", "nc: 80\nperson\ndog\n", "line 1 is 'nc: 80'"),
        ("a.txt", "0: person\n1: dog\ncat\n", "line 3 is 'cat', which has no number"),
        ("a.txt", "0: person\n1: dog\n1: cat\n", "class 1 occurs twice, 'dog' and 'cat' .line 3"),
        ("a.txt", "person 2\ncar 1\ndog 7\n", "the numbers after the names do not count up"),
        ("a.txt", "person, car, dog\n", "line 1 is 'person, car, dog': several names in one line"),
        ("a.txt", "404: Not Found", "no class names"),
        ("a.txt", "version https://git-lfs.github.com/" + "spec" + "/v1\noid sha256:1\n", "line 1 is 'version https"),
        ("a.txt", "n01440764\nn01443537\n", "line 1 is 'n01440764'"),
        ("a.txt", "a dog runs over the green grass in front of an old house and barks\n", "line 1 is 'a dog runs"),
        ("a.txt", "person\nca\0t\n", "line 2 has a zero byte"),
        ("a.json", '["a", "b"', "not JSON: .*line 1"),
        ("a.json", '{"0": "a", "0": "b"}', "'0' is not a key, or occurs twice"),
        ("a.json", '{"0": "a", "x": "b"}', "'x', expected numbers and names"),
        ("a.json", '["a", 3]', "entry 2 is '3', which is not a class name"),
        ("a.json", '[{"id": 1, "name": "a"}, {"name": "b"}]', "entry 2 is .*no number"),
        ("a.yaml", "names:\n  0: a\n  0: b\n", "'0' is not a key, or occurs twice"),
        ("a.yaml", "nc: 3\nnames: [a, b]\n", "states 3 classes but has 2 names"),
        ("a.yaml", "names:\n  - a\n  - 12\n", "line 3 is '12', which is not a class name"),
        ("a.yaml", "a: &x [*x]\nnames: *y", "not YAML"),
    ],
)
def test_broken_files_are_named(tmp_path, name, text, message):
    with pytest.raises(cli.UserError, match=message) as error:
        read(tmp_path / name, text)
    assert str(tmp_path / name) in str(error.value)


def test_a_deep_or_repeating_file_does_no_harm(tmp_path):
    for text in ("[" * 100_000, "names: &x [*x, a]", "a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]"):
        with pytest.raises(cli.UserError):
            read(tmp_path / "a.yaml", text)


# --------------------------------------------------------------------------------------------------------------
# What is printed, and the numbers of a network


def test_what_was_read_is_described(tmp_path):
    labels = label_maps.read_labels("data/coco_names.txt")
    assert label_maps.describe(labels) == "80 classes: person, bicycle, … toothbrush"
    assert (
        label_maps.describe(Labels(["???", "tench, Tinca", "???", "b"]))
        == "2 classes: tench, b; 1 number without a name"
    )
    assert label_maps.describe(Labels(["a"])) == "1 class: a"
    assert label_maps.describe(Labels(["a", "b", "a"])) == "3 classes: a, b, a; more than once: a"


def with_gaps():
    names = iter(label_maps.read_labels("data/coco_names.txt"))
    return ["???" if number in label_maps.COCO_GAPS else next(names) for number in range(1, 91)]


def test_cocos_80_names_for_a_network_of_90_numbers():
    plain = label_maps.read_labels("data/coco_names.txt")
    for labels in (plain, plain.shifted()):
        filled, note = label_maps.for_detector(labels, (90,), "FILE")
        assert list(filled[len(labels) - 80 :]) == with_gaps() and "FILE: COCO's 80 names without gaps" in note
    assert label_maps.for_detector(plain, (80, 81), "FILE") == (plain, "")
    with pytest.raises(cli.UserError, match="FILE: COCO's 80 names without gaps.*give data/coco_labels.txt"):
        label_maps.for_detector(plain, (), "FILE")
    with_gaps_in_file = label_maps.read_labels("data/coco_labels.txt")
    assert with_gaps_in_file == ["???", *with_gaps()]
    assert label_maps.for_detector(with_gaps_in_file, (), "FILE") == (with_gaps_in_file, "")
    assert label_maps.for_detector(Labels(with_gaps()), (90,), "FILE")[1] == ""
    assert label_maps.for_detector(Labels(["person"], numbered=True), (90,), "FILE")[1] == ""


@pytest.mark.parametrize(
    "labels, counts",
    [
        (Labels([f"thing{i}x" for i in range(80)]), (90,)),
        (Labels([f"thing{i}x" for i in range(91)]), (90,)),
        (Labels([f"thing{i}x" for i in range(91)], numbered=True), (90,)),
        (Labels(with_gaps()), (79, 80)),
    ],
)
def test_names_that_do_not_fit_the_network(labels, counts):
    with pytest.raises(cli.UserError, match="FILE: names for the numbers up to .* classes apart"):
        label_maps.for_detector(labels, counts, "FILE")


def test_names_of_a_classifier():
    plain = Labels(["a", "b", "c"])
    assert label_maps.for_classifier(plain, 3, "FILE") == (plain, "")
    labels, note = label_maps.for_classifier(plain, 4, "FILE")
    assert labels == ["???", "a", "b", "c"] and "its first one is background" in note
    labels, note = label_maps.for_classifier(plain.shifted(), 3, "FILE")
    assert labels == ["a", "b", "c"] and "stands for no class" in note
    assert label_maps.for_classifier(Labels(["a"], numbered=True), 3, "FILE")[0] == ["a", "???", "???"]
    for labels, columns in ((plain, 5), (plain, 2), (plain.shifted(), 5), (Labels(["a", "b"], True), 1)):
        with pytest.raises(cli.UserError, match="FILE: .* but the network has"):
            label_maps.for_classifier(labels, columns, "FILE")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Traffic light", "light"),
        ("Squash (Plant)", "squash"),
        ("Bat [Animal]", "bat"),
        ("bow_(decorative_(ribbons))", "bow"),
        ("alarm_clock", "clock"),
        ("tench, Tinca tinca", "tench"),
        ("(Wild) boar", "boar"),
        ("(dog)", "dog"),
        ("Drill\uff08Tool\uff09", "drill"),
        ("Squash (Plant", "squash"),
        ("Kitchen & dining room table", "table"),
    ],
)
def test_the_concept_word(name, word):
    assert vocabulary.concept_word(name) == word
