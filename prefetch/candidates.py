"""Where the models that are not there can be had: every host is asked before the first byte is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from prefetch.errors import AccessError, HashMismatch, PatienceError, PrefetchError, SourceError, TransientError
from prefetch.manifest import Entry, Model
from prefetch.nearby import Copy, Nearby
from prefetch.net.origin import Origin
from prefetch.net.retry import FullJitter
from prefetch.report.events import Listener, Notice, Resolving, Retried
from prefetch.report.notice import asked_again
from prefetch.sources.file import FileOrigin
from prefetch.sources.lazy import LazyOrigin
from prefetch.sources.refs.file import FileRef
from prefetch.sources.refs.source import SourceRef, parse_source, pinned_to
from prefetch.sources.remote import RemoteFile
from prefetch.sources.resolver import Resolver
from prefetch.survey import Standing
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import Record

__all__ = ["Candidate", "Rejected", "find", "identity_of"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that is to be had from ``remote``; ``origins`` are that host and the mirrors after it.

    Attributes:
        copy: a copy on this machine, which comes before all hosts; None where there is none.
        recorded: the SHA-256 that the very same file had when it came here before; None where it did not, or where the
            manifest or the host tells one.
    """

    standing: Standing
    remote: RemoteFile
    origins: tuple[Origin, ...]
    copy: FileOrigin | None = None
    recorded: str | None = None

    @property
    def path(self) -> str:
        return self.standing.path

    @property
    def sha256(self) -> str | None:
        """The hash the bytes must have: the manifest's, else the host's, else the recorded one."""
        return self.told_sha256 or self.recorded

    @property
    def told_sha256(self) -> str | None:
        """The hash that the manifest or the host tells."""
        return self.standing.model.sha256 or self.remote.sha256

    @property
    def is_known(self) -> bool:
        """Whether a hash that its bytes must have is known before they come."""
        return self.sha256 is not None or self.remote.git_sha1 is not None

    @property
    def size(self) -> int | None:
        return self.standing.model.size if self.remote.size is None else self.remote.size

    @property
    def identity(self) -> Identity:
        """What the volume's state knows the file by."""
        return replace(identity_of(self.standing.model, self.remote), sha256=self.sha256)

    def remote_of(self, origin: Origin) -> RemoteFile | None:
        """What a source resolved to, by its origin; None for a mirror that nobody has asked."""
        if origin is self.remote.origin:
            return self.remote
        return origin.remote if isinstance(origin, LazyOrigin) else None

    def is_as_recorded(self, record: Record) -> bool:
        """Whether the host says of the file what it said of the recorded one, however little that may be."""
        same = (self.remote.url, self.remote.etag) == (record.url, record.etag)
        return same and self.size in (None, record.size)

    def with_recorded_hash(self) -> Candidate:
        """It with the hash of what was recorded at its path, where that is provably the file that the host has now."""
        record = self.standing.record
        if record is None or self.sha256 is not None or not self.identity.continues(record.identity):
            return self
        return replace(self, recorded=record.sha256)


Rejected = Callable[[Identity], str | None]


def identity_of(model: Model, remote: RemoteFile) -> Identity:
    """A model's file as the host names it, with the hash that it must have."""
    size = model.size if remote.size is None else remote.size
    return Identity(model.path, size, model.sha256 or remote.sha256, remote.url, remote.etag)


async def find(
    standings: Iterable[Standing],
    resolver: Resolver,
    *,
    listener: Listener,
    nearby: Nearby | None = None,
    rejected: Rejected | None = None,
) -> dict[str, Candidate | PrefetchError]:
    """Ask the host of each standing's model; by path, what it said, or why it cannot be had from any host.

    Args:
        nearby: where copies may be on this machine; the host of a pinned model that has one there is not asked.
        rejected: tells in a thread which SHA-256 a host's file was found to have instead of the wanted one.
    """
    wanted = {standing.path: standing for standing in standings}
    finder = _Finder(resolver, listener, nearby, rejected)
    resolver.doubt(_named_by_others(standing.entry for standing in wanted.values()))
    copied = await asyncio.to_thread(finder.copied, list(wanted.values()))
    asked = [standing for path, standing in wanted.items() if path not in copied]
    if asked:
        listener(Resolving(len(asked)))
    await finder.ask_together(asked)
    found = await asyncio.gather(*map(finder.find, asked))
    answers = copied | {standing.path: answer for standing, answer in zip(asked, found, strict=True)}
    return {path: answers[path] for path in wanted}


@dataclass(frozen=True, slots=True)
class _Finder:
    resolver: Resolver
    listener: Listener
    nearby: Nearby | None
    rejected: Rejected | None

    def copied(self, standings: Iterable[Standing]) -> dict[str, Candidate | PrefetchError]:
        """The pinned models that have a copy on this machine. Blocking."""
        found = ((standing, self._copy_of_pinned(standing)) for standing in standings)
        return {standing.path: self._from_copy(standing, copy) for standing, copy in found if copy is not None}

    def _copy_of_pinned(self, standing: Standing) -> Copy | None:
        sha256, size = standing.model.sha256, standing.model.size
        # Without its size a copy that was cut could not be told before it has been read to its end.
        return None if sha256 is None or size is None else self._copy(standing, sha256, size, standing.entry.commit)

    def _copy(self, standing: Standing, sha256: str, size: int, commit: str | None) -> Copy | None:
        if self.nearby is None:
            return None
        return self.nearby.find(parse_source(standing.model.source), sha256=sha256, size=size, commit=commit)

    def _from_copy(self, standing: Standing, copy: Copy) -> Candidate:
        """A model that is copied; its hosts are only asked if the copy turns out to be something else."""
        model = standing.model
        origin = FileOrigin(copy.path, size=copy.size)
        remote = RemoteFile(model.source, str(FileRef(copy.path)), origin, copy.size, model.sha256)
        hosts = [self._lazy(model, model.source, commit=standing.entry.commit)]
        hosts += [self._lazy(model, mirror) for mirror in model.mirrors]
        return Candidate(standing, remote, (origin, *hosts), origin)

    async def _preferring_copy(self, candidate: Candidate) -> Candidate:
        """The candidate with a copy on this machine first, now that its host has told which file it is."""
        sha256, size, commit = candidate.sha256, candidate.size, candidate.remote.commit
        if sha256 is None or size is None:
            return candidate
        copy = await asyncio.to_thread(self._copy, candidate.standing, sha256, size, commit)
        if copy is None:
            return candidate
        origin = FileOrigin(copy.path, size=copy.size)
        return replace(candidate, origins=(origin, *candidate.origins), copy=origin)

    async def ask_together(self, standings: Iterable[Standing]) -> None:
        """Have the resolver know, from a few questions, what it will be asked for one by one."""

        def retried(error: TransientError, attempt: int, delay: float) -> None:
            self.listener(asked_again(error, delay))

        entries = [standing.entry for standing in standings]
        refs = [pinned_to(parse_source(entry.model.source), entry.commit) for entry in entries]
        await self.resolver.ask_together(refs, on_retry=retried)

    async def find(self, standing: Standing) -> Candidate | PrefetchError:
        try:
            return await self._first_of(standing)
        except PatienceError as error:
            # Nothing else is left: who wanted a longer pause than a host may have is asked again after that.
            self.listener(
                Notice("warning", f"{standing.path}: {error.message} It is asked again in {error.floor:.0f} s.")
            )
            await asyncio.sleep(error.floor + FullJitter().spread())
        except (AccessError, SourceError, TransientError) as error:
            return error
        try:
            return await self._first_of(standing)
        except (AccessError, SourceError, TransientError) as error:
            return error

    async def _first_of(self, standing: Standing) -> Candidate:
        """The first of the model's sources that tells of it.

        Raises:
            PatienceError: all failed, and one of them because it wants a pause.
            AccessError, SourceError, TransientError: all failed; what the first said.
        """
        model = standing.model
        sources = ((model.source, standing.entry.commit), *((mirror, None) for mirror in model.mirrors))
        failed: list[PrefetchError] = []
        paused: list[Origin] = []
        for number, (source, commit) in enumerate(sources):
            try:
                remote = await self._resolve(model, source, commit=commit)
            except (AccessError, SourceError, TransientError) as error:
                failed.append(error)
                if isinstance(error, PatienceError):
                    paused.append(self._lazy(model, source, commit=commit))
                continue
            mirrors = (self._lazy(model, mirror) for mirror, _ in sources[number + 1 :])
            return await self._preferring_copy(Candidate(standing, remote, (remote.origin, *mirrors, *paused)))
        # A mirror that fails too says less than the source that was meant.
        raise next((error for error in failed if isinstance(error, PatienceError)), failed[0])

    async def _resolve(self, model: Model, source: str, *, commit: str | None = None) -> RemoteFile:
        def retried(error: TransientError, attempt: int, delay: float) -> None:
            event = Retried(model.path, host, error.cause, error.message, attempt, delay)
            self.listener(event)

        ref, sha256, size = pinned_to(parse_source(source), commit), model.sha256, model.size
        host = self.resolver.host_of(ref)
        remote = await self.resolver.resolve(ref, source=source, sha256=sha256, size=size, on_retry=retried)
        if remote.remark:
            self.listener(Notice("info", f"{model.path}: {remote.remark}"))
        await self._check_not_rejected(model, remote, host)
        return remote

    async def _check_not_rejected(self, model: Model, remote: RemoteFile, host: str) -> None:
        """Raise HashMismatch if the very file that the host has was fetched before, and was not the wanted one."""
        if self.rejected is None or model.sha256 is None:
            return
        found = await asyncio.to_thread(self.rejected, identity_of(model, remote))
        if found is not None:
            raise HashMismatch(
                f"{model.path} from {host} has the SHA-256 {found}, expected {model.sha256}: an earlier run read it.",
                remedy="The host has the same file still. Correct the manifest's sha256 if the model was updated, or "
                "name another source; --refresh fetches it once more.",
            )

    def _lazy(self, model: Model, source: str, *, commit: str | None = None) -> LazyOrigin:
        host = self.resolver.host_of(parse_source(source))
        return LazyOrigin(partial(self._resolve, model, source, commit=commit), host=host)


def _named_by_others(entries: Iterable[Entry]) -> set[SourceRef]:
    """The sources that only manifests name which others wrote."""
    theirs, own = set[SourceRef](), set[SourceRef]()
    for entry in entries:
        (theirs if entry.fetched else own).update(map(parse_source, (entry.model.source, *entry.model.mirrors)))
    return theirs - own
