"""From a manifest to its lock: what is locked is kept, the rest is asked for, and read only where no host tells.

No host tells the digests of a file's blocks: those are found in a volume's records, or read.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from prefetch.blockfile import Digests
from prefetch.candidates import Candidate, find
from prefetch.errors import ContentError, HashMismatch, PrefetchError, TransientError
from prefetch.job import Job
from prefetch.limits import Limits
from prefetch.lockfile import Lock, LockedModel
from prefetch.manifest import Entry, Wanted
from prefetch.net.bounds import HostBounds
from prefetch.net.client import Session, open_session
from prefetch.net.origin import Body, RangesUnsupported
from prefetch.net.retry import FullJitter, metadata_retrying, too_slow
from prefetch.report.events import Listener, Notice, Retried
from prefetch.sources.resolver import Resolver
from prefetch.survey import Standing, State
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.content import Content, check_content, content_of
from prefetch.volume.hashing import block_digest
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume

__all__ = ["Locked", "Locking", "kept", "recorded"]

_AT_ONCE = 4
_LARGEST = 1 << 40  # bytes of a model whose host tells no size
_NOT_KEPT = "not kept; pass --volume to keep it for the run that follows"


@dataclass(frozen=True, slots=True)
class Locked:
    """What came of locking one manifest.

    Attributes:
        models: by path.
        failed: why others could not be locked, by path.
        received: bytes of models that were read for it.
        digests: of the blocks of those, by SHA-256.
    """

    models: dict[str, LockedModel]
    failed: dict[str, PrefetchError]
    received: int = 0
    digests: dict[str, Digests] = field(default_factory=dict)


def kept(wanted: Wanted, lock: Lock | None, *, upgrade: str | None) -> dict[str, LockedModel]:
    """What stays as it is locked: all that agrees with the manifest and that no ``upgrade`` (a glob) names."""
    known = {} if lock is None else lock.models
    return {
        model.path: known[model.path]
        for model in (entry.model for entry in wanted.entries)
        if model.path in known
        and known[model.path].agrees(model)
        and not (upgrade is not None and fnmatchcase(model.path, upgrade))
    }


def recorded(volume: Volume, models: Iterable[LockedModel]) -> dict[str, Digests]:
    """The block digests that the volume's records have of these models, by SHA-256."""
    inventory = Inventory(volume)
    known: dict[str, Digests] = {}
    for model in models:
        record = inventory.get(model.path)
        if record is not None and (record.sha256, record.size) == (model.sha256, model.size):
            known |= _digests(model.sha256, model.size, inventory.digests(model.path))
    return known


class Locking:
    """Resolves entries to locked models.

    Args:
        volume: where downloads are kept that had to be made for their hash; None keeps none.
    """

    def __init__(self, volume: Volume | None, *, limits: Limits, listener: Listener) -> None:
        self._volume = volume
        self._limits = limits
        self._listener = listener

    async def lock(self, entries: Sequence[Entry]) -> Locked:
        """Ask every host; download what none tells the hash of."""
        async with self._session() as session:
            found = await self._find(session, entries)
            told = {path: model for path, answer in found.items() if (model := _told(answer)) is not None}
            return await self._fetch({path: found[path] for path in found.keys() - told}, "hash", told)

    async def read(self, entries: Sequence[Entry]) -> Locked:
        """Download pinned models for the digests of their blocks."""
        async with self._session() as session:
            return await self._fetch(await self._find(session, entries), "block digests", {})

    def _session(self) -> AbstractAsyncContextManager[Session]:
        limits = self._limits
        return open_session(connections=limits.connections, allow_private=limits.allow_private, bounds=limits.host)

    async def _find(self, session: Session, entries: Iterable[Entry]) -> Mapping[str, Candidate | PrefetchError]:
        standings = [Standing(entry, State.MISSING, None, None) for entry in entries]
        return await find(standings, Resolver.from_environment(session), listener=self._listener)

    async def _fetch(
        self, found: Mapping[str, Candidate | PrefetchError], wanted: str, told: Mapping[str, LockedModel]
    ) -> Locked:
        """Read what was found, for the sake of what is ``wanted``; beside what its hosts have ``told``."""
        failed = {path: answer for path, answer in found.items() if isinstance(answer, PrefetchError)}
        candidates = [answer for _, answer in sorted(found.items()) if isinstance(answer, Candidate)]
        locked = Locked(dict(told), failed)
        if not candidates:
            return locked
        where = f"kept on {self._volume.root}" if self._volume is not None else _NOT_KEPT
        for candidate in candidates:
            host = candidate.remote.origin.host
            message = f"{host} tells no {wanted} of {candidate.path}: it is downloaded for that, {where}."
            self._listener(Notice("info", message))
        read = await (self._read(candidates) if self._volume is None else self._place(candidates, self._volume))
        return replace(read, models=locked.models | read.models, failed=locked.failed | read.failed)

    async def _place(self, candidates: Sequence[Candidate], volume: Volume) -> Locked:
        """Put the models on the volume, where the run that follows finds them."""
        wanted = Wanted(tuple(_at_commit(candidate) for candidate in candidates))
        limits = replace(self._limits, allow_unpinned=True)
        result = await Job(wanted, volume, limits=limits, refresh=True, listener=self._listener).run()
        if result.error is not None and len(result.models) < len(candidates):
            raise result.error
        failed = {model.path: PrefetchError(model.error) for model in result.models if model.error is not None}
        inventory = Inventory(volume)
        records = {c.path: inventory.get(c.path) for c in candidates if c.path not in failed}
        models = {c.path: _locked(c, r.size, r.sha256) for c in candidates if (r := records.get(c.path)) is not None}
        return Locked(models, failed, result.bytes_downloaded, recorded(volume, models.values()))

    async def _read(self, candidates: Sequence[Candidate]) -> Locked:
        """Read the models and keep nothing of them but their digests."""
        places = asyncio.Semaphore(_AT_ONCE)
        locked = Locked({}, {})

        async def one(candidate: Candidate) -> int:
            async with places:
                try:
                    reading = await self._hash(candidate)
                except PrefetchError as error:
                    locked.failed[candidate.path] = error
                    return 0
            locked.models[candidate.path] = _locked(candidate, reading.size, reading.sha256)
            locked.digests.update(_digests(reading.sha256, reading.size, reading.digests))
            return reading.size

        return replace(locked, received=sum(await asyncio.gather(*map(one, candidates))))

    async def _hash(self, candidate: Candidate) -> _Reading:
        origin = candidate.remote.origin

        def retried(error: TransientError, attempt: int, delay: float) -> None:
            self._listener(Retried(candidate.path, origin.host, error.cause, error.message, attempt, delay))

        retrying = metadata_retrying(on_retry=retried, wait=FullJitter(patience=self._limits.host.patience))
        reading: _Reading = await retrying(_hash_once, candidate, self._limits.host)
        return reading


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was read of one model."""

    size: int
    sha256: str
    digests: bytes


async def _hash_once(candidate: Candidate, bounds: HostBounds) -> _Reading:
    try:
        return await _hash_answer(candidate, bounds)
    except RangesUnsupported:
        # What it answers next is taken for itself, and not compared with what it answered before.
        return await _hash_answer(candidate, bounds)


async def _hash_answer(candidate: Candidate, bounds: HostBounds) -> _Reading:
    sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    digests, buffer = bytearray(), memoryview(bytearray(BLOCK_SIZE))
    content: Content | None = None
    git_sha1.update(b"blob %d\0" % (candidate.size or 0))

    def take(view: memoryview) -> None:
        sha256.update(view)
        git_sha1.update(view)
        digests.extend(block_digest(view))

    async with candidate.remote.origin.open(0, candidate.size) as body:
        while count := await _fill(body, buffer, candidate, bounds):
            if body.received > _LARGEST:
                raise ContentError(f"{candidate.path} has no end within {_LARGEST >> 40} TiB.")
            if content is None:
                content = content_of(buffer[:count])
                _check_content(candidate, content, candidate.size)
            await asyncio.to_thread(take, buffer[:count])
        received = body.received
    _check(candidate, received, sha256.hexdigest(), git_sha1.hexdigest())
    _check_content(candidate, content or content_of(b""), received)
    return _Reading(received, sha256.hexdigest(), bytes(digests))


def _check_content(candidate: Candidate, content: Content, size: int | None) -> None:
    """What is locked is believed by its hash from then on, so this is the moment to look at it."""
    check_content(candidate.path, content, size, known=candidate.is_known)


async def _fill(body: Body, buffer: memoryview, candidate: Candidate, bounds: HostBounds) -> int:
    """As the body's own `fill`. Raises PatienceError if it brings less than the least rate for as long as it may."""
    filled, portion = 0, max(1, int(bounds.rate * bounds.patience))
    while room := buffer[filled : filled + portion]:
        try:
            async with asyncio.timeout(bounds.patience):
                count = await body.fill(room)
        except TimeoutError:
            raise too_slow(candidate.remote.origin.host, candidate.path, bounds) from None
        filled += count
        if count < len(room):
            break
    return filled


def _check(candidate: Candidate, received: int, sha256: str, git_sha1: str) -> None:
    path, host = candidate.path, candidate.remote.origin.host
    if candidate.remote.git_sha1 not in (None, git_sha1):
        raise ContentError(f"{path} has another git hash than {host} says.")
    if candidate.size not in (None, received):
        raise ContentError(f"{path} ended after {received} of {candidate.size} bytes.")
    if candidate.sha256 not in (None, sha256):
        raise HashMismatch(f"{path} from {host} has the SHA-256 {sha256}, expected {candidate.sha256}.")


def _told(answer: Candidate | PrefetchError) -> LockedModel | None:
    if isinstance(answer, PrefetchError) or answer.sha256 is None or answer.size is None:
        return None
    return _locked(answer, answer.size, answer.sha256)


def _at_commit(candidate: Candidate) -> Entry:
    return replace(candidate.standing.entry, commit=_commit(candidate))


def _locked(candidate: Candidate, size: int, sha256: str) -> LockedModel:
    model = candidate.standing.model
    return LockedModel(model.path, model.source, candidate.remote.url, _commit(candidate), size, sha256)


def _commit(candidate: Candidate) -> str | None:
    """The commit of the manifest's own source: a mirror that answered in its place has commits of its own."""
    remote = candidate.remote
    return remote.commit if remote.source == candidate.standing.model.source else None


def _digests(sha256: str, size: int, blocks: bytes | None) -> dict[str, Digests]:
    # A file of one block needs none: its SHA-256 says all.
    return {sha256: Digests(size, blocks)} if blocks is not None and size > BLOCK_SIZE else {}
