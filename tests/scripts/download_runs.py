"""Runs scripts/download.py on small manifests, for its tests."""

import hashlib
import json
import random

from scripts import download

DATA = random.Random(3).randbytes(3_000_000)


def entry(urls, data=DATA, file="a.bin", **more):
    """Returns a manifest entry with size and checksum of `data`."""
    known = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
    about = {
        "name": "a",
        "title": "A",
        "folder": "own",
        "file": file,
        "urls": urls,
        "licence": "free",
        "verified": False,
    }
    return about | known | {"if_gone": "Ask a colleague."} | more


def run(folder, *entries, names=("a",), **options):
    """Runs the script on a manifest of these entries; returns the folder of their files."""
    folder.mkdir(exist_ok=True)
    manifest = folder / "MANIFEST.json"
    manifest.write_text(json.dumps({"sets": {"all": [one["name"] for one in entries]}, "files": entries}))
    settings = {"backoff": 0.01, "attempts": 3, "timeout": 5.0} | options
    download.main(download.Options(paths=names, to=str(folder / "to"), manifest=str(manifest), **settings))
    return folder / "to" / "own"


def note(folder, name="a"):
    return json.loads((folder / "to" / ".downloads" / f"{name}.json").read_text())
