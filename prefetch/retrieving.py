"""Manifests that have to be fetched: from an address that the user's environment names, as strangers' texts."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Protocol

from prefetch.errors import AccessError, ManifestError, SourceError, TransientError, UsageError
from prefetch.given import URL, Remote, Written
from prefetch.net.client import open_session
from prefetch.report.events import Listener
from prefetch.report.notice import asked_again
from prefetch.sources.access import Access
from prefetch.sources.document import Document
from prefetch.sources.refs.http import HttpRef
from prefetch.sources.refs.hub import HuggingFaceRef
from prefetch.sources.refs.source import parse_source
from prefetch.sources.resolver import Resolver
from prefetch.yamlfile import MAX_BYTES

__all__ = ["Retrieved", "retrieve", "retrieve_again"]


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was found at an address: a manifest, and the lock beside it where there is one.

    Attributes:
        address: the digest of the address, None where a pinned hash says more of the manifest than where it was.
    """

    name: str
    manifest: Document
    lock: Document | None = None
    address: str | None = None

    @property
    def written(self) -> Written:
        """The manifest, to be read as a stranger's."""
        lock = None if self.lock is None else self.lock.data
        return Written(self.name, self.manifest.data, lock, fetched=True, address=self.address)


async def retrieve(remote: Remote, *, allow_private: bool, listener: Listener) -> Written:
    """The manifest at an address, asked for until it is plain that it cannot be had.

    Raises:
        UsageError: the address is none that a manifest may be fetched from.
        ManifestError: it has another hash than it is pinned to.
        AccessError, SourceError, TransientError: it cannot be had.
    """

    def retried(error: TransientError, attempt: int, delay: float) -> None:
        listener(asked_again(error, delay))

    async with open_session(connections=4, allow_private=allow_private) as session:
        resolver = Resolver(session, Access.from_environment(os.environ))
        return (await _retrieved(remote, None, partial(resolver.document, most=MAX_BYTES, on_retry=retried))).written


async def retrieve_again(remote: Remote, known: Retrieved | None, *, allow_private: bool) -> Retrieved:
    """What is at an address now, asked for once; what has not changed since ``known`` is not sent again.

    Raises as `retrieve` does.
    """

    def unheard(error: TransientError, attempt: int, delay: float) -> None:
        """There is no other try."""

    async with open_session(connections=4, allow_private=allow_private) as session:
        resolver = Resolver(session, Access.from_environment(os.environ), attempts=1)
        return await _retrieved(remote, known, partial(resolver.document, most=MAX_BYTES, on_retry=unheard))


async def _retrieved(remote: Remote, known: Retrieved | None, ask: _Ask) -> Retrieved:
    """Ask for both; with a pinned hash for the manifest only: a lock beside it would be another, unpinned text."""
    ref = _ref(remote)
    name = _name(ref)
    manifest = await ask(ref, known=None if known is None else known.manifest)
    if remote.sha256 is not None:
        _check(manifest.data, remote.sha256, name)
        return Retrieved(name, manifest)
    if (beside := _lock_of(ref)) is None:
        return Retrieved(name, manifest, address=remote.digest)
    try:
        lock = await ask(beside, known=None if known is None else known.lock)
    except (AccessError, SourceError):
        # Some hosts say 403 and not 404 for what is not there.
        lock = None
    return Retrieved(name, manifest, lock, remote.digest)


class _Ask(Protocol):
    """Asks for a document."""

    async def __call__(self, ref: HttpRef | HuggingFaceRef, *, known: Document | None) -> Document: ...


def _ref(remote: Remote) -> HttpRef | HuggingFaceRef:
    remedy = "Write https://host/path/prefetch.yaml or hf://owner/repo/prefetch.yaml."
    try:
        ref = parse_source(remote.address)
    except ValueError as error:
        raise UsageError(f"{URL}: {error}", remedy="") from None
    if not isinstance(ref, HttpRef | HuggingFaceRef):
        raise UsageError(f"{URL} names no address that a manifest can be fetched from.", remedy=remedy)
    if ref.needs_sha256 and remote.sha256 is None:
        raise UsageError(
            f"{URL} is plain http, where anyone on the way can change the manifest.",
            remedy="Use https, or pin it by #sha256= and its hash behind the address.",
        )
    return ref


def _check(data: bytes, expected: str, name: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ManifestError(
            f"{name} has the SHA-256 {found}, expected {expected}.",
            remedy=f"If the new one is meant, put its hash into {URL}.",
        )


def _name(ref: HttpRef | HuggingFaceRef) -> str:
    return str(ref.url) if isinstance(ref, HttpRef) else str(ref)


def _lock_of(ref: HttpRef | HuggingFaceRef) -> HttpRef | HuggingFaceRef | None:
    """Where the lock is; None where an address with a query names this one file and nothing beside it."""
    if isinstance(ref, HuggingFaceRef):
        return replace(ref, path=_beside(ref.path))
    if ref.url.query:
        return None
    return HttpRef(ref.url.join(_beside(ref.url.path)))


def _beside(path: str) -> str:
    name = PurePosixPath(path)
    return str(name.with_name(f"{name.stem}.lock.json"))
