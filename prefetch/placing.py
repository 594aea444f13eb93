"""Models under their final names, each with its record: opened, published, adopted, linked. Blocking calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prefetch.errors import PrefetchError, VolumeError
from prefetch.manifest import Model
from prefetch.survey import Standing, State
from prefetch.volume import files
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.content import HEAD, Content, check_content, content_of
from prefetch.volume.draft import Draft
from prefetch.volume.files import os_errors
from prefetch.volume.hashing import Unreadable, hash_file
from prefetch.volume.incoming import Incoming
from prefetch.volume.inventory import Inventory, Record, modified
from prefetch.volume.layout import Volume
from prefetch.volume.partial import Partial
from prefetch.volume.publish import Published, link, publish
from prefetch.volume.space import SpareRoom
from prefetch.volume.together import publish_together
from prefetch.volume.unrecorded import spared_if_refused

if TYPE_CHECKING:
    from prefetch.candidates import Candidate

__all__ = ["Found", "Placed", "Placing", "Ready"]


@dataclass(frozen=True, slots=True)
class Placed:
    """What was put under a final name.

    Attributes:
        record: what was recorded of it.
        kept_at: where the file that stood there and was not ours is kept, relative to the volume; None for none.
    """

    record: Record
    kept_at: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a file on the volume holds.

    Attributes:
        stat: its state when it was read.
        digests: of its blocks, 16 bytes each.
        content: what its first bytes say it is.
    """

    stat: os.stat_result
    sha256: str
    digests: bytes
    content: Content


@dataclass(frozen=True, slots=True)
class Ready:
    """A small file that is whole and right, and whose it is."""

    candidate: Candidate
    draft: Draft
    sha256: str
    content: Content | None


class Placing:
    """The one place that writes final names and records on a volume.

    So it is here that every content is compared with the ending of the name that it gets: `check_content`.
    """

    def __init__(self, volume: Volume, inventory: Inventory) -> None:
        self._volume = volume
        self._inventory = inventory

    def open(self, candidate: Candidate, spare: SpareRoom) -> Incoming:
        """Where the candidate's bytes go: with what an earlier run left, and what is whole of a damaged file.

        Args:
            spare: what it takes its room from if its size is unknown.
        """
        identity, standing = candidate.identity, candidate.standing
        if identity.size is not None and identity.size <= BLOCK_SIZE:
            return Draft(identity)
        partial = Partial.open(self._volume, identity, spare=spare)
        if standing.state is State.CHANGED and standing.record is not None:
            self._keep_what_is_whole(partial, standing.record, candidate.sha256)
        return partial

    def publish(self, candidate: Candidate, partial: Partial, sha256: str, content: Content | None) -> Placed:
        """Put the finished file under its name and record it. It is closed in any case.

        Args:
            content: what its first bytes say it is, where that is known.

        Raises:
            ContentError: that does not go with its name.
            SpaceError, VolumeError: the partial file is kept for another try.
        """
        digests = partial.digests()
        try:
            _check(candidate, _first_bytes(partial) if content is None else content, partial.size)
        except PrefetchError:
            partial.close()
            raise
        placed = self._same_there(candidate, partial.size, sha256)
        if placed is None:
            placed = publish(self._volume, partial, candidate.path, ours=candidate.standing.record)
        else:
            partial.discard()
        record = _record_of(candidate, placed.stat, sha256, etag=partial.identity.etag)
        self._inventory.put(record, digests)
        return Placed(record, placed.kept_at)

    def publish_together(self, ready: Sequence[Ready]) -> dict[str, Placed | PrefetchError]:
        """Do the same for small files; by path, what came of it."""
        outcomes: dict[str, Placed | PrefetchError] = {}
        for each, done in zip(ready, self._found_or_published(ready), strict=True):
            candidate = each.candidate
            if isinstance(done, Published):
                record = _record_of(candidate, done.stat, each.sha256, etag=each.draft.identity.etag)
                outcomes[candidate.path] = Placed(record, done.kept_at)
            else:
                outcomes[candidate.path] = done
        self._inventory.put_small(each.record for each in outcomes.values() if isinstance(each, Placed))
        return outcomes

    def _found_or_published(self, ready: Sequence[Ready]) -> list[Published | PrefetchError]:
        found = [self._found(each) for each in ready]
        left = [each for each, there in zip(ready, found, strict=True) if there is None]
        wanted = [(each.draft, each.candidate.standing.record) for each in left]
        published = iter(publish_together(self._volume, wanted))
        return [next(published) if there is None else there for there in found]

    def _found(self, ready: Ready) -> Published | PrefetchError | None:
        try:
            content = ready.content or content_of(ready.draft.data or b"")
            _check(ready.candidate, content, ready.draft.size)
            return self._same_there(ready.candidate, ready.draft.size, ready.sha256)
        except PrefetchError as error:
            return error

    def read(self, standing: Standing, progress: Callable[[int], None] | None = None) -> Found:
        """Hash the file that stands there; see `hash_file`."""
        number = self._volume.open_file(standing.path)
        try:
            sha256, digests = hash_file(number, name=standing.path, progress=progress)
            return Found(os.fstat(number), sha256, digests, _content_at(number, standing.path))
        finally:
            os.close(number)

    def adopt(self, standing: Standing, found: Found, candidate: Candidate | None) -> Record:
        """Record the file that stands there, which has the right hash, as the model that is wanted.

        Raises:
            FormatMismatch: what it is does not go with its name.
        """
        check_content(standing.path, found.content, found.stat.st_size, known=True)
        if candidate is not None:
            record = _record_of(candidate, found.stat, found.sha256, etag=candidate.remote.etag)
        else:
            record = _record_of_same(standing, found)
        with spared_if_refused(self._volume):
            self._inventory.put(record, found.digests)
        return record

    def link(self, candidate: Candidate, same_as: str) -> Placed:
        """Have the bytes of the verified model at ``same_as`` at the candidate's path too.

        Raises:
            FormatMismatch: what they are does not go with this path.
            HashMismatch, SpaceError, VolumeError: see `prefetch.volume.publish.link`.
        """
        standing, original = candidate.standing, self._inventory.get(same_as)
        if original is None:
            raise VolumeError(
                f"The record of {same_as} was taken away while {standing.path} was linked to it.",
                remedy="Run the same command again.",
            )
        check_content(standing.path, self._content_of(same_as), original.size, known=True)
        placed = link(self._volume, same_as, standing.path, sha256=original.sha256, ours=standing.record)
        record = _record_of(candidate, placed.stat, original.sha256, etag=candidate.remote.etag)
        self._inventory.put(record, self._inventory.digests(same_as))
        return Placed(record, placed.kept_at)

    def _content_of(self, path: str) -> Content:
        with files.os_errors(f"reading {path}"):
            number = self._volume.open_file(path)
            try:
                return _content_at(number, path)
            finally:
                os.close(number)

    def _same_there(self, candidate: Candidate, size: int | None, sha256: str) -> Published | None:
        """What stands there, where that is the same already: there is no need for two, one of them kept as a user's.

        Another run that was quicker has placed it, or it stood there before, and nobody knew the hash to tell it by.
        """
        standing = candidate.standing
        now, before = self._volume.stat(standing.path), standing.stat
        if now is None or now.st_size != size:
            return None
        if before is not None and _untouched(before, now):
            if standing.state is State.PRESENT and standing.record is not None:
                return Published(now, None) if standing.record.sha256 == sha256 else None
            if candidate.sha256 is not None:
                # It was compared with that before the first byte was asked for.
                return None
        try:
            found = self.read(standing)
        except Unreadable:
            return None
        return Published(found.stat, None) if found.sha256 == sha256 else None

    def _keep_what_is_whole(self, partial: Partial, record: Record, sha256: str | None) -> None:
        digests = self._inventory.digests(record.path)
        if digests is not None and record.sha256 == sha256 and record.size == partial.size:
            partial.seed_from(record.path, digests)


def _check(candidate: Candidate, content: Content, size: int | None) -> None:
    check_content(candidate.path, content, size, known=candidate.is_known)


def _first_bytes(partial: Partial) -> Content:
    """What a finished partial file is; it holds its first block, as was checked when that was hashed."""
    return content_of(partial.read(0, memoryview(bytearray(BLOCK_SIZE))) or b"")


def _content_at(number: int, path: str) -> Content:
    with os_errors(f"reading {path}"):
        return content_of(os.pread(number, HEAD, 0))


def _untouched(before: os.stat_result, now: os.stat_result) -> bool:
    return os.path.samestat(before, now) and before.st_mtime_ns == now.st_mtime_ns


def _was_placed(standing: Standing) -> bool:
    return standing.record is not None and standing.record.placed


def _record_of(candidate: Candidate, stat: os.stat_result, sha256: str, *, etag: str | None) -> Record:
    """The record of a candidate's file.

    Args:
        stat: of the file; one that stood there before stays its user's.
        etag: the validator that all of its bytes came with.
    """
    standing, remote = candidate.standing, candidate.remote
    stood = standing.stat is not None and os.path.samestat(standing.stat, stat)
    record = _record(standing.model, stat, sha256, placed=not stood or _was_placed(standing))
    pinned = candidate.told_sha256 is not None or _was_told(standing, sha256)
    return replace(record, url=remote.url, commit=remote.commit, etag=etag, pinned=pinned)


def _record_of_same(standing: Standing, found: Found) -> Record:
    """The record of what stands there and no host was asked about: with what one said of these bytes when they came."""
    record, before = _record(standing.model, found.stat, found.sha256, placed=_was_placed(standing)), standing.record
    if before is None or before.sha256 != found.sha256:
        return record
    pinned = record.pinned or before.pinned
    return replace(record, url=before.url, commit=before.commit, etag=before.etag, pinned=pinned)


def _was_told(standing: Standing, sha256: str) -> bool:
    """Whether this hash was told beforehand when what was recorded came."""
    record = standing.record
    return record is not None and record.pinned and record.sha256 == sha256


def _record(model: Model, stat: os.stat_result, sha256: str, *, placed: bool) -> Record:
    return Record(
        path=model.path,
        size=stat.st_size,
        mtime=modified(stat),
        sha256=sha256,
        source=model.source,
        url=None,
        commit=None,
        pinned=model.sha256 is not None,
        placed=placed,
        node_path=model.node_path,
        groups=model.groups,
    )
