"""The one door to all sources: a reference in, a pinned remote file out, checked against what the manifest says."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from prefetch.errors import ContentError, TransientError
from prefetch.net.client import Session
from prefetch.net.retry import FullJitter, Outage, RetryListener, metadata_retrying
from prefetch.sources.access import Access
from prefetch.sources.batch import grouped
from prefetch.sources.civitai import Civitai
from prefetch.sources.document import Document
from prefetch.sources.file import resolve_file
from prefetch.sources.http import Http
from prefetch.sources.huggingface import HuggingFace
from prefetch.sources.listing import Listing
from prefetch.sources.refs.civitai import CivitaiModelRef, CivitaiRef
from prefetch.sources.refs.file import FileRef
from prefetch.sources.refs.http import HttpRef
from prefetch.sources.refs.hub import HuggingFaceRef, HuggingFolderRef
from prefetch.sources.refs.source import SourceRef
from prefetch.sources.remote import RemoteFile

__all__ = ["Resolver"]

_AT_ONCE = 16
_EMPTY = hashlib.sha256().hexdigest()


class Resolver:
    """Resolves references, sixteen at a time.

    Args:
        session: the run's session.
        access: endpoints and tokens.
        wait: how long between tries.
        attempts: how often a document is asked for until its error is raised.
        sleep: waits that long.
    """

    def __init__(
        self,
        session: Session,
        access: Access,
        *,
        wait: FullJitter | None = None,
        attempts: int = 7,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hugging_face = HuggingFace(session, access)
        self._civitai = Civitai(session, access)
        self._http = Http(session, access)
        self._guard = session.guard
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._wait = wait or FullJitter(patience=session.bounds.patience)
        self._sleep = sleep
        self._attempts = attempts
        self._outages: defaultdict[str, Outage] = defaultdict(Outage)

    @classmethod
    def from_environment(cls, session: Session, environ: Mapping[str, str] = os.environ) -> Resolver:
        """One with the endpoints and tokens that ``environ`` names; see `Access.from_environment`."""
        return cls(session, Access.from_environment(environ))

    def host_of(self, ref: SourceRef) -> str:
        """The host that is asked about ``ref``; ``file`` for this machine."""
        if isinstance(ref, HuggingFaceRef):
            return self._hugging_face.endpoint.host
        if isinstance(ref, CivitaiRef | CivitaiModelRef):
            return self._civitai.endpoint.host
        return "file" if isinstance(ref, FileRef) else ref.url.host

    def doubt(self, refs: Iterable[SourceRef]) -> None:
        """Others wrote the manifest that names these: see `AddressGuard.doubt`."""
        for ref in refs:
            if isinstance(ref, HttpRef):
                self._guard.doubt(ref.url.host)

    async def ask_together(self, refs: Iterable[SourceRef], *, on_retry: RetryListener) -> None:
        """Ask once about the many files of one repository that `resolve` will be asked for one by one."""
        files = [ref for ref in refs if isinstance(ref, HuggingFaceRef)]
        await asyncio.gather(*(self._ask_group(group, on_retry) for group in grouped(files)))

    async def _ask_group(self, group: Sequence[HuggingFaceRef], on_retry: RetryListener) -> None:
        outage = self._outages[self.host_of(group[0])]
        retrying = metadata_retrying(on_retry=on_retry, wait=self._wait, outage=outage, sleep=self._sleep)
        # Who is out of reach now says so again, model by model, when each is asked for.
        with suppress(TransientError):
            await retrying(self._hugging_face.ask_together, group)

    async def document(
        self, ref: HuggingFaceRef | HttpRef, *, most: int, on_retry: RetryListener, known: Document | None = None
    ) -> Document:
        """All bytes of a small text, at most ``most``, or ``known`` where that is there still; raises what `resolve`
        does.
        """
        host = self._hugging_face if isinstance(ref, HuggingFaceRef) else self._http
        outage = self._outages[self.host_of(ref)]
        retrying = metadata_retrying(
            on_retry=on_retry, wait=self._wait, outage=outage, attempts=self._attempts, sleep=self._sleep
        )
        document: Document = await retrying(host.document, ref, most, known)
        outage.end()
        return document

    async def tree(self, folder: HuggingFolderRef, *, on_retry: RetryListener) -> Listing:
        """What ``folder`` holds now.

        Raises:
            AccessError, SourceError: the Hub refuses, or has no such directory.
            TransientError: it could not be asked in several tries.
        """
        outage = self._outages[self._hugging_face.endpoint.host]
        retrying = metadata_retrying(on_retry=on_retry, wait=self._wait, outage=outage, sleep=self._sleep)
        async with self._places:
            listing: Listing = await retrying(self._hugging_face.tree, folder)
        outage.end()
        return listing

    async def resolve(
        self,
        ref: SourceRef,
        *,
        source: str,
        sha256: str | None = None,
        size: int | None = None,
        on_retry: RetryListener | None = None,
    ) -> RemoteFile:
        """What ``ref`` is now. Size and hash of the answer are the host's, or the manifest's where the host is silent.

        Args:
            source: the manifest's own text for it.
            sha256, size: what the manifest says of it.
            on_retry: told of every failure that is tried again.

        Raises:
            AccessError, SourceError: the host refuses.
            ContentError: the host has another file than the manifest says.
            TransientError: the host could not be asked in several tries.
        """
        outage = self._outages[self.host_of(ref)]
        retrying = metadata_retrying(on_retry=on_retry or _nobody, wait=self._wait, outage=outage, sleep=self._sleep)
        remote: RemoteFile = await retrying(self._ask, outage, ref, source, sha256, size)
        outage.end()
        _check_agreement(remote, sha256, size)
        return replace(remote, sha256=remote.sha256 or sha256, size=size if remote.size is None else remote.size)

    async def _ask(
        self, outage: Outage, ref: SourceRef, source: str, sha256: str | None, size: int | None
    ) -> RemoteFile:
        async with self._places:
            outage.check()
            if isinstance(ref, HuggingFaceRef):
                return await self._hugging_face.resolve(ref, source=source, sha256=sha256, size=size)
            if isinstance(ref, CivitaiRef | CivitaiModelRef):
                return await self._civitai.resolve(ref, source=source, sha256=sha256, size=size)
            if isinstance(ref, FileRef):
                return await resolve_file(ref, source=source)
            return await self._http.resolve(ref, source=source, sha256=sha256, size=size)


def _check_agreement(remote: RemoteFile, sha256: str | None, size: int | None) -> None:
    remedy = (
        "If the new file is meant, put its sha256 and size into the manifest, or lock it anew with prefetch lock "
        "--upgrade; if the old one is, pin the revision that has it in the source."
    )
    if sha256 and remote.sha256 and sha256 != remote.sha256:
        raise ContentError(
            f"{remote.source} has sha256 {remote.sha256} on {remote.origin.host}, {sha256} is expected.",
            remedy=remedy,
        )
    if remote.size == 0 and (remote.sha256 or sha256) not in (None, _EMPTY):
        raise ContentError(f"{remote.source} is empty on {remote.origin.host}.", remedy="Use another source.")
    if size is not None and remote.size is not None and size != remote.size:
        raise ContentError(
            f"{remote.source} has {remote.size} bytes on {remote.origin.host}, {size} are expected.",
            remedy=remedy,
        )


def _nobody(error: TransientError, attempt: int, delay: float) -> None:
    """Nobody wants to know of retries."""
