"""Files on Civitai: the full version endpoint says which files there are and their hashes, one byte tells the size.

Never HEAD, which it answers with 401 whatever the token; never the version's `mini` form, which has told another file's
hash; never `sizeKB`, which is a rounded number.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from prefetch.errors import AccessError, PrefetchError, SourceError, TransientError
from prefetch.net.client import Session
from prefetch.net.credentials import Credential
from prefetch.net.http import HttpOrigin
from prefetch.net.locations import Location
from prefetch.net.request import Answer
from prefetch.net.retry import FullJitter
from prefetch.net.urls import OriginKey, SecretURL
from prefetch.sources.access import Access
from prefetch.sources.civitai_api import ApiFile, ApiVersion, choose_file, choose_version, tell_choice
from prefetch.sources.document import fetch_document
from prefetch.sources.probe import Probed, probe
from prefetch.sources.refs.civitai import CivitaiModelRef, CivitaiRef
from prefetch.sources.remote import RemoteFile
from prefetch.sources.tokens import CIVITAI, name_it

__all__ = ["Civitai"]

T = TypeVar("T")

_PUBLIC = "https://civitai.com"
_LARGEST_ANSWER = 16 << 20
_TRIES = 4
"""How often a file that is listed is asked for before it is believed to be gone."""
_ELSEWHERE = frozenset({401, 404})
"""With these, a host says that it does not give what the service's other host may well give."""
_NOT_SENT = "Make an API key at https://civitai.com/user/account and set CIVITAI_API_TOKEN to it."
_REFUSED = (
    "Check that the key sent ({}) is valid, and that its account may download this model: early access is bought."
)


@dataclass(frozen=True, slots=True)
class _Host:
    """One name of the service, and what requests to it may carry."""

    endpoint: SecretURL
    credentials: tuple[Credential, ...]


class Civitai:
    """Resolves ``civitai:`` references. The endpoint is the user's own choice, so its address is not judged."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self._token = access.civitai_token
        self._misnamed = access.civitai_misnamed
        self.endpoint = access.civitai_endpoint
        endpoints = (self.endpoint,) if access.civitai_other is None else (self.endpoint, access.civitai_other)
        self._hosts = tuple(_Host(each, access.credentials(each, access.civitai_token)) for each in endpoints)
        for each in endpoints:
            session.guard.trust(each.host)

    @property
    def remedy(self) -> str:
        """What to do when Civitai refuses."""
        if self._token is not None:
            return _REFUSED.format(self._token.found_in)
        return _NOT_SENT if self._misnamed is None else f"{name_it(self._misnamed, CIVITAI)}."

    async def resolve(
        self, ref: CivitaiRef | CivitaiModelRef, *, source: str, sha256: str | None, size: int | None
    ) -> RemoteFile:
        """What ``ref`` is now; ``sha256`` and ``size`` are what the manifest says of it.

        Raises:
            AccessError, SourceError, ContentError, TransientError: see `check_response`.
        """
        if isinstance(ref, CivitaiRef):
            host, files = await self._files(ref)
            return await self._resolve(host, ref.version, choose_file(files, ref, sha256), source, sha256, size)
        version = choose_version(await self._versions(ref), ref, sha256)
        host, files = await self._files(CivitaiRef(version.id))
        # The file that is known by its hash need not be the version's main one.
        known = next((file for file in files if sha256 is not None and file.sha256 == sha256), None)
        file = known or choose_file(files, CivitaiRef(version.id), None)
        remote = await self._resolve(host, version.id, file, source, sha256, size)
        return remote if known else replace(remote, remark=tell_choice(ref, version))

    async def _resolve(
        self, listed_by: _Host, version: int, file: ApiFile, source: str, sha256: str | None, size: int | None
    ) -> RemoteFile:
        verified = (file.sha256 or sha256) is not None
        path = _download_path(version, file)

        async def find(host: _Host) -> _Found:
            locator = _Locator(self._session, host, self.remedy, path, file, size=size, verified=verified)
            return await locator.find(_TRIES if host is listed_by else 1)

        found = await self._first(find, listed_by)
        origin = HttpOrigin(
            self._session,
            found.locator,
            location=found.probed.location,
            size=found.probed.accepted.total,
            verified=verified,
            ranges=found.probed.ranges,
        )
        return RemoteFile(source, f"{_PUBLIC}{path}", origin, found.probed.accepted.total, file.sha256)

    async def _files(self, ref: CivitaiRef) -> tuple[_Host, list[ApiFile]]:
        """The files of a version, and the host that lists them."""
        host, data = await self._document(f"model-versions/{ref.version}", ref)
        try:
            return host, [ApiFile.of(item) for item in json.loads(data)["files"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise SourceError(f"{self.endpoint.host} tells nothing of the files of {ref}.") from None

    async def _versions(self, ref: CivitaiModelRef) -> list[ApiVersion]:
        _, data = await self._document(f"models/{ref.model}", ref)
        try:
            return [ApiVersion.of(item) for item in json.loads(data)["modelVersions"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise SourceError(f"{self.endpoint.host} tells nothing of the versions of {ref}.") from None

    async def _document(self, what: str, ref: CivitaiRef | CivitaiModelRef) -> tuple[_Host, bytes]:
        async def ask(host: _Host) -> tuple[_Host, bytes]:
            answer = await fetch_document(
                self._session,
                SecretURL(f"{host.endpoint.reveal()}/api/v1/{what}"),
                name=str(ref),
                most=_LARGEST_ANSWER,
                credentials=host.credentials,
                access_remedy=self.remedy,
            )
            return host, answer.data

        return await self._first(ask, self._hosts[0])

    async def _first(self, ask: Callable[[_Host], Awaitable[T]], first: _Host) -> T:
        """What ``first`` gives, or else the other host, asked once; the refusal of ``first`` is what counts."""
        try:
            return await ask(first)
        except (AccessError, SourceError) as error:
            if error.status not in _ELSEWHERE:
                raise
            for other in self._hosts:
                if other is not first:
                    with suppress(PrefetchError):
                        return await ask(other)
            raise


class _NotFound(SourceError):
    """A file that is listed and is not there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, remedy="Try again later, or look at its page.", status=404)
        self.passing = TransientError(message, cause="status_404")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file's first byte, and the locator that came to it."""

    locator: _Locator
    probed: Probed


@dataclass(frozen=True, slots=True)
class _Locator:
    """Asks one host where a file is, with one byte of it."""

    session: Session
    host: _Host
    access_remedy: str
    path: str
    file: ApiFile
    size: int | None
    verified: bool

    @property
    def origin(self) -> OriginKey:
        return self.host.endpoint.origin

    @property
    def name(self) -> str:
        return self.file.name

    async def locate(self) -> Location:
        return (await self.probe()).location

    async def find(self, tries: int) -> _Found:
        """As `probe`, for a file that was listed a moment ago: its storage is at times not found for some seconds."""
        wait = FullJitter()
        for number in range(1, tries):
            try:
                return _Found(self, await self.probe())
            except _NotFound as error:
                if self._listed_path != self.path:
                    return await replace(self, path=self._listed_path).find(tries)
                await asyncio.sleep(wait.delay(error.passing, number))
        return _Found(self, await self.probe())

    @property
    def _listed_path(self) -> str:
        """The address that the API itself gives for a part, where the part's hash watches over what is found there.

        A version also lists parts of other versions, such as a VAE, which it does not find by their ids.
        """
        if self.file.sha256 is None or not self.file.query or self.file.is_model:
            return self.path
        return f"{self.path.partition('?')[0]}?{self.file.query}"

    async def probe(self) -> Probed:
        return await probe(
            self.session,
            SecretURL(f"{self.host.endpoint.reveal()}{self.path}"),
            self,
            credentials=self.host.credentials,
            size=self.size,
            verified=self.verified,
            check=self._check,
        )

    def _check(self, answer: Answer) -> None:
        if answer.url.origin != self.origin:
            return
        if answer.url.path.startswith("/login"):
            message = f"{self.host.endpoint.host} wants a login for {self.name}."
            raise AccessError(message, remedy=self.access_remedy, status=401)
        if answer.response.status == 404:
            raise _NotFound(f"{self.host.endpoint.host} lists {self.name} and does not find it (404).")


def _download_path(version: int, file: ApiFile) -> str:
    # Links by type and format have led to other files, and to none.
    return f"/api/download/models/{version}?fileId={file.id}"
