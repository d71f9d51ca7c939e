"""Every command that an error suggests: its module is there, it takes these flags, and it has all that it needs."""

import dataclasses
import importlib.util
import json
import os
import re
import shlex

import pytest

import cli
from formats import made_by
from tests.cases import suggestions
from training import rankings, run_directory

ROOT = suggestions.ROOT
REQUIRED = {  # what a command cannot do without, beside what has a default that is of use
    "preprocessing.extract_descriptions": ("data_dir", "input"),
    "preprocessing.process_descriptions": ("data_dir", "new_dict"),
    "preprocessing.detect_objects": ("data_dir", "image_dir", "detector"),
    "preprocessing.process_images": ("data_dir", "image_dir", "dataset"),
    "preprocessing.extract_features": ("data_dir", "encoder"),
    "preprocessing.import_features": ("data_dir", "features"),
    "preprocessing.train_captions": ("data_dir", "dataset"),
    "preprocessing.records": ("index",),
    "initialization.neighbour_features": ("data_dir", "output_dir"),
    "initialization.fit_captions": ("data_dir",),
    "initialization.retrieve_captions": ("data_dir",),
    "initialization.gen_obj2sen_caption": ("data_dir", "job_dir"),
    "evaluation.untrained": ("data_dir",),
    "eval_val": ("job_dir",),
    "eval_test": ("job_dir",),
    "caption": ("job_dir",),
    "train": ("data_dir", "job_dir"),
}
ELSEWHERE = {"nltk.downloader", "pycocoevalcap.spice.get_stanford_models"}  # commands of other packages
FOUND = [
    (f"{name}:{line}", module, tuple(arguments))
    for name, tree in suggestions.sources()
    for line, text in suggestions.texts(tree)
    for module, arguments in suggestions.commands(text)
    if module != suggestions.VALUE and not suggestions.PROGRAM.fullmatch(text)  # which is put together elsewhere
]


def check(module, arguments):
    """A command that a text suggests can be given."""
    options_class, recipes = suggestions.command_lines()[module]
    if "--help" in arguments:
        return
    given = [argument for argument in arguments if argument.startswith("--")]
    names = {argument.removeprefix("--").partition("=")[0] for argument in given}
    if "recipe" not in names:
        assert names >= set(REQUIRED.get(module, ())), (module, arguments)
    cli.parse(options_class, list(arguments), recipes)


def test_suggestions_are_found():
    assert len(FOUND) > 9 and {"eval_val", "caption"} <= {"eval_val", *(module for _, module, _ in FOUND)}
    text = "no. Make it: `python -m a.b --data_dir VALUE --new_dict`, or python eval_val.py --job_dir RUN and so on"
    assert list(suggestions.commands(text)) == [
        ("a.b", ["--data_dir", "VALUE", "--new_dict"]),
        ("eval_val", ["--job_dir", "RUN"]),
    ]


@pytest.mark.parametrize("place, module, arguments", FOUND, ids=[place for place, _, _ in FOUND])
def test_a_suggested_command_can_be_given(place, module, arguments):
    if module in ELSEWHERE:
        assert importlib.util.find_spec(module)
    elif arguments or module in REQUIRED:
        check(module, arguments)
    else:
        assert module in suggestions.command_lines()


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("name", made_by.OUTPUTS)
def test_the_command_of_an_output_can_be_given(tmp_path, name, again):
    for data_dir in ("data/mine", str(tmp_path / "with blanks and 'quotes'"), "."):
        for line in made_by.command(data_dir, name, again).split(" && "):
            _, _, module, *arguments = shlex.split(line)
            check(module, arguments)
            assert again == ("--overwrite" in arguments)
            assert {data_dir, made_by.derived(data_dir)} & set(arguments)


def every_flag():
    """Names of the flags of all commands, with and without `no`, and of scripts/*.sh."""
    scripts = [path.read_text() for path in ROOT.glob("scripts/*.sh")]
    names = {name for text in scripts for name in re.findall(r"--(\w+)(?=\)| \|)", text)}
    for options_class, recipes in suggestions.command_lines().values():
        names |= {item.name for item in dataclasses.fields(options_class)} | ({"recipe"} if recipes else set())
    return names | {f"no{name}" for name in names} | {"help"}


# Of pip, curl, git, Apache Beam's runners, Dask and XLA.
OTHERS = {"data", "flink_master", "parallelism", "tf_xla_cpu_global_jit", "no", "upgrade", "nworkers", "nthreads"}
OTHERS |= {"short", "porcelain", "untracked"}


def test_every_flag_that_is_mentioned_exists():
    known = every_flag() | OTHERS
    for name, tree in suggestions.sources():
        for line, text in suggestions.texts(tree):
            for flag in re.findall(r"(?<![\w-])--([a-z]\w+)", text) if ":root" not in text else ():  # style sheets
                assert flag in known or suggestions.VALUE in flag, f"{name}:{line}: --{flag}"


def test_every_file_that_is_mentioned_exists():
    """Scripts, pages and requirements that a text names."""
    ours = r"(?<![\w/{}.])((?:scripts|docs|preprocessing|evaluation)/[\w/]+\.(?:sh|md|py))"
    for name, tree in suggestions.sources():
        for line, text in suggestions.texts(tree):
            for path in re.findall(ours, text):
                assert (ROOT / path).is_file(), f"{name}:{line}: {path}"
            for path in re.findall(r"requirements[\w-]*\.txt", text):
                assert (ROOT / path).is_file(), f"{name}:{line}: {path}"
            for path in re.findall(r"(?<![\w/{}])(\w+\.py)(?= --|,? (?:then|and) )", text):
                assert (ROOT / path).is_file() or "VALUE" in path, f"{name}:{line}: {path}"


def test_packages_are_those_of_the_requirements():
    pinned = "\n".join(path.read_text() for path in ROOT.glob("requirements*.txt"))
    found = [
        package
        for _, tree in suggestions.sources()
        for _, text in suggestions.texts(tree)
        for several in re.findall(r"pip install ((?!-r)[^)`:,;]+)", text)
        for package in several.replace('"', "").split()
    ]
    assert len(found) > 3
    for package in found:
        assert re.split("[=<]", package)[0] in pinned and ("==" not in package or package in pinned), package


# --------------------------------------------------------------------------------------------------------------
# The command of an output that is there is the one that made it


IMAGES = "python -m preprocessing.process_images"


def describe(folder, name, command):
    """A sidecar that says by which command an output was made."""
    folder.mkdir(exist_ok=True)
    (folder / made_by.OUTPUTS[name].described_by).write_text(json.dumps({"command": command}))


def test_what_a_sidecar_says_is_advised(tmp_path):
    data = tmp_path / "data"
    describe(data, "image_val", f"{IMAGES} --data_dir=old --image_dir 'my photos' --dataset x:y")
    command = f"{IMAGES} --data_dir {data} --image_dir 'my photos' --dataset x:y"
    assert made_by.command(data, "image_val") == made_by.command(data, "refs_val") == command
    assert made_by.command(data, "image_val", again=True) == f"{command} --overwrite"
    changed = made_by.command(data, "image_val", store_images=True, image_dir="elsewhere", exif=False)
    words = ["--data_dir", str(data), "--store_images", "--image_dir", "elsewhere", "--noexif", "--dataset", "x:y"]
    assert shlex.split(changed)[3:] == words
    describe(data, "image_val", f"{IMAGES} --nostore_images --exif --dataset x:y --overwrite")
    changed = made_by.command(data, "image_val", again=True, store_images=True, exif=False)
    words = ["--data_dir", str(data), "--store_images", "--noexif", "--dataset", "x:y", "--overwrite"]
    assert shlex.split(changed)[3:] == words
    describe(data, "features_val", "python -m preprocessing.import_features --features v.npy")
    assert "preprocessing.import_features --data_dir" in made_by.command(data, "features_val")


@pytest.mark.parametrize(
    "command",
    [
        "python -m os; rm -rf /",
        "python -m preprocessing.detect_objects --detector x",
        "pytest tests",
        "python -m preprocessing.process_images 'unended",
        ["python"],
        None,
        "",
        "python -m",
    ],
)
def test_what_no_stage_wrote_is_not_advised(tmp_path, command):
    describe(tmp_path / "data", "image_val", command)
    advised = made_by.command(tmp_path / "data", "image_val")
    assert advised.endswith("--image_dir PHOTOGRAPHS --dataset KIND:DIR")


def test_shell_words_of_a_sidecar_are_quoted(tmp_path):
    describe(tmp_path / "data", "image_val", "python -m preprocessing.process_images --dataset 'a:$(rm x)' '&&' rm x")
    assert "'a:$(rm x)' '&&' rm x" in made_by.command(tmp_path / "data", "image_val")


def test_a_folder_of_caption_embeddings_names_the_folder_that_it_comes_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    describe(tmp_path / "mine", "image_val", f"{IMAGES} --data_dir mine --image_dir p --dataset x:y")
    derived = tmp_path / "mine_expected"
    derived.mkdir()
    command = "python -m initialization.neighbour_features --data_dir mine --output_dir x --dim 8"  # its old name
    (derived / "neighbours.json").write_text(json.dumps({"source": "../mine", "command": command}))
    link = "python -m initialization.predict_caption_embeddings --data_dir mine --output_dir mine_expected --dim 8"
    images = f"{IMAGES} --data_dir mine --image_dir p --dataset x:y --overwrite"
    assert made_by.command("mine_expected", "image_val", again=True) == f"{images} && {link} --overwrite"
    assert made_by.command("mine_expected", "image_val") == link  # it is there, and only to be linked
    assert made_by.command("mine_expected", "features_val", again=True) == f"{link} --overwrite"
    assert made_by.command("mine_expected", "fit_captions") == (
        "python -m initialization.assign_captions --data_dir mine_expected"
    )
    (derived / "neighbours.json").rename(derived / "features_val.json")  # lost, but the features tell the source
    assert made_by.source_of("mine_expected") == "mine"
    assert made_by.command("mine_expected", "neighbours") == (
        "python -m initialization.predict_caption_embeddings --data_dir mine --output_dir mine_expected --dim 8"
    )
    (derived / "features_val.json").rename(derived / "neighbours.json")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "link").symlink_to(derived)
    assert made_by.source_of("deep/er/link") == str(tmp_path / "mine")


# --------------------------------------------------------------------------------------------------------------
# Runs


def a_run(folder, **settings):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"stage": "FullModel", "settings": settings, "facts": {}}))


def test_another_decoding_is_ranked_by_its_own_command(tmp_path):
    a_run(tmp_path / "run")
    (tmp_path / "run" / "greedy").mkdir()
    for folder, command in [
        ("run", f"python eval_val.py --job_dir {tmp_path}/run"),
        ("run/", f"python eval_val.py --job_dir {tmp_path}/run/"),
        ("run/greedy", f"python eval_val.py --job_dir {tmp_path}/run --decode greedy"),
    ]:
        with pytest.raises(cli.UserError) as caught:
            rankings.best_step(f"{tmp_path}/{folder}")
        assert f"`{command}` writes it" in str(caught.value)
        check("eval_val", command.split()[2:])


def test_a_folder_that_is_no_run_leads_to_one(tmp_path, monkeypatch):
    a_run(tmp_path / "runs" / "full")
    (tmp_path / "runs" / "full" / "greedy").mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    for job_dir, message in [
        ("runs/full/greedy", "the run is --job_dir runs/full"),
        ("runs/full/ckpt-8", "the run is --job_dir runs/full"),
        ("runs", "the runs in it are runs/full"),
        ("empty", "train one, for example by python train.py --recipe miniature/full --data_dir DATA --job_dir empty"),
        ("none", "--job_dir none"),
    ]:
        with pytest.raises(cli.UserError, match=f"{job_dir}: not a run directory .*; .*{message}"):
            run_directory.read_config(job_dir)


def test_the_data_folder_of_a_run_is_found_where_it_was_trained(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "data" / "mine").mkdir(parents=True)
    a_run(project / "runs" / "full", data_dir="data/mine", job_dir="runs/full")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for job_dir in ("../project/runs/full", "../project/runs/full/", str(project / "runs" / "full")):
        assert os.path.samefile(run_directory.data_dir_of(job_dir), project / "data" / "mine")
    (tmp_path / "elsewhere" / "data" / "mine").mkdir(parents=True)
    assert run_directory.data_dir_of("../project/runs/full") == "data/mine"
    os.rename(project / "data" / "mine", project / "data" / "other")
    os.rename(tmp_path / "elsewhere" / "data", tmp_path / "elsewhere" / "gone")
    with pytest.raises(
        cli.UserError, match="data/mine: the data folder that .* was trained on is not there; give --data_dir"
    ):
        run_directory.data_dir_of("../project/runs/full")
    a_run(project / "runs" / "odd", data_dir=None, job_dir="runs/odd")
    with pytest.raises(cli.UserError, match="give --data_dir"):
        run_directory.data_dir_of(str(project / "runs" / "odd"))
