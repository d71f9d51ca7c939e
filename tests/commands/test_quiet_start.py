"""TensorFlow's start-up messages are hidden; all other messages are shown, also those of an aborted process."""

import subprocess
import sys

import pytest

from tests import tiny_runs

TENSORFLOWS_OWN = ("absl::InitializeLog", "oneDNN", "cuda", "CPU instructions", "XNNPACK")


def run(program):
    return subprocess.run(
        [sys.executable, "-c", program], cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=120
    )


def test_importing_tensorflow_says_nothing():
    done = run("import cli, tensorflow as tf; tf.ones([2]) + 1; import os; os.write(2, b'own\\n'); print('done')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "own\n")


def test_types_that_the_processor_lacks_are_not_mentioned():
    """Processors without AVX-512 make TensorFlow write a line at the first product of half precision numbers."""
    program = """
import dataclasses, cli
@dataclasses.dataclass(frozen=True)
class Options:
    pass
def main(options):
    import tensorflow as tf
    numbers = tf.ones([64, 64], tf.float16)
    print(int((numbers @ numbers)[0, 0]))
cli.run(main, Options)
"""
    done = run(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "64\n", "")


def test_verbose_shows_them():
    done = run("import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '0'; import cli, tensorflow")
    assert done.returncode == 0 and any(text in done.stderr for text in TENSORFLOWS_OWN)


def test_a_command_says_only_its_own():
    command = [sys.executable, "caption.py", "--job_dir=tests/fixtures/old_runs/full", "docs/images/page.png"]
    quiet, verbose = (
        subprocess.run([*command, *more], cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=120)
        for more in ([], ["--verbose"])
    )
    assert quiet.returncode == verbose.returncode == 0 and quiet.stdout == verbose.stdout
    assert not any(text in quiet.stderr for text in TENSORFLOWS_OWN), quiet.stderr
    assert any(text in verbose.stderr for text in TENSORFLOWS_OWN)


@pytest.mark.parametrize(
    "line, shown",
    [
        ("I0000 00:00:1795977550.881791   29874 port.cc:153] oneDNN custom operations are on.", False),
        ("E0000 00:00:1795977558.829896   29874 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR", False),
        ("F0000 00:00:1795977558.829896   29874 cpu_feature_guard.cc:12] needs AVX instructions", True),
        ("E0000 00:00:1795977558.829896   29874 allocator.cc:52] out of memory", True),
        ("Traceback (most recent call last):", True),
    ],
)
def test_which_lines_are_left_out_and_that_an_abort_loses_none(line, shown):
    program = (
        "import os, quiet_start\n"
        "with quiet_start.filtered_stderr():\n"
        f"    os.write(2, {line.encode()!r} + b'\\n')\n"
        "    os.abort()\n"
    )
    done = run(program)
    assert done.returncode == -6 and done.stderr == (line + "\n") * shown
