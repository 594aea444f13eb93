"""Files at an https address."""

from __future__ import annotations

from dataclasses import dataclass

from prefetch.net.client import Session
from prefetch.net.credentials import Credential
from prefetch.net.http import HttpOrigin
from prefetch.net.locations import Location
from prefetch.net.urls import OriginKey, origin_text
from prefetch.sources.access import Access
from prefetch.sources.document import Document, fetch_document
from prefetch.sources.probe import Probed, probe
from prefetch.sources.refs.http import HttpRef
from prefetch.sources.remote import RemoteFile

__all__ = ["Http"]


class Http:
    """Resolves ``https://`` references. A host that the user's own settings name is reached whatever its address."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._access = access
        for credential in access.own:
            session.guard.trust(credential.origin[1])

    async def document(self, ref: HttpRef, most: int, known: Document | None) -> Document:
        """All bytes of a small text, ``known`` where that is there still; raises as `resolve` does."""
        locator = _HttpLocator(self._session, ref, self._access, verified=False, size=None)
        return await fetch_document(
            self._session,
            ref.url,
            name=ref.name,
            most=most,
            credentials=locator.credentials,
            access_remedy=locator.access_remedy,
            known=known,
        )

    async def resolve(self, ref: HttpRef, *, source: str, sha256: str | None, size: int | None) -> RemoteFile:
        """What is at ``ref`` now; ``sha256`` and ``size`` are what the manifest says of it.

        Raises:
            AccessError, SourceError, ContentError, TransientError: see `check_response`.
        """
        locator = _HttpLocator(self._session, ref, self._access, verified=sha256 is not None, size=size)
        probed = await locator.probe()
        size = probed.accepted.total
        origin = HttpOrigin(
            self._session,
            locator,
            location=probed.location,
            way_in=Location(ref.url, ref.url.host, locator.credentials, is_way_in=True),
            size=size,
            verified=locator.verified,
            etag=probed.etag,
            ranges=probed.ranges,
        )
        url = str(ref.url) if ref.signed else ref.url.reveal()
        return RemoteFile(source, url, origin, size, etag=probed.etag, remark=probed.remark)


@dataclass(frozen=True, slots=True)
class _HttpLocator:
    """Follows the redirects from a reference to where its bytes are."""

    session: Session
    ref: HttpRef
    access: Access
    verified: bool
    size: int | None

    @property
    def origin(self) -> OriginKey:
        return self.ref.url.origin

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def access_remedy(self) -> str:
        origin = origin_text(self.origin)
        if self.access.has_own(self.origin):
            return (
                f"Check the secret that PREFETCH_TOKENS or PREFETCH_HEADERS gives for {origin}, and what it may read."
            )
        return f"If it wants a token, put one into a variable and set PREFETCH_TOKENS to {origin}=VARIABLE."

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """What requests may carry, each to its own origin."""
        return self.access.own

    async def locate(self) -> Location:
        return (await self.probe()).location

    async def probe(self) -> Probed:
        """Ask for the first byte."""
        return await probe(
            self.session,
            self.ref.url,
            self,
            credentials=self.credentials,
            size=self.size,
            verified=self.verified,
        )
