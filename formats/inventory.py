"""What a data folder holds: every stage's output, whether it is whole, whether the outputs fit together.

Nothing here needs TensorFlow.
"""

import dataclasses
import functools
import os

import cli
from formats import readers, record_files, sidecars, vocabulary, writing

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Output:
    """One output of a stage.

    Attributes:
      name: of the output. files: file names, or () for record files named after it.
      sidecar: file name of its sidecar. stage: module that makes it. flags: what the command needs beside --data_dir.
      needs: outputs that it is made from. other_folder: its stage reads another data folder and writes this one.
    """

    name: str
    files: tuple
    sidecar: str
    stage: str
    flags: str = ""
    needs: tuple = ()
    other_folder: bool = False

    @property
    def lock(self):
        """The name under which its stage holds the lock of `writing.working`; a stage locks what it makes together."""
        kind = self.name.partition("_")[0]
        return {"refs": "image", "image": "image", "dictionary": "word_counts"}.get(kind, self.name)

    def command(self, data_dir):
        if self.other_folder:
            return f"python -m {self.stage} --data_dir OTHER --output_dir {data_dir}"
        if self.name.startswith("features_") and os.path.exists(os.path.join(data_dir, NEIGHBOURS.sidecar)):
            return NEIGHBOURS.command(data_dir)
        return " ".join(filter(None, ["python -m", self.stage, f"--data_dir {data_dir}", self.flags]))

    def paths(self, data_dir):
        """The files that are there."""
        if not self.files:
            return record_files.files_of(data_dir, self.name)
        return [path for path in (os.path.join(data_dir, name) for name in self.files) if os.path.exists(path)]

    def work_folder(self, data_dir):
        """The folder of its stage's unfinished work."""
        suffix = f"_{self.name.partition('_')[2]}" if self.name.startswith("features_") else ""
        return os.path.join(data_dir, f".{self.stage.rpartition('.')[2]}{suffix}")


NEIGHBOURS = Output(
    "neighbours",
    ("neighbours.npz", "phrases.npz"),
    "neighbours.json",
    "initialization.predict_caption_embeddings",
    other_folder=True,
)


def _outputs():
    text = ("preprocessing.process_descriptions", "--new_dict --class_names CLASSES", ("sentences",))
    photographs = "--image_dir PHOTOGRAPHS --dataset KIND:DIR"
    found = [
        Output(
            "sentences", ("sentences.txt",), "sentences.json", "preprocessing.extract_descriptions", "--input FILES"
        ),
        Output("dictionary", ("word_counts.txt",), "word_counts.json", *text),
        Output("sentence", (), "sentence.json", *text),
        Output(
            "detections", (), "detections.json", "preprocessing.detect_objects", f"{photographs} --detector DETECTOR"
        ),
    ]
    for split in SPLITS:
        needs = ("detections", "dictionary")
        stage = "preprocessing.process_images"
        found.append(Output(f"image_{split}", (), f"image_{split}.json", stage, photographs, needs))
        if split != "train":
            found.append(Output(f"refs_{split}", (f"refs_{split}.json",), "", stage, photographs, needs))
        name, stage = f"features_{split}", "preprocessing.extract_features"
        found.append(Output(name, (f"{name}.npy",), f"{name}.json", stage, "--encoder ENCODER", (f"image_{split}",)))
    needs = ("image_train", "dictionary")
    for name, flags in (("obj2sen_captions", "--job_dir RUN"), ("retrieved_captions", "")):
        stage = record_files.MADE_BY[name].removeprefix("python -m ")
        found.append(Output(name, (), f"{name}.json", stage, flags, needs))
    fits = ("fit_captions.npz",), "fit_captions.json", "initialization.assign_captions", "", ("neighbours", "sentence")
    found += [NEIGHBOURS, Output("fit_captions", *fits)]
    return {output.name: output for output in found}


OUTPUTS = _outputs()
TEXT_AND_TRAINING_IMAGES = ("dictionary", "sentence", "image_train", "features_train")
READ_BY_TRAINERS = tuple(
    name for name in OUTPUTS if not name.endswith("_test") and not name.startswith("refs_") and name != "sentences"
)


# --------------------------------------------------------------------------------------------------------------
# One output


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is known about one output.

    Attributes:
      status: "there", "unchecked" (there, without a sidecar), "missing", "unfinished" or "damaged".
      details: in a few words. count: records, lines or rows.
    """

    status: str
    details: str
    count: int | None = None


def check(data_dir, output, checksums=True):
    """The state of one output.

    Args:
      checksums: compare the sha256 of its files as well; without them, sizes and counts.
    """
    paths = output.paths(data_dir)
    json_path = os.path.join(data_dir, output.sidecar) if output.sidecar else ""
    if not paths:
        if json_path and os.path.exists(json_path):
            return Finding("damaged", f"{output.sidecar} is there, its files are not")
        if os.path.isdir(output.work_folder(data_dir)):
            return Finding("unfinished", "the same command goes on where it was")
        return Finding("missing", "")
    try:
        if output.name.startswith("refs_"):
            return _references(data_dir, output, paths[0], checksums)
        if paths[0].endswith(".npz"):
            return _arrays(output, paths, json_path, checksums)
        count = sum(_count(path) for path in paths)
        if not os.path.exists(json_path):
            if not output.files:
                record_files.find_files(data_dir, output.name)  # names the shards that are missing
            hint = "python -m preprocessing.records --index FILE writes one" if not output.files else "not compared"
            return Finding("unchecked", f"{count:,}, no sidecar ({hint})", count)
        if damage := sidecars.damaged_file(json_path, checksums):
            return Finding("damaged", damage)
        sidecar = sidecars.read_sidecar(json_path)
        if strangers := sorted(set(map(os.path.basename, paths)) - {entry["name"] for entry in sidecar["files"]}):
            return Finding("damaged", f"{strangers[0]} is there, but {output.sidecar} does not list it")
        if sidecar.get("count") != count:
            return Finding("damaged", f"{count:,} are there, {output.sidecar} states {sidecar.get('count')}")
        if len(sidecar.get("names", range(count))) != count:
            return Finding("damaged", f"{count:,} rows are there, {output.sidecar} has {len(sidecar['names']):,} names")
    except cli.UserError as error:
        return Finding("damaged", str(error))
    return Finding("there", f"{count:,}", count)


def _arrays(output, paths, json_path, checksums):
    """Archives of arrays: what their sidecar says of them. Raises: cli.UserError."""
    missing = {*output.files} - {os.path.basename(path) for path in paths}
    if missing or not os.path.exists(json_path):
        return Finding("damaged", f"{min(missing or {output.sidecar})} is missing")
    if damage := sidecars.damaged_file(json_path, checksums):
        return Finding("damaged", damage)
    count = sidecars.read_sidecar(json_path)["count"]
    return Finding("there", f"{count:,}", count)


def _references(data_dir, output, path, checksums):
    """Captions for scoring: their checksum stands in the sidecar of the image records."""
    content = readers.read_json(path, "captions in COCO's format")
    readers.check_fields(content, {"annotations": readers.is_list}, path, "no captions in COCO's format")
    count = len(content["annotations"])
    json_path = os.path.join(data_dir, f"image_{output.name.partition('_')[2]}.json")
    entry = sidecars.read_sidecar(json_path).get("references") if os.path.exists(json_path) else None
    if entry and (os.path.getsize(path) != entry["bytes"] or checksums and sidecars.fingerprint(path) != entry):
        return Finding("damaged", f"{path} is not the file that {json_path} describes")
    return Finding("there" if entry else "unchecked", f"{count:,} captions", count)


def _count(path):
    """Records, lines or rows of a file, from its structure. Raises: cli.UserError when it is cut short."""
    if path.endswith(".tfrec"):
        return record_files.count_records(path)
    if path.endswith(".npy"):
        return len(readers.map_npy(path))
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) + _unended(path)


def _unended(path):
    """1 when the last line of a text has no line end, as in the authors' dictionary."""
    if not os.path.getsize(path):
        return 0
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return int(file.read(1) != b"\n")


# --------------------------------------------------------------------------------------------------------------
# All together


def misfits(data_dir):
    """Outputs that are whole but were not made for each other.

    Returns: list of (name of the output, what does not fit).
    """
    about = {name: _about(data_dir, output) for name, output in OUTPUTS.items()}
    return [*_of_another_dictionary(data_dir, about), *_made_from_others(about), *_other_references(data_dir, about)]


def require_fit(data_dir, names, verify=False):
    """What every reader does first: outputs that were not made for each other are never read together.

    Args:
      data_dir: the stages' folder. names: outputs (of OUTPUTS) that will be read, there or not.
      verify: compare the checksums of all files as well.
    Raises: cli.UserError naming the first output that does not fit, and the command that makes it again.
    """
    for name, text in misfits(data_dir):
        if name in names:
            raise cli.UserError(
                f"{data_dir}: {name} does not fit the other files: {text}. Make it again: "
                f"{OUTPUTS[name].command(data_dir)} --overwrite"
            )
    if verify:
        sidecars.verify(data_dir)


def reading(data_dir, names=READ_BY_TRAINERS):
    """Keeps other processes from replacing outputs (names of OUTPUTS) while the block reads them."""
    return writing.working(data_dir, [], {OUTPUTS[name].lock for name in names})


def read_by_trainer(train):
    """Decorator of a trainer, a function of its options: what it reads is not replaced while it trains."""

    @functools.wraps(train)
    def locked(options, *arguments, **named):
        with reading(options.data_dir):
            return train(options, *arguments, **named)

    return locked


def require(data_dir, names):
    """Raises cli.UserError where one of these outputs is missing or damaged, with the command that makes it."""
    for name in names:
        finding = check(data_dir, OUTPUTS[name], checksums=False)
        if finding.status not in ("there", "unchecked"):
            command = OUTPUTS[name].command(data_dir) + (" --overwrite" if finding.status == "damaged" else "")
            raise cli.UserError(f"{data_dir}: {name}: {finding.details or 'missing'}. Make it with: {command}")


def _about(data_dir, output):
    path = os.path.join(data_dir, output.sidecar)
    try:
        return sidecars.read_sidecar(path) if output.sidecar and os.path.exists(path) else {}
    except cli.UserError:
        return {}


def _of_another_dictionary(data_dir, about):
    path = os.path.join(data_dir, "word_counts.txt")
    try:
        words = vocabulary.Vocabulary.load(path).fingerprint() if os.path.exists(path) else None
    except cli.UserError:
        return
    for name, content in about.items():
        own = content.get("vocabulary") or content.get("made_from", {}).get("vocabulary")
        if words and own and own != words:
            yield name, "its ids are those of another dictionary than word_counts.txt"


def _made_from_others(about):
    def digests(name):
        return [entry["sha256"] for entry in about[name].get("files", [])]

    sentences = about["sentence"].get("made_from", {}).get("sentences")
    if sentences and digests("sentences") and sentences not in digests("sentences"):
        yield "sentence", "it was made from another sentences.txt"
    for split in SPLITS:
        image, features = about[f"image_{split}"], about[f"features_{split}"]
        detections = image.get("made_from", {}).get("detections")
        if detections and digests("detections") and detections != digests("detections"):
            yield f"image_{split}", "it was made from other detections"
        if image and features and image["count"] != features["count"]:
            yield f"features_{split}", f"{features['count']:,} images, the records hold {image['count']:,}"
        shown = features.get("made_from", {}).get("images", {}).get("photographs")
        if shown and image.get("photographs", shown) != shown:
            yield f"features_{split}", "they are of other photographs than the records"
    for name in ("retrieved_captions", "obj2sen_captions", "neighbours", "fit_captions"):
        made_from = about[name].get("made_from", {})
        for source in ("sentence", "image_train", "neighbours"):
            if source in made_from and digests(source) and made_from[source] != digests(source):
                yield name, f"it was made from other {source} files"


def _other_references(data_dir, about):
    """References that are not those that the sidecar of the image records describes."""
    for split in ("val", "test"):
        path, entry = os.path.join(data_dir, f"refs_{split}.json"), about[f"image_{split}"].get("references")
        if entry and os.path.exists(path) and sidecars.fingerprint(path) != entry:
            yield f"refs_{split}", f"it is not the file that image_{split}.json describes"
