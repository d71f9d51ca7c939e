"""What lies in a folder: the files that a stage takes, and what it leaves out and why, so that it can be said."""

import dataclasses
import os

SHOWN = 8  # names that a note lists


@dataclasses.dataclass
class Found:
    """What a walk through a folder has found.

    Attributes:
      files: list of paths, sorted.
      left_out: dict path -> why it is not taken.
      broken: dict path -> why it cannot be read, though it would be taken: links that lead nowhere.
    """

    files: list
    left_out: dict
    broken: dict


def walk(folder, why_not, recursive=True):
    """The files of a folder: `Found`.

    Args:
      folder: the folder. Links in it are followed, each folder is entered once.
      why_not: function of a file's name that says why it is not taken, "" if it is.
      recursive: also those in the folders inside.
    """
    found, entered = Found([], {}, {}), set()

    def look(path):
        entered.add(os.path.realpath(path))
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.name.startswith("."):
                found.left_out[entry.path] = "hidden"
            elif os.path.isdir(entry.path):  # entry.is_dir() raises for a link to itself
                if not recursive:
                    found.left_out[entry.path] = "a folder"
                elif os.path.realpath(entry.path) in entered:
                    found.left_out[entry.path] = "a folder that was seen before"
                else:
                    look(entry.path)
            elif reason := why_not(entry.name):
                found.left_out[entry.path] = reason
            elif os.path.isfile(entry.path):
                found.files.append(entry.path)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                found.broken[entry.path] = f"a link to {os.readlink(entry.path)}, which is not there"
            else:
                found.left_out[entry.path] = "no file but a device or pipe"

    look(folder)
    found.files.sort()
    return found


def note(folder, left_out):
    """One line that names what was left out and why; "" for nothing."""
    if not left_out:
        return ""
    names = [f"{os.path.relpath(path, folder)} ({reason})" for path, reason in sorted(left_out.items())]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"NOTE: {folder}: left out: {', '.join(names[:SHOWN])}{more}"
