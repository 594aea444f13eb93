"""What Civitai's API says of versions and their files, and which of them a reference means. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from prefetch.errors import SourceError
from prefetch.sources.refs.civitai import TRAITS, CivitaiModelRef, CivitaiRef

__all__ = ["ApiFile", "ApiVersion", "choose_file", "choose_version", "tell_choice"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LISTED = 10  # files that an error lists


@dataclass(frozen=True, slots=True)
class ApiFile:
    """One file of a version.

    Attributes:
        primary: whether it is the version's main file.
        traits: its type, format and so on, as far as they are told, by the names in `TRAITS`.
        query: what stands behind its version's download address, in the API's own words; empty where it tells none.
    """

    id: int
    name: str
    primary: bool
    sha256: str | None
    traits: Mapping[str, str] = field(default_factory=dict)
    query: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> ApiFile:
        """The file that an item of ``files`` describes; ValueError, TypeError or KeyError where it describes none."""
        sha256 = str((item.get("hashes") or {}).get("SHA256", "")).lower()
        address = item.get("downloadUrl")
        query = urlsplit(address).query if isinstance(address, str) else ""
        return cls(
            int(item["id"]),
            str(item["name"]),
            bool(item.get("primary")),
            sha256 if _SHA256.fullmatch(sha256) else None,
            _traits(item, query),
            query,
        )

    @property
    def is_model(self) -> bool:
        """Whether it is a model itself, and no part that goes with one."""
        return self.traits.get("type", "Model") in ("Model", "Pruned Model")

    def fits(self, ref: CivitaiRef) -> bool:
        """Whether it is all that ``ref`` says of it. What is not told of a file does not fit."""
        if ref.file not in (None, self.id):
            return False
        return all(self.traits.get(name, "").casefold() == value.casefold() for name, value in ref.traits)

    def __str__(self) -> str:
        traits = ", ".join([repr(self.name[:80]), *(value[:40] for value in self.traits.values())])
        return f"{self.id} ({traits})"


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """One published version of a model.

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
    def of(cls, item: Mapping[str, Any]) -> ApiVersion:
        """The version that an item of ``modelVersions`` describes; raises as `ApiFile.of`."""
        published = datetime.fromisoformat(item.get("publishedAt") or item["createdAt"])
        hashes = (ApiFile.of(file).sha256 for file in item.get("files") or ())
        return cls(
            int(item["id"]),
            str(item.get("name", "")),
            published if published.tzinfo else published.replace(tzinfo=UTC),
            item.get("availability") == "EarlyAccess",
            frozenset(sha256 for sha256 in hashes if sha256),
        )


def choose_file(files: Sequence[ApiFile], ref: CivitaiRef, sha256: str | None) -> ApiFile:
    """The one file that ``ref`` means: the one that is all it says, or, where it says nothing, the main one.

    Args:
        sha256: what the manifest says of it, which tells it from others that fit.

    Raises:
        SourceError: none or several; the remedy lists the files of the version.
    """
    if ref.file is not None or ref.traits:
        fitting = [file for file in files if file.fits(ref)]
        matching = [file for file in fitting if file.sha256 == sha256] if len(fitting) > 1 and sha256 else fitting
    else:
        matching = list(files) if len(files) == 1 else [file for file in files if file.primary]
    if len(matching) == 1:
        return matching[0]
    listed = "; ".join(map(str, files[:_LISTED])) or "none"
    raise SourceError(
        f"civitai:{ref.version} has {_lack(ref, len(matching))}.",
        remedy=f"Write civitai:{ref.version}/FILE-ID with one of {listed}.",
    )


def choose_version(versions: Sequence[ApiVersion], ref: CivitaiModelRef, sha256: str | None) -> ApiVersion:
    """The version with a file of that hash, else the newest; one that is still to be bought only where all are."""
    known = [version for version in versions if sha256 in version.hashes]
    free = [version for version in versions if not version.early]
    if not versions:
        raise SourceError(f"{ref} has no version that is published.", remedy="Look at its page, or use another source.")
    # The endpoint lists them in the order that their author gave them.
    return max(known or free or versions, key=lambda version: (version.published, version.id))


def tell_choice(ref: CivitaiModelRef, version: ApiVersion) -> str:
    """A sentence on which version of a model was chosen."""
    name = "".join(character for character in version.name[:60] if character.isprintable())
    return (
        f"{ref} is version {version.id} now ({name!r}, of {version.published:%Y-%m-%d}), the newest; "
        f"civitai:{version.id} names it for good."
    )


def _traits(item: Mapping[str, Any], query: str) -> dict[str, str]:
    """What is told of a file: in its description, else in its own download address."""
    metadata = item.get("metadata")
    described = {**(metadata if isinstance(metadata, dict) else {}), "type": item.get("type")}
    stated = dict(parse_qsl(query))
    told = {name: described.get(name) or stated.get(name) for name in TRAITS}
    return {name: value for name, value in told.items() if isinstance(value, str) and value}


def _lack(ref: CivitaiRef, fitting: int) -> str:
    if not ref.traits:
        return f"no file {ref.file}" if ref.file is not None else "no one file that is the main one"
    said = ", ".join(f"{name}={value[:40]}" for name, value in ref.traits)
    which = said if ref.file is None else f"fileId={ref.file}, {said}"
    return f"{fitting} files that are {which}" if fitting else f"no file that is {which}"
