"""The initialization stages, struck by signals: the same command ends with the same bits."""

import dataclasses
import signal

import pytest

import config
from baselines.r2m import configuration
from tests import tiny_runs
from tests.initialization.conftest import SMALL
from training.run_directory import read_options

STAGES = {
    "obj2sen": config.ObjectToSentence,
    "sentence_ae": config.SentenceAutoEncoder,
    "sentence_gan": config.SentenceGan,
    "im_caption": config.ImageCaption,
    "r2m": configuration.R2M,
}
STRIKES = [("KILL", "batch:2"), ("TERM", "batch:7"), ("KILL", "save:6"), ("TERM", "batch:13")]


@pytest.fixture(autouse=True)
def no_process_stays_behind():
    yield
    tiny_runs.stop_all()


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_struck_four_times(trained, stage):
    """Killed before the first checkpoint, stopped, killed in a save, stopped again."""
    last = 2 * SMALL["max_steps"]
    module = f"initialization.{stage}"
    if stage == "r2m":  # all its losses at once
        module, options = "baselines.r2m", configuration.R2M(stage="end2end", unroll=12, data_dir=trained.data, **SMALL)
    else:
        options = read_options(getattr(trained, stage), STAGES[stage])
    unbroken = dataclasses.replace(options, job_dir=str(trained.folder / f"{stage}_unbroken"), max_steps=last)
    struck = dataclasses.replace(options, job_dir=str(trained.folder / f"{stage}_struck"), max_steps=last)
    code, errors = tiny_runs.finish(tiny_runs.start(["-m", module, *tiny_runs.flags(unbroken)]))
    assert code == 0, errors
    for name, point in STRIKES:
        command = ["-m", "tests.interrupt", module, name, point, *tiny_runs.flags(struck)]
        code, errors = tiny_runs.finish(tiny_runs.start(command))
        assert code in (75, -signal.SIGKILL), (point, errors)
    code, errors = tiny_runs.finish(tiny_runs.start(["-m", module, *tiny_runs.flags(struck)]))
    assert code == 0, errors
    tiny_runs.assert_same_runs(unbroken.job_dir, struck.job_dir, last)
    best = trained.folder / f"{stage}_unbroken" / "best.json"
    if stage in ("obj2sen", "sentence_ae", "r2m"):
        assert best.read_text() == (trained.folder / f"{stage}_struck" / "best.json").read_text()
