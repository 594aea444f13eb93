"""Small JSON documents in the state directory: written whole or not at all, and doubted when they are read."""

from __future__ import annotations

import json
from typing import Any

from prefetch.volume import files
from prefetch.volume.layout import Volume
from prefetch.volume.untrusted import decode

__all__ = ["encode", "keep_newest", "newest_first", "read_document", "write_document"]

_LIMIT = 64 * 1024 * 1024


def write_document(volume: Volume, directory: str, name: str, document: object) -> None:
    """Put ``document`` at ``.prefetch/<directory>/<name>``. Raises an error of ours if the volume refuses."""
    data = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    with (
        files.os_errors(f"recording {directory}/{name}"),
        volume.writing(directory) as target,
        volume.writing("tmp") as temporary,
    ):
        files.replace(name, data, dir_fd=target, temporary=temporary)


def keep_newest(volume: Volume, directory: str, count: int) -> None:
    """Remove all documents of ``.prefetch/<directory>`` but so many that were written last."""
    with files.os_errors(f"clearing {directory}"), volume.writing(directory) as target:
        for name in newest_first(target)[count:]:
            files.remove(name, dir_fd=target)
        # For those that are kept: a name is only as durable as the directory that it is in.
        files.flush(target)


def newest_first(directory: int) -> list[str]:
    """The names in an open directory, the one that was written last first."""
    found = {name: files.lstat(name, dir_fd=directory) for name in files.names(directory)}
    return sorted(found, key=lambda name: -status.st_mtime_ns if (status := found[name]) is not None else 0)


def encode(document: object) -> bytes:
    """A document as it stands in its file."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def read_document(volume: Volume, directory: str, name: str) -> dict[str, Any] | None:
    """The JSON object at ``.prefetch/<directory>/<name>``; None if there is none, or anything else."""
    with files.os_errors(f"reading {directory}/{name}"), volume.reading(directory) as source:
        data = None if source is None else files.read_small(name, dir_fd=source, limit=_LIMIT)
    return None if data is None else decode(data)
