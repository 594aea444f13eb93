"""Is what stands on the volume what was verified once? Reads, compares, and notes damage for the next run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal

from prefetch.errors import PrefetchError
from prefetch.manifest import Model
from prefetch.survey import satisfies
from prefetch.volume.applied import forget_applied
from prefetch.volume.blocks import DIGEST_SIZE
from prefetch.volume.hashing import hash_file
from prefetch.volume.inventory import Inventory, Record, matches, modified
from prefetch.volume.layout import Volume

__all__ = ["Subject", "Verdict", "inspect", "verify"]

Status = Literal["ok", "missing", "changed", "corrupt", "unverified"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A path, and what is known to belong there: what the manifest wants, what was recorded, or both."""

    path: str
    model: Model | None
    record: Record | None

    @property
    def sha256(self) -> str | None:
        """The hash the file must have; None where nobody knows one."""
        if self.model is None:
            return None if self.record is None else self.record.sha256
        if self.model.sha256 is not None:
            return self.model.sha256
        return self.record.sha256 if self.record is not None and satisfies(self.record, self.model) else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found at a path. ``detail`` is one sentence for anything but ``ok``; ``size`` is the file's."""

    path: str
    status: Status
    size: int | None
    sha256: str | None
    detail: str | None = None


def inspect(subject: Subject, volume: Volume) -> Verdict:
    """Compare size and time with the record; read nothing."""
    stat = volume.stat(subject.path)
    if stat is None:
        return _missing(subject)
    if subject.record is None or subject.record.sha256 != subject.sha256:
        return _unverified(subject, stat)
    if not matches(subject.record, stat):
        return _changed(subject, stat, "its size or time is not the recorded one")
    if subject.record.suspect:
        return _corrupt(subject, stat, "an earlier verify found it damaged")
    return Verdict(subject.path, "ok", stat.st_size, subject.sha256)


def verify(subject: Subject, volume: Volume, inventory: Inventory) -> Verdict:
    """Read the file and compare its hash; a file found damaged is noted, so that the next run mends it."""
    stat = volume.stat(subject.path)
    if stat is None:
        return _missing(subject)
    try:
        number = volume.open_file(subject.path)
        try:
            sha256, digests = hash_file(number)
        finally:
            os.close(number)
    except PrefetchError as error:
        return _corrupt(subject, stat, str(error))
    if subject.sha256 is None:
        return replace(_unverified(subject, stat), sha256=sha256)
    if sha256 == subject.sha256:
        return _sound(subject, stat, inventory)
    return _damaged(subject, stat, digests, volume, inventory)


def _sound(subject: Subject, stat: os.stat_result, inventory: Inventory) -> Verdict:
    record = subject.record
    if record is not None and (record.suspect or not matches(record, stat)) and record.sha256 == subject.sha256:
        inventory.put(replace(record, mtime=modified(stat), suspect=False), inventory.digests(record.path))
    return Verdict(subject.path, "ok", stat.st_size, subject.sha256)


def _damaged(subject: Subject, stat: os.stat_result, digests: bytes, volume: Volume, inventory: Inventory) -> Verdict:
    record = subject.record
    if record is None or record.sha256 != subject.sha256:
        return _changed(subject, stat, "its hash is not the manifest's")
    known = inventory.digests(record.path)
    if not record.suspect:
        inventory.put(replace(record, suspect=True), known)
        forget_applied(volume)
    where = _damage(known, digests) if known is not None and stat.st_size == record.size else ""
    if matches(record, stat):
        return _corrupt(subject, stat, f"its bytes are not those that were verified{where}")
    return _changed(subject, stat, f"it is not the file that was verified{where}")


def _damage(known: bytes, found: bytes) -> str:
    blocks = range(0, max(len(known), len(found)), DIGEST_SIZE)
    bad = sum(known[at : at + DIGEST_SIZE] != found[at : at + DIGEST_SIZE] for at in blocks)
    return f": {bad} of {len(blocks)} blocks differ" if bad else ""


def _missing(subject: Subject) -> Verdict:
    return Verdict(subject.path, "missing", None, subject.sha256, "There is no file; `prefetch run` fetches it.")


def _unverified(subject: Subject, stat: os.stat_result) -> Verdict:
    detail = "It was never verified here and no hash is known for it; `prefetch run` verifies it."
    return Verdict(subject.path, "unverified", stat.st_size, subject.sha256, detail)


def _changed(subject: Subject, stat: os.stat_result, why: str) -> Verdict:
    detail = f"The file was changed, {why}; `prefetch run` mends it and keeps what stands there now."
    return Verdict(subject.path, "changed", stat.st_size, subject.sha256, detail)


def _corrupt(subject: Subject, stat: os.stat_result, why: str) -> Verdict:
    detail = f"The file is damaged, {why}; `prefetch run` mends it."
    return Verdict(subject.path, "corrupt", stat.st_size, subject.sha256, detail)
