"""The command line: makes flags from a frozen dataclass, runs entry points, shows errors and progress.

Every entry point has its settings in one frozen dataclass. Flags and their help texts are made from its fields, so that
each setting is defined once. A recipe is a named set of settings (experiments.py).
"""

import contextlib
import dataclasses
import errno
import os
import secrets
import shlex
import sys
import types
import typing

from absl import app, flags, logging

import aliases
import quiet_start

quiet_start.install()


class UserError(Exception):
    """Bad input or a wrong command: the message says what was found, what was expected, and how to fix it."""

    ag_pass_through = True  # TensorFlow does not change the message if it is raised while a step is compiled


# --------------------------------------------------------------------------------------------------------------
# Flags from a dataclass, and back


def field(default, help):
    """Returns a dataclass field that becomes a flag. Args: default: its default value. help: its text in `--help`."""
    return dataclasses.field(default=default, metadata={"help": help})


def repeated(help):
    """Returns a dataclass field for a flag that may be repeated: a tuple of str, appended to the recipe's values.

    Args: help: its text in `--help`.
    """
    return dataclasses.field(default=(), metadata={"help": help, "repeated": True})


def flag_type(annotation):
    """Returns (type, is optional, is a tuple) of a field's annotation; for a tuple the type is that of its items.

    `int | None` gives (int, True, False), `tuple[str, ...]` gives (str, False, True).
    """
    if isinstance(annotation, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0], True, False
    if typing.get_origin(annotation) is tuple:
        return typing.get_args(annotation)[0], False, True
    return annotation, False, False


def _own_fields(options_class, recipes):
    """Returns the fields that become flags: list of dataclasses.Field; without `recipe` if `recipes` is not None."""
    return [item for item in dataclasses.fields(options_class) if not (recipes and item.name == "recipe")]


def _define_flags(options_class, values, recipes=None):
    """Defines --recipe, and one flag for each field of `options_class` with its default.

    Args: values: absl FlagValues to add them to. recipes: experiments.Recipes; None for a command without --recipe.
    """
    hints = typing.get_type_hints(options_class)
    if recipes:
        flags.DEFINE_string("recipe", None, recipes.help(), flag_values=values)
        values.register_key_flag_for_module(sys.argv[0], values["recipe"])
    for item in _own_fields(options_class, recipes):
        kind, _, is_tuple = flag_type(hints[item.name])
        # absl would wrap a multi-line help text badly, so these are single lines.
        help_text, default = item.metadata.get("help", ""), item.default
        choices = item.metadata.get("choices")
        if item.metadata.get("repeated"):
            flags.DEFINE_multi_string(item.name, list(default), help_text, flag_values=values)
        elif is_tuple:
            text = ",".join(str(part) for part in default)
            flags.DEFINE_list(item.name, text, help_text, flag_values=values)
        elif choices:
            flags.DEFINE_enum(item.name, default, list(choices), help_text, flag_values=values)
        elif kind is bool:
            flags.DEFINE_bool(item.name, default, help_text, flag_values=values)
        elif kind is int:
            flags.DEFINE_integer(item.name, default, help_text, flag_values=values)
        elif kind is float:
            flags.DEFINE_float(item.name, default, help_text, flag_values=values)
        else:
            flags.DEFINE_string(item.name, default, help_text, flag_values=values)
        values.register_key_flag_for_module(sys.argv[0], values[item.name])  # so that --help shows it
    for old in _old_flags(options_class):  # --help does not show them
        define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
        define.get(old.kind, flags.DEFINE_string)(old.name, None, f"now --{old.new}", flag_values=values)


def _old_flags(options_class):
    """Returns the rows of aliases.SETTINGS that were flags of a command with these settings: list of OldSetting."""
    names = {item.name for item in dataclasses.fields(options_class)}
    return [old for old in aliases.SETTINGS if old.kind and old.new in names and old.name not in names]


def choice(default, choices, help):
    """Returns a dataclass field of type str with a fixed list of values.

    Args: default: one of `choices`. choices: the allowed values, str. help: text in `--help`.
    """
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


def _options_from_flags(options_class, argv, values, recipes):
    """Returns the dataclass with the recipe's values, overridden by every flag of the command line.

    Args:
      argv: list: the program, then the positional arguments, which are appended to `paths` if the class has this field.
      values: absl FlagValues after parsing. recipes: experiments.Recipes or None.
    """
    takes_paths = hasattr(options_class, "paths")
    if len(argv) > 1 and not takes_paths:
        raise flags.Error(f"unexpected argument {argv[1]!r}; every setting is a flag, see --help")
    hints = typing.get_type_hints(options_class)
    recipe = values["recipe"].value if recipes else None
    base, given = recipes.settings(recipe, options_class) if recipe else options_class(), {}
    for item in _own_fields(options_class, recipes):
        if not values[item.name].present:
            continue
        kind, _, is_tuple = flag_type(hints[item.name])
        value = values[item.name].value
        try:
            given[item.name] = tuple(kind(part) for part in value) if is_tuple else value
        except ValueError as error:
            raise UserError(f"--{item.name} {','.join(value)}: expected numbers, separated by commas") from error
        if item.metadata.get("repeated"):
            given[item.name] = getattr(base, item.name) + given[item.name]
    options = dataclasses.replace(base, **given)
    options = dataclasses.replace(options, **_given_by_old_flags(options, values, given))
    if recipe:
        options = recipes.fill_in(options, given, recipe)
    return dataclasses.replace(options, paths=options.paths + tuple(argv[1:])) if takes_paths else options


def _given_by_old_flags(options, values, given):
    """Returns the values that old flags set: dict name of the present setting -> value. Prints the present flags.

    Args: options: settings without old flags. values: absl FlagValues. given: dict, to which the values are added.
    Raises: UserError if a value is invalid.
    """
    found, said = {}, {}  # present setting -> value; old flag -> present setting
    for old in _old_flags(type(options)):
        flag = values[old.name]
        if flag.present:
            try:
                value = old.translate(found.get(old.new, getattr(options, old.new)), flag.value)
            except ValueError as error:
                raise UserError(f"--{old.name} {flag.value}: {error}") from error
            found[old.new] = tuple(value) if isinstance(value, list) else value
            said[f"--{old.name}"] = old.new
    given |= found
    for flag, name in said.items():
        aliases.note(flag, " ".join(as_flags(dataclasses.replace(options, **found), name)))
    return found


def as_flags(options, name):
    """Returns the command-line flags that set one field of `options` to its value: list of str, quoted for a shell."""
    (item,) = (item for item in dataclasses.fields(options) if item.name == name)
    value = getattr(options, name)
    if item.metadata.get("repeated"):
        return [f"--{name}={shlex.quote(part)}" for part in value or ("",)]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [f"--{name}={shlex.quote(text)}"]


def parse(options_class, arguments, recipes=None):
    """Returns the settings that a command gets from its arguments, without running it: an instance of `options_class`.

    Args: arguments: list of str, without the program's name. recipes: experiments.Recipes; None without --recipe.
    Raises: UserError for a wrong recipe, absl.flags.Error for a wrong flag or value.
    """
    values = flags.FlagValues()
    _define_flags(options_class, values, recipes)
    return _options_from_flags(options_class, values(["", *arguments]), values, recipes)


# --------------------------------------------------------------------------------------------------------------
# Outputs: checked before the work begins; errors of the operating system are reported in one line

_ROOM = "free disk space and run the same command again"
_RIGHT = "change its permissions, or name another file"
_NO_FOLDER = "found a file, expected a folder; name another folder, or move the file away"
_BROKEN = "the disk or the network has a fault; run the same command again when it is repaired"
FILE_FAULTS = {  # error number of the operating system -> how to fix it
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: "free disk space, or have the quota raised, and run the same command again",
    errno.EFBIG: "files of this size are not allowed here: raise the limit (ulimit -f), or use another disk",
    errno.EROFS: "name a folder that can be written",
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EMFILE: "allow more open files (ulimit -n 4096) and run the same command again",
    errno.ENFILE: "close other programs: the machine has too many open files",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EILSEQ: "the file system does not allow this name; use another one",
    errno.ENOENT: "check the name, and that the disk is mounted",
    errno.EISDIR: "found a folder, expected a file; name another file, or move the folder away",
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.ELOOP: "its links form a circle; remove one of them",
    errno.EBUSY: "another program uses it; close that program, or name another file",
    errno.ETXTBSY: "another program uses it; close that program, or name another file",
    errno.EIO: _BROKEN,
    errno.ESTALE: _BROKEN,
}
MEMORY = "there is not enough memory; close other programs, or use a smaller --batch_size or --processes"


def file_fault(error):
    """Returns one line about a file that cannot be read or written: name, reason, how to fix it. None for other errors.

    Args: error: any exception: an OSError, a MemoryError, or one of TensorFlow's, whose message names file and reason.
    """
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return f"{error.object!r}: holds the name of a file or folder that is not UTF-8; rename it"
    if isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return MEMORY
    if isinstance(error, OSError) and error.errno in FILE_FAULTS:
        name = error.filename2 or error.filename or "standard output, or another file"
        return f"{name}: {error.strerror}; {FILE_FAULTS[error.errno]}"
    if type(error).__module__.startswith("tensorflow."):
        for number, mend in FILE_FAULTS.items():
            if os.strerror(number) in str(error):
                return f"{str(error).splitlines()[0]}; {mend}"
    return None


@contextlib.contextmanager
def tried(files=(), folders=()):
    """Context manager: checks before the block that its outputs can be written, and creates missing folders.

    If the block fails, folders that were created and are still empty are removed.

    Args: files, folders: paths that the block will write; empty ones are ignored.
    Raises: OSError if a path cannot be written or created; it names the path.
    """
    made = []
    try:
        for path in map(os.fspath, filter(None, files)):
            if path.endswith(os.sep) or os.path.isdir(path):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            _try(os.path.dirname(path), os.path.basename(path), path, made)
        for path in filter(None, folders):
            _try(path, "trial", path, made)
        yield
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        raise


def _try(folder, name, path, made):
    """Creates a folder if needed, then writes and removes a trial file in it.

    Args: folder, name: of the trial file. path: named in the error. made: list to which created folders are appended.
    """
    if is_device(path):
        return
    folder, missing = os.path.abspath(folder), []
    while not os.path.lexists(folder) and folder != os.path.dirname(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for one in reversed(missing):
        os.mkdir(one)
        made.append(one)
    trial = os.path.join(missing[0] if missing else folder, f"{name}.{secrets.token_hex(4)}.part")
    try:
        with open(trial, "xb") as file:
            file.write(bytes(4096))
    except OSError as error:
        error.filename = path
        raise
    finally:
        with contextlib.suppress(OSError):
            os.remove(trial)


def is_device(path):
    """Returns whether a path is a device, a pipe or an open file, which is never replaced by a new file: bool."""
    path = os.path.abspath(path)
    is_open = path.startswith(("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/"))
    return is_open or os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def end_output():
    """Flushes standard output; if that fails (its reader has ended, full disk), later output is discarded."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):  # ValueError: stdout is not a file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --------------------------------------------------------------------------------------------------------------
# Running an entry point


def run(main, options_class, recipes=None):
    """Runs an entry point: makes its dataclass from the command line, calls `main` with it, and ends the process.

    Args:
      main: function of the dataclass; its return value is the exit code (None is 0). If it raises a UserError, or an
        error of a file (`file_fault`), one line is printed and the exit code is 1.
      options_class: a frozen dataclass with a default for every field. Its method `outputs()`, if any, returns the
        (files, folders) that `main` will write; they are checked first.
      recipes: experiments.Stage or experiments.Rows, for a command with `--recipe`; single flags override the recipe.
    """
    flags.DEFINE_bool("verbose", False, "show TensorFlow's own messages")
    # Only what ends the process: every error that concerns a user is raised in Python too. Read at TensorFlow's import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.WARNING)
    sys.stdout.reconfigure(errors="backslashreplace")  # names that are not UTF-8 (formats/file_names.py)
    values = flags.FLAGS
    _define_flags(options_class, values, recipes)

    def entry(argv):
        if values.verbose:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = quiet_start.VERBOSE_LEVEL
        try:
            options = _options_from_flags(options_class, argv, values, recipes)
            with tried(*(options.outputs() if hasattr(options, "outputs") else ())):
                code = main(options) or 0
            sys.stdout.flush()
            sys.exit(code)
        except flags.Error as error:
            raise app.UsageError(str(error)) from error
        except BrokenPipeError:  # the reader of the output has ended, as in `| head`
            end_output()
            sys.exit(1)
        except UserError as error:
            end_output()
            print(f"ERROR: {error}", file=sys.stderr)
            sys.exit(1)
        except Exception as error:
            if not (fault := file_fault(error)):
                raise
            end_output()
            print(f"ERROR: {fault}", file=sys.stderr)
            sys.exit(1)

    main_module = sys.modules["__main__"]
    usage = (main_module.__doc__ or "").strip()
    main_module.__doc__ = usage + "\n" if usage else None
    app.run(entry)


def command_line():
    """Returns the command line as typed, for sidecars and result files: str, quoted for a shell."""
    module = sys.modules["__main__"].__spec__
    program = (
        f"python -m {module.name.removesuffix('.__main__')}"
        if module is not None and module.name
        else f"python {sys.argv[0]}"
    )
    return " ".join([program, *map(shlex.quote, sys.argv[1:])])


# --------------------------------------------------------------------------------------------------------------
# Progress


class _Lines:
    """The output stream of a tqdm bar where there is no terminal: prints every update on its own line."""

    def write(self, text):
        if text.strip():
            print(text.strip(), file=sys.stderr)

    def flush(self):
        sys.stderr.flush()


def progress(iterable, description, total=None, every=30.0):
    """Returns an iterable of the same items that shows progress on stderr: a bar on a terminal, else single lines.

    Args: description: text before the numbers. total: number of items, if `iterable` has no length. every: seconds
      between two lines.
    """
    from tqdm import tqdm

    if sys.stderr.isatty():
        return tqdm(iterable, description, total, dynamic_ncols=True)
    tqdm.monitor_interval = 0  # its thread is for bars that are not updated at every item
    known = total is not None or hasattr(iterable, "__len__")
    lines = {"file": _Lines(), "mininterval": every, "miniters": 1, "delay": every}
    lines["bar_format"] = "{desc}: {n_fmt}" + (" of {total_fmt}" if known else "") + ", {rate_fmt}"
    lines["bar_format"] += ", {remaining} left" if known else ""
    return tqdm(iterable, description, total, **lines)
