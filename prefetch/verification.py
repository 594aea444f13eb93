"""Is what stands on the volume what was verified once? Reads, compares, and notes damage for the next run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import Literal

from prefetch.errors import FormatMismatch, PrefetchError, VolumeError
from prefetch.manifest import Model
from prefetch.survey import satisfies
from prefetch.volume import files
from prefetch.volume.applied import forget_applied
from prefetch.volume.blocks import BLOCK_SIZE, DIGEST_SIZE
from prefetch.volume.content import HEAD, check_content, content_of
from prefetch.volume.hashing import UNREADABLE, Unreadable, digests_of_readable, hash_file
from prefetch.volume.inventory import Inventory, Record, matches, modified
from prefetch.volume.layout import Volume

__all__ = ["Subject", "Verdict", "inspect", "verify"]

SHOWN = 3
"""Places of damage that are named."""

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

    @property
    def is_pinned(self) -> bool:
        """Whether its hash was told beforehand: by the manifest or its lock, or when it came."""
        is_wanted = self.model is not None and self.model.sha256 is not None
        return is_wanted or (self.record is not None and self.record.pinned)

    @property
    def mending(self) -> str:
        """What `prefetch run` does about damage, as the end of a sentence: by its blocks, or all of it anew."""
        record = self.record
        if record is None or (record.pinned if self.model is None else self.model.sha256 is not None):
            return "mends it"
        if record.pinned or record.identity.resumable:
            return "mends it, or fetches all of it again if its host has another file by now"
        return "fetches all of it again, for its host told neither its hash nor a strong ETag"


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
        return _missing(subject, volume)
    if subject.record is None:
        return _unverified(subject, stat, "It was never verified here")
    if subject.record.sha256 != subject.sha256:
        return _unverified(subject, stat, "What was verified here is another file than the manifest wants")
    if not matches(subject.record, stat):
        return _changed(subject, stat, "its size or time is not the recorded one")
    if subject.record.suspect:
        return _corrupt(subject, stat, "an earlier verify found it damaged")
    return Verdict(subject.path, "ok", stat.st_size, subject.sha256)


def verify(
    subject: Subject, volume: Volume, inventory: Inventory, *, progress: Callable[[int], None] | None = None
) -> Verdict:
    """Read the file and compare its hash; a file found damaged is noted, so that the next run mends it.

    Args:
        progress: see `hash_file`.

    Raises:
        VolumeGone: the volume is not the one it was.
    """
    stat = volume.stat(subject.path)
    if stat is None:
        volume.confirm()
        return _missing(subject, volume)
    try:
        sha256, digests = _read(subject, volume, progress)
    except VolumeError as error:
        volume.confirm()
        return replace(_unverified(subject, stat, ""), detail=str(error))
    if sha256 is not None and subject.sha256 is None:
        return replace(_unverified(subject, stat, "No hash is known for it"), sha256=sha256)
    if sha256 is not None and sha256 == subject.sha256:
        return _misnamed(subject, stat, volume) or _sound(subject, stat, inventory)
    if sha256 is not None and subject.record is not None and sha256 == subject.record.sha256:
        return _outdated(subject, stat, sha256)
    return _damaged(subject, stat, digests, volume, inventory)


def _read(subject: Subject, volume: Volume, progress: Callable[[int], None] | None) -> tuple[str | None, bytes]:
    """The file's hash, None where the disk has lost some of it; and the digests of its blocks."""
    number = volume.open_file(subject.path)
    try:
        return hash_file(number, name=subject.path, progress=progress)
    except Unreadable:
        with files.os_errors(f"reading {subject.path}"):
            return None, digests_of_readable(number, os.fstat(number).st_size)
    finally:
        os.close(number)


def _misnamed(subject: Subject, stat: os.stat_result, volume: Volume) -> Verdict | None:
    """What is wrong with the right bytes under a name whose ending makes ComfyUI read them as another format."""
    try:
        with files.os_errors(f"reading {subject.path}"):
            number = volume.open_file(subject.path)
            try:
                head = os.pread(number, HEAD, 0)
            finally:
                os.close(number)
        check_content(subject.path, content_of(head), stat.st_size, known=True)
    except FormatMismatch as error:
        return Verdict(subject.path, "changed", stat.st_size, subject.sha256, str(error))
    return None


def _sound(subject: Subject, stat: os.stat_result, inventory: Inventory) -> Verdict:
    record = subject.record
    if record is not None and (record.suspect or not matches(record, stat)) and record.sha256 == subject.sha256:
        # On a volume that cannot be written, the next run finds the same out once more.
        with suppress(PrefetchError):
            inventory.put(replace(record, mtime=modified(stat), suspect=False), inventory.digests(record.path))
    return Verdict(subject.path, "ok", stat.st_size, subject.sha256)


def _damaged(subject: Subject, stat: os.stat_result, digests: bytes, volume: Volume, inventory: Inventory) -> Verdict:
    record = subject.record
    if record is None or record.sha256 != subject.sha256:
        if UNREADABLE in _each(digests):
            return _corrupt(subject, stat, f"the disk cannot read all of it{_where(_lost(digests), stat.st_size)}")
        return _other(subject, stat)
    known = inventory.digests(record.path)
    where = "" if known is None else _where(_differing(known, digests), max(record.size, stat.st_size))
    if matches(record, stat):
        verdict = _corrupt(subject, stat, f"its bytes are not those that were verified{where}")
    else:
        verdict = _changed(subject, stat, f"it is not the file that was verified{where}")
    try:
        _note(record, known, volume, inventory)
    except PrefetchError as error:
        if matches(record, stat):
            # Of any other file the size or the time tells a run that it has to look.
            unknown = f"{verdict.detail} But that could not be noted, so a run would not know of it: {error}"
            return replace(verdict, detail=unknown)
    return verdict


def _note(record: Record, digests: bytes | None, volume: Volume, inventory: Inventory) -> None:
    if not record.suspect:
        inventory.put(replace(record, suspect=True), digests)
        forget_applied(volume)


def _each(digests: bytes) -> list[bytes]:
    return [digests[at : at + DIGEST_SIZE] for at in range(0, len(digests), DIGEST_SIZE)]


def _lost(digests: bytes) -> list[bool]:
    return [digest == UNREADABLE for digest in _each(digests)]


def _differing(known: bytes, found: bytes) -> list[bool]:
    """For each block of the longer one whether it is another one."""
    return [one != other for one, other in zip_longest(_each(known), _each(found))]


def _where(bad: Sequence[bool], size: int) -> str:
    """How many of the blocks of a file of ``size`` bytes are bad, and where the first of them are."""
    if not any(bad):
        return ""
    runs = [(start * BLOCK_SIZE, min(size, stop * BLOCK_SIZE) - 1) for start, stop in _runs(bad)]
    shown = ", ".join(f"{first}-{last}" for first, last in runs[:SHOWN])
    more = f" and {len(runs) - SHOWN} more places" if len(runs) > SHOWN else ""
    return f": {sum(bad)} of {len(bad)} blocks differ (bytes {shown}{more})"


def _runs(bad: Sequence[bool]) -> list[tuple[int, int]]:
    groups = [(is_bad, list(group)) for is_bad, group in groupby(range(len(bad)), key=bad.__getitem__)]
    return [(indices[0], indices[-1] + 1) for is_bad, indices in groups if is_bad]


def _missing(subject: Subject, volume: Volume) -> Verdict:
    detail = "There is no file; `prefetch run` fetches it."
    if (volume.root / subject.path).is_dir():
        detail = "A directory stands there, so `prefetch run` cannot place the file: correct its path, or move it away."
    return Verdict(subject.path, "missing", None, subject.sha256, detail)


def _unverified(subject: Subject, stat: os.stat_result, why: str) -> Verdict:
    detail = f"{why}; `prefetch run` verifies it."
    return Verdict(subject.path, "unverified", stat.st_size, subject.sha256, detail)


def _outdated(subject: Subject, stat: os.stat_result, sha256: str) -> Verdict:
    """The file is whole, and the manifest wants another one by now."""
    detail = (
        f"The file is the one that was verified, with the SHA-256 {sha256}, and the manifest wants {subject.sha256}; "
        "`prefetch run` fetches that."
    )
    return Verdict(subject.path, "changed", stat.st_size, subject.sha256, detail)


def _other(subject: Subject, stat: os.stat_result) -> Verdict:
    detail = (
        "The file is not the one that the manifest wants; `prefetch run` fetches that and keeps what stands there now."
    )
    return Verdict(subject.path, "changed", stat.st_size, subject.sha256, detail)


def _changed(subject: Subject, stat: os.stat_result, why: str) -> Verdict:
    detail = f"The file was changed, {why}; `prefetch run` {subject.mending}, and keeps what stands there now."
    return Verdict(subject.path, "changed", stat.st_size, subject.sha256, detail)


def _corrupt(subject: Subject, stat: os.stat_result, why: str) -> Verdict:
    detail = f"The file is damaged, {why}; `prefetch run` {subject.mending}."
    return Verdict(subject.path, "corrupt", stat.st_size, subject.sha256, detail)
