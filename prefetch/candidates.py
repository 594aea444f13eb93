"""Where the models that are not there can be had: every host is asked before the first byte is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from prefetch.errors import AccessError, PrefetchError, SourceError, TransientError
from prefetch.manifest import Model
from prefetch.net.origin import Origin
from prefetch.sources.lazy import LazyOrigin
from prefetch.sources.refs import parse_source
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


async def find(standings: Iterable[Standing], resolver: Resolver) -> dict[str, Candidate | PrefetchError]:
    """Ask the host of each standing's model; by path, what it said, or why it cannot be had from any host."""
    wanted = {standing.path: standing for standing in standings}
    found = await asyncio.gather(*(_find(standing, resolver) for standing in wanted.values()))
    return dict(zip(wanted, found, strict=True))


async def _find(standing: Standing, resolver: Resolver) -> Candidate | PrefetchError:
    model = standing.model
    sources = (model.source, *model.mirrors)
    first_error: PrefetchError | None = None
    for number, source in enumerate(sources):
        try:
            remote = await _resolve(resolver, model, source)
        except (AccessError, SourceError, TransientError) as error:
            # A mirror that fails too says less than the source that was meant.
            first_error = first_error or error
            continue
        mirrors = (_lazy(resolver, model, mirror) for mirror in sources[number + 1 :])
        return Candidate(standing, remote, (remote.origin, *mirrors))
    assert first_error is not None
    return first_error


async def _resolve(resolver: Resolver, model: Model, source: str) -> RemoteFile:
    return await resolver.resolve(parse_source(source), source=source, sha256=model.sha256, size=model.size)


def _lazy(resolver: Resolver, model: Model, source: str) -> LazyOrigin:
    return LazyOrigin(partial(_resolve, resolver, model, source), host=source.split("/")[2])
