"""What we once placed and no manifest names any more. Only names, sizes, records and claims are looked at."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prefetch.manifest import Wanted
from prefetch.volume import claims, files
from prefetch.volume.applied import forget_applied_of
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.claims import Claim, Own
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import Inventory, Record, matches
from prefetch.volume.layout import Volume
from prefetch.volume.leftovers import clear_partials
from prefetch.volume.owner import Owner
from prefetch.volume.replaced import find_replaced
from prefetch.volume.strangers import Stranger, find_strangers, remove_stranger
from prefetch.volume.waiting import Unfinished, find_unfinished

__all__ = ["Find", "Pruning"]

REMOVAL = 60_000
"""Milliseconds after which the claim of a process that died while it removed a model may be outbid."""


@dataclass(frozen=True, slots=True)
class Find:
    """Something that no manifest names.

    Attributes:
        path: below the volume's root.
        why: why it is kept; None if it may be removed.
        record: what is known of a model that stands under its name.
        partial: what is known of a model that was begun.
        stranger: what it is in the state directory, where it is nothing of ours.
    """

    path: str
    size: int | None
    sha256: str | None
    why: str | None
    record: Record | None = None
    partial: Unfinished | None = None
    stranger: Stranger | None = None


class Pruning:
    """Finds and removes on one volume. Blocking calls; every one raises VolumeError where the volume refuses."""

    def __init__(self, wanted: Wanted, volume: Volume) -> None:
        self._volume = volume
        self._inventory = Inventory(volume)
        self._wanted = {entry.model.path for entry in wanted.entries}
        self._places = {self._place(path) for path in self._wanted}

    def find(self) -> list[Find]:
        """Every model and every partial file that no manifest names, sorted by path."""
        claimed = self._claimed()
        records = (record for record in self._inventory.all() if record.path not in self._wanted)
        found = [self._judge(record, claimed) for record in records]
        partials = (partial for partial in find_unfinished(self._volume) if partial.identity.path not in self._wanted)
        begun = (_judge_partial(partial, claimed) for partial in partials)
        return sorted([*found, *begun], key=lambda find: find.path)

    def find_replaced(self) -> list[Find]:
        """Every file that stood under a model's name once, was not ours, and was kept."""
        return [Find(file.path, file.size, None, None) for file in find_replaced(self._volume)]

    def find_strangers(self) -> list[Find]:
        """Everything in the state directory that is nothing of ours, and that nobody goes by."""
        state = self._volume.state.name
        return [
            Find(f"{state}/{each.path}", each.size, None, None, stranger=each) for each in find_strangers(self._volume)
        ]

    def remove(self, find: Find) -> str | None:
        """Remove what may be removed; why it was kept after all, None if it is gone."""
        if find.record is not None:
            return self._remove_model(find.record)
        if find.partial is not None:
            return None if clear_partials(self._volume, find.partial.identity) else "somebody else has taken it over"
        if find.stranger is not None:
            return (
                None if remove_stranger(self._volume, find.stranger.path) else "it is a document of prefetch's by now"
            )
        self._remove_replaced(find.path)
        return None

    def forget(self, finds: Iterable[Find]) -> None:
        """Drop the records of models that were removed."""
        paths = [find.path for find in finds if find.record is not None]
        if paths:
            forget_applied_of(self._volume, paths)
            self._inventory.remove(*paths)

    def _judge(self, record: Record, claimed: dict[str, str]) -> Find:
        size, why = record.size, self._why_kept(record)
        if why is None:
            by = claimed.get(_key(record)) or claimed.get(record.path)
            why = f"{by} is at work on it" if by else None
        return Find(record.path, size, record.sha256, why, record=record)

    def _why_kept(self, record: Record) -> str | None:
        if not record.placed:
            return "it was not placed by prefetch"
        if self._place(record.path) in self._places:
            return "a manifest names it by another path"
        if (standing := self._standing(record.path)) is None:
            return None
        if not stat.S_ISREG(standing.st_mode) or not matches(record, standing):
            return "it has changed since prefetch placed it"
        return None

    def _place(self, path: str) -> Path:
        """The name a path comes to: two paths may lead to one file through a linked directory."""
        real = self._volume.root / path
        return Path(os.path.realpath(real.parent)) / real.name

    def _standing(self, path: str) -> os.stat_result | None:
        """What stands under this very name, a link itself where it is one."""
        place = self._place(path)
        if not place.is_relative_to(self._volume.root):
            return None
        with files.os_errors(f"looking at {path}"):
            return place.lstat() if os.path.lexists(place) else None

    def _claimed(self) -> dict[str, str]:
        """Who holds a claim that is not free, by its key and by the path it is for."""
        with files.os_errors("reading the claims"), self._volume.reading(claims.DIRECTORY) as directory:
            seen = [] if directory is None else claims.held(directory)
        who = {one.key: "another process" for one in seen}
        for one in seen:
            if (claim := one.claim) is not None:
                who[one.key] = who[claim.path] = f"process {claim.owner.pid} on {claim.owner.host}"
        return who

    def _remove_model(self, record: Record) -> str | None:
        claim = Claim(owner=Owner.current(), path=record.path, size=record.size, life_ms=REMOVAL)
        with files.os_errors(f"removing {record.path}"), self._volume.writing(claims.DIRECTORY) as directory:
            own = claims.take(directory, _key(record), claim)
            if not isinstance(own, Own):
                return "another process is at work on it"
            try:
                # Somebody may have placed another model there while nobody claimed it.
                why = self._why_kept(record) if self._inventory.get(record.path) == record else "it is another one now"
                if why is None and self._standing(record.path) is not None:
                    self._unlink(record.path)
                return why
            finally:
                own.claim = Claim(owner=claim.owner, path=claim.path, size=None, life_ms=REMOVAL, released=True)
                claims.release(directory, own)

    def _unlink(self, path: str) -> None:
        with self._volume.parent_of(path) as (directory, name):
            os.unlink(name, dir_fd=directory)
            # Before its record is dropped: a file that came back after a power cut would be nobody's for ever.
            files.flush(directory)

    def _remove_replaced(self, path: str) -> None:
        *parents, name = Path(path).relative_to(self._volume.state.name).parts
        with files.os_errors(f"removing {path}"), self._volume.reading(*parents) as directory:
            if directory is not None:
                files.remove(name, dir_fd=directory)


def _judge_partial(partial: Unfinished, claimed: dict[str, str]) -> Find:
    why = "its owner is not known to be gone" if partial.at_work else None
    if by := claimed.get(partial.identity.key):
        why = f"{by} is at work on it"
    return Find(partial.identity.path, partial.bytes_here, partial.identity.sha256, why, partial=partial)


def _key(record: Record) -> str:
    identity = Identity(record.path, record.size, record.sha256, record.url or "", None)
    return claims.key_of(identity, small=record.size <= BLOCK_SIZE)
