"""What the last complete run of a manifest came to, for those who only want to know whether it still stands.

The container's entrypoint reads it before every start, in milliseconds: nothing here may import more than the standard
library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, cast

from prefetch.volume import files
from prefetch.volume.documents import read_document, write_document
from prefetch.volume.layout import Volume
from prefetch.volume.paths import check_model_path
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, has_fields

__all__ = ["AppliedModel", "forget_applied", "forget_applied_of", "read_applied", "write_applied"]

_VERSION = 1
_KEY = re.compile(r"[0-9A-Za-z_-]{1,128}")
_FIELDS: dict[str, Kinds] = {
    "path": str,
    "source": str,
    "url": OPTIONAL_TEXT,
    "commit": OPTIONAL_TEXT,
    "size": int,
    "sha256": str,
    "mtime": int,
    "node_path": OPTIONAL_TEXT,
    "groups": list,
}


class AppliedModel(TypedDict):
    """One model as it stood after the run: ``size`` in bytes, ``mtime`` in whole seconds."""

    path: str
    source: str
    url: str | None
    commit: str | None
    size: int
    sha256: str
    mtime: int
    node_path: str | None
    groups: list[str]


def write_applied(volume: Volume, key: str, models: Sequence[AppliedModel]) -> None:
    """Record that the manifest which ``key`` (letters, digits, ``-`` and ``_``) stands for was applied."""
    write_document(volume, "applied", _name(key), {"version": _VERSION, "models": list(models)})


def read_applied(volume: Volume, key: str) -> list[AppliedModel] | None:
    """What `write_applied` recorded; None if there is none, or any part of it cannot be trusted."""
    document = read_document(volume, "applied", _name(key))
    if document is None or document.get("version") != _VERSION or not isinstance(document.get("models"), list):
        return None
    if not all(map(_is_model, document["models"])):
        return None
    return cast(list[AppliedModel], document["models"])


def forget_applied(volume: Volume) -> None:
    """Drop every record of what was applied: something that was thought to stand does not."""
    with files.os_errors("forgetting what was applied"), volume.reading("applied") as directory:
        if directory is not None:
            _remove_all(directory)


def forget_applied_of(volume: Volume, paths: Iterable[str]) -> None:
    """Drop the records of what was applied that name any of these models."""
    gone = set(paths)
    with files.os_errors("forgetting what was applied"), volume.reading("applied") as directory:
        if directory is not None:
            for name in _names(directory):
                if not gone.isdisjoint(_paths_in(volume, name.removesuffix(".json"))):
                    files.remove(name, dir_fd=directory)


def _paths_in(volume: Volume, key: str) -> set[str]:
    models = read_applied(volume, key) if _KEY.fullmatch(key) else None
    return {model["path"] for model in models or ()}


def _names(directory: int) -> list[str]:
    return os.listdir(directory)


def _remove_all(directory: int) -> None:
    for name in _names(directory):
        files.remove(name, dir_fd=directory)


def _name(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key[:80]!r} is no key of a manifest")
    return f"{key}.json"


def _is_model(document: Any) -> bool:
    if not isinstance(document, dict) or not has_fields(document, _FIELDS):
        return False
    try:
        for path in (document["path"], document["node_path"]):
            if path is not None:
                check_model_path(path)
    except ValueError:
        return False
    return all(isinstance(group, str) for group in document["groups"])
