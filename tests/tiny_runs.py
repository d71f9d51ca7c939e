"""Short runs on the tiny world: settings, commands, and the content of run directories."""

import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys

import numpy as np
import tensorflow as tf

import cli
import config
from training import checkpoints

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHORT = {
    "batch_size": 8,
    "emb_dim": 8,
    "mem_dim": 8,
    "max_steps": 24,
    "steps_per_loop": 4,
    "save_summary_steps": 4,
    "save_checkpoint_steps": 8,
}
FULL = {"max_caption_length": 8, "eval_images": 6, "standardise": True, "gen_lr": 1e-3, "dis_lr": 1e-3}


def full(data_dir, job_dir, **changes):
    """Returns the settings of a short run of the full model."""
    return config.FullModel(data_dir=str(data_dir), job_dir=str(job_dir), **{**SHORT, **FULL, **changes})


def flags(options):
    """Returns the flags that give these settings."""
    defaults = type(options)()
    names = [item.name for item in dataclasses.fields(options)]
    changed = [name for name in names if getattr(options, name) != getattr(defaults, name)]
    return [flag for name in changed for flag in shlex.split(" ".join(cli.as_flags(options, name)))]


STARTED = []


def start(arguments, environment=None, program=sys.executable):
    """Starts a process in the root of the repository, with its standard error in a pipe; returns it."""
    process = subprocess.Popen(
        [program, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def stop_all():
    """Kills all processes that a test started and that still run, with their children."""
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def finish(process, seconds=600):
    """Waits for a process; returns (exit code, standard error). Kills it after `seconds`."""
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        errors += f"\nkilled after {seconds} s"
    return process.returncode, errors


def tensors(job_dir, step):
    """Returns dict name -> array of everything in a checkpoint: variables, optimizer slots, statistics."""
    reader = tf.train.load_checkpoint(checkpoints.prefix_of(str(job_dir), step))
    names = [name for name in reader.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    return {name: reader.get_tensor(name) for name in names}


def metrics(job_dir):
    """Returns the text of metrics.jsonl."""
    return (pathlib.Path(job_dir) / "metrics.jsonl").read_text()


def entries(job_dir):
    """Returns the entries of metrics.jsonl."""
    return [json.loads(line) for line in metrics(job_dir).splitlines()]


def assert_same_runs(first, second, step):
    """Asserts that variables, slots and metrics of two runs are bitwise equal."""
    ours, theirs = tensors(first, step), tensors(second, step)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), name
    assert metrics(first) == metrics(second)
