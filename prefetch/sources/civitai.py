"""Files on Civitai: the full version endpoint says which files there are and their hashes, one byte tells the size.

Never HEAD, which it answers with 401 whatever the token; never the version's `mini` form, which has told another file's
hash; never `sizeKB`, which is a rounded number.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from prefetch.errors import AccessError, SourceError, TransientError
from prefetch.net.client import Session
from prefetch.net.http import HttpOrigin
from prefetch.net.locations import Location
from prefetch.net.request import Answer
from prefetch.net.retry import FullJitter
from prefetch.net.urls import OriginKey, SecretURL
from prefetch.sources.access import Access
from prefetch.sources.document import fetch_document
from prefetch.sources.probe import Probed, probe
from prefetch.sources.refs.civitai import CivitaiModelRef, CivitaiRef
from prefetch.sources.remote import RemoteFile

__all__ = ["Civitai"]

_PUBLIC = "https://civitai.com"
_LARGEST_ANSWER = 16 << 20
_TRIES = 4
"""How often a file that is listed is asked for before it is believed to be gone."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOT_SENT = "Make an API key at https://civitai.com/user/account and set CIVITAI_API_TOKEN to it."
_REFUSED = (
    "Check that the key sent ({}) is valid, and that its account may download this model: early access is bought."
)


class Civitai:
    """Resolves ``civitai:`` references. The endpoint is the user's own choice, so its address is not judged."""

    def __init__(self, session: Session, access: Access) -> None:
        self._session = session
        self.endpoint = access.civitai_endpoint
        self.credentials = access.credentials(self.endpoint, access.civitai_token)
        self._token = access.civitai_token
        session.guard.trust(self.endpoint.host)

    @property
    def remedy(self) -> str:
        """What to do when Civitai refuses."""
        return _NOT_SENT if self._token is None else _REFUSED.format(self._token.found_in)

    async def resolve(
        self, ref: CivitaiRef | CivitaiModelRef, *, source: str, sha256: str | None, size: int | None
    ) -> RemoteFile:
        """What ``ref`` is now; ``sha256`` and ``size`` are what the manifest says of it.

        Raises:
            AccessError, SourceError, ContentError, TransientError: see `check_response`.
        """
        if isinstance(ref, CivitaiRef):
            return await self._resolve(ref, await self._files(ref), source, sha256, size)
        version = _meant(await self._versions(ref), ref, sha256)
        exact = CivitaiRef(version.id)
        files = await self._files(exact)
        # The file that is known by its hash need not be the version's main one.
        known = [file for file in files if sha256 is not None and file.sha256 == sha256][:1]
        remote = await self._resolve(exact, known or files, source, sha256, size)
        return remote if known else replace(remote, remark=_remark(ref, version))

    async def _resolve(
        self, ref: CivitaiRef, files: Sequence[_File], source: str, sha256: str | None, size: int | None
    ) -> RemoteFile:
        file = _chosen(files, ref)
        known = file.sha256 or sha256
        locator = _Locator(self._session, self, ref.version, file, size=size, verified=known is not None)
        probed = await locator.find()
        origin = HttpOrigin(
            self._session,
            locator,
            location=probed.location,
            size=probed.accepted.total,
            verified=known is not None,
            ranges=probed.accepted.ranged,
        )
        url = f"{_PUBLIC}{_download_path(ref.version, file)}"
        return RemoteFile(source, url, origin, probed.accepted.total, file.sha256)

    async def _files(self, ref: CivitaiRef) -> list[_File]:
        data = await self._document(f"model-versions/{ref.version}", ref)
        try:
            return [_File.of(item) for item in json.loads(data)["files"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise SourceError(f"{self.endpoint.host} tells nothing of the files of {ref}.") from None

    async def _versions(self, ref: CivitaiModelRef) -> list[_Version]:
        data = await self._document(f"models/{ref.model}", ref)
        try:
            return [_Version.of(item) for item in json.loads(data)["modelVersions"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise SourceError(f"{self.endpoint.host} tells nothing of the versions of {ref}.") from None

    async def _document(self, what: str, ref: CivitaiRef | CivitaiModelRef) -> bytes:
        answer = await fetch_document(
            self._session,
            SecretURL(f"{self.endpoint.reveal()}/api/v1/{what}"),
            name=str(ref),
            most=_LARGEST_ANSWER,
            credentials=self.credentials,
            access_remedy=self.remedy,
        )
        return answer.data


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a version, as the endpoint describes it."""

    id: int
    name: str
    primary: bool
    sha256: str | None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> _File:
        sha256 = str((item.get("hashes") or {}).get("SHA256", "")).lower()
        return cls(
            int(item["id"]), str(item["name"]), bool(item.get("primary")), sha256 if _SHA256.fullmatch(sha256) else None
        )


@dataclass(frozen=True, slots=True)
class _Version:
    """One published version of a model, as the model's endpoint describes it.

    Attributes:
        early: only those who bought it may download it yet.
        hashes: the SHA-256 of its files, as far as they are told.
    """

    id: int
    name: str
    published: datetime
    early: bool
    hashes: frozenset[str]

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> _Version:
        published = datetime.fromisoformat(item.get("publishedAt") or item["createdAt"])
        hashes = (_File.of(file).sha256 for file in item.get("files") or ())
        return cls(
            int(item["id"]),
            str(item.get("name", "")),
            published if published.tzinfo else published.replace(tzinfo=UTC),
            item.get("availability") == "EarlyAccess",
            frozenset(sha256 for sha256 in hashes if sha256),
        )


class _NotFound(SourceError):
    """A file that is listed and is not there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, remedy="Try again later, or look at its page.")
        self.passing = TransientError(message, cause="status_404")


@dataclass(frozen=True, slots=True)
class _Locator:
    """Asks Civitai where a file is, with one byte of it."""

    session: Session
    civitai: Civitai
    version: int
    file: _File
    size: int | None
    verified: bool

    @property
    def origin(self) -> OriginKey:
        return self.civitai.endpoint.origin

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def access_remedy(self) -> str:
        return self.civitai.remedy

    async def locate(self) -> Location:
        return (await self.probe()).location

    async def find(self) -> Probed:
        """As `probe`, for a file that was listed a moment ago: its storage is at times not found for some seconds."""
        wait = FullJitter()
        for number in range(1, _TRIES):
            try:
                return await self.probe()
            except _NotFound as error:
                await asyncio.sleep(wait.delay(error.passing, number))
        return await self.probe()

    async def probe(self) -> Probed:
        return await probe(
            self.session,
            SecretURL(f"{self.civitai.endpoint.reveal()}{_download_path(self.version, self.file)}"),
            self,
            credentials=self.civitai.credentials,
            size=self.size,
            verified=self.verified,
            check=self._check,
        )

    def _check(self, answer: Answer) -> None:
        self._check_login(answer)
        self._check_found(answer)

    def _check_found(self, answer: Answer) -> None:
        if answer.url.origin == self.origin and answer.response.status == 404:
            raise _NotFound(f"{self.civitai.endpoint.host} lists {self.name} and does not find it (404).")

    def _check_login(self, answer: Answer) -> None:
        if answer.url.origin == self.origin and answer.url.path.startswith("/login"):
            raise AccessError(f"{self.civitai.endpoint.host} wants a login for {self.name}.", remedy=self.access_remedy)


def _meant(versions: Sequence[_Version], ref: CivitaiModelRef, sha256: str | None) -> _Version:
    """The version with a file of that hash, else the newest; one that is still to be bought only where all are."""
    known = [version for version in versions if sha256 in version.hashes]
    free = [version for version in versions if not version.early]
    if not versions:
        raise SourceError(f"{ref} has no version that is published.", remedy="Look at its page, or use another source.")
    # The endpoint lists them in the order that their author gave them.
    return max(known or free or versions, key=lambda version: (version.published, version.id))


def _remark(ref: CivitaiModelRef, version: _Version) -> str:
    name = "".join(character for character in version.name[:60] if character.isprintable())
    return (
        f"{ref} is version {version.id} now ({name!r}, of {version.published:%Y-%m-%d}), the newest; "
        f"civitai:{version.id} names it for good."
    )


def _chosen(files: Sequence[_File], ref: CivitaiRef) -> _File:
    if ref.file is not None:
        matching = [file for file in files if file.id == ref.file]
    else:
        matching = list(files) if len(files) == 1 else [file for file in files if file.primary]
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(f"{file.id} ({file.name[:80]!r})" for file in files[:10])
    what = f"no file {ref.file}" if ref.file is not None else "no one file that is the main one"
    raise SourceError(
        f"civitai:{ref.version} has {what}.",
        remedy=f"Write civitai:{ref.version}/FILE-ID with one of {known or 'none'}.",
    )


def _download_path(version: int, file: _File) -> str:
    # Links by type and format have led to other files, and to none.
    return f"/api/download/models/{version}?fileId={file.id}"
