"""What each sidecar on a volume follows: its manifests as they could last be used, and the models they ever named.

A sidecar that starts while its manifest cannot be had goes by this, and only what stands here is its own to remove.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefetch.volume import documents
from prefetch.volume.documents import Kind
from prefetch.volume.layout import Volume
from prefetch.volume.paths import is_model_path
from prefetch.volume.untrusted import Kinds, has_fields

__all__ = ["FOLLOWED", "Followed", "read_followed", "wanted_by_others", "write_followed"]

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
        "manifest": followed.manifest,
        "wanted": sorted(followed.wanted),
        "named": sorted(followed.named),
    }
    documents.write(volume, FOLLOWED, f"{key}.json", document)


def read_followed(volume: Volume, key: str) -> Followed | None:
    """What `write_followed` remembered; None if there is nothing, or any part of it cannot be trusted."""
    return documents.read(volume, FOLLOWED, f"{key}.json")


def wanted_by_others(volume: Volume, key: str) -> frozenset[str]:
    """Every path that the manifests of other sidecars name. Raises an error of ours."""
    found = documents.read_all(volume, FOLLOWED)
    return frozenset().union(*(other.wanted for name, other in found if name != f"{key}.json"))


def _parse(name: str, document: Mapping[str, Any]) -> Followed | None:
    if not has_fields(document, _FIELDS):
        return None
    wanted, named = document["wanted"], document["named"]
    if not all(map(is_model_path, [*wanted, *named])):
        return None
    return Followed(document["manifest"], frozenset(wanted), frozenset(named))


FOLLOWED = Kind("followed", re.compile(r"[0-9a-f]{64}\.json"), _parse, version=1)
