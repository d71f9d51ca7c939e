"""Outputs: tried before the work begins, never lost when the last write fails, one line whatever the system answers."""

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import subprocess
import sys

import pytest

import caption
import cli
from formats import captions, photograph_hashes, sidecars, writing
from preprocessing import process_descriptions
from tests import full_disk, given_world, tiny_runs
from tests.commands import test_entry_points
from tests.scripts import dry_run

ROOT = tiny_runs.ROOT
# Fields that name a folder or file which a command writes; what has none of them writes below --data_dir and tries that
# folder when it has something to do (formats/sidecars.py).
WRITTEN = {"output", "table", "job_dir", "to", "json", "into", "attention", "embedding_map", "index"}
READS_ITS_RUN = {"serve", "scripts.doctor"}  # and write nothing
ARE_READ = {
    ("caption", "job_dir"),
    ("scripts.export", "job_dir"),
    ("scripts.export_run", "job_dir"),
    ("docs.building.draw_overview", "job_dir"),
    ("baselines.r2m_traces", "job_dir"),
    ("evaluation.report", "table"),
}
ARE_READ |= {("evaluation.report", "attention")}  # a number
STEMS = {"initialization.gen_obj2sen_caption", "initialization.retrieve_captions"}  # --output: a name in --data_dir
PRINTS = {"evaluation.table"}


def commands():
    """dict module -> the dataclass of its settings."""
    modules = [module.removesuffix(".__main__") for module in test_entry_points.scripts()]
    return {module: dry_run.handed_over(module)[1] for module in modules}


@pytest.fixture(scope="module")
def classes():
    return commands()


def test_every_command_says_what_it_will_write(classes):
    silent = {
        module
        for module, options_class in classes.items()
        if WRITTEN & {item.name for item in dataclasses.fields(options_class)} and not hasattr(options_class, "outputs")
    }
    assert silent <= READS_ITS_RUN | STEMS | PRINTS and len(classes) > 25


def test_every_output_is_tried(classes, tmp_path):
    """Each of them, given a place where it cannot be: below a file, with too long a name, a file for a folder."""
    (tmp_path / "file").write_text("")
    tried = 0
    for module, options_class in classes.items():
        names = WRITTEN & {item.name for item in dataclasses.fields(options_class)}
        if not hasattr(options_class, "outputs"):
            continue
        for name in {name for name in names if (module, name) not in ARE_READ}:
            for place, number in (("file/x", errno.ENOTDIR), ("a" * 300, errno.ENAMETOOLONG)):
                options = dataclasses.replace(options_class(), **{name: str(tmp_path / place)})
                with pytest.raises(OSError) as caught, cli.tried(*options.outputs()):
                    pytest.fail(f"{module} --{name} is not tried")
                assert caught.value.errno == number and cli.file_fault(caught.value)
                tried += 1
    assert tried > 30


# --------------------------------------------------------------------------------------------------------------
# Trying


def test_folders_are_made_and_removed_again_when_the_work_fails(tmp_path):
    with cli.tried(files=(str(tmp_path / "a" / "b" / "c.json"),), folders=(str(tmp_path / "d" / "e"),)):
        assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "a/b", "d", "d/e"]
    with pytest.raises(ZeroDivisionError), cli.tried(files=(str(tmp_path / "f" / "g" / "c.json"),)):
        assert (tmp_path / "f" / "g").is_dir() and 1 / 0
    assert not (tmp_path / "f").exists() and (tmp_path / "d" / "e").is_dir()
    with pytest.raises(ZeroDivisionError), cli.tried(folders=(str(tmp_path / "h"),)):
        (tmp_path / "h" / "kept").write_text("")
        raise ZeroDivisionError
    assert (tmp_path / "h" / "kept").exists()


def test_what_is_there_is_left_alone(tmp_path):
    (tmp_path / "old.json").write_text("old")
    with cli.tried(files=(str(tmp_path / "old.json"), "", None, "/dev/null", "/dev/stdout")):
        assert (tmp_path / "old.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["old.json"]


@pytest.mark.parametrize("place", ["folder", "folder/", "new/"])
def test_a_folder_where_a_file_is_expected(tmp_path, place):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), cli.tried(files=(f"{tmp_path}/{place}",)):
        pass
    assert not (tmp_path / "new").exists()


def test_a_device_is_written_and_stays_a_device(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE)
    sidecars.write_results(str(tmp_path / "pipe"), "said\n")
    assert reader.communicate(timeout=60)[0] == b"said\n" and (tmp_path / "pipe").is_fifo()
    with writing.replacing("/dev/null") as part:
        assert part == "/dev/null"
    assert not writing.cli.is_device("/dev/shm/x/y.json"), "a folder of files, though below /dev"


@contextlib.contextmanager
def mounted(folder, *options):
    """A small disk, then with other options of mount. Skips where nothing can be mounted."""
    try:
        with full_disk.disk(str(folder)) as disk:
            yield disk, lambda: subprocess.run(["mount", "-o", ",".join(["remount", *options]), disk], check=True)
    except PermissionError as error:
        pytest.skip(f"nothing can be mounted here: {error}")


@pytest.mark.parametrize(("options", "number"), [(["ro"], errno.EROFS), (["size=4k"], errno.ENOSPC)])
def test_a_disk_that_takes_nothing(tmp_path, options, number):
    with mounted(tmp_path / "disk", *options) as (disk, remount):
        pathlib.Path(disk, "full").write_bytes(bytes(4096))
        remount()
        for arguments in ({"files": (f"{disk}/x.json",)}, {"folders": (f"{disk}/run",)}, {"folders": (disk,)}):
            with pytest.raises(OSError) as caught, cli.tried(**arguments):
                pass
            assert caught.value.errno == number and disk in cli.file_fault(caught.value)


def test_a_data_stage_tries_its_folder_before_it_works(tmp_path, monkeypatch):
    with mounted(tmp_path / "disk", "ro") as (disk, remount):
        pathlib.Path(disk, "sentences.txt").write_text("a dog runs\n" * 9)
        pathlib.Path(disk, "classes.txt").write_text("Dog\n")
        remount()
        monkeypatch.setattr(process_descriptions.shards, "map_shards", lambda *_, **__: pytest.fail("it works"))
        options = process_descriptions.Options(data_dir=disk, class_names=f"{disk}/classes.txt", new_dict=True)
        with pytest.raises(OSError) as caught:
            process_descriptions.main(options)
        assert caught.value.errno == errno.EROFS and disk in str(caught.value)
        (tmp_path / "a.jpg").write_bytes(b"x")
        monkeypatch.setattr(photograph_hashes, "_hash", lambda path: pytest.fail("it reads photographs"))
        with pytest.raises(OSError, match="Read-only"):
            photograph_hashes.hashes_of(str(tmp_path), ["a.jpg"], disk)


# --------------------------------------------------------------------------------------------------------------
# Results are kept


@pytest.fixture
def full(monkeypatch, tmp_path):
    """From the first write on the disk is full; temporary files go to tmp_path/tmp."""

    def refuse(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(sidecars.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(sidecars, "write_whole", refuse)
    return tmp_path / "tmp"


def test_results_go_to_another_file(full, tmp_path):
    with pytest.raises(cli.UserError) as caught:
        captions.write_json(tmp_path / "scores.json", {"CIDEr": 1.5})
    (kept,) = full.iterdir()
    assert json.loads(kept.read_text()) == {"CIDEr": 1.5}
    message = str(caught.value)
    assert (
        message.startswith(f"{tmp_path}/scores.json: No space left on device; free disk space") and str(kept) in message
    )


def test_results_go_to_the_screen_where_no_file_can_be_made(full, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(sidecars.tempfile, "mkstemp", refuse)
    with pytest.raises(cli.UserError, match="The results are above, on the screen"):
        captions.write_json(tmp_path / "scores.json", {"CIDEr": 1.5})
    assert json.loads(capsys.readouterr().err) == {"CIDEr": 1.5}


# --------------------------------------------------------------------------------------------------------------
# caption.py


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(run, photographs)."""
    folder = tmp_path_factory.mktemp("outputs")
    world = given_world.make(folder)
    spec = f"compact:{given_world.write_encoder(str(folder / 'small.npz'))}"
    data = given_world.with_features(world, "features", spec)
    return given_world.untrained_run(data, str(folder / "run")), world.val_files


def options_of(run, **changes):
    return caption.Options(job_dir=run[0], paths=tuple(run[1]), **changes)


def test_the_folder_of_the_captions_is_made(run, tmp_path):
    output = tmp_path / "results" / "today" / "captions.json"
    assert caption.main(options_of(run, output=str(output))) == 0
    assert len(json.loads(output.read_text())) == len(run[1])


@pytest.mark.parametrize("place", ["folder", "file/captions.json", "n" * 300])
def test_a_wrong_output_is_refused_before_the_first_image(run, tmp_path, place, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("captioning.photographs.open_run", lambda *_, **__: pytest.fail("it captions"))
    with pytest.raises(OSError):
        caption.main(options_of(run, output=str(tmp_path / place)))
    code, said, _ = test_entry_points.answer(
        "caption", f"--job_dir={run[0]}", run[1][0], f"--output={tmp_path / place}"
    )
    assert code == 1 and said.startswith("ERROR: ") and said.count("\n") == 1 and str(tmp_path) in said
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"] and not os.listdir(tmp_path / "folder")


def test_captions_that_cannot_be_written_are_kept(run, full, tmp_path):
    for ending in ("json", "jsonl", "txt"):
        with pytest.raises(cli.UserError, match=rf"captions.{ending}: No space left .* The results are in {full}/"):
            caption.main(options_of(run, output=str(tmp_path / f"captions.{ending}")))
        (kept,) = full.glob(f"*.{ending}")
        assert kept.read_text().count("val_") == len(run[1])


def test_captions_are_kept_when_something_else_fails(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(sidecars.tempfile, "tempdir", str(tmp_path / "tmp"))
    calls = []

    def interrupted(source, path):
        calls.append(path)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr("captioning.photographs.lies_otherwise", interrupted)
    with pytest.raises(KeyboardInterrupt):
        caption.main(options_of(run, output=str(tmp_path / "captions.json"), batch_size=2))
    (kept,) = (tmp_path / "tmp").iterdir()
    assert len(json.loads(kept.read_text())) == 6 and str(kept) in capsys.readouterr().err
    assert not (tmp_path / "captions.json").exists()


def test_a_full_disk_behind_the_screen(run, tmp_path):
    """`caption.py … > captions.txt` where the disk is full."""
    command = [sys.executable, "caption.py", "--job_dir", run[0], *run[1]]
    with open("/dev/full", "w") as screen:
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=screen, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    (kept,) = tmp_path.glob("results-*.txt")
    assert len(kept.read_text().splitlines()) == len(run[1]) and str(kept) in done.stderr


# --------------------------------------------------------------------------------------------------------------
# One line

PROGRAM = """
import dataclasses, sys
import cli

@dataclasses.dataclass(frozen=True)
class Options:
    path: str = cli.field("", "")

def main(options):
    {body}

cli.run(main, Options)
"""
BODIES = {
    "open('/dev/full', 'w').write('x' * 99999)": "No space left on device; free disk space",
    "open('/proc/self/none/x')": "/proc/self/none/x: No such file or directory; check the name",
    "open('/tmp')": "/tmp: Is a directory; found a folder",
    "open('/etc/passwd/x')": "/etc/passwd/x: Not a directory; found a file",
    "open('a' * 300)": "File name too long; use a shorter name",
    "files = [open('/dev/null') for _ in range(9999)]": "/dev/null: Too many open files; allow more",
    "raise MemoryError": "there is not enough memory",
    "import errno; raise OSError(errno.EIO, 'Input/output error', 'x.npy')": "x.npy: Input/output error; the disk or",
    "import errno; raise OSError(errno.ELOOP, 'Too many levels of symbolic links', 'x')": "x: Too many levels",
    "import errno; raise OSError(errno.ETXTBSY, 'Text file busy', 'x')": "x: Text file busy; another program",
}


def run_program(body, **settings):
    command = ["bash", "-c", f'ulimit -n 256; exec {sys.executable} -c "$0"', PROGRAM.format(body=body)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(command, cwd=ROOT, env=buffered, text=True, timeout=120, stderr=subprocess.PIPE, **settings)


@pytest.mark.parametrize("body", BODIES)
def test_what_the_system_answers_is_one_line(body):
    done = run_program(body, stdout=subprocess.PIPE)
    assert done.returncode == 1 and done.stderr.startswith("ERROR: ") and done.stderr.count("\n") == 1, done.stderr
    assert BODIES[body] in done.stderr


def test_what_was_printed_before_is_not_lost():
    done = run_program("print('said'); open('/tmp')", stdout=subprocess.PIPE)
    assert done.stdout == "said\n" and done.returncode == 1


def test_a_screen_without_room():
    with open("/dev/full", "w") as screen:
        for body in ("print('said')", "print('said'); raise cli.UserError('why')"):
            done = run_program(body, stdout=screen)
            assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
            assert ("No space left" if body == "print('said')" else "ERROR: why") in done.stderr


def test_a_reader_that_has_seen_enough():
    program = PROGRAM.format(body="[print(i) for i in range(10**6)]")
    command = ["bash", "-c", f'set -o pipefail; {sys.executable} -c "$0" | head -1', program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "0\n" and done.stderr == ""


def test_a_fault_of_the_program_keeps_its_traceback():
    done = run_program("{}['x']", stdout=subprocess.PIPE)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_lists_of_numbers():
    code, said, _ = test_entry_points.answer("baselines.r2m", "--stage_steps=a,b")
    assert code == 1 and said == "ERROR: --stage_steps a,b: expected numbers, separated by commas\n"


def test_steps_and_beams_that_are_none(run, tmp_path):
    import eval_val

    with pytest.raises(cli.UserError, match="--steps abc: expected steps of checkpoints"):
        eval_val.main(eval_val.Options(job_dir=run[0], steps=("8", "abc")))
    with pytest.raises(cli.UserError, match="--decode beam500: the dictionary has 14 words; expected at most beam14"):
        caption.main(options_of(run, decode="beam500"))
