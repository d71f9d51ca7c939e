"""The command line: how a frozen dataclass becomes flags, how an entry point is run, what the user is shown.

Every entry point keeps its settings in one frozen dataclass. Each field carries its meaning, and the flags are made
from the fields, so a setting is written down in exactly one place.
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
    """Bad input or a wrong command: the message says what was found, what was expected, and what mends it."""

    ag_pass_through = True  # raised while TensorFlow compiles a step, the message stays as it is


# --------------------------------------------------------------------------------------------------------------
# From a dataclass to flags and back


def field(default, help):
    """A dataclass field with the sentence that `--help` prints for it."""
    return dataclasses.field(default=default, metadata={"help": help})


def repeated(help):
    """A field of texts whose flag may be given several times; what it gives stands behind what a recipe gives."""
    return dataclasses.field(default=(), metadata={"help": help, "repeated": True})


def flag_type(annotation):
    """(type, optional, is a tuple) of a field's annotation, e.g. `int | None` -> (int, True, False)."""
    if isinstance(annotation, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0], True, False
    if typing.get_origin(annotation) is tuple:
        return typing.get_args(annotation)[0], False, True
    return annotation, False, False


def _own_fields(options_class, recipes):
    """The fields that are flags: all but `recipe`, which belongs to `recipes` where the command takes recipes."""
    return [item for item in dataclasses.fields(options_class) if not (recipes and item.name == "recipe")]


def _define_flags(options_class, values, recipes=None):
    """Defines one flag per field of `options_class` with the defaults of the dataclass, and --recipe."""
    hints = typing.get_type_hints(options_class)
    if recipes:
        flags.DEFINE_string("recipe", None, recipes.help(), flag_values=values)
        values.register_key_flag_for_module(sys.argv[0], values["recipe"])
    for item in _own_fields(options_class, recipes):
        kind, _, is_tuple = flag_type(hints[item.name])
        # A multi-line help text would be re-wrapped badly by absl; the sentences here are single lines.
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
    """The rows of aliases.SETTINGS that are old flags of a command with these settings."""
    names = {item.name for item in dataclasses.fields(options_class)}
    return [old for old in aliases.SETTINGS if old.kind and old.new in names and old.name not in names]


def choice(default, choices, help):
    """A string field that takes one of `choices`."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


def _options_from_flags(options_class, argv, values, recipes):
    """The dataclass with the recipe's values, overridden by every flag given on the command line.

    Args: argv: what is left beside the flags, program first; `paths` of a class that has this attribute.
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
    """What old flags say: dict present setting -> value, put into `given` too; the present spelling is printed.

    Raises: UserError.
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
    """The command-line flags that give a setting its value: list of texts, quoted for a shell."""
    (item,) = (item for item in dataclasses.fields(options) if item.name == name)
    value = getattr(options, name)
    if item.metadata.get("repeated"):
        return [f"--{name}={shlex.quote(part)}" for part in value or ("",)]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [f"--{name}={shlex.quote(text)}"]


def parse(options_class, arguments, recipes=None):
    """The settings that a command gets from its arguments, for looking at a command without running it.

    Args: as of `run`; arguments: list of str, without the program's name.

    Raises: UserError for a recipe, absl.flags.Error for a flag or value that the command does not take.
    """
    values = flags.FlagValues()
    _define_flags(options_class, values, recipes)
    return _options_from_flags(options_class, values(["", *arguments]), values, recipes)


# --------------------------------------------------------------------------------------------------------------
# Outputs: tried before the work begins; what the system says is told in one line

_ROOM = "make room and run the same command again"
_RIGHT = "give yourself the right to it, or name another file"
_NO_FOLDER = "a file is there where a folder is expected; name another folder, or move the file away"
_BROKEN = "the disk or the network has a fault; run the same command again when it is mended"
FILE_FAULTS = {  # what the system answers where a file cannot be read or written, and what mends it
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: "make room, or have the quota raised, and run the same command again",
    errno.EFBIG: "files of this size are not allowed here: raise the limit (ulimit -f), or name another disk",
    errno.EROFS: "name a folder that can be written",
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EMFILE: "allow more open files (ulimit -n 4096) and run the same command again",
    errno.ENFILE: "close other programs: the machine has no more files to open",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EILSEQ: "the file system takes no such name; give it another one",
    errno.ENOENT: "look whether the name is right, and whether the disk is there",
    errno.EISDIR: "a folder is there where a file is expected; name another file, or move the folder away",
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.ELOOP: "its links lead in a circle; remove one of them",
    errno.EBUSY: "another program uses it; end that one, or name another file",
    errno.ETXTBSY: "another program uses it; end that one, or name another file",
    errno.EIO: _BROKEN,
    errno.ESTALE: _BROKEN,
}
MEMORY = "there is not enough memory; end other programs, or give a smaller --batch_size or --processes"


def file_fault(error):
    """One line about a file that cannot be read or written: its name, why, what mends it; None for other errors.

    Args: error: an OSError, or one of TensorFlow's, which names the file and the reason in its message.
    """
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
    """Tries before the block whether its outputs can be written; makes the folders that are not there.

    When the block fails, folders that were made and are still empty are removed.

    Args: files, folders: paths that the block will write; empty ones are left out.
    Raises: OSError naming the path.
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
    """Writes a file in a folder for a moment. Args: path: for the error. made: gets the folders that were not there."""
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
    """Whether a path is a device, a pipe or a file that is open: written as it is, never replaced by a new file."""
    path = os.path.abspath(path)
    is_open = path.startswith(("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/"))
    return is_open or os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def end_output():
    """Writes what is left for standard output; where its reader is gone or its disk is full, no one tries again."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is no file, as in a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --------------------------------------------------------------------------------------------------------------
# Running an entry point


def run(main, options_class, recipes=None):
    """Runs an entry point: flags -> dataclass -> `main(options)`.

    Args:
      main: function of the options; its return value is the exit code (None is 0).
      options_class: a frozen dataclass with a default for every field. Where it has a method `outputs()`, the (files,
        folders) that it returns are what `main` will write; they are tried first.
      recipes: experiments.Stage or experiments.Rows, for a command that takes `--recipe`; single flags override it.
    """
    flags.DEFINE_bool("verbose", False, "show TensorFlow's own messages")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only; read when TensorFlow is imported
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
        except BrokenPipeError:  # who read the output has seen enough, as in `| head`
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
    """The command as typed, for sidecars and result files."""
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
    """The error stream for a bar of tqdm where there is no terminal: every look at it is a line of its own."""

    def write(self, text):
        if text.strip():
            print(text.strip(), file=sys.stderr)

    def flush(self):
        sys.stderr.flush()


def progress(iterable, description, total=None, every=30.0):
    """`iterable`, which shows how far it is: a bar on a terminal, else a line every `every` seconds."""
    from tqdm import tqdm

    if sys.stderr.isatty():
        return tqdm(iterable, description, total, dynamic_ncols=True)
    tqdm.monitor_interval = 0  # its thread serves bars that look less often than at every item
    known = total is not None or hasattr(iterable, "__len__")
    lines = {"file": _Lines(), "mininterval": every, "miniters": 1, "delay": every}
    lines["bar_format"] = "{desc}: {n_fmt}" + (" of {total_fmt}" if known else "") + ", {rate_fmt}"
    lines["bar_format"] += ", {remaining} left" if known else ""
    return tqdm(iterable, description, total, **lines)
