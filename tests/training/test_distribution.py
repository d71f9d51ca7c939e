"""One device, two replicas and two worker processes give the same update; replicas draw different random numbers."""

import json
import os
import signal
import socket
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import cli
import config
from tests import tiny_runs, tiny_world
from tests.training import toy
from tests.training.replicas import CASES, STEPS
from training import checkpoints, distribution

# Counted in the batch of a replica: captions that are unique there may be repeated in the global batch.
PER_REPLICA = ("unique/sample", "unique/greedy")


def cluster(workers):
    """Returns the environment of each worker, on free ports of this machine."""
    sockets = [socket.socket() for _ in range(workers)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}} for i in range(workers)]
    return [{"TF_CONFIG": json.dumps(task)} for task in tasks]


def finish_all(processes, seconds=900):
    """Waits for all processes within a common time limit; returns (exit code, messages) of each."""
    deadline = time.monotonic() + seconds
    return [tiny_runs.finish(process, max(1.0, deadline - time.monotonic())) for process in processes]


# --------------------------------------------------------------------------------------------------------------
# Settings


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'],
)
def test_a_tf_config_that_is_none(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(cli.UserError, match="TF_CONFIG=.*: not a cluster .*; expected"):
        distribution.make_strategy(config.Trainer())


def test_devices_that_are_not_there():
    with pytest.raises(cli.UserError, match="--devices CPU:0,GPU:7: no GPU:7; found CPU:0"):
        distribution.make_strategy(config.Trainer(devices=("CPU:0", "GPU:7")))
    if not tf.config.list_logical_devices("GPU"):
        with pytest.raises(cli.UserError, match="--multi_gpu: TensorFlow finds no GPU"):
            distribution.make_strategy(config.Trainer(multi_gpu=True))


def test_a_batch_that_cannot_be_dealt_out():
    class ThreeReplicas:
        num_replicas_in_sync = 3

    with pytest.raises(cli.UserError, match="--batch_size 64 cannot be divided among 3 devices; 63 can"):
        distribution.Shares(ThreeReplicas(), 64)


def test_one_device_takes_the_batch_as_it_is():
    shares = distribution.Shares(tf.distribute.get_strategy(), 8, per_step=2)
    assert shares.rows.tolist() == list(range(8))
    dealt = shares.deal({"x": np.arange(16).reshape(2, 8)})
    np.testing.assert_array_equal(dealt["x"], np.arange(16).reshape(2, 8))


# --------------------------------------------------------------------------------------------------------------
# The same update


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Returns the results of one device, of two replicas, and of each of two workers."""
    folder = tmp_path_factory.mktemp("results")
    world = tiny_world.make(str(folder / "world"))

    def start(name, devices, environment=None):
        output = str(folder / f"{name}.npz")
        return output, tiny_runs.start(["-m", "tests.training.replicas", output, world, str(devices)], environment)

    begun = [start("one", 1), start("two", 2)]
    finished = finish_all([process for _, process in begun])
    workers = [start(f"worker {i}", 1, task) for i, task in enumerate(cluster(2))]
    finished += finish_all([process for _, process in workers])
    for code, errors in finished:
        assert code == 0, errors
    return {os.path.basename(path)[:-4]: dict(np.load(path)) for path, _ in begun + workers}


def scales(one, case):
    """Returns the scales for comparing signed sums: the magnitudes of their terms, which cancel each other."""
    found = {}
    for step in range(STEPS):
        if f"{case}/advantage/square {step}" in one:
            advantage = np.sqrt(one[f"{case}/advantage/square {step}"])
            found[f"{case}/advantage/mean {step}"] = advantage
            policy = advantage * abs(one[f"{case}/policy/log_prob {step}"])
            found[f"{case}/loss/policy {step}"] = found[f"{case}/loss/generator {step}"] = policy
    return found


@pytest.mark.parametrize("other", ["two", "worker 0", "worker 1"])
@pytest.mark.parametrize("case", CASES)
def test_the_update_does_not_depend_on_the_devices(results, case, other):
    """Compares losses, clipped gradients and variables of five steps, relative to each array's largest magnitude."""
    one, several = results["one"], results[other]
    assert one["replicas"] == 1 and several["replicas"] == 2
    tolerance = 1e-5 if "adam" in case else 1e-6
    if "r2m" in case:
        tolerance = 2e-5  # the first steps of an empty memory are steep (gradient norm 490): rounding grows with them
    names = [name for name in one if name.startswith(case + "/") and not any(part in name for part in PER_REPLICA)]
    assert sum("gradient " in name for name in names) >= 5 * STEPS and any("variable" in name for name in names)
    known = scales(one, case)
    for name in names:
        scale = max(np.abs(one[name]).max(), known.get(name, 0.0)) or 1.0
        assert np.abs(one[name] - several[name]).max() <= tolerance * scale, name


def test_the_gradients_were_clipped_in_some_step_and_not_in_others(results):
    """Otherwise the comparison would not test the order of summing and clipping."""
    norms = [results["one"][f"full sgd fixed/gradient_norm/discriminator {step}"] for step in range(STEPS)]
    norms += [results["one"][f"im_caption sgd reference/gradient_norm {step}"] for step in range(STEPS)]
    assert max(norms) > 2.0 > min(norms)


def test_two_workers_end_with_the_same_bits(results):
    for name, value in results["worker 0"].items():
        np.testing.assert_array_equal(value, results["worker 1"][name], err_msg=name)


@pytest.mark.parametrize("other", ["two", "worker 0"])
def test_replicas_draw_for_themselves(results, other):
    """Samples, greedy captions with dropout, and masks differ between replicas that read the same image."""
    for name in ("samples", "greedy", "dropout"):
        first, second = results[other][f"draws/{name}"]
        assert first != second, name


# --------------------------------------------------------------------------------------------------------------
# Two workers on one run


@pytest.fixture(autouse=True)
def no_process_stays_behind():
    yield
    tiny_runs.stop_all()


@pytest.fixture
def world(tmp_path):
    return tiny_world.make(str(tmp_path / "world"))


def train_workers(options, tasks=None):
    command = ["train.py", *tiny_runs.flags(options)]
    return [tiny_runs.start(command, task) for task in tasks or cluster(2)]


def wait_for_step(job_dir, step, processes, seconds=900):
    """Waits until a run has logged the given step."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), "a worker ended before its time"
        path = os.path.join(job_dir, "metrics.jsonl")
        if os.path.exists(path) and tiny_runs.entries(job_dir)[-1:] and tiny_runs.entries(job_dir)[-1]["step"] >= step:
            return
        time.sleep(0.1)
    raise AssertionError(f"step {step} was not reached in {seconds} s")


@pytest.mark.slow
@pytest.mark.parametrize("struck", [0, 1])
def test_a_signal_to_one_worker_stops_both_and_the_same_command_goes_on(world, tmp_path, struck):
    options = tiny_runs.full(world, tmp_path / "run", max_steps=100_000)
    processes = train_workers(options)
    wait_for_step(options.job_dir, 8, processes)
    processes[struck].send_signal(signal.SIGTERM)
    finished = finish_all(processes, 120)
    assert [code for code, _ in finished] == [75, 75], finished
    step = checkpoints.steps_in(options.job_dir)[-1]
    assert f"saved step {step}; the same command continues" in finished[0][1]
    assert "saved step" not in finished[1][1], "the chief alone writes and speaks"

    unbroken = tiny_runs.full(world, tmp_path / "unbroken", max_steps=step + 8)
    continued = tiny_runs.full(world, tmp_path / "run", max_steps=step + 8)
    assert [code for code, _ in finish_all(train_workers(unbroken))] == [0, 0]
    assert [code for code, _ in finish_all(train_workers(continued))] == [0, 0]
    tiny_runs.assert_same_runs(options.job_dir, unbroken.job_dir, step + 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["KILL", "STOP"])
@pytest.mark.parametrize("struck", [0, 1])
def test_a_lost_worker_ends_the_other_and_restarting_both_goes_on(world, tmp_path, struck, name):
    options = tiny_runs.full(world, tmp_path / "run", max_steps=100_000)
    processes = train_workers(options)
    wait_for_step(options.job_dir, 12, processes)  # so that the checkpoint of step 8 is complete
    processes[struck].send_signal(getattr(signal, f"SIG{name}"))
    code, errors = tiny_runs.finish(processes[1 - struck], 90)
    processes[struck].kill()
    tiny_runs.finish(processes[struck])
    assert code == 1 and "another worker was lost" in errors and "Start all workers again" in errors, errors
    step = checkpoints.steps_in(options.job_dir)[-1]
    finished = finish_all(train_workers(tiny_runs.full(world, options.job_dir, max_steps=step + 16)))
    assert [code for code, _ in finished] == [0, 0], finished
    assert f"continues at step {step}" in finished[0][1]


@pytest.mark.slow
def test_launch_workers_hands_signals_and_exit_codes_on(world, tmp_path):
    options = tiny_runs.full(world, tmp_path / "run", max_steps=100_000)
    arguments = ["2", sys.executable, "train.py", *tiny_runs.flags(options)]
    script = tiny_runs.start(arguments, program="scripts/launch_workers.sh")
    wait_for_step(options.job_dir, 8, [script])
    script.send_signal(signal.SIGTERM)
    code, errors = tiny_runs.finish(script, 120)
    assert code == 75 and "the same command continues" in errors
    assert (tmp_path / "run.worker-1.log").exists()


@pytest.mark.slow
def test_workers_with_folders_of_their_own_are_refused(world, tmp_path):
    """The chief has a checkpoint that the other worker has no access to."""
    options = tiny_runs.full(world, tmp_path / "run", max_steps=8)
    code, errors = tiny_runs.finish(tiny_runs.start(["train.py", *tiny_runs.flags(options)]))
    assert code == 0, errors
    flags = [tiny_runs.flags(tiny_runs.full(world, tmp_path / name, max_steps=16)) for name in ("run", "elsewhere")]
    finished = finish_all(
        [tiny_runs.start(["train.py", *given], task) for given, task in zip(flags, cluster(2), strict=True)]
    )
    assert all(code == 1 for code, _ in finished)
    assert any("the workers are at different steps" in errors for _, errors in finished)


@pytest.mark.slow
def test_one_device_then_two_workers_then_one(world, tmp_path):
    """The number of devices may change between starts; the order of the examples stays the same."""
    for workers, steps in ((1, 8), (2, 16), (1, 24)):
        options = tiny_runs.full(world, tmp_path / "run", max_steps=steps)
        finished = finish_all(train_workers(options, [{}] if workers == 1 else cluster(2)))
        assert all(code == 0 for code, _ in finished), finished
    assert [entry["step"] for entry in tiny_runs.entries(options.job_dir) if "loss/generator" in entry] == [
        4,
        8,
        12,
        16,
        20,
        24,
    ]


def test_the_toy_runs_alike_under_a_mirrored_strategy_of_one(tmp_path):
    toy.train(toy.options(tmp_path / "plain", max_steps=10))
    toy.train(toy.options(tmp_path / "mirrored", max_steps=10, devices=("CPU:0",)))
    toy.assert_same(toy.tensors(tmp_path / "plain", 10), toy.tensors(tmp_path / "mirrored", 10))
