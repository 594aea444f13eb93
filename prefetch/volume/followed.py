"""What each sidecar on a volume follows: its manifests as they could last be used, and the models they ever named.

A sidecar that starts while its manifest cannot be had goes by this, and only what stands here is its own to remove.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from prefetch.errors import PrefetchError
from prefetch.volume import files
from prefetch.volume.documents import read_document, write_document
from prefetch.volume.layout import Volume
from prefetch.volume.paths import check_model_path
from prefetch.volume.untrusted import Kinds, has_fields

__all__ = ["Followed", "read_followed", "wanted_by_others", "write_followed"]

_DIRECTORY = "followed"
_VERSION = 1
_NAME = re.compile(r"[0-9a-f]{64}\.json")
_FIELDS: dict[str, Kinds] = {"manifest": str, "wanted": list, "named": list}


@dataclass(frozen=True, slots=True)
class Followed:
    """What one sidecar follows.

    Attributes:
        manifest: all that its manifests want, as one manifest in JSON. Whoever can write to the volume may have written
            it.
        wanted: paths of the models that they name now.
        named: paths of models that they named at any time and that were not removed since.
    """

    manifest: str
    wanted: frozenset[str]
    named: frozenset[str]


def write_followed(volume: Volume, key: str, followed: Followed) -> None:
    """Remember it for the sidecar that ``key`` (64 hex digits) stands for. Raises an error of ours."""
    document = {
        "version": _VERSION,
        "manifest": followed.manifest,
        "wanted": sorted(followed.wanted),
        "named": sorted(followed.named),
    }
    write_document(volume, _DIRECTORY, f"{key}.json", document)


def read_followed(volume: Volume, key: str) -> Followed | None:
    """What `write_followed` remembered; None if there is nothing, or any part of it cannot be trusted."""
    document = read_document(volume, _DIRECTORY, f"{key}.json")
    if document is None or document.get("version") != _VERSION or not has_fields(document, _FIELDS):
        return None
    wanted, named = document["wanted"], document["named"]
    if not _are_paths(wanted) or not _are_paths(named):
        return None
    return Followed(document["manifest"], frozenset(wanted), frozenset(named))


def wanted_by_others(volume: Volume, key: str) -> frozenset[str]:
    """Every path that the manifests of other sidecars name. Raises an error of ours."""
    with files.os_errors("reading what sidecars follow"), volume.reading(_DIRECTORY) as directory:
        names = [] if directory is None else _names(directory)
    others = (read_followed(volume, name.removesuffix(".json")) for name in names if name != f"{key}.json")
    return frozenset().union(*(other.wanted for other in others if other is not None))


def _names(directory: int) -> list[str]:
    return list(filter(_NAME.fullmatch, files.names(directory)))


def _are_paths(named: Iterable[object]) -> bool:
    with suppress(ValueError, PrefetchError):
        for path in named:
            if not isinstance(path, str):
                return False
            check_model_path(path)
        return True
    return False
