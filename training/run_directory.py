"""A run directory RUN: its lock, its settings (RUN/config.json) and its logs (RUN/metrics.jsonl, RUN/timing.jsonl).

Facts are properties of the data that a run was trained on, such as the vocabulary's fingerprint and the encoder.
"""

import dataclasses
import fcntl
import glob
import json
import os
import shlex
import socket
import sys

import aliases
import cli
from formats import file_names, readers, sidecars, writing
from formats.sidecars import write_json, write_whole

# Settings that may change between two starts of the same run, because the updates do not depend on them.
FREE = frozenset(  # of stage_*, the values of the run's own stage are compared under max_steps, lr, ...
    (
        "recipe job_dir data_dir max_steps keep_checkpoints keep_every_steps patience save_summary_steps "
        "save_checkpoint_steps decode accumulate multi_gpu devices worker_timeout verify xla deterministic "
        "skip_damaged start_ckpt detector labels metrics corpus table stage_steps stage_lr stage_save "
        "stage_unroll intra_op_parallelism_threads inter_op_parallelism_threads"
    ).split()
)
BEGINNINGS = ("imcap_ckpt", "sae_ckpt", "o2s_ckpt")  # settings that name checkpoints of earlier stages


class RunDirectory:
    """A run directory, locked by one process. Its settings and facts must be the same at every start.

    Attributes:
      path: the directory, as given by --job_dir.
      writes: whether this process writes to it; False in the processes of a cluster that are not the chief.
      content: dict, the content of its config.json: "stage", "settings", "facts".
    """

    def __init__(self, options, facts, writes=True):
        """Locks the directory; compares its settings with `options`, or writes them at the first start.

        Without `writes`, nothing is locked, compared or written.

        Args:
          options: the trainer's settings, a config.Trainer.
          facts: dict that JSON can hold, properties of the run's data (vocabulary fingerprint, encoder, image
            dimension).
          writes: False in the processes of a cluster that are not the chief.

        Raises: cli.UserError if another process has the lock, if settings or facts differ from the run's, or if the
          path is not UTF-8 or its config.json is damaged.
        """
        self.path, self.writes = options.job_dir, writes
        self._defaults = {item.name: item.default for item in dataclasses.fields(options)}
        settings = json.loads(json.dumps(dataclasses.asdict(options)))
        self.content = {"stage": type(options).__name__, "settings": settings, "facts": facts}
        if not writes:
            return
        if not file_names.is_utf8(self.path):
            raise cli.UserError(f"--job_dir {self.path}: not UTF-8, TensorFlow writes no checkpoint there; rename it")
        os.makedirs(self.path, exist_ok=True)
        self._lock()
        writing.remove_abandoned(self.path)
        try:
            saved = read_config(self.path, missing_ok=True)
            if saved:
                self._check(saved)
        except cli.UserError:
            self.close()
            raise
        write_json(self.file("config.json"), self.content)

    def close(self):
        """Releases the lock; the end of the process releases it as well."""
        if self.writes:
            self._lock_file.close()

    def file(self, name):
        """Returns the path of a file in the run directory, which need not exist. Args: name: its file name."""
        return os.path.join(self.path, name)

    def _lock(self):
        """Locks the file RUN/lock exclusively. Raises: cli.UserError if another process has locked it."""
        self._lock_file = open(self.file("lock"), "a+")  # kept open: closing it releases the lock
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock_file.seek(0)
            raise cli.UserError(
                f"{self.path}: another process trains in this directory ({self._lock_file.read().strip()}). Wait for "
                "it to end, or choose another --job_dir."
            ) from error
        self._lock_file.truncate(0)
        self._lock_file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        self._lock_file.flush()

    def _check(self, saved):
        """Raises cli.UserError if the run was started with another stage, other settings or other data.

        Facts unknown in the run, as in imported runs, are not compared. Settings newer than the run had their defaults.

        Args: saved: dict, the content of config.json.
        """
        differences = []
        if saved["stage"] != self.content["stage"]:
            differences.append(f"stage: {saved['stage']} in the run, {self.content['stage']} now")
        for part in ("settings", "facts"):
            old, new = saved[part], self.content[part]
            for name in sorted(old.keys() | new.keys()):
                unknown = part == "facts" and old.get(name) is None
                unknown |= part == "settings" and name not in old and new.get(name) == self._defaults.get(name)
                same = self._same_file(name, old.get(name), new.get(name))
                same = same or _without_folders(name, old.get(name)) == _without_folders(name, new.get(name))
                if name not in FREE and not unknown and not same:
                    differences += _differences(name, old.get(name), new.get(name))
        if differences:
            raise cli.UserError(
                f"{self.path} was started with other settings. Continue it with those, or choose another --job_dir.\n  "
                + "\n  ".join(differences)
            )

    def _same_file(self, name, old, new):
        """Returns whether two values of a setting name the same checkpoint, which was moved after the run was started.

        For "inc_ckpt" it is enough that both values are given, because the encoder is compared as a fact. For other
        settings than checkpoints, and for equal values, it returns False.

        Args: name: the setting, for example "sae_ckpt". old: its value in the run. new: its value now.
        """
        if name == "inc_ckpt":
            return bool(old and new)  # the fact `encoder` is compared instead
        if name not in BEGINNINGS or old == new or not (old and new):
            return False
        from training import checkpoints

        path = self.file("started_from.json")
        begun = readers.read_json(path, kind=dict).values() if os.path.exists(path) else ()
        digest = checkpoints.digest(checkpoints.choose(new).prefix)
        return any(isinstance(entry, dict) and entry.get("digest") == digest for entry in begun)

    def log(self, message):
        """Prints a message (str) to standard error, in the chief only."""
        if self.writes:
            print(message, file=sys.stderr, flush=True)


def _without_folders(name, value):
    """Returns a setting or fact without the folders of the files that it names, because files may be moved.

    The result is only compared with another result of this function. The files' content is compared by sha256, which is
    a fact.

    Args:
      name: the setting or fact: "reward" (its value is a list of texts FILE.py:ARGUMENT), "rewards" (dict file ->
        sha256) or "captions" (text pairs:FILE); the values of all other names are returned unchanged.
    """
    if name == "captions" and str(value).startswith("pairs:"):
        return "pairs:"
    if name == "reward" and isinstance(value, list):
        parts = [str(spec).partition(":") for spec in value]
        return ["".join((os.path.basename(file), *rest)) for file, *rest in parts]
    if name == "rewards" and isinstance(value, dict):
        return sorted((os.path.basename(file), digest) for file, digest in value.items())
    return value


def _differences(name, old, new):
    """Returns the differences between two values of a setting or fact as a list of lines of text for a message.

    If the values are dicts, each differing field has a line.

    Args: name: name of the setting or fact. old: the value in the run. new: the value now.
    """
    shown = sidecars.shown
    found = sidecars.differing(name, old, new)
    return [f"{field}: {shown(there)} in the run, {shown(here)} now" for field, there, here in found]


def read_config(job_dir, missing_ok=False):
    """Returns the content of RUN/config.json as a dict.

    Its keys are "stage" (name of the settings class), "settings" (dict name -> value) and "facts" (dict name -> value).
    Settings that had other names in older versions get their present names.

    Args: missing_ok: whether to return None if the file does not exist.
    Raises: cli.UserError if the file is missing or damaged.
    """
    path = os.path.join(job_dir, "config.json")
    if not os.path.exists(path):
        if missing_ok:
            return None
        raise cli.UserError(f"{job_dir}: not a run directory (no config.json); {_what_instead(job_dir)}")
    fields = {"stage": readers.is_text, "settings": readers.is_object, "facts": readers.is_object}
    try:
        content = readers.read_json(path)
        readers.check_fields(content, fields, path)
        content["settings"] = aliases.current_settings(content["settings"])
    except (cli.UserError, ValueError) as error:
        raise cli.UserError(f"{path}: not the settings of a run ({error}); restore it from a backup") from error
    return {part: content[part] for part in fields}


def _what_instead(job_dir):
    """Returns the end of an error message for a path that is not a run directory.

    It names the run directory that contains the path, or those in it, or else the command that trains a run.
    """
    above = os.path.dirname(os.path.normpath(job_dir))
    if os.path.exists(os.path.join(above, "config.json")):
        return f"the run is --job_dir {above}"
    pattern = os.path.join(glob.escape(job_dir), "*", "config.json")
    if inside := sorted(map(os.path.dirname, glob.glob(pattern))):
        more = f" and {len(inside) - 5} more" if len(inside) > 5 else ""
        return f"the runs in it are {', '.join(inside[:5])}{more}"
    flags = ["--recipe", "miniature/full", "--data_dir", "DATA", "--job_dir", job_dir]
    return f"train one, for example by {shlex.join(['python', 'train.py', *flags])}"


def data_dir_of(job_dir, missing_ok=False):
    """Returns the path of the data folder that a run was trained on.

    This is the path in the run's settings. If that folder does not exist, because the working folder is another one or
    run and data were moved together, it is the folder at the same place relative to the run.

    Args: missing_ok: whether to return the path in the run's settings if neither folder exists.
    Raises: cli.UserError if neither exists and `missing_ok` is False.
    """
    settings, path = read_config(job_dir)["settings"], os.path.join(job_dir, "config.json")
    readers.check_fields(settings, dict.fromkeys(("data_dir", "job_dir"), readers.optional(readers.is_text)), path)
    named, run = settings.get("data_dir") or "", settings.get("job_dir") or ""
    if os.path.isdir(named):
        return named
    if named and run and os.path.isabs(named) == os.path.isabs(run):  # both are relative to the same working folder
        beside = os.path.normpath(os.path.join(os.path.realpath(job_dir), os.path.relpath(named, run)))
        if os.path.isdir(beside):
            return beside
    if missing_ok:
        return named
    raise cli.UserError(f"{named}: the data folder that {job_dir} was trained on is not there; give --data_dir")


def read_options(job_dir, options_class):
    """Returns the settings in RUN/config.json as an instance of the dataclass `options_class`.

    Settings that the class does not have are ignored; settings that the run does not have get the class's defaults.

    Raises: cli.UserError if the file is missing or damaged.
    """
    return options_of(read_config(job_dir), options_class)


def options_of(content, options_class):
    """Returns the settings of a run as an instance of the dataclass `options_class`.

    Settings that the class does not have are ignored; settings that the run does not have get the class's defaults.

    Args: content: dict, from `read_config`.
    """
    settings = content["settings"]
    known = {item.name for item in dataclasses.fields(options_class)}
    tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return options_class(**{name: value for name, value in tuples.items() if name in known})


# --------------------------------------------------------------------------------------------------------------
# metrics.jsonl and timing.jsonl

NAMED = 5  # maximum number of damaged lines that a warning names


def log_entries(path):
    """Returns the lines of a log (JSON lines), intact and damaged ones separately.

    Damaged lines are reported by a warning. A last line without a newline is in neither list: it is still being
    written, or the run was killed while writing it.

    Args: path: of the log, for example RUN/metrics.jsonl.

    Returns: (intact, damaged): a list of (line as bytes, its content {"step": int, ...}), and a list of (line number
      from 1, line as bytes); all lines have their newline.
    Raises: cli.UserError if the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")[:-1]
    except OSError as error:
        raise readers.unreadable(path, f"cannot be read ({error.strerror})", "lines of metrics") from error
    whole, damaged = [], []
    for number, line in enumerate(lines, 1):
        try:
            entry = readers.parse_json(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict) and readers.is_count(entry.get("step")):
            whole.append((line + b"\n", entry))
        else:
            damaged.append((number, line + b"\n"))
    if damaged:
        named = ", ".join(str(number) for number, _ in damaged[:NAMED]) + (", …" if len(damaged) > NAMED else "")
        print(f"WARNING: {path}: {len(damaged)} damaged lines left out (line {named})", file=sys.stderr, flush=True)
    return whole, damaged


def read_log(job_dir, name="metrics.jsonl"):
    """Returns the intact lines of a run's log as a list of dicts {"step": int, ...}; [] if there is no log.

    Args: job_dir: run directory. name: file name of the log. Raises: cli.UserError if it cannot be read.
    """
    path = os.path.join(job_dir, name)
    return [entry for _, entry in log_entries(path)[0]] if os.path.exists(path) else []


def last_metric(job_dir, name):
    """Returns the last logged value of the metric `name` in RUN/metrics.jsonl, a number; None if there is none."""
    values = [entry[name] for entry in read_log(job_dir) if readers.is_number(entry.get(name))]
    return values[-1] if values else None


class MetricsFile:
    """Writes metrics to `metrics.jsonl` (deterministic ones), `timing.jsonl` (others) and TensorBoard event files."""

    def __init__(self, run, step):
        """Removes the lines of later steps than the restored one, so that a resumed run writes no line twice.

        Damaged lines, whose step is unknown, are moved to metrics.jsonl.damaged and timing.jsonl.damaged. In processes
        of a cluster that are not the chief it changes no file.

        Args: run: RunDirectory. step: the restored step.
        Raises: cli.UserError or OSError if a file cannot be read or written.
        """
        self.run, self._events = run, None
        if not run.writes:
            return
        for name in ("metrics.jsonl", "timing.jsonl"):
            path = run.file(name)
            if os.path.exists(path):
                whole, damaged = log_entries(path)
                if damaged:
                    with open(path + ".damaged", "ab") as file:
                        file.writelines(line for _, line in damaged)
                write_whole(path, b"".join(line for line, entry in whole if entry["step"] <= step))

    def write(self, step, values, name="metrics.jsonl"):
        """Appends the line {"step": step, **values} to a log, and writes the numbers as TensorBoard events.

        Does nothing in the processes of a cluster that are not the chief.

        Args: step: int. values: dict name -> value that JSON can hold. name: file name of the log.
        Raises: cli.UserError if a file cannot be written.
        """
        if not self.run.writes:
            return
        import tensorflow as tf

        try:
            with open(self.run.file(name), "a") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
            self._write_events(step, values)
        except (OSError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise cli.UserError(
                f"{self.run.file(name)} cannot be written at step {step} ({reason}). The checkpoints are intact; free "
                "disk space and run the same command again."
            ) from error

    def _write_events(self, step, values):
        """Writes the numbers among `values` (dict name -> value) as TensorBoard scalars."""
        import tensorflow as tf

        if self._events is None:
            self._events = tf.summary.create_file_writer(self.run.file("events"))
        with self._events.as_default():
            for name, value in values.items():
                if isinstance(value, (int, float)):
                    tf.summary.scalar(name, value, step)
        self._events.flush()
