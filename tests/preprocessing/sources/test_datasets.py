"""Lists of images and captions: every kind, and what is wrong with broken ones."""

import json
import os
import pathlib

import pytest

import cli
from preprocessing.sources import datasets


def write_jsonl(folder, split, entries):
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"image": name, "captions": captions}) for name, captions in entries]
    (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def flickr(tmp_path):
    (tmp_path / "train.txt").write_text("b.jpg\na.jpg\n")
    (tmp_path / "dev.txt").write_text("c.jpg")
    captions = [
        ("a", 0, "An a ."),
        ("a", 1, "Another a"),
        ("b", 0, "B"),
        ("c", 0, "C one"),
        ("c", 1, "C two "),
        ("x", 0, "X"),
    ]
    (tmp_path / "captions.token.txt").write_text("".join(f"{n}.jpg#{k}\t{text}\n" for n, k, text in captions))
    return tmp_path


def test_jsonl(tmp_path):
    write_jsonl(tmp_path, "train", [("b.jpg", ["secret"]), ("a.jpg", [])])
    write_jsonl(tmp_path, "val", [("c.jpg", ["One.", "Two."])])
    dataset = datasets.load_dataset(f"jsonl:{tmp_path}")
    assert dataset.splits == {"train": ["b.jpg", "a.jpg"], "val": ["c.jpg"]}
    assert dataset.captions == {"c.jpg": ["One.", "Two."]}
    with_train = datasets.load_dataset(f"jsonl:{tmp_path}", with_train_captions=True)
    assert with_train.captions == {"b.jpg": ["secret"], "c.jpg": ["One.", "Two."]}


def test_flickr8k(flickr):
    dataset = datasets.load_dataset(f"flickr8k:{flickr}")
    assert dataset.splits == {"train": ["b.jpg", "a.jpg"], "val": ["c.jpg"]}
    assert dataset.captions == {"c.jpg": ["C one", "C two"]}
    with_train = datasets.load_dataset(f"flickr8k:{flickr}", with_train_captions=True)
    assert with_train.captions["a.jpg"] == ["An a .", "Another a"] and "x.jpg" not in with_train.captions
    (flickr / "test.txt").write_text("x.jpg\n")
    assert datasets.load_dataset(f"flickr8k:{flickr}").captions["x.jpg"] == ["X"]


def test_name_in_two_splits(tmp_path):
    write_jsonl(tmp_path, "train", [("a.jpg", []), ("b.jpg", [])])
    write_jsonl(tmp_path, "test", [("b.jpg", ["B"])])
    with pytest.raises(cli.UserError, match="b.jpg is in train and in test"):
        datasets.load_dataset(f"jsonl:{tmp_path}")


def test_name_twice(flickr):
    (flickr / "dev.txt").write_text("c.jpg\nc.jpg\n")
    with pytest.raises(cli.UserError, match="c.jpg is twice in val"):
        datasets.load_dataset(f"flickr8k:{flickr}")


@pytest.mark.parametrize(
    "line", ["not json", '{"captions": []}', '{"image": 3}', '{"image": "a", "captions": [1]}', '["a"]', '"a"']
)
def test_broken_jsonl_line_is_named(tmp_path, line):
    write_jsonl(tmp_path, "train", [("a.jpg", [])])
    with open(tmp_path / "train.jsonl", "a") as file:
        file.write("\n" + line + "\n")
    with pytest.raises(cli.UserError, match=r"train\.jsonl: line 3"):
        datasets.load_dataset(f"jsonl:{tmp_path}")


def test_broken_caption_line_is_named(flickr):
    with open(flickr / "captions.token.txt", "a") as file:
        file.write("c.jpg no tab\n")
    with pytest.raises(cli.UserError, match=r"captions\.token\.txt: line 7"):
        datasets.load_dataset(f"flickr8k:{flickr}")


@pytest.mark.parametrize("spec", ["", "jsonl", "jsonl:", "csv:.", "jsonl:/nowhere"])
def test_bad_specs(spec):
    with pytest.raises(cli.UserError, match="--dataset"):
        datasets.load_dataset(spec)


def test_folder_without_lists(tmp_path):
    with pytest.raises(cli.UserError, match="no list of any split"):
        datasets.load_dataset(f"jsonl:{tmp_path}")


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(cli.UserError, match="not UTF-8"):
        datasets.load_dataset(f"jsonl:{tmp_path}")


# --------------------------------------------------------------------------------------------------------------
# The other kinds: each reader gives three disjoint splits, and names the images that two lists share


def karpathy(folder, names):
    """dataset_coco.json of one image in each split; `names` are those of train, restval, val, test."""
    images = [
        {"filename": name, "split": split, "cocoid": 10 + i, "sentences": [{"raw": f"{name} one. "}, {"raw": "two"}]}
        for i, (split, name) in enumerate(zip(("train", "restval", "val", "test"), names, strict=True))
    ]
    (folder / "dataset_coco.json").write_text(json.dumps({"dataset": "coco", "images": images}))
    return f"karpathy:{folder}/dataset_coco.json"


def coco(folder, names):
    """Official files; the third split has no captions. `names` are two of train, one of val, one of test."""
    for kind, chosen in (("captions_train", names[:2]), ("captions_val", names[2:3]), ("image_info_test", names[3:])):
        content = {"images": [{"id": 10 + names.index(name), "file_name": name} for name in chosen]}
        if kind != "image_info_test":
            pairs = [(image["id"], text) for image in content["images"] for text in (" one. ", "two")]
            content["annotations"] = [{"image_id": i, "id": k, "caption": t} for k, (i, t) in enumerate(pairs)]
        (folder / f"{kind}2014.json").write_text(json.dumps(content))
    return f"coco:{folder}"


def coco_lists(folder, names):
    """The UIC authors' lists beside COCO's files: their test images are from val2014."""
    coco(folder, ["a.jpg", "b.jpg", "c.jpg", "z.jpg"])
    content = {"images": [{"id": i, "file_name": name} for i, name in enumerate(["c.jpg", "d.jpg"])]}
    content["annotations"] = [{"image_id": i, "caption": text} for i in (0, 1) for text in ("one.", "two")]
    (folder / "captions_val2014.json").write_text(json.dumps(content))
    (folder / "coco_train.txt").write_text("\n".join(names[:2]))
    (folder / "coco_val.txt").write_text(names[2])
    (folder / "coco_test.txt").write_text(names[3] + "\n")
    return f"coco:{folder}"


def flickr30k(folder, names):
    lines = [
        f"{name}#{k}\t{text} "
        for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
        for k, text in enumerate(["one.", "two"])
    ]
    (folder / "results_20130124.token").write_text("\n".join(lines))
    (folder / "train.txt").write_text("".join(name.removesuffix(".jpg") + "\n" for name in names[:2]))
    (folder / "val.txt").write_text(names[2].removesuffix(".jpg"))
    (folder / "test.txt").write_text(names[3])
    return f"flickr30k:{folder}"


def original_flickr8k(folder, names):
    flickr30k(folder, names)
    (folder / "results_20130124.token").rename(folder / "Flickr8k.token.txt")
    for ours, theirs in (("train", "train"), ("val", "dev"), ("test", "test")):
        text = (folder / f"{ours}.txt").read_text().split()
        (folder / f"Flickr_8k.{theirs}Images.txt").write_text("".join(n.removesuffix(".jpg") + ".jpg\n" for n in text))
        (folder / f"{ours}.txt").unlink()
    return f"flickr8k:{folder}"


def pascal(folder, names):
    rows = [
        f'<tr><td><img src="cls_{i}/{name}"></td><td><table><tr><td> one. </td></tr><tr><td>two\n</table></td></tr>'
        for i, name in enumerate(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    ]
    (folder / "index.html").write_text(f"<html><td>no image yet</td><table>{''.join(rows)}</table></html>")
    for split, chosen in (("train", names[:2]), ("val", names[2:3]), ("test", names[3:])):
        (folder / f"{split}.txt").write_text("\n".join(chosen))
    return f"pascal:{folder}"


KINDS = (karpathy, coco, coco_lists, flickr30k, original_flickr8k, pascal)


@pytest.mark.parametrize("kind", KINDS)
def test_splits_and_captions(tmp_path, kind):
    dataset = datasets.load_dataset(kind(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]))
    assert dataset.splits == {"train": ["a.jpg", "b.jpg"], "val": ["c.jpg"], "test": ["d.jpg"]}
    first = "one." if kind is not karpathy else "{} one."
    wanted = {name: [first.format(name), "two"] for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")}
    if kind is coco:
        del wanted["d.jpg"]  # COCO keeps the captions of its test images to itself
    with_train = datasets.load_dataset(kind(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]), with_train_captions=True)
    assert with_train.captions == wanted
    assert dataset.captions == {name: texts for name, texts in wanted.items() if name not in ("a.jpg", "b.jpg")}
    if kind in (karpathy, coco):
        assert dataset.ids == {"a.jpg": 10, "b.jpg": 11, "c.jpg": 12, "d.jpg": 13}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "names, message",
    [
        (["a.jpg", "b.jpg", "c.jpg", "a.jpg"], "a.jpg is in train and in test"),
        (["a.jpg", "b.jpg", "b.jpg", "c.jpg"], "b.jpg is in train and in val"),
        (["a.jpg", "b.jpg", "c.jpg", "c.jpg"], "c.jpg is in val and in test"),
        (["a.jpg", "a.jpg", "c.jpg", "d.jpg"], "a.jpg is twice in train"),
    ],
)
def test_overlaps_are_named(tmp_path, kind, names, message):
    with pytest.raises(cli.UserError, match=f"{message}.*belongs to one split, once: 1 do not"):
        datasets.load_dataset(kind(tmp_path, names))


def test_all_splits_from_one_list(tmp_path):
    """What one of the reproduced programs does: train, dev and test filled from the same file."""
    names = [f"{i}.jpg" for i in range(20)]
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.txt").write_text("\n".join(names))
    (tmp_path / "captions.token.txt").write_text("0.jpg#0\tone\n")
    with pytest.raises(cli.UserError, match="0.jpg is in train and in val; .*; and 35 more.*: 40 do not"):
        datasets.load_dataset(f"flickr8k:{tmp_path}")


def test_one_photograph_under_its_names_of_2014_and_2017(tmp_path):
    names = ["COCO_train2014_000000000009.jpg", "000000000025.jpg", "000000000009.jpg", "d.jpg"]
    message = r"000000000009.jpg is in train \(as COCO_train2014_000000000009.jpg\) and in val"
    with pytest.raises(cli.UserError, match=message):
        datasets.load_dataset(karpathy(tmp_path, names))


def test_years_of_coco(tmp_path):
    coco(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    (tmp_path / "captions_val2017.json").write_text('{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": []}')
    with pytest.raises(cli.UserError, match="files of 2014 and 2017; choose with coco:.*#2014"):
        datasets.load_dataset(f"coco:{tmp_path}")
    assert datasets.load_dataset(f"coco:{tmp_path}#2017").splits == {"val": ["x.jpg"]}
    assert len(datasets.load_dataset(f"coco:{tmp_path}#2014").splits) == 3
    with pytest.raises(cli.UserError, match="no captions_train2015.json"):
        datasets.load_dataset(f"coco:{tmp_path}#2015")


def test_names_of_a_list_that_coco_does_not_know(tmp_path):
    with pytest.raises(cli.UserError, match="1 images of the lists are not in captions_train.*first is x.jpg"):
        datasets.load_dataset(coco_lists(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "x.jpg"]))


def test_pascal_without_lists(tmp_path):
    rows = [f'<td><img src="c/{i:03d}.jpg"></td><td><table><tr><td>text {i}</td></tr></table></td>' for i in range(100)]
    (tmp_path / "pascal-sentences.html").write_text("".join(rows))
    dataset = datasets.load_dataset(f"pascal:{tmp_path}")
    assert {split: len(names) for split, names in dataset.splits.items()} == {"train": 80, "val": 10, "test": 10}
    assert len(dataset.captions) == 20 and dataset.captions[dataset.splits["val"][0]][0].startswith("text ")
    assert dataset.splits == datasets.load_dataset(f"pascal:{tmp_path}/pascal-sentences.html").splits
    (tmp_path / "pascal-sentences.html").write_text("<html>gone</html>")
    with pytest.raises(cli.UserError, match="no image with sentences"):
        datasets.load_dataset(f"pascal:{tmp_path}")


def test_gcc(tmp_path):
    lines = [f"caption {i} \thttp://h/{i}.jpg" for i in range(10_002)]
    (tmp_path / "Train_GCC-training.tsv").write_text("\n".join(lines))
    (tmp_path / "Validation_GCC-1.1.0-Validation.tsv").write_text("\n".join(lines[:2]))
    dataset = datasets.load_dataset(f"gcc:{tmp_path}")
    assert dataset.splits["train"][0] == "train/00000/000000000.jpg" and len(dataset.splits["train"]) == 10_002
    assert dataset.splits["train"][-1] == "train/00001/000010001.jpg"
    assert dataset.captions == {f"val/00000/00000000{i}.jpg": [f"caption {i}"] for i in range(2)}
    (tmp_path / "train.txt").write_text("train/00001/000010001.jpg\n")
    (tmp_path / "val.txt").write_text("val/00000/000000001.jpg\n")
    dataset = datasets.load_dataset(f"gcc:{tmp_path}", with_train_captions=True)
    assert dataset.splits == {"train": ["train/00001/000010001.jpg"], "val": ["val/00000/000000001.jpg"]}
    assert dataset.captions["train/00001/000010001.jpg"] == ["caption 10001"] and len(dataset.captions) == 2
    (tmp_path / "val.txt").write_text("train/00000/000000001.jpg\n")
    with pytest.raises(cli.UserError, match="1 names are not lines of the captions"):
        datasets.load_dataset(f"gcc:{tmp_path}")
    (tmp_path / "Validation_GCC-1.1.0-Validation.tsv").write_text("no tab\n")
    with pytest.raises(cli.UserError, match="Validation.tsv: line 1: expected caption<TAB>URL"):
        datasets.load_dataset(f"gcc:{tmp_path}")


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not a JSON file"),
        ("[]", "no images; expected Karpathy"),
        ('{"images": [{"filename": "a.jpg", "split": "dev", "sentences": []}]}', "image 1: ValueError the split 'dev'"),
        ('{"images": [{"filename": "a.jpg", "split": "val"}]}', "image 1: KeyError 'sentences'"),
        ('{"images": [3]}', "image 1: TypeError"),
    ],
)
def test_broken_karpathy_files(tmp_path, content, message):
    (tmp_path / "dataset_coco.json").write_text(content)
    with pytest.raises(cli.UserError, match=message):
        datasets.load_dataset(f"karpathy:{tmp_path}/dataset_coco.json")


def test_broken_coco_files(tmp_path):
    (tmp_path / "captions_val2014.json").write_text('{"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}')
    with pytest.raises(cli.UserError, match="KeyError 1; expected COCO's captions"):
        datasets.load_dataset(f"coco:{tmp_path}")


def test_two_lists_of_one_split(tmp_path):
    flickr30k(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    (tmp_path / "dev.txt").write_text("x.jpg")
    with pytest.raises(cli.UserError, match="have the same content"):
        datasets.load_dataset(f"flickr30k:{tmp_path}")


REAL = pathlib.Path(os.environ.get("UIC_REALDATA", "../shared/realdata")).resolve()


@pytest.mark.skipif(not REAL.is_dir(), reason="UIC_REALDATA names no folder")
def test_real_lists(tmp_path):
    flickr = datasets.load_dataset(f"flickr8k:{REAL}/flickr8k")
    assert {split: len(names) for split, names in flickr.splits.items()} == {"train": 6000, "val": 1000}
    assert sum(map(len, flickr.captions.values())) == 5000
    coco = datasets.load_dataset(f"coco:{REAL}/coco/annotations")
    assert list(coco.splits) == ["train"] and coco.captions == {}
    assert all(datasets.COCO_NAME.fullmatch(name) and int(name[:12]) == coco.ids[name] for name in coco.splits["train"])
    (tmp_path / "Validation.tsv").symlink_to(REAL / "corpora/Validation_GCC-1.1.0-Validation.tsv")
    gcc = datasets.load_dataset(f"gcc:{tmp_path}")
    assert len(gcc.splits["val"]) == len(gcc.captions) == 15_833


def test_nocaps(tmp_path):
    images = [
        {"id": 5, "file_name": "a0.jpg", "domain": "in-domain"},
        {"id": 6, "file_name": "b1.jpg", "domain": "out-domain"},
    ]
    annotations = [{"image_id": 6, "caption": "B "}, {"image_id": 5, "caption": "A"}, {"image_id": 6, "caption": "C"}]
    path = tmp_path / "nocaps_val_4500_captions.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    (tmp_path / "nocaps_test_image_info.json").write_text(json.dumps({"images": [{"id": 5, "file_name": "c2.jpg"}]}))
    dataset = datasets.load_dataset(f"nocaps:{tmp_path}")
    assert dataset.splits == {"val": ["a0.jpg", "b1.jpg"], "test": ["c2.jpg"]}
    assert dataset.captions == {"a0.jpg": ["A"], "b1.jpg": ["B", "C"]}
    assert dataset.parts == {"a0.jpg": "in", "b1.jpg": "out"} and dataset.ids["b1.jpg"] == 6
    path.write_text('{"images": [{"id": 1}]}')
    with pytest.raises(cli.UserError, match="KeyError 'file_name'"):
        datasets.load_dataset(f"nocaps:{tmp_path}")
    path.unlink(), (tmp_path / "nocaps_test_image_info.json").unlink()
    with pytest.raises(cli.UserError, match="expected nocaps_val_4500_captions.json"):
        datasets.load_dataset(f"nocaps:{tmp_path}")


def test_localized_narratives(tmp_path):
    def write(name, *entries):
        lines = [json.dumps({"image_id": i, "caption": text}) for i, text in entries]
        (tmp_path / name).write_text("\n".join(lines))

    write("coco_val_localized_narratives.jsonl", ("42", "One. "), ("42", "Two."), ("7", "Three."))
    write("coco_train_captions-00001-of-00002.jsonl", ("9", "secret"))
    write("coco_train_captions-00000-of-00002.jsonl", ("8", "secret"))
    dataset = datasets.load_dataset(f"localized_narratives:{tmp_path}")
    assert dataset.splits["train"] == ["000000000008.jpg", "000000000009.jpg"]
    assert dataset.captions == {"000000000042.jpg": ["One.", "Two."], "000000000007.jpg": ["Three."]}
    assert len(datasets.load_dataset(f"localized_narratives:{tmp_path}", True).captions) == 4
    write("open_images_test_captions.jsonl", ("00a1", "Four."))
    with pytest.raises(cli.UserError, match="files of coco and open_images; choose with localized_narratives:.*#coco"):
        datasets.load_dataset(f"localized_narratives:{tmp_path}")
    assert datasets.load_dataset(f"localized_narratives:{tmp_path}#open_images").splits == {"test": ["00a1.jpg"]}
    (tmp_path / "open_images_test_captions.jsonl").write_text('{"image_id": "x"}\n')
    with pytest.raises(cli.UserError, match="line 1: caption is missing"):
        datasets.load_dataset(f"localized_narratives:{tmp_path}#open_images")


def test_test_dev_of_coco(tmp_path):
    for name, number in (("test2017", 1), ("test-dev2017", 2)):
        image = {"id": number, "file_name": f"{number:012d}.jpg"}
        (tmp_path / f"image_info_{name}.json").write_text(json.dumps({"images": [image]}))
    assert datasets.load_dataset(f"coco:{tmp_path}").splits == {"test": ["000000000001.jpg"]}
    assert datasets.load_dataset(f"coco:{tmp_path}#test-dev2017").splits == {"test": ["000000000002.jpg"]}
    with pytest.raises(cli.UserError, match="no image_info_test-dev2014.json"):
        datasets.load_dataset(f"coco:{tmp_path}#test-dev2014")
