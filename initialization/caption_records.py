"""Writes pseudo captions: one record file for each record file of the training images.

Used by gen_obj2sen_caption and retrieve_captions. After an interruption, finished files are kept. The captions are in
the order of the images, as in the authors' file. Each record also has the name of its image, by which captions and
images are joined.
"""

import functools
import os
import shutil

import cli
from formats import record_files, records, sidecars
from preprocessing.sharding import outputs, shards


def write_captions(data_dir, stem, caption, settings, made_from, overwrite, vocabulary):
    """Writes `STEM*.tfrec` and their sidecar `STEM.json`; does nothing if they exist and were made in the same way.

    Args:
      data_dir, stem: folder, and first part of the names of the files.
      caption: function without arguments that returns a function records.Images -> list of (image name, word ids
        without start and end token); an image may have several captions or none. `caption` is called at most once, and
        only if a file has to be written, because it may load a network.
      settings, made_from: dicts that JSON can hold, recorded in the sidecar; complete files are kept only if both are
        the same.
      overwrite: whether to replace complete files.
      vocabulary: fingerprint of the vocabulary that the word ids belong to.
    """
    sources = records.find_files(data_dir, "image_train")
    made_from = made_from | {"images": _content(data_dir, sources)}
    json_path = os.path.join(data_dir, f"{stem}.json")
    work = os.path.join(data_dir, f".{stem}")
    plan = {"settings": settings, "made_from": made_from}
    if sidecars.already_made(json_path, settings, made_from, overwrite):
        return shards.discard(work, plan)
    replaced = [(record_files.files_of(data_dir, stem), json_path)]
    outputs.begin_or_continue(work, plan, replaced, overwrite)
    caption = functools.cache(caption)
    finished, results = [], []
    for i, source in enumerate(cli.progress(sources, stem.replace("_", " "))):
        finished.append(os.path.join(work, f"{stem}-{i:05d}"))
        results.append(shards.write_once(finished[-1], functools.partial(_write_shard, source, caption)))
    if os.path.exists(json_path):
        os.remove(json_path)
    paths = outputs.publish_records(data_dir, stem, finished)
    totals = {name: sum(result[name] for result in results) for name in results[0]}
    totals["distinct"] = _distinct(paths)
    sidecars.write_sidecar(
        json_path,
        files=paths,
        counts=[result["count"] for result in results],
        settings=settings,
        made_from=made_from,
        vocabulary=vocabulary,
        **totals,
    )
    shutil.rmtree(work)
    print(
        f"{data_dir}: {totals['count']} captions, {totals['distinct']} different ones, of {totals['images']} images in "
        f"{stem}*.tfrec; {totals['without_caption']} images have none"
    )


def _distinct(paths):
    """Returns the number of different captions in caption record files: int. Args: paths: list of the files."""
    _, flat, offsets = records.read_captions(paths)
    return len({flat[start:end].tobytes() for start, end in zip(offsets[:-1], offsets[1:], strict=True)})


def _write_shard(source, caption, path):
    """Writes the captions of the images in one record file.

    Returns: dict of the counts for the sidecar: "count" (captions), "images", "without_caption" (images).

    Args: source: record file of images. caption: function without arguments that returns a function records.Images ->
      list of (image name, word ids). path: file to write.
    """
    images = records.read_images([source])
    pairs = caption()(images)
    count = records.write_records(path, (records.caption_example(ids, name) for name, ids in pairs))
    return {
        "count": count,
        "images": len(images),
        "without_caption": len(images) - len({name for name, _ in pairs}),
    }


def _content(data_dir, paths):
    """Returns what identifies the content of the training images' record files, as a dict with their names as keys.

    The values are sha256 from the sidecar image_train.json or, if there is none, sizes in bytes.

    Args: data_dir: data folder. paths: list of the record files.
    """
    json_path = os.path.join(data_dir, "image_train.json")
    if os.path.exists(json_path):
        return {entry["name"]: entry["sha256"] for entry in sidecars.read_sidecar(json_path)["files"]}
    return {os.path.basename(path): os.path.getsize(path) for path in paths}
