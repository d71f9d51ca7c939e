"""Reports what a data folder contains, what is missing, which command makes it, and whether the machine suffices.

    python -m scripts.doctor --data_dir data/coco --recipe coco_shutterstock/full --job_dir runs/full
    python -m scripts.doctor                                                  # all data folders in data/

Compares every output with its sidecar: sizes, numbers of records, sha256. Exit code 1 when a file that the recipe
(default: the full model) needs is missing, or any file is damaged.
"""

import dataclasses
import importlib.util
import os
import sys

import cli
import config
import experiments
import reward_list
from formats import inventory, made_by
from scripts import uic_cost


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.doctor."""

    data_dir: str = cli.field("", "folder that all stages share; empty: each one in data/")
    recipe: str = cli.field("", "what will be trained, EXPERIMENT/ROW of configs/; empty: the full model")
    job_dir: str = cli.field("runs/run", "run directory to be made; only the free space of its disk is checked")
    checksums: bool = cli.field(True, "compare sha256 as well; --nochecksums is quick, but finds only truncated files")
    devices: bool = cli.field(True, "look for graphics cards, which loads TensorFlow")


# --------------------------------------------------------------------------------------------------------------
# What a recipe needs

DATA = "data"
TEXT = ("dictionary", "sentence")
SCORING = ("image_val", "refs_val", "features_val")


def needed(settings):
    """Returns the data files that a recipe needs: (names read by training, names read by scoring), two tuples of str.

    The names are keys of formats.made_by.OUTPUTS. Args: settings: of the trainer, e.g. a config.FullModel.
    """
    if not hasattr(settings, "images") and not hasattr(settings, "captions"):  # the trainers that only read sentences
        if isinstance(settings, (config.ObjectToSentence, config.SentenceAutoEncoder, config.SentenceGan)):
            return TEXT, ()
    from_records = getattr(settings, "images", "auto") == "records" or getattr(settings, "inc_ckpt", None)
    pictures = ("image_train",) if from_records else ("image_train", "features_train")
    captions = getattr(settings, "captions", None)
    if captions is None:
        rewards = reward_list.needs(settings) if isinstance(settings, config.FullModel) else ()
        return (*TEXT, *pictures, *rewards), SCORING
    stems = {"obj2sen": "obj2sen_captions", "retrieved": "retrieved_captions", "fit": "fit_captions"}
    stem = stems.get(captions)
    return ("dictionary", *pictures, *([stem] if stem else [])), SCORING


def missing_files(settings):
    """Returns the runs and checkpoints that the recipe names and that do not exist: list of (setting's name, path).

    Args: settings: of the trainer, e.g. a config.FullModel.
    """
    flags = ("inc_ckpt", "imcap_ckpt", "sae_ckpt", "o2s_ckpt")
    given = [(flag, getattr(settings, flag, None)) for flag in flags]
    return [
        (flag, path)
        for flag, path in given
        if path and not os.path.exists(path) and not os.path.exists(f"{path}.index")
    ]


def to_make(wanted, findings):
    """Returns the outputs that have to be made to get the wanted ones: list of names in the order of the stages.

    These are the wanted ones that are missing, unfinished or damaged, their inputs in one of these states, and so on.

    Args: wanted: iterable of names of outputs. findings: dict name -> inventory.Finding, for all outputs.
    """
    names, todo = set(), [name for name in wanted if findings[name].status not in ("there", "unchecked")]
    while todo:
        name = todo.pop()
        if name not in names:
            names.add(name)
            below = inventory.OUTPUTS[name].needs
            todo += [other for other in below if findings[other].status not in ("there", "unchecked")]
    return [name for name in inventory.OUTPUTS if name in names]


# --------------------------------------------------------------------------------------------------------------
# The machine


PAPER = {"coco_shutterstock": "bank", "coco_shutterstock_in_step": "records"}  # estimated by uic_cost, --images


def estimate(data_dir, settings, words):
    """Estimates what training needs: (GB of disk beyond what exists, GB of memory).

    Checkpoints hold two word matrices and two LSTMs with both moments of Adam, float32. The corpus is in memory as
    ragged ids, about as large as its records; feature banks are memory-mapped.

    Args: data_dir: data folder. settings: e.g. config.FullModel. words: size of the vocabulary.
    """
    experiment = (settings.recipe or "").partition("/")[0]
    if experiment in PAPER:
        data, runs, memory = uic_cost.needs(uic_cost.Options(images=PAPER[experiment]))
        return max(0.0, data - _size(data_dir) / 1e9) + runs, memory
    width = settings.emb_dim
    parameters = 2 * (words * (width + 1) + 8 * width * width)
    kept = min(settings.keep_checkpoints, settings.max_steps // settings.save_checkpoint_steps + 1)
    paths = inventory.paths_of(data_dir, inventory.OUTPUTS["sentence"])
    records = sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
    activations = 4 * settings.batch_size * 20 * words * 4 / 1e9  # logits of 20 words a caption, and their gradients
    return kept * parameters * 12 / 1e9 + 0.1, 1.5 + 2 * records / 1e9 + activations


def _size(folder):
    """Returns the bytes of all files below a folder."""
    paths = (os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))


def machine(options, settings, words):
    """Yields (whether it suffices, line of the report) for the disks of --data_dir and --job_dir, and for the memory.

    Args: options: Options. settings: of the trainer, e.g. config.FullModel. words: size of the vocabulary.
    """
    disk, memory = estimate(options.data_dir, settings, words)
    for path in (options.data_dir, options.job_dir):
        free, _ = uic_cost.free_disk(path)
        yield free >= disk, f"disk      {free:.1f} GB free at {path}, about {disk:.1f} GB needed (estimate)"
    there = uic_cost.memory()
    yield there >= memory, f"memory    {there:.1f} GB, about {memory:.1f} GB needed (estimate)"


# First patch release of each Python whose tarfile does not hang on a member of negative size (CVE-2025-8194).
TARFILE_MENDED = {(3, 11): 14, (3, 12): 12, (3, 13): 6}


def python(version):
    """Returns (whether this Python has the fix of tarfile for CVE-2025-8194, line of the report).

    Args: version: (major, minor, patch).
    """
    mended = TARFILE_MENDED.get(version[:2], 0)
    line = f"Python    {'.'.join(map(str, version))}"
    if version[2] >= mended:
        return True, line
    mend = f"install {version[0]}.{version[1]}.{mended} or later"
    return False, f"{line}: its tarfile can hang on a damaged archive (CVE-2025-8194), {mend}"


def tools(options):
    """Yields (whether it is installed, line of the report) for optional tools: Java, SPICE, TF-Hub, engines, GPU.

    Args: options: Options; a GPU is looked for only with --devices.
    """
    from evaluation.metrics import java, spice

    try:
        runtime = java.find_java()
        yield True, f"Java      {runtime.version} ({runtime.path}): METEOR and the PTB tokenizer can run"
    except java.JavaError as error:
        yield (
            False,
            f"Java      {error}; without it METEOR and SPICE are null, and captions are tokenized by ptb-python",
        )
    absent = spice.missing_jars()
    yield (
        not absent,
        "SPICE     " + (f"{len(absent)} jars missing: the SPICE column is null" if absent else "jars there"),
    )
    missing = [name for name in ("tensorflow_hub", "tf_keras", "pkg_resources") if not importlib.util.find_spec(name)]
    mend = 'pip install tensorflow-hub==0.16.1 tf-keras==2.21.0 "setuptools<81"'
    yield (
        not missing,
        "Hub       " + (f"{', '.join(missing)} missing, for hub: detectors: {mend}" if missing else "there"),
    )
    for name, module, mend in (
        ("Beam", "apache_beam", "pip install -r requirements-beam.txt"),
        ("Dask", "distributed", "pip install -r requirements-dask.txt"),
        ("Spark", "pyspark", "pip install -r requirements-spark.txt"),
    ):
        there = importlib.util.find_spec(module) is not None
        yield there, f"{name:10}" + ("there" if there else f"missing, for --runner: {mend}")
    if options.devices:
        import tensorflow as tf

        cards = tf.config.list_physical_devices("GPU")
        yield bool(cards), f"GPU       {len(cards) or 'none'}" + ("" if cards else ": everything runs on the CPU")


# --------------------------------------------------------------------------------------------------------------
# The report


def checked(data_dir, output, checksums):
    """Returns the state of an output's files as inventory.Finding; "damaged" if the check itself fails.

    Args: data_dir: data folder. output: formats.made_by.Output. checksums: whether to compare sha256.
    """
    try:
        return inventory.check(data_dir, output, checksums)
    except Exception as error:
        return inventory.Finding("damaged", f"{output.name} cannot be checked ({type(error).__name__}: {error})")


def misfits(data_dir):
    """Returns the outputs that do not fit others of the folder: list of (name, fault, command that mends it), all str.

    The list is empty, with a printed note, if a file is too damaged for this check.
    """
    try:
        return inventory.misfits(data_dir)
    except Exception as error:
        print(f"  cannot check whether the outputs fit together ({type(error).__name__}: {error})")
        return []


def report_outputs(options, training, scoring):
    """Prints the state of every output, and the commands that make missing or damaged ones.

    Args: options: Options. training, scoring: tuples from `needed`.
    Returns: (dict name of an output -> inventory.Finding, bool: whether all that training needs exists and every output
      of the folder is undamaged and fits the others).
    """
    findings, well = {}, True
    for name, output in cli.progress(inventory.OUTPUTS.items(), "checking", len(inventory.OUTPUTS)):
        findings[name] = checked(options.data_dir, output, options.checksums)
    wrong, mends = {}, {}
    for name, text, command in misfits(options.data_dir):
        wrong.setdefault(name, text)
        mends.setdefault(name, command)
    missing = to_make(training + scoring, findings)
    for name, finding in findings.items():
        status, details = finding.status, finding.details
        if status in ("there", "unchecked") and name in wrong:
            status, details = "DOES NOT FIT", wrong[name]
        elif status == "damaged":
            status = "DAMAGED"
        elif status in ("missing", "unfinished") and name not in missing:
            status, details = "absent", "not needed here" if status == "missing" else details
        well &= status not in ("DOES NOT FIT", "DAMAGED")
        print(f"  {name:20}{status:14}{details}")
    again = [name for name in findings if name in wrong or findings[name].status == "damaged"]
    commands = {name: made_by.command(options.data_dir, name) for name in missing if name not in again}
    _print_commands("to be made", commands)
    commands = {name: made_by.command(options.data_dir, name, again=True) for name in again}
    _print_commands("to be made again", commands | {name: mends[name] for name in again if name in mends})
    for name in to_make(training, findings):
        well &= findings[name].status not in ("missing", "unfinished")
    return findings, well


def _print_commands(heading, commands):
    """Prints commands, each once. Args: commands: dict name of an output -> the command that makes it."""
    if commands:
        print(f"{heading}, in this order:")
    for command in dict.fromkeys(commands.values()):
        made = [name for name in commands if commands[name] == command]
        print(f"  {command}\n      -> {', '.join(made)}")


def data_folders(options):
    """Returns the list of folders to check: --data_dir, else those in data/ that have an output or unfinished work."""
    if options.data_dir:
        return [options.data_dir]
    found = [entry.path for entry in sorted(os.scandir(DATA), key=lambda entry: entry.name) if entry.is_dir()]
    outputs = inventory.OUTPUTS.values()
    holds = [path for path in found if any(_has(path, output) for output in outputs)]
    return holds or [os.path.join(DATA, "default")]


def _has(folder, output):
    """Returns whether a folder has files of an output or unfinished work on it.

    Args: output: formats.made_by.Output.
    """
    return bool(inventory.paths_of(folder, output)) or os.path.isdir(inventory.work_folder(folder, output))


def main(options):
    """Prints the report; returns the exit code: 1 if something needed is missing or a file is damaged, else 0.

    Args: options: Options.
    """
    well = {folder: report(dataclasses.replace(options, data_dir=folder)) for folder in data_folders(options)}
    mended, line = python(tuple(sys.version_info[:3]))
    print(f"  {'ok' if mended else 'WARNING':12}{line}")
    for there, line in tools(options):
        print(f"  {'ok' if there else 'without':12}{line}")
    for folder, is_well in well.items():
        verdict = "all that is needed is there" if is_well else "something is missing or damaged, see above"
        print(f"{folder}: {verdict}" if len(well) > 1 else verdict)
    return 0 if all(well.values()) else 1


def report(options):
    """Prints the report on the data folder options.data_dir; returns True if nothing is missing, damaged or too small.

    Disks and memory are checked as well. Args: options: Options.
    """
    settings = config.FullModel()
    if options.recipe:
        folders = {"data_dir": options.data_dir, "job_dir": options.job_dir}
        settings = dataclasses.replace(experiments.row(options.recipe), **folders)
        settings = experiments.Rows().fill_in(settings, folders, options.recipe)
    training, scoring = needed(settings)
    print(f"{options.data_dir}, for {settings.recipe or 'the full model'}:")
    if not os.path.isdir(options.data_dir):
        found = "a file is there" if os.path.lexists(options.data_dir) else "nothing was made yet"
        print(f"  no such folder: {found}")
    findings, well = report_outputs(options, training, scoring)
    for flag, path in missing_files(settings):
        well = False
        print(f"  --{flag} {path}: not there; train it first, or give another one")
    unscored = [name for name in scoring if findings[name].status in ("missing", "unfinished")]
    if unscored:
        print(f"NOTE: without {', '.join(unscored)} a run is trained, but no checkpoint is scored or chosen")

    if "neighbours" in training and findings["neighbours"].status == "missing":
        where = made_by.derived(options.data_dir)
        print(f"NOTE: this recipe is trained on the folder that predict_caption_embeddings makes: --data_dir {where}")
    print("machine:")
    for enough, line in machine(options, settings, findings["dictionary"].count or 20_000):
        well &= enough
        print(f"  {'ok' if enough else 'TOO LITTLE':12}{line}")
    return well


if __name__ == "__main__":
    cli.run(main, Options)
