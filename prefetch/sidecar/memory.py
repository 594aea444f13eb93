"""The copy of its manifests that a sidecar keeps on the volume."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from prefetch.given import Given, Remote, Written
from prefetch.manifest import Wanted
from prefetch.sidecar.target import Target
from prefetch.volume.followed import Followed, read_followed, wanted_by_others, write_followed
from prefetch.volume.layout import Volume

__all__ = ["Memory"]


class Memory:
    """What the volume remembers of the manifests with these names. Blocking calls; each raises an error of ours.

    A sidecar is known by the names of its manifests, so that another pod that follows the same goes on with it.
    """

    def __init__(self, given: Iterable[Given]) -> None:
        self._key = hashlib.sha256(json.dumps(list(map(_name, given))).encode()).hexdigest()

    def keep(self, target: Target, volume: Volume) -> None:
        """Remember what is wanted by now, and that it was wanted once."""
        before = read_followed(volume, self._key)
        named = frozenset(target.named) | (frozenset() if before is None else before.named)
        followed = Followed(_as_manifest(target.whole), frozenset(target.named), named)
        if followed != before:
            write_followed(volume, self._key, followed)

    def manifest(self, volume: Volume) -> Written | None:
        """The manifest that is remembered: a stranger's text, as others can write to the volume."""
        followed = read_followed(volume, self._key)
        if followed is None:
            return None
        return Written("the copy of the manifest on the volume", followed.manifest.encode(), fetched=True)

    def unwanted(self, target: Target, volume: Volume) -> frozenset[str]:
        """The models that our manifests named once, and neither they nor another sidecar's name now."""
        followed = read_followed(volume, self._key)
        if followed is None:
            return frozenset()
        return followed.named - frozenset(target.named) - wanted_by_others(volume, self._key)

    def forget(self, paths: Sequence[str], volume: Volume) -> None:
        """These are gone from the volume."""
        if (followed := read_followed(volume, self._key)) is not None:
            write_followed(volume, self._key, replace(followed, named=followed.named - frozenset(paths)))


def _name(given: Given) -> str:
    match given:
        case Path():
            return str(given.absolute())
        case Remote():
            # Its digest only: an address may hold a secret.
            return hashlib.sha256(given.address.encode()).hexdigest()
        case Written():
            return given.name


def _as_manifest(wanted: Wanted) -> str:
    models = [entry.model.model_dump(mode="json", exclude_defaults=True) for entry in wanted.entries]
    return json.dumps({"version": 1, "models": models}, separators=(",", ":"))
