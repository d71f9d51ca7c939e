"""documented_commands, run: what README and the manual print, page by page, each in a copy of one small world.

The world is what `scripts/demo.sh --baselines` makes, with smaller numbers (SMALLER), the data folders that README's
block on own photographs makes, and files of the names that pages use for the reader's own. Commands that need real
data, a download or hours are only parsed (test_documented_commands.py); NOT_RUN says which.
"""

import dataclasses
import glob
import itertools
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import cli
from tests.cases import own_photographs
from tests.docs import printed_commands
from tests.docs.printed_commands import PAGE, PAGES, ROOT
from tests.docs.test_documented_commands import handed_over, root_of
from tests.scripts import dry_run

pytestmark = pytest.mark.slow

SMALLER = {  # added where a command has such a setting
    **{"train_images": 24, "val_images": 12, "test_images": 12, "encoder_images": 48, "encoder_epochs": 1},
    **{"max_steps": 2, "steps_per_loop": 1, "save_checkpoint_steps": 2, "save_summary_steps": 2, "eval_images": 4},
    **{"lr_decay_steps": 2, "scst_from": 1, "stage_steps": "2,2,2,2,2", "stage_save": "2,2,2,2,2"},
    **{"batch_size": 4, "emb_dim": 8, "mem_dim": 8, "cell_dim": 4, "attention_units": 4},
    **{"sentences": 300, "candidates": 100, "mixed": 20, "crops": 1, "min_word_count": 1},
    **{"processes": 1, "metrics": "BLEU", "overwrite": True, "word_map": False},
}
# So that they name objects: later commands read their captions.
LONGER = {"max_steps": 400, "lr_decay_steps": 400, "save_checkpoint_steps": 400, "scst_from": 400, "lr": 0.01}
LONGER |= {"batch_size": 24, "emb_dim": 32, "mem_dim": 32, "cell_dim": 8}
LONG = ("initialization.obj2sen", "baselines.show_attend_tell")
NOT_RUN = {
    r"^-m (tests\.|pytest|scripts\.(benchmark|golden_losses|download|uic_cost))": "takes long, or needs the network",
    r"^-m (venv|pip|mkdocs|pycocoevalcap)": "is another program",
    r"^-m evaluation\.results": "needs the archive; tests/evaluation/test_results.py runs it",
    r"^serve\.py": "serves until it is ended; tests/web/test_serve.py starts it",
    r"downloads/|data/coco|runs/uic|captions_val2014|dataset_coco": "needs data that are downloaded",
    r"^-m evaluation\.confidence|--min_confidence": "needs 20 validation images; tests/evaluation/test_confidence.py",
    r"--hierarchy": "needs the files of Open Images",
    r"compact:encoder\.npz": "needs an encoder of the reader's; tests/commands/test_train_encoder.py",
    r"^-c ": "is no command of this program",
    r"--runner": "needs a cluster or requirements-beam.txt",
    r"export_coco --captions captions\.json": "needs photographs of COCO, whose names have numbers",
}
# Placeholders of pages; no beam is larger than the small world's dictionary.
OWN = {"D": "data/own", "RUN": "runs/own", "beam60": "beam20"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The folder in which the pages' commands are run, with demo.sh's data/miniature and runs/demo."""
    folder = tmp_path_factory.mktemp("world")
    own_photographs.make(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for call in printed_commands.calls(tmp_path_factory.mktemp("shell"), "scripts/demo.sh --baselines"):
            run(call)
        _files_of_the_reader(folder)
        calls = printed_commands.calls(tmp_path_factory.mktemp("block"), own_photographs.block())
        for call in itertools.takewhile(lambda call: "initialization.im_caption" not in call.words, calls):
            run(call)
    return folder


def _files_of_the_reader(folder):
    """Makes the files that pages name as the reader's own."""
    images = folder / "data" / "miniature" / "raw" / "images"
    shutil.copy(images / "test_00000.jpg", folder / "photo.jpg")
    shutil.copytree(images, folder / "photos")
    names = sorted(path.name for path in images.iterdir())
    lines = ["image,split,caption", *(f"{name},{name.partition('_')[0]},a dog" for name in names)]
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    photographs = sorted(path.name for path in (folder / "mine" / "photos").iterdir())
    np.save(folder / "vectors.npy", np.ones((len(photographs), 4), np.float32))
    (folder / "vectors.txt").write_text("\n".join(photographs) + "\n")
    shutil.copytree(folder / "data" / "miniature", folder / OWN["D"])


def run(call):
    """Runs a call of Python in this process, made smaller; the working folder is the world."""
    words = [found for word in call.words for found in sorted(glob.glob(word)) or [word]]  # as the shell does
    module, arguments = dry_run.split([OWN.get(word, word) for word in words])
    options_class, recipes = handed_over(module, root_of(module, call.path))
    fields = {item.name: item for item in dataclasses.fields(options_class)}
    values = SMALLER | (LONGER if module in LONG else {})
    smaller = [f"--{name}={value}" for name, value in values.items() if name in fields]
    if call.path:  # a system from outside registers itself: in a process of its own
        paths = os.pathsep.join(str(ROOT / part) for part in call.path.split(":"))
        command = [sys.executable, *call.words, *smaller]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True)
        assert done.returncode == 0, f"{call}: {done.stderr[-2000:]}"
        return
    main = dry_run.handed_over(module)[0]
    assert main(cli.parse(options_class, [*arguments, *smaller], recipes)) in (None, 0), call


def commands_of(page, folder):
    """Returns the calls of a page's blocks, in order, that are to be run; makes the links that a block makes."""
    found = []
    for block in printed_commands.blocks(page.read_text()):
        if links := "\n".join(re.findall(r"^(?:mkdir .*|for .* ln .*)$", block, re.M)):
            subprocess.run(["bash", "-euc", links], check=True)
        calls = printed_commands.calls(folder, block)
        found += [call for call in calls if call.script == PAGE and call.program.startswith("python")]
    return [call for call in found if not any(re.search(known, " ".join(call.words)) for known in NOT_RUN)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run(page, world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shutil.copytree(world, tmp_path / "world", symlinks=True))
    (tmp_path / "shell").mkdir()
    for call in commands_of(page, tmp_path / "shell"):
        try:
            run(call)
        except (cli.UserError, OSError) as error:
            raise AssertionError(f"{call}: {error}") from error
