"""Lists the files of a folder that a stage reads, and those that it leaves out, with the reasons."""

import dataclasses
import os

SHOWN = 8  # names that a note lists


@dataclasses.dataclass
class Found:
    """The result of a walk through a folder.

    Attributes:
      files: list of paths of the files to read, sorted.
      left_out: dict path -> reason, for files and folders that are left out.
      broken: dict path -> reason, for links whose target does not exist.
    """

    files: list
    left_out: dict
    broken: dict


def walk(folder, why_not, recursive=True):
    """Returns the files to read in a folder, and those that are left out, as `Found`. Hidden files are left out.

    Args:
      folder: the folder. Links in it are followed; each folder is entered once.
      why_not: function of a file name; returns the reason for leaving the file out, "" for a file to read.
      recursive: whether to list the files of subfolders too; else subfolders are left out.

    Raises: OSError if a folder cannot be read.
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
    """Returns a line of text that names what was left out and why; "" if nothing was left out.

    Args: folder: the folder that was searched. left_out: dict path -> reason (`Found.left_out`).
    """
    if not left_out:
        return ""
    names = [f"{os.path.relpath(path, folder)} ({reason})" for path, reason in sorted(left_out.items())]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"NOTE: {folder}: left out: {', '.join(names[:SHOWN])}{more}"
