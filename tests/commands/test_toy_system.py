"""A copy of docs/examples/toy_system outside of the repository trains, resumes, captions, is scored and served."""

import importlib
import json
import os
import shutil
import subprocess
import sys

import pytest

import caption
import cli
import eval_test
import eval_val
import registry
from evaluation import report
from tests import given_world, tiny_runs
from web import showing

EXAMPLE = tiny_runs.ROOT / "docs" / "examples" / "toy_system"
SMALL = "--emb_dim=16 --batch_size=8 --steps_per_loop=10 --save_summary_steps=50 --keep_prob=1 --lr=0.02".split()
WORDS = [*SMALL, "--max_steps=300", "--save_checkpoint_steps=300"]
PICTURES = [*SMALL, "--max_steps=100", "--save_checkpoint_steps=50", "--eval_images=6", "--max_caption_length=8"]


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """Makes a folder with a copy of the package, which all processes of this test find by PYTHONPATH only."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(EXAMPLE, folder / "toy_system", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.syspath_prepend(folder)
        patch.setattr(registry, "SYSTEMS", dict(registry.SYSTEMS))
        yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_system"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def world(outside):
    """Returns given_world.World with photographs, and its data folder with a feature bank."""
    made = given_world.make(outside / "world")
    spec = f"compact:{given_world.write_encoder(str(outside / 'encoder.npz'))}"
    return made, given_world.with_features(made, "bank", spec)


def command(*words):
    """Runs `python WORDS` from the root; returns (exit code, output)."""
    done = subprocess.run([sys.executable, *words], cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def train(name, *flags):
    """Trains a stage of the toy system in this process, with its own settings."""
    module, settings = (importlib.import_module(f"toy_system.{part}") for part in (name, "settings"))
    options_class = {"words": settings.ToyWords, "pictures": settings.ToyPictures}[name]
    module.main(cli.parse(options_class, flags))


@pytest.fixture(scope="module")
def runs(outside, world):
    """Trains the run of each stage: the first by its command, the second by its function."""
    data = f"--data_dir={world[1]}"
    code, text = command("-m", "toy_system.words", data, f"--job_dir={outside}/words", *WORDS)
    assert code == 0, text
    train("pictures", data, f"--job_dir={outside}/pictures", f"--start_ckpt={outside}/words", *PICTURES)
    return outside / "words", outside / "pictures"


def test_it_learns(runs):
    """The loss of each stage falls; the second stage is initialised from the first."""
    first, *_, last = [entry for entry in tiny_runs.entries(runs[0]) if "loss" in entry]
    assert last["loss"] < 0.8 * first["loss"]
    first, *_, last = [entry for entry in tiny_runs.entries(runs[1]) if "loss" in entry]
    assert last["loss"] < 0.8 * first["loss"]
    (started,) = json.loads((runs[1] / "started_from.json").read_text()).values()
    assert started["chosen"] == "minimum validation loss" and "Generator/embedding" in started["variables"]
    words, pictures = tiny_runs.tensors(runs[0], 300), tiny_runs.tensors(runs[1], 100)
    key = "generator/embedding/.ATTRIBUTES/VARIABLE_VALUE"
    assert (words[key] == pictures[key]).all()


def test_a_stopped_run_goes_on_to_the_same_bits(outside, world, runs):
    flags = [f"--data_dir={world[1]}", f"--job_dir={outside}/parts", f"--start_ckpt={outside}/words", *PICTURES]
    for steps in (50, 100):
        train("pictures", *flags, f"--max_steps={steps}")
    tiny_runs.assert_same_runs(runs[1], outside / "parts", 100)


def test_it_captions_where_the_command_line_names_it(outside, world, runs):
    words = ["caption.py", f"--job_dir={runs[1]}", f"--output={outside}/captions.json", *world[0].val_files]
    code, text = command(*words)
    assert code == 1 and "no stage 'ToyPictures'" in text and "--system" in text and "Traceback" not in text
    code, text = command(*words, "--system=toy_system")
    assert code == 0, text
    found = [entry["caption"] for entry in json.loads((outside / "captions.json").read_text())]
    assert len(found) == given_world.VAL
    assert {"a dog sleeps on the grass", "a cat sleeps on the grass"} <= set(found) or len(set(found)) > 2


def test_it_is_scored_and_reported(outside, world, runs):
    flags = [f"--job_dir={runs[1]}", "--system=toy_system", "--metrics=BLEU,CIDEr", f"--table={outside}/table.json"]
    eval_val.main(cli.parse(eval_val.Options, flags))
    assert int(json.loads((runs[1] / "b34.json").read_text())[-1][0]) in (50, 100)
    eval_test.main(cli.parse(eval_test.Options, [*flags, "--split=val", "--report"]))
    (row,) = json.loads((outside / "table.json").read_text())
    assert row["row"] == "pictures" and row["images"] == given_world.VAL and row["BLEU-1"] > 0
    assert "ToyPictures" in (runs[1] / "report.html").read_text()
    both = [f"--output={outside}/both.html", "--system=toy_system", *map(str, runs[::-1])]
    report.main(cli.parse(report.Options, both))
    assert "ToyWords" in (outside / "both.html").read_text()


def test_the_page_answers_with_it(world, runs):
    shown = showing.Shown(str(runs[1]), "best")
    answer = shown.answer(world[0].val_files[0])
    assert answer.hypotheses[0].text and len(answer.hypotheses) == 3


@pytest.mark.slow
def test_serve_opens_it(world, runs):
    pytest.importorskip("gradio", reason="gradio is not installed: pip install -r requirements-serve.txt")
    words = [sys.executable, "serve.py", f"--job_dir={runs[1]}", "--system=toy_system", "--port=0"]
    process = subprocess.Popen(words, cwd=tiny_runs.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline()
        assert "http://127.0.0.1:" in address
        answer = subprocess.run(
            ["curl", "-s", "--data-binary", f"@{world[0].val_files[0]}", address.split()[-1] + "/caption?beam=3"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert json.loads(answer.stdout)["runs"][0]["run"] == "pictures"
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_packages_that_cannot_be_used(outside, runs):
    (outside / "broken_system.py").write_text("1 / 0\n")
    (outside / "second_system.py").write_text(
        "import registry\nregistry.add(registry.System('FullModel', 'second_system:Other'))\n"
    )
    for name, message in [
        ("no_such_system", "No module named 'no_such_system'.*PYTHONPATH"),
        ("broken_system", "ZeroDivisionError"),
        ("second_system", "the stage 'FullModel' exists already"),
    ]:
        with pytest.raises(cli.UserError, match=f"--system {name}: .*{message}"):
            caption.check(cli.parse(caption.Options, [f"--job_dir={runs[1]}", f"--system={name}", os.devnull]))
