"""Label files: every form in many outfits, placeholders in many spellings, and what is no label file."""

import json

from formats import label_maps, vocabulary
from tests.variants import Variant, outfits, shown, written

NAMES = {0: "person", 1: "traffic light", 3: "caf\u00e9 table", 12: "Squash (Plant)"}
PLACEHOLDERS = (
    "??? ?? ? n/a N/A NA n.a. none None NONE null unused UNUSED unused_3 background Background BACKGROUND "
    "__background__ _background_ BG bg unlabeled Unlabelled void - -- --- \u2013 \u2014 \u2026 . reserved dummy unknown"
    " nan #N/A"
).split() + ["", "not used", "no class", "<none>", "- none -"]
SEPARATORS = (": ", ":", " = ", "=", " ", "  ", "\t", ",", ", ", ";", "|", " | ", ". ", ") ", " - ", " -> ", "=>")
AROUND = ("{}", "[{}]", "({})", '"{}"', "'{}'", "#{}")


def _read(name):
    return lambda folder: list(label_maps.read_labels(f"{folder}/{name}"))


def _by_number(first=0, names=NAMES):
    last = max(names) + first
    return [names.get(number - first, "???") for number in range(last + 1)]


def _forms():
    """dict file name -> (text, right value)."""
    plain = ["person", "traffic light", "n/a", "caf\u00e9 table"]
    right = ["person", "traffic light", "???", "caf\u00e9 table"]
    items = "".join(f'item {{\n  id: {n + 1}\n  name: "{name}"\n}}\n' for n, name in NAMES.items())
    pairs = {str(n): name for n, name in NAMES.items()}
    records = [{"id": n, "name": name, "supercategory": "thing"} for n, name in NAMES.items()]
    return {
        "plain.txt": ("\n".join(plain) + "\n", right),
        "plain.names": ("\n".join(plain) + "\n", right),
        "empty_lines.txt": ("person\ntraffic light\n\ncaf\u00e9 table\n\n\n", right),
        "quoted.txt": ("".join(f'"{name}",\n' for name in plain), right),
        "bullets.txt": ("".join(f"- {name}\n" for name in plain), right),
        "map.pbtxt": (items, _by_number(1)),
        "map.txt": ("# a comment, and a brace {\n" + items, _by_number(1)),
        "colon_map.txt": (items.replace("item {", "item: {"), _by_number(1)),
        "single_quotes.pbtxt": (items.replace('"', "'"), _by_number(1)),
        "display.pbtxt": (items.replace("name:", 'name: "/m/0x1" display_name:'), _by_number(1)),
        "keypoints.pbtxt": (
            items.replace("\n}", '\n  keypoints {\n    id: 0\n    label: "nose"\n  }\n}'),
            _by_number(1),
        ),
        "list.json": (json.dumps(plain), right),
        "list_escaped.json": (json.dumps(plain, ensure_ascii=False, indent=1), right),
        "object.json": (json.dumps(pairs), _by_number()),
        "object.txt": (json.dumps(pairs, indent=2, ensure_ascii=False), _by_number()),
        "reversed.json": (json.dumps({name: n for n, name in NAMES.items()}), _by_number()),
        "config.json": (json.dumps({"model": "x", "id2label": pairs}), _by_number()),
        "categories.json": (json.dumps({"info": {}, "categories": records}), _by_number()),
        "records.json": (json.dumps(records), _by_number()),
        "lines.jsonl": ("".join(json.dumps(record) + "\n" for record in records), _by_number()),
        "imagenet_index.json": (json.dumps({n: ["n01440764", name] for n, name in pairs.items()}), _by_number()),
        "yolo.yaml": ("path: ../data\nnc: 4\nnames:\n" + "".join(f"  - {name}\n" for name in plain), right),
        "yolo_flow.yaml": (f"names: [{', '.join(plain)}]\nnc: 4\n", right),
        "yolo_numbers.yaml": ("names:\n" + "".join(f"  {n}: {name}\n" for n, name in NAMES.items()), _by_number()),
        "yolo.txt": ("# YOLO\nnames:\n" + "".join(f"  {n}: {name}\n" for n, name in NAMES.items()), _by_number()),
        "python.txt": ("{" + ",\n ".join(f"{n}: '{name}'" for n, name in NAMES.items()) + "}\n", _by_number()),
        "python_list.txt": (str(plain) + "\n", right),
        "open_images.csv": ("".join(f"/m/0{n}x,{name}\n" for n, name in enumerate(right)), ["???", *right]),
        "open_images_header.csv": (
            "LabelName,DisplayName\n" + "".join(f"/m/0{n}x,{name}\n" for n, name in enumerate(right)),
            ["???", *right],
        ),
        "open_images_semicolon.csv": ("".join(f"/m/0{n}x;{name}\n" for n, name in enumerate(right)), ["???", *right]),
        "synsets.txt": ("".join(f"n0144076{n} {name}\n" for n, name in enumerate(right)), right),
        "places.txt": (
            "".join(f"/{name[0]}/{name} {n}\n" for n, name in enumerate(["airfield", "bar"])),
            ["airfield", "bar"],
        ),
        "one_column.csv": ("name\n" + "\n".join(plain) + "\n", right),
        **{
            f"table{i}.csv": (
                f"id{delimiter}name\n" + "".join(f"{n}{delimiter}{name}\n" for n, name in NAMES.items()),
                _by_number(),
            )
            for i, delimiter in enumerate((",", ";", "\t", "|", " | "))
        },
        "three_columns.tsv": (
            "Class ID\tDisplay Name\tSuper\n" + "".join(f"{n}\t{name}\tx\n" for n, name in NAMES.items()),
            _by_number(),
        ),
    }


def forms(count, seed):
    """Every form of a label file, each in some outfits."""
    found = []
    for k, (name, (text, right)) in enumerate(_forms().items()):
        for outfit in outfits(count, seed + k):
            path = name + outfit["packing"]
            found.append(Variant(f"{name} {shown(outfit)}", {path: written(text, **outfit)}, _read(path), right))
    return found


def numbers(count, seed):
    """Numbered lines: every separator, numbers from 0 and 1, with gaps; some numbers in brackets or quotes."""
    found = []
    for k, separator in enumerate(SEPARATORS):
        for first in (0, 1):
            for i, outfit in enumerate(outfits(count, seed + k)):
                around = AROUND[(k + i) % len(AROUND)] if i else "{}"
                lines = [f"{around.format(n + first)}{separator}{name}\n" for n, name in NAMES.items()]
                path = "labels.txt" + outfit["packing"]
                name = f"{lines[0]!r} {shown(outfit)}"
                found.append(Variant(name, {path: written("".join(lines), **outfit)}, _read(path), _by_number(first)))
    return found


def placeholders(count, seed):
    """Every spelling of "no class": as the first line, between names, with a number, in JSON; read as `???`."""
    found = []
    for k, word in enumerate(PLACEHOLDERS):
        texts = {
            "first.txt": (f"{word}\nperson\ndog\n", ["???", "person", "dog"]) if word else None,
            "between.txt": (f"person\n{word}\ndog\n", ["person", "???", "dog"]),
            "numbered.txt": (f"0: person\n1: {word}\n2: dog\n", ["person", "???", "dog"]),
            "list.json": (json.dumps(["person", word, "dog"]), ["person", "???", "dog"]),
            "map.pbtxt": (
                f'item {{ id: 1 name: "person" }}item {{ id: 2 name: "{word or "none"}" }}item {{ id: 3 name: "dog" }}',
                ["???", "person", "???", "dog"],
            ),
        }
        chosen = [name for name in texts if texts[name]]
        for i in range(count):
            name = chosen[(k + i) % len(chosen)]
            text, right = texts[name]
            outfit = outfits(1, seed + k + i, packed=False)[0]
            found.append(
                Variant(f"{word!r} {name} {shown(outfit)}", {name: written(text, **outfit)}, _read(name), right)
            )
    return found


WRONG = {
    "comment.txt": (b"# classes of mine\nperson\n", "line 1"),
    "json_lines.txt": (b'person\n"16": "cat",\ndog\n', "line 2"),
    "brace.txt": (b"person\n}\ndog\n", "line 2"),
    "key.txt": (b"nc: 80\nperson\n", "line 1"),
    "mixed.txt": (b"0: person\n1: dog\ncat\n", "line 3"),
    "twice.txt": (b"0: person\n0: dog\n", "line 2"),
    "numbers.txt": (b"person\ncat\n12\n", "line 3"),
    "sentence.txt": (b"person\na dog runs over the green grass in front of the old house\n", "line 2"),
    "latin1.txt": (b"person\ncaf\xe9\n", "line 2"),
    "cut_utf8.txt": (b"person\ncaf\xc3", "line 2"),
    "zero.txt": (b"person\ndo\0g\n", "line 2"),
    "odd_utf16.txt": (b"\xff\xfep\0e\0r", "line 1"),
    "cut.txt.gz": (written("person\n" * 50, packing=".gz")[:-12], "packed"),
    "unclosed.pbtxt": (b"item {\n id: 1\n name: 'a'\n\nitem {\n id: 2\n name: 'b'\n}\n", "line 5"),
    "unknown.pbtxt": (b"item {\n id: 1\n name: 'a'\n}\nitme {\n id: 2\n}\n", "line 5"),
    "no_number.pbtxt": (b"item { id: 1 name: 'a' }\nitem { name: 'b' }\n", "item 2"),
    "only_mid.pbtxt": (b"item { id: 1 name: '/m/01g317' }", "item 1"),
    "unclosed.json": (b'["person", "dog"', "line 1"),
    "number.json": (b'["person", 3]', "entry 2"),
    "strange.json": (b'{"0": "person", "license": "CC"}', "license"),
    "no_id.json": (b'[{"id": 0, "name": "a"}, {"name": "b"}]', "entry 2"),
    "no_name.json": (b'[{"id": 0}]', "entry 1"),
    "count.yaml": (b"nc: 3\nnames: [a, b]\n", "3 classes"),
    "twice.yaml": (b"names:\n  0: a\n  0: b\n", "line 2"),
    "indent.yaml": (b"names:\n  0: a\n 1: b\n", "line 3"),
    "cells.csv": (b"id,name\n0,a\n1,b,c\n", "line 3"),
    "header.csv": (b"alpha,beta\ngamma,delta\n", "line 1"),
    "open_images.csv": (b"/m/0x,Tortoise\n/m/0y\n/m/0z,Dog\n", "line 2"),
    "synsets.txt": (b"n01440764\nn01443537\n", "line 1"),
    "counts.txt": (b"person 900\ndog 12\ncat 40\n", "line 1"),
    "empty.txt": (b"", "no class names"),
    "blank.txt": (b"\n\n  \n", "no class names"),
    "nothing.txt": (b"???\nn/a\n", "no class names"),
    "captions.json": (b'{"images": [], "annotations": []}', "images"),
    "one_line.txt": (b"person, dog, cat\n", "line 1"),
    "not_found.txt": (b"404: Not Found", "no class names"),
    "pointer.txt": (b"version https://git-lfs.github.com/" + b"spec" + b"/v1\noid sha256:0\nsize 1\n", "line 1"),
    "python.txt": (b"names = ['person', 'dog']\n", "line 1"),
    "behind.txt": (b"person # the first\ndog\n", "line 1"),
    "page.txt": (b"<html><body>Not found</body></html>\n", "line 1"),
}


def wrong(count, seed):
    """What is no file of class names, or a damaged one."""
    return [Variant(name, {name: data}, _read(name), None, (place,)) for name, (data, place) in WRONG.items()]


CONCEPTS = {
    "Squash (Plant)": "squash",
    "Bat [Animal]": "bat",
    "bow_(decorative_ribbons)": "bow",
    "traffic light": "light",
    "traffic_light": "light",
    "Traffic Light": "light",
    "tench, Tinca tinca": "tench",
    "Drill\uff08Tool\uff09": "drill",
    "(wild) boar": "boar",
    "Organ (Musical (wind) Instrument)": "organ",
    "Kitchen & dining room table": "table",
}


def concepts(count, seed):
    """Names in brackets, with underscores, with synonyms: their concept words."""

    def read(folder):
        return list(vocabulary.concept_words(vocabulary.load_class_names(f"{folder}/classes.txt")))

    found = []
    for k, (name, word) in enumerate(CONCEPTS.items()):
        for outfit in outfits(count, seed + k, packed=False):
            data = written(f"{name}\nn/a\nzebra\n", **outfit)
            found.append(Variant(f"{name} {shown(outfit)}", {"classes.txt": data}, read, sorted([word, "zebra"])))
    return found
