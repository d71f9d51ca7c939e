"""The commands of every stage on tiny data, for tests of races, kills and full disks."""

import argparse
import dataclasses
import json
import os
import shutil
import sys

import numpy as np

from tests import forked, stage_outputs

TRAIN, VAL, SENTENCES = 60, 12, 400
NETWORK = ("--emb_dim=8", "--mem_dim=8", "--batch_size=8", "--steps_per_loop=4", "--save_summary_steps=4")
RUN = (*NETWORK, "--max_steps=24", "--save_checkpoint_steps=8")
DATA, FULL, QUICK = "--data_dir={root}/data", "--job_dir={root}/runs/full", "--metrics=BLEU,CIDEr"


@dataclasses.dataclass(frozen=True)
class Case:
    """A stage with several settings.

    Attributes:
      name: name of the stage. variants: commands (module, flags), each with other settings or for another entry of a
        file.
      merges: whether the variants add to the same files, so that afterwards these hold the entries of all.
      trains: whether it is a trainer; two trainers in one run directory are tested in
        training/test_run_directory.py.
    """

    name: str
    variants: tuple
    merges: bool = False
    trains: bool = False


def _case(module, common, settings, **kinds):
    variants = tuple((module, (*common, *setting)) for setting in settings)
    return Case(module.rpartition(".")[2], variants, **kinds)


EXTRACT = _case(
    "preprocessing.extract_features",
    (DATA, "--encoder=compact:{inputs}/encoder.npz", "--processes=1"),
    [("--crops=1",), ("--crops=0",), ("--crops=2",)],
)
IMPORT = _case(
    "preprocessing.import_features",
    (DATA, "--names={inputs}/names.txt"),
    [("--features={inputs}/vectors_0.npy",), ("--features={inputs}/vectors_1.npy",)],
)
NEIGHBOURS = "{root}/data_neighbours"
WORLD = ("--train_images=12", "--val_images=4", "--test_images=4", "--sentences=60", "--references=2")
WORLD += ("--image_size=32", "--encoder_images=0", "--processes=1")
# In the order in which they run: each starts from the outputs of the first variants of all stages before it.
CASES = (
    _case(
        "preprocessing.extract_descriptions",
        (DATA, "--input={inputs}/text", "--shards=6", "--processes=1"),
        [("--min_tokens=4",), ("--min_tokens=7",)],
    ),
    _case(
        "preprocessing.process_descriptions",
        (DATA, "--new_dict", "--class_names={inputs}/classes.txt", "--shards=6", "--processes=1"),
        [("--min_word_count=2",), ("--min_word_count=90", "--max_unknown=0.5")],
    ),
    _case(
        "preprocessing.detect_objects",
        (DATA, "--image_dir={inputs}/photos", "--detector=annotations:{inputs}/objects.jsonl", "--processes=1"),
        [("--shards=6", "--score_threshold=0.1"), ("--shards=4", "--score_threshold=0.6")],
    ),
    _case(
        "preprocessing.process_images",
        (DATA, "--image_dir={inputs}/photos", "--dataset=jsonl:{inputs}/lists", "--processes=1"),
        [("--shards=6", "--score_threshold=0.3"), ("--shards=4", "--score_threshold=0.6")],
    ),
    IMPORT,
    Case("extract+import", (EXTRACT.variants[0], IMPORT.variants[0])),
    EXTRACT,
    _case(
        "initialization.predict_caption_embeddings",
        (DATA, f"--output_dir={NEIGHBOURS}", "--ridge=0.3"),
        [("--dim=2",), ("--dim=3",)],
    ),
    _case(
        "initialization.assign_captions",
        (f"--data_dir={NEIGHBOURS}", "--most=0.0"),
        [("--mixed=50",), ("--mixed=20",)],
    ),
    _case("initialization.retrieve_captions", (DATA, "--choice=random"), [("--k=1",), ("--k=2",)]),
    _case(
        "preprocessing.classifier_words",
        (DATA, "--class_names={inputs}/classes.txt", "--labels={inputs}/labels.txt"),
        [("--min_word_count=2",), ("--min_word_count=90",)],
    ),
    _case(
        "preprocessing.train_captions",
        (DATA,),
        [("--dataset=jsonl:{inputs}/lists",), ("--dataset=jsonl:{inputs}/few",)],
    ),
    _case(
        "scripts.simulate_corpus",
        ("--data_dir={root}/text", "--words=500"),
        [("--sentences=900",), ("--seed=2", "--sentences=700")],
    ),
    _case("preprocessing.make_miniature", ("--data_dir={root}/world", *WORLD), [("--seed=1",), ("--seed=2",)]),
    _case(
        "evaluation.untrained",
        (DATA, "--table={root}/runs/table.json", QUICK),
        [("--rows=random", "--seed=1"), ("--rows=random", "--seed=2"), ("--rows=retrieval",)],
        merges=True,
    ),
    _case("initialization.obj2sen", (DATA, "--job_dir={root}/runs/obj2sen", *RUN), [()], trains=True),
    _case(
        "initialization.gen_obj2sen_caption",
        (DATA, "--job_dir={root}/runs/obj2sen"),
        [("--decode=greedy",), ("--decode=beam2",)],
    ),
    _case(
        "train",
        (DATA, FULL, *RUN, "--max_caption_length=8", "--eval_images=6", "--standardise", "--gen_lr=0.01"),
        [()],
        trains=True,
    ),
    _case(
        "eval_val",
        (DATA, FULL, QUICK, "--table={root}/runs/full_table.json"),
        [("--steps=8",), ("--steps=16",), ("--steps=24",)],
        merges=True,
    ),
)
# Imported features, removed before later stages, which use those of extract_features.
BRANCHES = ("import_features", "extract+import")


class Stages:
    """The folders in which each case starts, and the outputs of its commands there."""

    def __init__(self, folder, wanted):
        """Runs the stages one after the other. Args: folder: an empty folder. wanted: Cases."""
        self.folder, self._logs = str(folder), 0
        self.inputs = os.path.join(self.folder, "inputs")
        process = forked.call(lambda: make_inputs(self.inputs), self._log("inputs"))
        assert process.wait() == 0, process.output
        state = os.path.join(self.folder, "state")
        os.makedirs(os.path.join(state, "data"))
        self._expected = {}
        for case in CASES[: 1 + max(map(CASES.index, wanted))]:
            shutil.copytree(state, self.base(case))
            if case.name not in BRANCHES:
                self.run(case.variants[0], state)

    def base(self, case):
        """Returns the folder in which a case starts; it must be copied before use."""
        return os.path.join(self.folder, "bases", case.name)

    def begin(self, case, name):
        """Returns a new copy of the folder in which a case starts."""
        return shutil.copytree(self.base(case), os.path.join(self.folder, name))

    def start(self, variant, root, *flags, prepare=None):
        """Starts a command in a folder; returns a forked.Process. Args: prepare: see `forked.start`."""
        module, given = variant
        given = [flag.format(inputs=self.inputs, root=root) for flag in (*given, *flags)]
        return forked.start(module, given, self._log(module), prepare)

    def run(self, variant, root):
        """Runs a command to its end. Raises: AssertionError unless the exit code is 0."""
        process = self.start(variant, root)
        assert process.wait() == 0, process.output

    def expected(self, case):
        """Returns the valid outputs of undisturbed runs: list of results of `stage_outputs.contents`.

        For variants that exclude each other, one result for each; for those that merge, the result of all together.
        """
        if case.name not in self._expected:
            groups = [case.variants] if case.merges else [[variant] for variant in case.variants]
            self._expected[case.name] = [self._undisturbed(case, group) for group in groups]
        return self._expected[case.name]

    def unbroken(self, case):
        """Returns the output of the first variant of the case."""
        return self._undisturbed(case, case.variants[:1]) if case.merges else self.expected(case)[0]

    def _undisturbed(self, case, variants):
        root = self.begin(case, "undisturbed")
        for variant in variants:
            self.run(variant, root)
        found = stage_outputs.contents(root)
        shutil.rmtree(root)
        return found

    def _log(self, name):
        self._logs += 1
        return os.path.join(self.folder, f"{self._logs:05d}_{name}.log")


# --------------------------------------------------------------------------------------------------------------
# The commands that use them


def parse(about, what, arguments):
    """Returns the parsed flags --WHAT, --seed and --stages of a command. Args: about: its docstring."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument(f"--{what}", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stages", default="", help="names, separated by commas; all of them when not given")
    return parser.parse_args(arguments)


def choose(options, rng, count, wanted=lambda case: True):
    """Returns `count` Cases in random order, all equally often. Args: wanted: predicate of a Case."""
    names = {name for name in options.stages.split(",") if name}
    known = {case.name: case for case in CASES if wanted(case)}
    if not names <= known.keys():
        sys.exit(f"--stages {options.stages}: expected some of {', '.join(known)}")
    known = [case for name, case in known.items() if not names or name in names]
    rng.shuffle(known)
    return [known[i % len(known)] for i in range(count)]


def report(results, what):
    """Prints a table; returns the exit code. Args: results: dict name -> list of lists of faults."""
    print(f"{'stage':24}{what:>8}{'faults':>8}")
    for name, found in sorted(results.items()):
        print(f"{name:24}{len(found):8}{sum(map(bool, found)):8}")
        for faults in filter(None, found):
            print("   ", "\n    ".join(faults))
    total = sum(map(bool, (faults for found in results.values() for faults in found)))
    print(f"{sum(map(len, results.values()))} {what}, {total} with faults")
    return int(total > 0)


# --------------------------------------------------------------------------------------------------------------
# The inputs of all stages


def make_inputs(folder):
    """Writes photographs, lists, objects, text, an encoder and vectors."""
    from tests import given_world, photo_world, tiny_world

    rng = np.random.default_rng(0)
    for name in ("photos", "lists", "text"):
        os.makedirs(os.path.join(folder, name))
    objects, names = [], []
    for split, count in (("train", TRAIN), ("val", VAL)):
        rows = []
        for i in range(count):
            noun, name = tiny_world.NOUNS[i % 3], f"{split}_{i:03d}.jpg"
            given_world.photograph(noun, 100 * count + i).save(os.path.join(folder, "photos", name))
            word, score = tiny_world.WORDS[noun], 0.9 if i % 2 else 0.5
            found = [{"name": word.capitalize(), "score": score}] if i % 7 else []
            objects.append({"image": name, "objects": found})
            rows.append({"image": name, "captions": [f"a {word} runs on the grass", f"a small {word} sleeps"]})
            names.append(name)
        _write(os.path.join(folder, "lists", f"{split}.jsonl"), map(json.dumps, rows))
    _write(os.path.join(folder, "objects.jsonl"), map(json.dumps, objects))
    _write(os.path.join(folder, "names.txt"), names)
    os.makedirs(os.path.join(folder, "few"))
    _write(os.path.join(folder, "few", "train.jsonl"), [json.dumps({"image": names[0], "captions": ["a dog"]})])
    _write(os.path.join(folder, "classes.txt"), ["Dog", "Cat", "Bird"])
    _write(os.path.join(folder, "labels.txt"), ["Grass", "Water, sea", "Engine"])
    adjectives, verbs = ["small", "red", "big", "old", "young"], ["runs", "sleeps", "sits", "plays"]
    for part in range(2):
        lines = []
        for _ in range(SENTENCES // 2):
            noun = tiny_world.WORDS[int(rng.choice(tiny_world.NOUNS))]
            words = ["a", *rng.choice(adjectives, rng.integers(0, 3)), noun, rng.choice(verbs), "on", "the", "grass"]
            lines.append(" ".join([*words, *rng.choice(["near", "water", "today"], rng.integers(0, 3))]))
        _write(os.path.join(folder, "text", f"{part}.txt"), lines)
    photo_world.write_encoder(os.path.join(folder, "encoder.npz"))
    for i in range(2):
        np.save(os.path.join(folder, f"vectors_{i}.npy"), rng.normal(size=(len(names), 1 + i, 512)))


def _write(path, lines):
    with open(path, "w") as file:
        file.writelines(line + "\n" for line in lines)
