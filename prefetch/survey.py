"""What stands on the volume for each model that is wanted. Looks at names, sizes and records; reads no model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from prefetch.errors import VolumeError
from prefetch.manifest import Entry, Model
from prefetch.sources.refs.source import file_name
from prefetch.volume.applied import AppliedModel
from prefetch.volume.inventory import Inventory, Record, matches
from prefetch.volume.layout import Volume
from prefetch.volume.looking import Looking

__all__ = ["Standing", "State", "contents", "hashes_told", "obstruction", "satisfies", "stands", "survey", "with_told"]


class State(Enum):
    """How a wanted model stands on the volume."""

    PRESENT = "present"
    """As recorded when it was verified, and the record is of what the manifest wants."""
    CHANGED = "changed"
    """Recorded as what the manifest wants, but not the same file any more, or found damaged."""
    STRANGER = "stranger"
    """A file stands there that is not known to be what the manifest wants."""
    MISSING = "missing"
    OBSTRUCTED = "obstructed"
    """A directory stands where the file belongs."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One entry, and what stands for it on the volume."""

    entry: Entry
    state: State
    stat: os.stat_result | None
    record: Record | None

    @property
    def model(self) -> Model:
        return self.entry.model

    @property
    def path(self) -> str:
        return self.entry.model.path


def survey(
    entries: Iterable[Entry], volume: Volume, inventory: Inventory, *, applied: Iterable[AppliedModel] = ()
) -> list[Standing]:
    """One standing an entry, in order.

    Args:
        applied: what the last complete run of these entries came to. Where it still holds, no record has to be read:
            one document instead of a thousand, each of which costs a network file system some round trips.
    """
    known = {model["path"]: Record.from_applied(model) for model in applied if model["told"] is not None}
    looking = Looking(volume)
    return [_look(entry, looking, inventory, known) for entry in entries]


def _look(entry: Entry, looking: Looking, inventory: Inventory, known: Mapping[str, Record]) -> Standing:
    stat = looking.stat(entry.model.path)
    if stat is None and looking.is_directory(entry.model.path):
        return Standing(entry, State.OBSTRUCTED, None, None)
    if stat is None:
        return Standing(entry, State.MISSING, None, None)
    record = known.get(entry.model.path)
    if record is None or _state(entry.model, stat, record) is not State.PRESENT:
        record = inventory.get(entry.model.path)
    state = _state(entry.model, stat, record)
    if record is not None and state is not State.STRANGER and entry.model.sha256 is not None:
        # Whoever pins a model after it came has it as if it had been pinned before: its hash is the one that was told.
        record = replace(record, pinned=True)
    return Standing(entry, state, stat, record)


def hashes_told(standings: Iterable[Standing]) -> frozenset[str]:
    """The hashes that were told beforehand of any of these models."""
    return frozenset(each.record.sha256 for each in standings if each.record is not None and each.record.pinned)


def with_told(record: Record, told: frozenset[str]) -> Record:
    """The record, right about whether its hash was told beforehand.

    Earlier versions did not keep that of a file that they linked to another one, nor where it came from: it was, where
    the other one's was (``told``).
    """
    was_linked = record.url is None and not record.pinned
    return replace(record, pinned=True) if was_linked and record.sha256 in told else record


def _state(model: Model, stat: os.stat_result, record: Record | None) -> State:
    if record is None or not satisfies(record, model):
        return State.STRANGER
    return State.PRESENT if matches(record, stat) and not record.suspect else State.CHANGED


def obstruction(standing: Standing) -> VolumeError:
    """Why nothing can be placed where a directory stands."""
    name = file_name(standing.model.source) or "NAME"
    return VolumeError(
        f"{standing.path} is a directory, so no model can be placed there.",
        remedy=f"Write {standing.path}/{name}, or move the directory away.",
    )


def contents(volume: Volume, inventory: Inventory) -> dict[str, str]:
    """Path of a model that stands as it was recorded, by its SHA-256, whichever manifest wants it."""
    return {record.sha256: record.path for record in inventory.all() if stands(volume, record)}


def stands(volume: Volume, record: Record) -> bool:
    """Whether the file that was recorded is there, unchanged."""
    found = None if record.suspect else volume.stat(record.path)
    return found is not None and matches(record, found)


def satisfies(record: Record, model: Model) -> bool:
    """Whether what was recorded is what the manifest wants: the pinned hash, else the very same source."""
    if model.size is not None and model.size != record.size:
        return False
    return record.sha256 == model.sha256 if model.sha256 is not None else record.source == model.source
