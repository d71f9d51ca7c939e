"""The stages of photographs, which the tests of the engines run on a few pictures with small networks."""

import json

from formats import vocabulary
from preprocessing import detect_objects, extract_features, process_images
from tests import small_networks, stage_outputs
from tests.preprocessing import picture_files


def write_inputs(folder, count):
    """Writes photographs, their list and two small networks."""
    names = picture_files.write_pictures(folder / "photographs", count)
    lines = [json.dumps({"image": name, "captions": ["A picture."]}) for name in names]
    (folder / "train.jsonl").write_text("\n".join(lines))
    small_networks.detector(folder / "ssd.tflite")
    small_networks.encoder(folder / "encoder.tflite")
    (folder / "labels.txt").write_text("???\nperson\nbicycle\ncar\n")
    return folder


def make(inputs, folder, **how):
    """Runs the three stages of photographs in this process; returns the digests of their outputs."""
    folder.mkdir()
    words = ["<S>", "</S>", "a", "person", "car"]
    vocabulary.Vocabulary(words).save(str(folder / "word_counts.txt"))
    how |= {"data_dir": str(folder), "processes": 1}
    photographs = {"image_dir": str(inputs / "photographs"), "shards": 4}
    detector = {"detector": str(inputs / "ssd.tflite"), "labels": str(inputs / "labels.txt")}
    detect_objects.main(detect_objects.Options(**how, **photographs, **detector))
    process_images.main(
        process_images.Options(**how, **photographs, dataset=f"jsonl:{inputs}", score_threshold=0.1, store_images=True)
    )
    encoder = {"encoder": f"tflite:{inputs}/encoder.tflite", "crops": 2, "splits": ("train",)}
    extract_features.main(extract_features.Options(**how, **encoder))
    return stage_outputs.contents(folder)
