"""Files on the Hugging Face Hub: huggingface_hub says what they are, the bytes come from the address it gives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from prefetch.errors import AccessError, ContentError, PatienceError, PrefetchError, RevisionError, SourceError
from prefetch.net.client import Session
from prefetch.net.credentials import Token
from prefetch.net.daemon import in_daemon_thread
from prefetch.net.headers import git_sha1_of_etag, sha256_of_etag, signed_expiry
from prefetch.net.http import HttpOrigin
from prefetch.net.locations import Location
from prefetch.net.request import follow
from prefetch.net.urls import OriginKey, SecretURL
from prefetch.sources.access import Access
from prefetch.sources.document import Document, fetch_document
from prefetch.sources.refs.hub import HuggingFaceRef, HuggingFolderRef
from prefetch.sources.remote import RemoteFile

if TYPE_CHECKING:
    from prefetch.sources.hub import FileFacts, Hub
    from prefetch.sources.listing import Listing

__all__ = ["HuggingFace"]

T = TypeVar("T")

IN_ONE_REQUEST = 4 << 20
"""Bytes up to which a file is fetched by a single request."""


class HuggingFace:
    """Resolves ``hf://`` references. The endpoint is the user's own choice, so its address is not judged."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._access = access
        self._hub: Hub | None = None
        self._making = threading.Lock()
        self._told: dict[HuggingFaceRef, FileFacts | PrefetchError] = {}
        session.guard.trust(access.hf_endpoint.host)

    @property
    def access(self) -> Access:
        """Endpoints and secrets."""
        return self._access

    @property
    def endpoint(self) -> SecretURL:
        """Where the Hub is."""
        return self._access.hf_endpoint

    async def resolve(self, ref: HuggingFaceRef, *, source: str, sha256: str | None, size: int | None) -> RemoteFile:
        """What ``ref`` is now, pinned to a commit; ``sha256`` and ``size`` are what the manifest says of it.

        Raises:
            AccessError, SourceError, TransientError: see `Hub.facts`.
        """
        facts = await self._facts_once(ref)
        pinned = replace(ref, revision=facts.commit or ref.revision)
        host_sha256, git_sha1 = sha256_of_etag(facts.etag), git_sha1_of_etag(facts.etag)
        if not (facts.commit or host_sha256 or git_sha1 or sha256):
            raise SourceError(
                f"{self.endpoint.host} tells neither commit nor hash of {ref}, so it could change unnoticed.",
                remedy="Give its sha256 in the manifest, or leave HF_ENDPOINT at https://huggingface.co.",
            )
        size = facts.size if size is None else size
        if size is None:
            # A git hash begins with the size, so that none can be counted while that is unknown.
            git_sha1 = None
        locator = _HubLocator(self, pinned, host_sha256)
        origin = HttpOrigin(
            self._session,
            locator,
            location=locator.first_location(facts),
            size=size,
            verified=bool(sha256 or host_sha256 or git_sha1),
        )
        return RemoteFile(
            source, _public_url(pinned), origin, facts.size, host_sha256, git_sha1=git_sha1, commit=facts.commit
        )

    async def ask_together(self, refs: Sequence[HuggingFaceRef]) -> None:
        """Have `resolve` know what files of one revision are; it asks by itself for what was not told.

        Raises:
            TransientError: see `Hub.facts`.
        """

        def ask() -> Mapping[HuggingFaceRef, FileFacts | PrefetchError]:
            from prefetch.sources.batch import ask_together

            return ask_together(self._library(), refs)

        try:
            self._told.update(await self._ask(ask, "/api/models"))
        except (AccessError, RevisionError) as error:
            self._told.update(dict.fromkeys(refs, error))
        except SourceError:
            # A mirror of the Hub may have its files and not its listings.
            return

    async def document(self, ref: HuggingFaceRef, most: int, known: Document | None) -> Document:
        """All bytes of a small text, ``known`` where that is there still; raises as `resolve` does."""
        facts = await self.facts(ref)
        if known is not None and facts.etag is not None and known.etag == facts.etag:
            return known
        locator = _HubLocator(self, ref, None)
        location = locator.first_location(facts)
        assert location is not None
        answer = await fetch_document(
            self._session,
            location.url,
            name=ref.name,
            most=most,
            credentials=location.credentials,
            access_remedy=locator.access_remedy,
            home=locator.origin,
            began_at=location.began_at,
        )
        # The Hub's word is on the content itself, that of its storage on one way to it.
        return Document(answer.data, facts.etag)

    async def tree(self, folder: HuggingFolderRef) -> Listing:
        """Ask the Hub once what ``folder`` holds; see `Hub.tree`."""
        return await self._ask(lambda: self._library().tree(folder), "/api/models")

    async def _facts_once(self, ref: HuggingFaceRef) -> FileFacts:
        told = self._told.get(ref)
        if isinstance(told, PrefetchError):
            raise told
        return await self.facts(ref) if told is None else told

    async def facts(self, ref: HuggingFaceRef) -> FileFacts:
        """Ask the Hub once; see `Hub.facts`."""
        return await self._ask(lambda: self._library().facts(ref), _path(ref))

    async def _ask(self, question: Callable[[], T], path: str) -> T:
        """Have the library ask for something below ``path``, when the Hub takes a request."""
        patience, host = self._session.bounds.patience, self.endpoint.host
        async with self._session.pauses.turn(self.endpoint.join(path)):
            try:
                async with asyncio.timeout(patience):
                    return await in_daemon_thread(question, name="hub")
            except TimeoutError:
                # The library gives up when nothing comes; this is for answers that trickle.
                remedy = "Run it again later, add a mirror to its entry, or set a longer --host-patience."
                message = f"{host} did not answer whole within the {patience:.0f} s of --host-patience."
                raise PatienceError(message, cause="slow", remedy=remedy) from None

    def _library(self) -> Hub:
        with self._making:
            if self._hub is None:
                # Half a second of imports that a run with nothing to do is spared.
                from prefetch.sources.hub import Hub

                self._hub = Hub(self._access, self._session.pauses)
            return self._hub


@dataclass(frozen=True, slots=True)
class _HubLocator:
    """Asks the Hub anew where a pinned file is."""

    hub: HuggingFace
    ref: HuggingFaceRef
    sha256: str | None

    @property
    def origin(self) -> OriginKey:
        return self.hub.endpoint.origin

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def access_remedy(self) -> str:
        return f"Set HF_TOKEN to a token that may read {self.hub.endpoint}/{self.ref.repo_path}."

    async def locate(self) -> Location:
        facts = await self.hub.facts(self.ref)
        if self.sha256 not in (None, sha256_of_etag(facts.etag)):
            raise ContentError(f"{self.ref} changed on {self.hub.endpoint.host} since it was resolved.")
        assert facts.location is not None
        return self.location_of(facts.location, facts.token)

    def first_location(self, facts: FileFacts) -> Location | None:
        """Where the file is by what was told of it; None where the Hub has to be asked before the first byte."""
        if facts.location is not None:
            return self.location_of(facts.location, facts.token)
        if facts.size is None or facts.size > IN_ONE_REQUEST:
            return None
        # One request is all there will be, so it may as well be sent to the Hub, which redirects it.
        return self.location_of(self.hub.endpoint.join(_path(self.ref)), facts.token)

    def location_of(self, location: SecretURL, token: Token | None) -> Location:
        url = follow(self.hub.endpoint, location.reveal())
        credentials = self.hub.access.credentials(self.hub.endpoint, token)
        return Location(url, self.hub.endpoint.host, credentials, signed_expiry(url.reveal()))


def _public_url(ref: HuggingFaceRef) -> str:
    """The file's address on the public Hub, the same whatever endpoint it is read from."""
    return "https://huggingface.co" + _path(ref)


def _path(ref: HuggingFaceRef) -> str:
    return f"/{ref.repo_path}/resolve/{quote(ref.revision, safe='')}/{quote(ref.path)}"
