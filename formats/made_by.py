"""Finds the shell command that makes an output of a data folder, for error messages and for the command `doctor`.

An output is a file, or a set of files, that one stage writes to the data folder (--data_dir). If the output exists, its
sidecar, a JSON file that describes it, records the command that made it, and this command is returned. Else words in
upper case stand for values that only the user knows.
"""

import dataclasses
import os
import shlex

import aliases
import cli
from formats import readers

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Output:
    """One output of a stage: a file or a set of files in the data folder.

    Attributes:
      name: name of the output, such as "image_train".
      files: tuple of file names; () for record files, whose names start with `name`.
      sidecar: file name of its sidecar; "" for references, which the sidecar of their image records describes.
      stage: module that makes it.
      flags: flags that the command needs besides --data_dir, as one text.
      needs: tuple of the names of the outputs that it is made from.
      also: tuple of other modules that can make it.
    """

    name: str
    files: tuple
    sidecar: str
    stage: str
    flags: str = ""
    needs: tuple = ()
    also: tuple = ()

    @property
    def lock(self):
        """Returns the name under which `writing.working` locks the output.

        Outputs that one stage makes together share the name.
        """
        kind = self.name.partition("_")[0]
        return {"refs": "image", "image": "image", "dictionary": "word_counts"}.get(kind, self.name)

    @property
    def described_by(self):
        """Returns the file name of the sidecar that records the command by which the output was made."""
        return self.sidecar or f"image_{self.name.partition('_')[2]}.json"


NEIGHBOURS = Output(
    "neighbours", ("neighbours.npz", "phrases.npz"), "neighbours.json", "initialization.predict_caption_embeddings"
)


def _outputs():
    """Returns dict name -> Output of all outputs of a data folder."""
    text = ("preprocessing.process_descriptions", "--new_dict --class_names CLASSES", ("sentences",))
    photographs = "--image_dir PHOTOGRAPHS --dataset KIND:DIR"
    detect = ("preprocessing.detect_objects", "--image_dir PHOTOGRAPHS --detector DETECTOR")
    extract = ("preprocessing.extract_descriptions", "--input FILES")
    found = [
        Output("sentences", ("sentences.txt",), "sentences.json", *extract),
        Output("dictionary", ("word_counts.txt",), "word_counts.json", *text),
        Output("sentence", (), "sentence.json", *text),
        Output("detections", (), "detections.json", *detect),
    ]
    for split in SPLITS:
        needs = ("detections", "dictionary")
        stage = "preprocessing.process_images"
        found.append(Output(f"image_{split}", (), f"image_{split}.json", stage, photographs, needs))
        if split != "train":
            found.append(Output(f"refs_{split}", (f"refs_{split}.json",), "", stage, photographs, needs))
        name, made_from = f"features_{split}", (f"image_{split}",)
        stages = "preprocessing.extract_features", "--encoder ENCODER", made_from, ("preprocessing.import_features",)
        found.append(Output(name, (f"{name}.npy",), f"{name}.json", *stages))
    needs = ("image_train", "dictionary")
    for name, stage, flags in (
        ("obj2sen_captions", "initialization.gen_obj2sen_caption", "--job_dir RUN"),
        ("retrieved_captions", "initialization.retrieve_captions", ""),
    ):
        found.append(Output(name, (), f"{name}.json", stage, flags, needs))
    fits = ("fit_captions.npz",), "fit_captions.json", "initialization.assign_captions", "", ("neighbours", "sentence")
    found += [NEIGHBOURS, Output("fit_captions", *fits)]
    return {output.name: output for output in found}


OUTPUTS = _outputs()
# Outputs that a folder of predict_caption_embeddings links from its source folder; all others are made in it.
LINKED = tuple(name for name in OUTPUTS if name.startswith(("image_", "refs_")))
LINKED += ("sentences", "dictionary", "sentence", "detections")


def command(data_dir, name, again=False, **changes):
    """Returns the command that makes an output of a data folder, with all flags that it needs, as a line for a shell.

    A folder that predict_caption_embeddings made only links some outputs of its source folder. For such an output the
    line has two commands joined by `&&`: the one that makes the output in the source folder, and the one that links it
    again.

    Args:
      data_dir: the folder.
      name: name of the output, a key of OUTPUTS.
      again: whether the output exists and is to be replaced.
      **changes: flag name without "--" -> text, or bool for a switch. Each replaces the flag's value in the command, or
        is added if the command does not have the flag.
    """
    data_dir = os.fspath(data_dir)
    output, origin = OUTPUTS[name], source_of(data_dir)
    if origin and name.startswith("features_"):
        output = NEIGHBOURS
    elif name in LINKED and origin and os.path.isdir(origin):
        linking = command(data_dir, NEIGHBOURS.name)
        if _is_there(origin, output) and not again:
            return linking
        return f"{command(origin, name, again, **changes)} && {command(data_dir, NEIGHBOURS.name, again=True)}"
    stage, words = _recorded(data_dir, output) or (output.stage, output.flags.split())
    if name == "fit_captions" and not origin:  # its stage needs the folder that predict_caption_embeddings makes
        data_dir = derived(data_dir)
    folders = {"data_dir": data_dir}
    if output is NEIGHBOURS:
        folders = {"data_dir": origin or data_dir, "output_dir": data_dir if origin else derived(data_dir)}
    words = _with(words, **folders, **changes)
    if again and "--overwrite" not in words:
        words = [*words, "--overwrite"]
    return shlex.join(["python", "-m", stage, *words])


def derived(data_dir):
    """Returns the default path of the folder that predict_caption_embeddings makes from a data folder."""
    return os.fspath(data_dir).rstrip("/") + "_neighbours"


def source_of(data_dir):
    """Returns the path of the data folder from which predict_caption_embeddings made a folder; "" for other folders.

    If the sidecar neighbours.json is lost, the source is taken from the command in the sidecars of the folder's
    features, or is "OTHER" if these do not name it either.
    """
    path = os.path.join(data_dir, NEIGHBOURS.sidecar)
    content = _content(path)
    if readers.is_text(content.get("source")):
        place = os.path.join(os.path.realpath(data_dir), content["source"])
        shorter = os.path.normpath(os.path.join(data_dir, content["source"]))  # wrong where data_dir is a link
        same = os.path.exists(shorter) and os.path.exists(place) and os.path.samefile(shorter, place)
        return shorter if same else os.path.normpath(place)
    found = _recorded(data_dir, NEIGHBOURS)
    if found or os.path.isfile(path):
        return _given(found[1] if found else [], "data_dir") or "OTHER"
    return ""


def _is_there(data_dir, output):
    """Returns whether all files of an output (of record files the sidecar) exist in a folder. Args: output: Output."""
    names = output.files or (output.sidecar,)
    return all(os.path.exists(os.path.join(data_dir, name)) for name in names)


def _content(path):
    """Returns the JSON object in a file as a dict; {} if the file is missing or damaged."""
    try:
        return readers.read_json(path, kind=dict) if os.path.isfile(path) else {}
    except cli.UserError:
        return {}


def _recorded(data_dir, output):
    """Returns the command that is recorded in the sidecar of an output: (module name, list of command-line arguments).

    Returns None if there is no sidecar, or if its command is not that of a stage which can make the output.

    Args: output: Output.
    """
    features = [f"features_{split}.json" for split in SPLITS] if output is NEIGHBOURS else []  # made together with it
    for sidecar in (output.described_by, *features):
        command = _content(os.path.join(data_dir, sidecar)).get("command")
        try:
            words = shlex.split(command) if readers.is_text(command) else []
        except ValueError:
            continue
        stage = aliases.MODULES.get(words[2], words[2]) if words[:2] == ["python", "-m"] and len(words) > 2 else None
        if stage in (output.stage, *output.also):
            return stage, words[3:]
    return None


def _given(words, flag):
    """Returns the value of a flag in a list of command-line arguments; "" if the flag is absent.

    Args: flag: without "--".
    """
    for place, word in enumerate(words):
        if word.startswith(f"--{flag}="):
            return word.partition("=")[2]
        if word == f"--{flag}" and place + 1 < len(words):
            return words[place + 1]
    return ""


def _with(words, **values):
    """Returns a list of command-line arguments with some flags replaced or added; the replaced and added come first.

    Args: words: list of arguments. **values: flag name without "--" -> text, or bool for a switch (False
      gives --noNAME).
    """
    rest, skipped = [], False
    for word in words:
        flag = word.removeprefix("--").partition("=")[0]
        name = flag if flag in values else flag.removeprefix("no")
        if skipped:
            skipped = False
        elif word.startswith("--") and name in values:
            skipped = not isinstance(values[name], bool) and "=" not in word
        else:
            rest.append(word)
    first = []
    for flag, value in values.items():
        first += [f"--{'' if value else 'no'}{flag}"] if isinstance(value, bool) else [f"--{flag}", value]
    return first + rest
