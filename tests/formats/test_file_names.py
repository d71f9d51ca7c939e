"""Photographs whose names are Latin-1: found, detected, put into records, encoded and captioned under their names."""

import json
import os
import subprocess
import sys

from formats import file_names, records
from input_pipeline import FeatureBank
from preprocessing import detect_objects, extract_features, process_images
from preprocessing.sources import datasets
from tests import given_world, photo_world, tiny_runs, tiny_world

NAME = os.fsdecode(b"caf\xe9.jpg")


def test_from_the_files_to_a_caption(tmp_path):
    data, photos, lists = (str(tmp_path / name) for name in ("data", "photos", "lists"))
    tiny_world.make(data)
    for folder in (photos, lists):
        os.makedirs(folder)
    names = [NAME, "a.jpg", "é.jpg"]
    for i, name in enumerate(names):
        photo_world.picture(tiny_world.NOUNS[i], i).save(os.path.join(photos, name))
    with open(tmp_path / "objects.jsonl", "w") as file:
        file.writelines(json.dumps({"image": n, "objects": [{"name": "Dog", "score": 0.9}]}) + "\n" for n in names)
    for split in ("train", "val"):
        with open(os.path.join(lists, f"{split}.jsonl"), "w") as file:
            mine = [NAME] if split == "train" else names[1:]
            file.writelines(json.dumps({"image": name, "captions": ["a dog runs"]}) + "\n" for name in mine)
    shared = {"data_dir": data, "image_dir": photos, "processes": 1, "overwrite": True}
    detect_objects.main(detect_objects.Options(detector=f"annotations:{tmp_path}/objects.jsonl", **shared))
    assert sorted(name for name, _ in records.each_detections([f"{data}/detections.tfrec"])) == sorted(names)
    process_images.main(process_images.Options(dataset=f"jsonl:{lists}", **shared))
    [path] = records.find_files(data, "image_train")
    assert records.read_images([path]).names == [NAME]
    with open(path, "rb") as file:
        assert b"caf\xe9.jpg" in file.read()
    encoder = given_world.write_encoder(str(tmp_path / "encoder.npz"))
    options = extract_features.Options(
        data_dir=data, encoder=f"compact:{encoder}", crops=1, processes=1, overwrite=True
    )
    extract_features.main(options)
    assert FeatureBank(data, "train").rows([NAME]).tolist() == [0]

    run = given_world.untrained_run(data, str(tmp_path / "run"))
    command = [sys.executable, "caption.py", "--job_dir", run, photos]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    shown = subprocess.run(command, cwd=tiny_runs.ROOT, env=environment, capture_output=True)
    assert shown.returncode == 0, shown.stderr
    assert [line.split(b"\t")[0] for line in shown.stdout.splitlines()] == [
        b"a.jpg",
        b"caf\\udce9.jpg",
        "é.jpg".encode(),
    ]
    for ending in ("json", "jsonl"):
        output = tmp_path / f"captions.{ending}"
        done = subprocess.run([*command, "--output", str(output)], cwd=tiny_runs.ROOT, capture_output=True)
        assert done.returncode == 0, done.stderr
        text = output.read_text(encoding="utf-8")
        entries = json.loads(text) if ending == "json" else [json.loads(line) for line in text.splitlines()]
        assert sorted(entry["image_id"] for entry in entries) == sorted(names)
        assert all(os.path.isfile(os.path.join(photos, entry["image_id"])) for entry in entries)


def test_lists_of_names_keep_their_bytes(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"caf\xe9.jpg\nother.jpg\n")
    (tmp_path / "captions.token.txt").write_text("other.jpg#0\ta dog\n")
    assert datasets.load_dataset(f"flickr8k:{tmp_path}").splits == {"train": [NAME, "other.jpg"]}
    assert file_names.from_bytes(file_names.to_bytes(NAME)) == NAME
    assert json.loads(file_names.written(json.dumps([NAME], ensure_ascii=False))) == [NAME]
