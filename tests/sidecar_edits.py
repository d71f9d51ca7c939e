"""Edits sidecars as another call of their stage would have written them: changed fields with a valid checksum."""

from formats import sidecars


def edit(path, **fields):
    """Changes fields of a sidecar and its checksum."""
    rewrite(path, sidecars.read_sidecar(path) | fields)


def rewrite(path, content):
    """Writes a sidecar with a valid checksum."""
    sidecars.write_json(str(path), content | {"checksum": sidecars.checksum_of(content)})
