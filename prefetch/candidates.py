"""Where the models that are not there can be had: every host is asked before the first byte is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from prefetch.errors import AccessError, PrefetchError, SourceError, TransientError
from prefetch.manifest import Model
from prefetch.net.origin import Origin
from prefetch.report.events import Listener, Notice, Resolving, Retried
from prefetch.sources.lazy import LazyOrigin
from prefetch.sources.refs import parse_source, pinned_to
from prefetch.sources.remote import RemoteFile
from prefetch.sources.resolver import Resolver
from prefetch.survey import Standing

__all__ = ["Candidate", "find"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that is to be had from ``remote``; ``origins`` are that host and the mirrors after it."""

    standing: Standing
    remote: RemoteFile
    origins: tuple[Origin, ...]

    @property
    def path(self) -> str:
        return self.standing.path

    @property
    def sha256(self) -> str | None:
        """The hash the bytes must have: the manifest's, else the host's."""
        return self.standing.model.sha256 or self.remote.sha256

    @property
    def size(self) -> int | None:
        return self.standing.model.size if self.remote.size is None else self.remote.size


async def find(
    standings: Iterable[Standing], resolver: Resolver, *, listener: Listener
) -> dict[str, Candidate | PrefetchError]:
    """Ask the host of each standing's model; by path, what it said, or why it cannot be had from any host."""
    wanted = {standing.path: standing for standing in standings}
    listener(Resolving(len(wanted)))
    finder = _Finder(resolver, listener)
    await finder.ask_together(wanted.values())
    found = await asyncio.gather(*map(finder.find, wanted.values()))
    return dict(zip(wanted, found, strict=True))


@dataclass(frozen=True, slots=True)
class _Finder:
    resolver: Resolver
    listener: Listener

    async def ask_together(self, standings: Iterable[Standing]) -> None:
        """Have the resolver know, from a few questions, what it will be asked for one by one."""

        def retried(error: TransientError, attempt: int, delay: float) -> None:
            self.listener(Notice("warning", f"{error.message.rstrip('.')}; asked again in {delay:.0f} s."))

        entries = [standing.entry for standing in standings]
        refs = [pinned_to(parse_source(entry.model.source), entry.commit) for entry in entries]
        await self.resolver.ask_together(refs, on_retry=retried)

    async def find(self, standing: Standing) -> Candidate | PrefetchError:
        model = standing.model
        sources = (model.source, *model.mirrors)
        commits = (standing.entry.commit, *(None for _ in model.mirrors))
        first_error: PrefetchError | None = None
        for number, (source, commit) in enumerate(zip(sources, commits, strict=True)):
            try:
                remote = await self._resolve(model, source, commit=commit)
            except (AccessError, SourceError, TransientError) as error:
                # A mirror that fails too says less than the source that was meant.
                first_error = first_error or error
                continue
            mirrors = (self._lazy(model, mirror) for mirror in sources[number + 1 :])
            return Candidate(standing, remote, (remote.origin, *mirrors))
        assert first_error is not None
        return first_error

    async def _resolve(self, model: Model, source: str, *, commit: str | None = None) -> RemoteFile:
        def retried(error: TransientError, attempt: int, delay: float) -> None:
            event = Retried(model.path, _host(source), error.cause, error.message, attempt, delay)
            self.listener(event)

        ref = pinned_to(parse_source(source), commit)
        return await self.resolver.resolve(ref, source=source, sha256=model.sha256, size=model.size, on_retry=retried)

    def _lazy(self, model: Model, source: str) -> LazyOrigin:
        return LazyOrigin(partial(self._resolve, model, source), host=_host(source))


def _host(source: str) -> str:
    """The host to name before anything was asked: some sources have none of their own."""
    if source.startswith("civitai:"):
        return "civitai.com"
    return "huggingface.co" if source.startswith("hf://") else source.split("/")[2]
