"""Downloads data sets, checkpoints and class maps that data/MANIFEST.json describes.

    python -m scripts.download --list
    python -m scripts.download coco2014 karpathy --to downloads/coco

Takes names of files or of sets of files. The same command continues after an interruption. Mirrors are tried in order;
size and checksum are compared where they are known; archives are unpacked and removed. When a file cannot be
downloaded, the error says what to do instead. Each data set has its own folder below --to; a finished download is
recorded in TO/.downloads/NAME.json.
"""

import dataclasses
import json
import os
import urllib.parse

import cli
from formats import sidecars
from preprocessing.sources import downloads, pascal_page, unpacking

NOTES = ".downloads"
MAX_IMAGES = 10_000  # images linked from a page; the page of the PASCAL sentences has 1,000
MAX_IMAGE = 20 << 20  # bytes of an image; those of that page have about 50 KB


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.download."""

    paths: tuple[str, ...] = cli.field((), "names of files or sets (--list); they are also taken as plain arguments")
    to: str = cli.field("downloads", "folder to download into")
    list: bool = cli.field(False, "list what can be downloaded, and what of it is in --to")
    manifest: str = cli.field("data/MANIFEST.json", "the file that lists what can be downloaded")
    unpack: bool = cli.field(True, "unpack archives")
    keep_archives: bool = cli.field(False, "keep archives after unpacking")
    unchecked: bool = cli.field(False, "accept a file whose size or checksum differs from the manifest")
    attempts: int = cli.field(5, "attempts at a mirror without any progress")
    timeout: float = cli.field(60.0, "seconds without data after which a connection is closed")
    backoff: float = cli.field(2.0, "seconds before the second attempt, doubled for each further one")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths, which cli.run checks first."""
        return (), () if self.list else (self.to,)


# --------------------------------------------------------------------------------------------------------------
# The manifest


def read_manifest(path):
    """Reads the manifest; returns (dict name -> entry, dict name of a set -> list of names of entries).

    An entry is a dict that describes one download: "name" (used on the command line), "file" (file name on disk),
    "folder" (below --to), "urls", "bytes" and others.

    Raises: cli.UserError if the manifest is invalid.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        entries = {entry["name"]: entry for entry in content["files"]}
        sets = content["sets"]
        for entry in entries.values():
            missing = {"file", "folder", "urls", "bytes", "licence", "if_gone", "verified"} - entry.keys()
            if missing:
                raise ValueError(f"{entry['name']} lacks {', '.join(sorted(missing))}")
        if len(entries) < len(content["files"]):
            raise ValueError("a name stands twice")
        unknown = {name for names in sets.values() for name in names} - entries.keys()
        if unknown or sets.keys() & entries.keys():
            raise ValueError(f"sets with files that are not there, or with their names: {unknown}")
    except OSError as error:
        raise cli.UserError(f"--manifest {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise cli.UserError(f"--manifest {path}: {type(error).__name__} {error}") from error
    return entries, sets


def chosen(names, entries, sets):
    """Returns the entries (dicts) with the given names and of the sets with the given names: list, each once, in order.

    Args: names: list of str, names of entries and sets. entries, sets: from `read_manifest`.
    Raises: cli.UserError for an unknown name.
    """
    found = {}
    for name in names:
        if name not in entries and name not in sets:
            raise cli.UserError(
                f"{name!r} is neither a file nor a set of the manifest. Sets: {', '.join(sets)}. All: --list"
            )
        for member in sets.get(name, (name,)):
            found[member] = entries[member]
    return list(found.values())


def _size(entry):
    """Returns the size of an entry's file as text."""
    size = entry["bytes"]
    return "size unknown" if size is None else f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def show(entries, sets, folder):
    """Prints what can be downloaded, and what of it is in `folder`. Args: entries, sets: from `read_manifest`."""
    print("sets:")
    for name, members in sets.items():
        print(f"  {name}: {', '.join(members)}")
    print("files:")
    for entry in entries.values():
        here = "  [here]" if os.path.exists(_note_path(entry, folder)) else ""
        how = "" if entry["urls"] else ", by hand"
        print(f"  {entry['name']}: {entry['title']} ({_size(entry)}{how}; {entry['licence']}){here}")


# --------------------------------------------------------------------------------------------------------------
# One file


def _note_path(entry, folder):
    """Returns the path of the JSON file that records an entry's finished download. Args: folder: --to."""
    return os.path.join(folder, NOTES, f"{entry['name']}.json")


def is_here(entry, folder):
    """Returns whether an entry is recorded as downloaded and its file or unpacked folder exists.

    Args: entry: dict of the manifest. folder: --to.
    """
    path = _note_path(entry, folder)
    if not os.path.exists(path):
        return False
    note = sidecars.read_sidecar(path)
    if note.get("unpacked"):
        return os.path.isdir(os.path.join(folder, entry["folder"], note["unpacked"]["folder"]))
    file = os.path.join(folder, entry["folder"], entry["file"])
    return os.path.exists(file) and os.path.getsize(file) == note["bytes"]


def _adopt(entry, options):
    """Returns the digests of an entry's file that exists already, e.g. copied there by hand; None if it does not exist.

    Args: entry: dict of the manifest. options: Options. Returns: dict name of the checksum -> digest (str).
    Raises: cli.UserError if size or checksum differ from the manifest, unless --unchecked.
    """
    path = os.path.join(options.to, entry["folder"], entry["file"])
    if not os.path.exists(path):
        return None
    found = downloads.digests(path)
    fault = downloads.fault_of(path, entry, found)
    if fault and not options.unchecked:
        raise cli.UserError(f"{path} is there, but {fault}. Move it away, or add --unchecked to use it as it is")
    print(f"{path} is there already" + (f", but {fault}" if fault else ""))
    return found


def download(entry, options):
    """Downloads one file, unpacks it, downloads the images that a page links to, and records the result.

    If the entry is recorded as downloaded and still exists, nothing is done.

    Args: entry: dict of the manifest. options: Options. Raises: cli.UserError if it fails.
    """
    own = os.path.join(options.to, entry["folder"])
    for folder in (os.path.join(options.to, NOTES), own):
        os.makedirs(folder, exist_ok=True)
    if is_here(entry, options.to):
        print(f"{entry['name']}: complete, nothing to do")
        return
    settings = {name: getattr(options, name) for name in ("attempts", "timeout", "backoff", "unchecked")}
    url, found = None, _adopt(entry, options)
    if found is None:
        url, found = downloads.Download(entry, own, **settings).fetch()
    path = os.path.join(own, entry["file"])
    note = {"name": entry["name"], "file": entry["file"], "bytes": os.path.getsize(path), "url": url, **found}
    known = next((name for name in ("sha256", "md5") if entry.get(name)), "size" if entry["bytes"] else None)
    note["compared"] = known if not downloads.fault_of(path, entry, found) else None
    print(f"{path}: {note['bytes']} bytes, sha256 {found['sha256']}, " + (f"{known} as listed" if known else "unknown"))
    if entry.get("linked_images"):
        note["linked"] = _linked_images(entry, path, settings)
    if entry.get("unpack") and options.unpack:
        folder = os.path.join(own, entry["unpack"]["folder"])
        count, size = unpacking.unpack(path, folder, entry["unpack"].get("flatten", False))
        note["unpacked"] = {"folder": entry["unpack"]["folder"], "files": count, "bytes": size}
        print(f"{folder}: {count} files")
        if not options.keep_archives:
            os.remove(path)
    note["command"] = cli.command_line()
    sidecars.write_json(_note_path(entry, options.to), note)


def _linked_images(entry, page, settings):
    """Downloads the images that a page links to into one folder; returns their number, with those that exist already.

    Args: entry: dict of the manifest. page: path of the HTML file. settings: dict of arguments of downloads.Download.
    Raises: cli.UserError if the page links to no image with sentences, to too many, or a download fails.
    """
    folder = os.path.join(os.path.dirname(page), entry["linked_images"])
    os.makedirs(folder, exist_ok=True)
    with open(page, encoding="utf-8", errors="replace") as file:
        images = sorted(image for image, texts in pascal_page.captions(file.read()).items() if texts)
    if not images:
        raise cli.UserError(f"{page}: no image with sentences in there. {entry['if_gone']}")
    if len(images) > MAX_IMAGES:
        raise cli.UserError(f"{page}: links to {len(images):,} images, more than {MAX_IMAGES:,}")
    for image in cli.progress(images, f"images of {entry['name']}"):
        name = os.path.basename(urllib.parse.urlsplit(image).path)
        if not name or name.startswith("."):
            raise cli.UserError(f"{page}: links to {image!r}, which is not a file name")
        if not os.path.exists(os.path.join(folder, name)):
            urls = [urllib.parse.urljoin(url, image) for url in entry["urls"]]
            linked = {"name": name, "file": name, "urls": urls, "if_gone": entry["if_gone"], "verified": False}
            linked["most"] = MAX_IMAGE
            downloads.Download(linked, folder, **settings).fetch()
    return len(images)


def main(options):
    """Lists or downloads what the flags name; continues after a failure. Args: options: Options.

    Raises: cli.UserError naming the files that could not be downloaded.
    """
    entries, sets = read_manifest(options.manifest)
    if options.list:
        show(entries, sets, options.to)
        return
    if not options.paths:
        raise cli.UserError("no names given; --list says what there is")
    if options.attempts < 1 or options.timeout <= 0 or options.backoff < 0:
        raise cli.UserError("--attempts must be at least 1, --timeout above 0, --backoff at least 0")
    failed = []
    for entry in chosen(options.paths, entries, sets):
        print(f"{entry['name']}: {entry['title']}. Licence: {entry['licence']}")
        try:
            download(entry, options)
        except cli.UserError as error:  # continue with the others
            print(f"{entry['name']}: failed")
            failed.append(str(error))
    if failed:
        raise cli.UserError(f"{len(failed)} of the files could not be downloaded.\n" + "\n".join(failed))


if __name__ == "__main__":
    cli.run(main, Options)
