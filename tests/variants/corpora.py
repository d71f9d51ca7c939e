"""Corpora, tables and sentences of one's own, read by the stages that read them."""

import csv
import io
import json
import os

from formats.vocabulary import Vocabulary
from preprocessing import extract_descriptions, process_descriptions
from tests.variants import Variant, outfits, shown, written

SENTENCES = [
    "a big brown dog runs over the green grass today",
    "two men, one of them old, sit on a long bench",
    'the sign says "stop" and a car waits before it',
    "a caf\u00e9 table with a red cup and a plate",
]
TOKENS = [
    "a big brown dog runs over the green grass today",
    "two men , one of them old , sit on a long bench",
    "the sign says `` stop '' and a car waits before it",
    "a cafe table with a red cup and a plate",
]
DELIMITERS = (",", ";", "\t", "|")
HEADERS = (
    ("image", "caption"),
    ("image_name", "comment_number", "comment"),
    ("Image Name", "Caption"),
    ("id", "sentence", "url"),
    ("filename", "split", "description"),
    ("Text", "label"),
)


def extract(folder, **options):
    """The sentences that extract_descriptions makes of what lies in a folder."""
    data = f"{folder}.data"
    extract_descriptions.main(
        extract_descriptions.Options(data_dir=data, **{"input": str(folder), "processes": 1, "shards": 1} | options)
    )
    with open(os.path.join(data, "sentences.txt")) as file:
        return file.read().splitlines()


def _forms():
    """dict file name -> text that holds SENTENCES."""
    objects = [{"description": text} for text in SENTENCES]
    return {
        "plain.txt": "".join(f"{text}\n" for text in SENTENCES),
        "PLAIN.TXT": "".join(f"{text}\n" for text in SENTENCES),
        "blank_lines.txt": "".join(f"{text}\n\n  \n" for text in SENTENCES),
        "lines.jsonl": "".join(json.dumps(value) + "\n" for value in objects),
        "lines_unescaped.jsonl": "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in objects),
        "lines.ndjson": "".join(json.dumps({"sentence": text}) + "\n" for text in SENTENCES),
        "captions.jsonl": json.dumps({"image": "a.jpg", "captions": SENTENCES}) + "\n",
        "one_text.jsonl": "".join(json.dumps({"image": "a.jpg", "captions": text}) + "\n" for text in SENTENCES),
        "other_key.jsonl": "".join(json.dumps({"Alt-Text": text, "id": 3}) + "\n" for text in SENTENCES),
        "lines.txt": "".join(json.dumps(value) + "\n" for value in objects),
        "gcc.tsv": "".join(f"{text}\thttp://h/{i}.jpg\n" for i, text in enumerate(SENTENCES)),
        "gcc.txt": "".join(f"{text}\thttp://h/{i}.jpg\n" for i, text in enumerate(SENTENCES)),
        "captions.token": "".join(f"a.jpg#{i}\t{text}\n" for i, text in enumerate(SENTENCES)),
        "captions.token.txt": "".join(f"a.jpg#{i}\t{text}\n" for i, text in enumerate(SENTENCES)),
        "coco.json": json.dumps({"images": [], "annotations": [{"image_id": 1, "caption": t} for t in SENTENCES]}),
        "karpathy.json": json.dumps({"images": [{"sentences": [{"raw": text} for text in SENTENCES]}]}, indent=1),
        "0001.json": json.dumps({"1": objects[:2], "2": objects[2:]}, ensure_ascii=False),
        "one_column.csv": "caption\n" + "".join('"' + text.replace('"', '""') + '"\n' for text in SENTENCES),
    }


def corpora(count, seed):
    """Every format of a corpus, each in some outfits."""
    found = []
    forms = _forms()
    wide = "".join(f'a{i}.jpg,"{text}"\n' for i, text in enumerate(t.replace('"', '""') for t in SENTENCES))
    forms["excel.csv"] = "sep=;\nimage;caption\n" + wide.replace(".jpg,", ".jpg;")
    quoted = ['"' + text.replace('"', '""') + '"' for text in SENTENCES]
    forms["wide.csv"] = f"image,caption_1,caption_2\na.jpg,{quoted[0]},{quoted[1]}\nb.jpg,{quoted[2]},{quoted[3]}\n"
    forms["one_column.txt"] = "Caption\n" + "".join(f"{text}\n" for text in SENTENCES)
    for k, (name, text) in enumerate(forms.items()):
        for outfit in outfits(count, seed + k):
            files = {f"in/{name}{outfit['packing']}": written(text, **outfit)}
            found.append(Variant(f"{name} {shown(outfit)}", files, lambda f: extract(f"{f}/in"), sorted(TOKENS)))
    return found


def declared(count, seed):
    """Encodings that only `--encoding` tells."""
    found = []
    for encoding in ("latin-1", "cp1252", "gb18030", "utf-16-le", "mac-roman", "shift_jis"):
        for name in ("plain.txt", "lines_unescaped.jsonl", "captions.token", "0001.json"):
            texts = _forms()[name].replace("\u00e9", "e") if encoding == "shift_jis" else _forms()[name]
            files = {f"in/{name}": texts.encode(encoding)}
            found.append(
                Variant(
                    f"{name} {encoding}",
                    files,
                    lambda f, encoding=encoding: extract(f"{f}/in", encoding=encoding),
                    sorted(TOKENS),
                )
            )
    return found


def _table(delimiter, header, quoting, end):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(header)
    for i, text in enumerate(SENTENCES):
        cells = [
            text if cell.lower() in ("caption", "comment", "sentence", "description", "text") else f"{i}"
            for cell in header
        ]
        writer.writerow(cells)
    return stream.getvalue()


def tables(count, seed):
    """Tables of captions: delimiters, headers, quotes, under the names .csv, .tsv and .txt."""
    found = []
    for k, header in enumerate(HEADERS):
        for delimiter in DELIMITERS:
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
                for i, outfit in enumerate(outfits(count, seed + k)):
                    name = ("captions.csv", "captions.txt", "captions.tsv")[(i + k) % 3] + outfit["packing"]
                    text = _table(delimiter, header, quoting, "\n")
                    shape = f"{'/'.join(header)} {delimiter!r} {'all quoted' if quoting else ''}"
                    files = {f"in/{name}": written(text, **outfit)}
                    read = lambda f: extract(f"{f}/in")  # noqa: E731
                    found.append(Variant(f"{name} {shape} {shown(outfit)}", files, read, sorted(TOKENS)))
    blanks = "image_name| comment_number| comment\n" + "".join(f"a.jpg| {i}| {t}\n" for i, t in enumerate(SENTENCES))
    bare = "id\tcaption\n" + "".join(f"{i}\t{text}\n" for i, text in enumerate(SENTENCES))
    for name, text in (("blanks.csv", blanks), ("blanks.txt", blanks), ("bare.tsv", bare), ("bare.txt", bare)):
        found.append(Variant(name, {f"in/{name}": text.encode()}, lambda f: extract(f"{f}/in"), sorted(TOKENS)))
    return found


GOOD = "a big brown dog runs over the green grass today"
WRONG = {
    "latin1.txt": (f"{GOOD}\na caf\u00e9 table with a red cup\n".encode("latin-1"), "line 2"),
    "gb18030.txt": ("\u72d7\u5728\u8349\u5730\u4e0a\n".encode("gb18030") * 20, "line 1"),
    "chinese.txt": (
        "\u4e00\u53ea\u72d7\u5728\u7eff\u8272\u7684\u8349\u5730\u4e0a\u5954\u8dd1\n".encode() * 20,
        "of the characters",
    ),
    "arabic.txt": (
        "\u0643\u0644\u0628 \u0628\u0646\u064a \u0643\u0628\u064a\u0631 \u064a\u0631\u0643\u0636\n".encode() * 20,
        "of the characters",
    ),
    "zero.txt": (b"a dog\0 runs\n", "begins with"),
    "headless.txt": ("".join(f"{i}\t{GOOD}\thttp://h/{i}.jpg\n" for i in range(5)).encode(), "without a header"),
    "headless.csv": (f'1,"{GOOD}, it"\n2,"{GOOD}"\n'.encode(), "without a header"),
    "pictures.txt": ("".join(f"img_{i}.jpg,{GOOD}\n" for i in range(5)).encode(), "names of pictures"),
    "pictures_blank.txt": ("".join(f"img_{i}.png {GOOD}\n" for i in range(5)).encode(), "names of pictures"),
    "pictures_pipe.txt": ("".join(f"img_{i}.JPG|0|{GOOD}\n" for i in range(5)).encode(), "names of pictures"),
    "numbered.txt": ("".join(f"{i}. {GOOD}\n" for i in range(5)).encode(), "numbered"),
    "numbered_blank.txt": ("".join(f"{i} {GOOD}\n" for i in range(5)).encode(), "numbered"),
    "cells.csv": (f"image,caption\na.jpg,{GOOD}\nb.jpg,{GOOD}, too\n".encode(), "line 3"),
    "quote.csv": (f'image,caption\na.jpg,"{GOOD}\nb.jpg,{GOOD}\n'.encode(), "line 2"),
    "columns.tsv": (f"alpha\tbeta\nx\t{GOOD}\n".encode(), "begins with"),
    "quoted.txt": ("".join(f'"{GOOD} {i}"\n' for i in "abc").encode(), "in quotes"),
    "bullets.txt": ("".join(f"- {GOOD} {i}\n" for i in "abc").encode(), "bullets"),
    "python.txt": (str([f"{GOOD} {i}" for i in "abc"]).encode(), "another kind"),
    "reversed.tsv": ("".join(f"http://h/{i}.jpg\t{GOOD}\n" for i in range(5)).encode(), "names of pictures"),
    "page.txt": (f"<!DOCTYPE html>\n<p>{GOOD}</p>\n".encode(), "another kind"),
    "feed.txt": (f"<?xml version='1.0'?>\n<p>{GOOD}</p>\n".encode(), "another kind"),
    "cut.txt.gz": (written(f"{GOOD}\n" * 99, packing=".gz")[:-20], "packed"),
    "broken.jsonl": (f'{{"caption": "{GOOD}"}}\n{{"caption": \n'.encode(), "line 2"),
    "object.jsonl": (f'{{"caption": "{GOOD}"}}\n["x"]\n'.encode(), "line 2"),
    "number.jsonl": (f'{{"caption": "{GOOD}"}}\n{{"caption": 7}}\n'.encode(), "line 2"),
    "broken.json": (b'{"annotations": [', "JSON"),
    "other.json": (b'["x"]', "format"),
    "number.json": (b'{"annotations": [{"caption": "x"}, {"caption": 3}]}', "annotation 2"),
}


def wrong(count, seed):
    """What is no corpus, or a damaged one."""
    read = lambda f: extract(f"{f}/in")  # noqa: E731
    return [Variant(name, {f"in/{name}": data}, read, None, (place,)) for name, (data, place) in WRONG.items()]


# --------------------------------------------------------------------------------------------------------------
# Sentences of one's own

OWN = ["a big brown dog runs", "the cat sleeps on a chair", "a dog and a cat"]
RIGHT = sorted({word for line in OWN for word in line.split()} | {"<S>", "</S>"})


def process(folder):
    """The words of the dictionary that process_descriptions makes of a folder's sentences.txt."""
    options = {"new_dict": True, "min_word_count": 1, "class_names": f"{folder}/classes.txt", "processes": 1}
    process_descriptions.main(process_descriptions.Options(data_dir=str(folder), shards=1, **options))
    return sorted(Vocabulary.load(f"{folder}/word_counts.txt").words)


def _own(name, data, right, *places):
    files = {"sentences.txt": data, "classes.txt": b"dog\ncat\n"}
    return Variant(name, files, process, right, places)


def own_sentences(count, seed):
    """sentences.txt of one's own: blanks, empty lines, line ends, marks; and what is refused."""
    shapes = {
        "plain": "\n".join(OWN) + "\n",
        "two blanks": "\n".join(OWN).replace(" ", "  ") + "\n",
        "blank at the end": " \n".join(OWN) + " \n",
        "blank before": "".join(f" {line}\n" for line in OWN),
        "tabs": "\n".join(OWN).replace(" ", "\t") + "\n",
        "empty lines": "\n\n".join(OWN) + "\n\n\n",
        "no-break blanks": "\n".join(OWN).replace(" ", "\u00a0") + "\n",
        "lines of blanks": "\n   \n".join(OWN) + "\n",
    }
    found = []
    for name, text in shapes.items():
        for encoding in ("utf-8", "utf-8-sig"):
            for end in ("\n", "\r\n", "\r"):
                found.append(_own(f"{name} {encoding} {end!r}", written(text, encoding, end), RIGHT))
    for marker in ("<S>", "</S>", "<UNK>", "<s>", "<unk>", "<pad>", "<start>", "<end>", "<eos>"):
        found.append(_own(f"marker {marker}", f"{OWN[0]}\n{OWN[1]} {marker}\n".encode(), None, "line 2", marker))
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        found.append(_own(encoding, written("\n".join(OWN), encoding), None, "UTF-8"))
    found.append(_own("gz", written("\n".join(OWN), packing=".gz"), None, "compressed"))
    found.append(_own("latin-1", f"{OWN[0]}\na caf\u00e9\n".encode("latin-1"), None, "line 2", "0xe9"))
    found.append(_own("zero byte", f"{OWN[0]}\na d\0g\n".encode(), None, "line 2"))
    return found
