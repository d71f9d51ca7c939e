"""Reads lists of photographs: the split and the captions of each image.

    jsonl:DIR      train.jsonl, val.jsonl, test.jsonl with lines {"image": file name, "captions": [text, ...]}; a single
                   text is a list of one, and an image with one text a line may have several lines
    karpathy:FILE  Karpathy's dataset_coco.json, dataset_flickr8k.json or dataset_flickr30k.json; restval is train
    coco:DIR       COCO's captions_train*.json, captions_val*.json, image_info_test*.json (coco:DIR#2014 chooses the
                   year, coco:DIR#test-dev2017 the images of test-dev), with the splits of the UIC authors' lists if
                   they are there too (coco_train.txt, …)
    flickr8k:DIR, flickr30k:DIR   lists of file names (train.txt, dev.txt, … or the original names) and the token file,
                   or the table of captions of Kaggle (captions.txt, results.csv)
    pascal:DIR     the HTML page of the PASCAL sentences; splits by train.txt, … beside it, else 80, 10 and 10 % by hash
    nocaps:DIR     nocaps_val_4500_captions.json, nocaps_test_image_info.json
    localized_narratives:DIR      coco_val_captions.jsonl, open_images_test_captions.jsonl, …; DIR#coco chooses the set
    gcc:DIR        Conceptual Captions: *train*.tsv, *validation*.tsv; line n is train/NNNNN/NNNNNnnnn.jpg, as named by
                   img2dataset; train.txt, val.txt beside them list the downloaded images

The file of a split may be missing, and each file may be compressed (train.jsonl.gz). The captions of training images
are read only on request, because only the supervised baselines may use them. Photographs may be in one folder or in its
subfolders, as COCO unpacks into train2014 and val2014.
"""

import collections
import dataclasses
import os
import re

import cli
import extensions
from formats import file_names, paths, readers, texts
from preprocessing.sharding import shards
from preprocessing.sources import caption_lists, corpora, localized_narratives, nocaps, pascal_page

SPLITS = ("train", "val", "test")
COCO_NAME = re.compile(
    r"(?:COCO_(?:train|val|test)\d{4}_)?(\d{12})\.jpg"
)  # names of 2014 and 2017 for the same photographs
TEST_DEV = "test-dev"  # the images of COCO's test split that its server scores; 2017
SHOWN = 5  # names that an error lists
IMAGES_PER_FOLDER = 10_000  # img2dataset's default


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Photographs by split.

    Attributes:
      splits: dict split -> list of file names, in the order of the list.
      captions: dict file name -> list of texts; images without captions are absent.
      ids: dict file name -> integer id of the image in the original data set; empty without ids.
      files: dict split -> path of the file that lists its images, for messages; empty if there is no such file.
      parts: dict file name -> part of nocaps to which it belongs: "in", "near" or "out"; empty for other data sets.
    """

    splits: dict
    captions: dict
    ids: dict = dataclasses.field(default_factory=dict)
    files: dict = dataclasses.field(default_factory=dict)
    parts: dict = dataclasses.field(default_factory=dict)


def load_dataset(spec, with_train_captions=False):
    """Returns the Dataset that the text `spec` names.

    Args:
      spec: KIND:PATH, a form of the module's docstring, or FILE.py:ARGUMENT for a function `load` in a Python file.
      with_train_captions: whether to read the captions of the training images too.

    Raises:
      cli.UserError: unknown kind, a file is missing or malformed, or an image occurs twice or in two splits.
    """
    kind, _, path = spec.partition(":")
    if extensions.is_file(kind):
        return _of_own_file(kind, path, with_train_captions)
    if kind not in LOADERS or not path:
        raise cli.UserError(f"--dataset {spec!r}: expected one of {', '.join(f'{name}:PATH' for name in LOADERS)}")
    folder = {"coco": _without_year, "localized_narratives": localized_narratives.folder_of}.get(kind, str)(path)
    if not os.path.exists(folder):
        raise cli.UserError(f"--dataset {spec!r}: {path}: no such file or folder")
    if kind not in ("karpathy", "pascal") and os.path.isfile(path):
        raise cli.UserError(f"--dataset {spec!r}: {path} is not a folder")
    dataset = LOADERS[kind](path, with_train_captions)
    if not dataset.splits:
        raise cli.UserError(f"--dataset {spec!r}: {path} has no list of any split")
    _check_names(dataset, path)
    _check_disjoint(dataset, path)
    return dataset


def _without_year(path):
    """Returns the folder in DIR or DIR#YEAR, where YEAR may begin with "test-dev"."""
    return paths.cut(path, "#", lambda part: part.removeprefix(TEST_DEV).isdigit() or not part)[0]


def _of_own_file(file, argument, with_train_captions):
    """Returns the Dataset of load(argument, with_train_captions), a function in the user's file (extensions.py)."""
    try:
        dataset = extensions.load(file, "load")(argument, with_train_captions)
    except ValueError as error:
        raise cli.UserError(f"--dataset {file}: {error}") from error
    _check_names(dataset, file)
    _check_disjoint(dataset, file)
    return dataset


def _check_names(dataset, path):
    """Raises cli.UserError for a name that cannot be a file name."""
    for split, names in dataset.splits.items():
        for name in names:
            try:
                fits = name and b"\0" not in file_names.to_bytes(name)
            except UnicodeEncodeError:
                fits = False
            if not fits:
                where = dataset.files.get(split, path)
                raise cli.UserError(f"{where}: {split} lists {ascii(name)[:80]}, which is not a file name")


def _check_disjoint(dataset, path):
    """Raises cli.UserError if an image occurs twice; COCO's file names of 2014 and 2017 for it count as equal."""
    seen, wrong, places = {}, [], {}
    for split, names in dataset.splits.items():
        for name in names:
            coco = COCO_NAME.fullmatch(name)
            image = coco[1] if coco else name
            if image in seen:
                other, other_name = seen[image]
                alias = "" if other_name == name else f" (as {other_name})"
                where = f"twice in {split}" if other == split else f"in {other}{alias} and in {split}"
                wrong.append(f"{name} is {where}")
                places |= {dataset.files.get(which, path): None for which in (other, split)}
            else:
                seen[image] = split, name
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise cli.UserError(
            f"{', '.join(places)}: {'; '.join(wrong[:SHOWN])}{more}. Every image belongs to one split, once: "
            f"{len(wrong)} do not"
        )


# --------------------------------------------------------------------------------------------------------------
# Reading lists


def _present(folder, names):
    """Returns the path of the file with one of `names`, packed or not; None if absent. Raises: cli.UserError if two."""
    endings = ("", *texts.PACKED_NAMES)
    paths = dict.fromkeys(os.path.join(folder, name + ending) for name in names for ending in endings)
    found = [path for path in paths if os.path.lexists(path)]
    if len(found) > 1:
        raise cli.UserError(f"{found[0]} and {found[1]} have the same content; keep one of them")
    return found[0] if found else None


def _name_lists(folder, names_of):
    """Reads lists of file names; returns (dict split -> list of file names, dict split -> path of the list).

    Args: names_of: dict split -> possible names of its list. `.jpg` is added to a file name without extension.
    """
    splits, files = {}, {}
    for split, names in names_of.items():
        if path := _present(folder, names):
            lines = (line.strip().strip('"') for _, line in readers.text_lines(path, "surrogateescape"))
            splits[split] = [caption_lists.with_extension(os.path.basename(line)) for line in lines]
            files[split] = path
    return splits, files


def _wanted(splits, with_train_captions):
    """Returns the set of the images whose captions are to be read. Args: splits: dict split -> list of file names."""
    return {name for split, names in splits.items() if split != "train" or with_train_captions for name in names}


# --------------------------------------------------------------------------------------------------------------
# Plain lists


def _jsonl(folder, with_train_captions):
    splits, captions, files = {}, {}, {}
    for split in SPLITS:
        path = _present(folder, (f"{split}.jsonl",))
        if not path:
            continue
        files[split] = path
        entries = list(caption_lists.jsonl_entries(path))
        splits[split] = [name for name, _ in entries]
        if split != "train" or with_train_captions:
            captions.update((name, texts) for name, texts in entries if texts)
    return Dataset(splits, captions, files=files)


# --------------------------------------------------------------------------------------------------------------
# MS COCO, and Karpathy's lists of three data sets


def _karpathy(path, with_train_captions):
    """Returns the Dataset in one of Karpathy's JSON files."""
    if os.path.isdir(path):
        raise cli.UserError(f"--dataset karpathy:{path}: expected the file dataset_coco.json, not its folder")
    content = readers.read_json(path, "Karpathy's list")
    images = content.get("images") if isinstance(content, dict) else None
    splits, captions, ids, number = collections.defaultdict(list), {}, {}, 0
    try:
        for number, image in enumerate(images, 1):  # noqa: B007 (used by the message of the error)
            split = {"restval": "train"}.get(image["split"], image["split"])
            if split not in SPLITS or not isinstance(image["filename"], str):
                raise ValueError(f"the split {split!r}, the file name {image['filename']!r}")
            splits[split].append(image["filename"])
            ids[image["filename"]] = image.get("cocoid", image.get("imgid"))
            if split != "train" or with_train_captions:
                captions[image["filename"]] = [sentence["raw"].strip() for sentence in image["sentences"]]
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        at = f"image {number}: {type(error).__name__} {error}" if images else "no images"
        raise cli.UserError(
            f'{path}: {at}; expected Karpathy\'s {{"images": [{{"filename", "split", "sentences": [{{"raw"}}]}}]}}'
        ) from error
    ordered = {split: splits[split] for split in SPLITS if split in splits}
    return Dataset(ordered, captions, {name: number for name, number in ids.items() if isinstance(number, int)})


def _coco(path, with_train_captions):
    """Returns the Dataset of COCO in DIR or DIR#YEAR."""
    folder = _without_year(path)
    year = path[len(folder) + 1 :]
    files = _coco_files(folder, year)
    lists, listed_in = _name_lists(folder, {split: (f"coco_{split}.txt", f"{split}.txt") for split in SPLITS})
    splits, captions, ids = {}, collections.defaultdict(list), {}
    wanted = _wanted(lists, with_train_captions)
    for split, file in files.items():
        content = readers.read_json(file, "COCO's captions")
        try:
            names = {image["id"]: image["file_name"] for image in content["images"]}
            if not readers.are_texts([*names.values()]):
                raise TypeError("a file name that is not a text")
            splits[split] = [image["file_name"] for image in content["images"]]
            ids.update((name, number) for number, name in names.items())
            for entry in content.get("annotations", ()):
                name = names[entry["image_id"]]
                if name in wanted or not lists and (split != "train" or with_train_captions):
                    captions[name].append(entry["caption"].strip())
        except (TypeError, KeyError, AttributeError) as error:
            raise cli.UserError(
                f"{file}: {type(error).__name__} {error}; expected COCO's captions: "
                '{"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}'
            ) from error
    if lists:
        unknown = [name for name in sorted(wanted) if name not in ids]
        if unknown:
            read = ", ".join(map(os.path.basename, files.values())) or "no file of captions"
            raise cli.UserError(
                f"{folder}: {len(unknown)} images of the lists are not in {read}; the first is {unknown[0]}"
            )
        splits = lists
    return Dataset(splits, dict(captions), ids, listed_in or files)


def _coco_files(folder, year):
    """Returns dict split -> path of COCO's file.

    Args: year: "2017", "test-dev2017", or "" if there is only one year.
    """
    found, dev, year = collections.defaultdict(dict), year.startswith(TEST_DEV), year.removeprefix(TEST_DEV)
    wanted = rf"(?:captions_(train|val)|image_info_{TEST_DEV if dev else 'test'})(\d{{4}})\.json"
    for name in sorted(os.listdir(folder)):
        if match := re.fullmatch(wanted, texts.unpacked_name(name)):
            found[match[2]][match[1] or "test"] = os.path.join(folder, name)
    if dev and "test" not in found[year]:
        raise cli.UserError(f"{folder}: no image_info_{TEST_DEV}{year}.json")
    if year and year not in found:
        raise cli.UserError(f"{folder}: no captions_train{year}.json or captions_val{year}.json")
    if not year and len(found) > 1:
        raise cli.UserError(f"{folder}: files of {' and '.join(found)}; choose with coco:{folder}#{min(found)}")
    return found[year or next(iter(found), "")]


# --------------------------------------------------------------------------------------------------------------
# Flickr8k and Flickr30k

FLICKR8K_LISTS = {
    "train": ("train.txt", "Flickr_8k.trainImages.txt"),
    "val": ("dev.txt", "val.txt", "Flickr_8k.devImages.txt"),
    "test": ("test.txt", "Flickr_8k.testImages.txt"),
}
FLICKR30K_LISTS = {
    "train": ("train.txt", "flickr30k_train.txt"),
    "val": ("val.txt", "dev.txt", "flickr30k_val.txt"),
    "test": ("test.txt", "flickr30k_test.txt"),
}
KAGGLE_FILES = ("captions.txt", "captions.csv", "results.csv")
TOKEN_FILES = ("captions.token.txt", "Flickr8k.token.txt", "results_20130124.token", "results.token")


def _flickr(lists, folder, with_train_captions):
    """Returns the Dataset of Flickr8k or Flickr30k. Args: lists: dict split -> possible names of its list."""
    splits, files = _name_lists(folder, lists)
    wanted = _wanted(splits, with_train_captions)
    path = _present(folder, TOKEN_FILES) or _present(folder, KAGGLE_FILES)
    if path is None:
        names = ", ".join((*TOKEN_FILES, *KAGGLE_FILES))
        raise cli.UserError(f"{folder}: no file of captions; expected one of {names}")
    captions = collections.defaultdict(list)
    for name, text in caption_lists.caption_rows(path):
        if name in wanted:
            captions[name].append(text)
    return Dataset(splits, dict(captions), files=files)


def _flickr8k(folder, with_train_captions):
    return _flickr(FLICKR8K_LISTS, folder, with_train_captions)


def _flickr30k(folder, with_train_captions):
    return _flickr(FLICKR30K_LISTS, folder, with_train_captions)


# --------------------------------------------------------------------------------------------------------------
# PASCAL sentences

PASCAL_PAGES = ("pascal-sentences.html", "index.html")


def _pascal(path, with_train_captions):
    page = path if os.path.isfile(path) else _present(path, PASCAL_PAGES)
    if page is None:
        raise cli.UserError(f"{path}: the page of the PASCAL sentences is missing: {' or '.join(PASCAL_PAGES)}")
    text = texts.read(page, "the page of the PASCAL sentences", errors="replace")
    described = {image: texts for image, texts in pascal_page.captions(text).items() if texts}
    if not described:
        raise cli.UserError(f"{page}: no image with sentences; expected the table of the PASCAL sentences")
    captions = {os.path.basename(image): texts for image, texts in described.items()}
    if len(captions) < len(described):
        raise cli.UserError(f"{page}: two images in different folders have the same file name")
    splits, files = _name_lists(os.path.dirname(page), {split: (f"{split}.txt",) for split in SPLITS})
    if not splits:  # there are no official splits
        names = sorted(captions, key=lambda name: (shards.digest_of(name), name))
        tenth = len(names) // 10
        splits = {"train": names[2 * tenth :], "val": names[:tenth], "test": names[tenth : 2 * tenth]}
    wanted = _wanted(splits, with_train_captions)
    return Dataset(splits, {name: texts for name, texts in captions.items() if name in wanted}, files=files)


# --------------------------------------------------------------------------------------------------------------
# Conceptual Captions


def _is_tsv(name):
    """Returns whether a file name is that of a .tsv file, compressed or not."""
    return texts.unpacked_name(name).lower().endswith(".tsv")


def _gcc(folder, with_train_captions):
    """Returns the Dataset of Conceptual Captions in a folder."""
    splits, captions = {}, {}
    for split, word in (("train", "train"), ("val", "validation")):
        found = [name for name in os.listdir(folder) if word in name.lower() and _is_tsv(name)]
        if path := _present(folder, [texts.unpacked_name(name) for name in found]):
            splits[split], captions[split] = [], {}
            for number, line in readers.text_lines(path):
                try:
                    (text,) = corpora.gcc_line(line)
                except corpora.BadEntry as error:
                    raise cli.UserError(f"{path}: line {number}: {error}") from error
                name = f"{split}/{(number - 1) // IMAGES_PER_FOLDER:05d}/{number - 1:09d}.jpg"
                splits[split].append(name)
                if split != "train" or with_train_captions:
                    captions[split][name] = [text.strip()]
    for split in splits:
        if path := _present(folder, (f"{split}.txt",)):
            there = {line.strip() for _, line in readers.text_lines(path, "surrogateescape")}
            if unknown := there.difference(splits[split]):
                raise cli.UserError(
                    f"{path}: {len(unknown)} names are not lines of the captions, e.g. {min(unknown)}; expected names "
                    f"like {splits[split][0]}"
                )
            splits[split] = [name for name in splits[split] if name in there]
    wanted = _wanted(splits, with_train_captions)
    every = {name: texts for found in captions.values() for name, texts in found.items() if name in wanted}
    return Dataset(splits, every)


def _nocaps(folder, _):
    return Dataset(**nocaps.load(folder))


def _localized_narratives(path, with_train_captions):
    return Dataset(**localized_narratives.load(path, with_train_captions))


LOADERS = {
    "jsonl": _jsonl,
    "karpathy": _karpathy,
    "coco": _coco,
    "flickr8k": _flickr8k,
    "flickr30k": _flickr30k,
    "pascal": _pascal,
    "gcc": _gcc,
    "nocaps": _nocaps,
    "localized_narratives": _localized_narratives,
}
SPECS = f"FILE.py:ARGUMENT or KIND:PATH with one of {', '.join(LOADERS)} (see preprocessing/sources/datasets.py)"
