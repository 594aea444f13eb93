"""From a manifest to its lock: what is locked is kept, the rest is asked for, and read only where no host tells."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from prefetch.candidates import Candidate, find
from prefetch.errors import ContentError, PrefetchError, TransientError
from prefetch.job import Job
from prefetch.limits import Limits
from prefetch.lockfile import Lock, LockedModel
from prefetch.manifest import Entry, Wanted
from prefetch.net.client import Session, open_session
from prefetch.net.retry import FullJitter, metadata_retrying
from prefetch.report.events import Listener, Notice, Retried
from prefetch.sources.resolver import Resolver
from prefetch.survey import Standing, State
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume

__all__ = ["Locked", "Locking", "kept"]

_BUFFER = 1 << 20
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Locked:
    """What came of locking one manifest: the models by path, or why one could not be locked, and the bytes it cost."""

    models: dict[str, LockedModel]
    failed: dict[str, PrefetchError]
    received: int = 0


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
        limits = self._limits
        async with open_session(connections=limits.connections, allow_private=limits.allow_private) as session:
            locked, unknown = await self._ask(session, entries)
            if not unknown:
                return locked
            read = await (self._place(unknown) if self._volume is not None else self._read(unknown))
        return Locked(locked.models | read.models, locked.failed | read.failed, read.received)

    async def _ask(self, session: Session, entries: Iterable[Entry]) -> tuple[Locked, list[Candidate]]:
        standings = [Standing(entry, State.MISSING, None, None) for entry in entries]
        found = await find(standings, Resolver.from_environment(session), listener=self._listener)
        locked, unknown = Locked({}, {}), []
        for path, answer in found.items():
            if isinstance(answer, PrefetchError):
                locked.failed[path] = answer
            elif answer.sha256 is None or answer.size is None:
                unknown.append(answer)
            else:
                locked.models[path] = _locked(answer, answer.size, answer.sha256)
        return locked, unknown

    async def _place(self, candidates: Sequence[Candidate]) -> Locked:
        """Put the models on the volume, where the run that follows finds them."""
        assert self._volume is not None
        for candidate in candidates:
            self._tell(candidate, f"kept on {self._volume.root}")
        wanted = Wanted(tuple(_at_commit(candidate) for candidate in candidates))
        limits = replace(self._limits, allow_unpinned=True)
        result = await Job(wanted, self._volume, limits=limits, refresh=True, listener=self._listener).run()
        if result.error is not None and len(result.models) < len(candidates):
            raise result.error
        failed = {model.path: PrefetchError(model.error) for model in result.models if model.error is not None}
        inventory = Inventory(self._volume)
        records = {c.path: inventory.get(c.path) for c in candidates if c.path not in failed}
        models = {c.path: _locked(c, r.size, r.sha256) for c in candidates if (r := records.get(c.path)) is not None}
        return Locked(models, failed, result.bytes_downloaded)

    async def _read(self, candidates: Sequence[Candidate]) -> Locked:
        """Read the models for their hash alone."""
        places = asyncio.Semaphore(_AT_ONCE)
        locked = Locked({}, {})

        async def one(candidate: Candidate) -> int:
            async with places:
                self._tell(candidate, "not kept; pass --volume to keep it for the run that follows")
                try:
                    size, sha256 = await self._hash(candidate)
                except PrefetchError as error:
                    locked.failed[candidate.path] = error
                    return 0
            locked.models[candidate.path] = _locked(candidate, size, sha256)
            return size

        return replace(locked, received=sum(await asyncio.gather(*map(one, candidates))))

    async def _hash(self, candidate: Candidate) -> tuple[int, str]:
        origin = candidate.remote.origin

        def retried(error: TransientError, attempt: int, delay: float) -> None:
            self._listener(Retried(candidate.path, origin.host, error.cause, error.message, attempt, delay))

        retrying = metadata_retrying(on_retry=retried, wait=FullJitter())
        answer: tuple[int, str] = await retrying(_hash_once, candidate)
        return answer

    def _tell(self, candidate: Candidate, fate: str) -> None:
        host = candidate.remote.origin.host
        self._listener(Notice("info", f"{host} tells no hash of {candidate.path}: it is downloaded for it, {fate}."))


async def _hash_once(candidate: Candidate) -> tuple[int, str]:
    sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    buffer = memoryview(bytearray(_BUFFER))
    git_sha1.update(b"blob %d\0" % (candidate.size or 0))
    async with candidate.remote.origin.open(0, candidate.size) as body:
        while count := await body.fill(buffer):
            sha256.update(buffer[:count])
            git_sha1.update(buffer[:count])
        received = body.received
    if candidate.remote.git_sha1 not in (None, git_sha1.hexdigest()):
        raise ContentError(f"{candidate.path} has another git hash than {candidate.remote.origin.host} says.")
    if candidate.size not in (None, received):
        raise ContentError(f"{candidate.path} ended after {received} of {candidate.size} bytes.")
    return received, sha256.hexdigest()


def _at_commit(candidate: Candidate) -> Entry:
    return replace(candidate.standing.entry, commit=candidate.remote.commit)


def _locked(candidate: Candidate, size: int, sha256: str) -> LockedModel:
    model, remote = candidate.standing.model, candidate.remote
    return LockedModel(model.path, model.source, remote.url, remote.commit, size, sha256)
