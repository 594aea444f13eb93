"""What the last complete run of a manifest came to, for those who only want to know whether it still stands.

The container's entrypoint reads it before every start, in milliseconds: nothing here may import more than the standard
library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, cast

from prefetch.inputs import Included
from prefetch.volume import documents, files
from prefetch.volume.documents import Kind
from prefetch.volume.layout import Volume
from prefetch.volume.paths import is_model_path
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, has_fields, is_text

__all__ = [
    "APPLIED",
    "Applied",
    "AppliedModel",
    "applied_keys",
    "forget_applied",
    "forget_applied_of",
    "read_applied",
    "write_applied",
]

_KEPT = 64
_KEY = re.compile(r"[0-9A-Za-z_-]{1,128}")
_FIELDS: dict[str, Kinds] = {"includes": list, "locked": bool, "models": list}
_OF_INCLUDE: dict[str, Kinds] = {"root": int, "name": str, "sha256": str}
_OF_MODEL: dict[str, Kinds] = {
    "path": str,
    "source": str,
    "url": OPTIONAL_TEXT,
    "commit": OPTIONAL_TEXT,
    "size": int,
    "sha256": str,
    "mtime": int,
    "pinned": bool,
    "told": (bool, type(None)),
    "node_path": OPTIONAL_TEXT,
    "groups": list,
}


class AppliedModel(TypedDict):
    """One model as it stood after the run: ``size`` in bytes, ``mtime`` in whole seconds.

    ``pinned``, ``node_path`` and ``groups`` are what the manifest and its lock said of it. ``told`` is whether they, or
    a host, told its hash beforehand; None in what versions wrote that did not keep it.
    """

    path: str
    source: str
    url: str | None
    commit: str | None
    size: int
    sha256: str
    mtime: int
    pinned: bool
    told: bool | None
    node_path: str | None
    groups: list[str]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run came to.

    Attributes:
        includes: the manifests that were included.
        locked: whether a lock pinned every model.
        models: in the manifests' order.
        groups: the names that selected them, none where the manifests want no others; None where nobody knows, as an
            earlier version of this program has recorded it.
    """

    includes: tuple[Included, ...]
    locked: bool
    models: list[AppliedModel]
    groups: tuple[str, ...] | None = None


def write_applied(volume: Volume, key: str, applied: Applied) -> None:
    """Record what was applied by the inputs that ``key`` (letters, digits, ``-`` and ``_``) stands for."""
    document = {
        "includes": list(map(asdict, applied.includes)),
        "locked": applied.locked,
        "models": applied.models,
        "groups": applied.groups,
    }
    documents.write(volume, APPLIED, _name(key), document)
    documents.keep_newest(volume, APPLIED, _KEPT)


def read_applied(volume: Volume, key: str) -> Applied | None:
    """What `write_applied` recorded; None if there is none, or any part of it cannot be trusted."""
    return documents.read(volume, APPLIED, _name(key))


def applied_keys(volume: Volume) -> list[str]:
    """The keys of everything that was applied, the latest first."""
    with files.os_errors("reading what was applied"), volume.reading("applied") as directory:
        names = [] if directory is None else documents.newest_first(APPLIED, directory)
    return [name.removesuffix(".json") for name in names]


def forget_applied(volume: Volume) -> None:
    """Drop every record of what was applied: something that was thought to stand does not."""
    _remove(volume, documents.names(volume, APPLIED))


def forget_applied_of(volume: Volume, paths: Iterable[str]) -> None:
    """Drop the records of what was applied that name any of these models."""
    gone = set(paths)
    found = documents.read_all(volume, APPLIED)
    _remove(volume, [name for name, applied in found if any(model["path"] in gone for model in applied.models)])


def _remove(volume: Volume, names: Iterable[str]) -> None:
    with files.os_errors("forgetting what was applied"), volume.reading("applied") as directory:
        if directory is not None:
            for name in names:
                files.remove(name, dir_fd=directory)


def _parse(name: str, document: Mapping[str, Any]) -> Applied | None:
    if not has_fields(document, _FIELDS):
        return None
    includes, models, groups = document["includes"], document["models"], document.get("groups")
    if not (groups is None or (isinstance(groups, list) and all(map(is_text, groups)))):
        return None
    if not all(map(_is_include, includes)) or not all(map(_is_model, models)):
        return None
    named = tuple(Included(**{name: include[name] for name in _OF_INCLUDE}) for include in includes)
    chosen = None if groups is None else tuple(groups)
    told = [cast(AppliedModel, {"told": None, **model}) for model in models]
    return Applied(named, document["locked"], told, chosen)


def _name(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key[:80]!r} is no key of a manifest")
    return f"{key}.json"


def _is_include(document: Any) -> bool:
    return isinstance(document, dict) and has_fields(document, _OF_INCLUDE) and is_model_path(document["name"])


def _is_model(document: Any) -> bool:
    if not isinstance(document, dict) or not has_fields({"told": None, **document}, _OF_MODEL):
        return False
    groups = all(map(is_text, document["groups"]))
    node_path = document["node_path"]
    return groups and is_model_path(document["path"]) and (node_path is None or is_model_path(node_path))


APPLIED = Kind("applied", re.compile(r"[0-9A-Za-z_-]{1,128}\.json"), _parse, version=2)
