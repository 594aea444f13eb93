"""What a directory of a repository held when it was first listed: the volume goes by that until told otherwise.

So a run that goes on after a stop fetches the files of one commit, and one with nothing to do asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from prefetch.volume import documents
from prefetch.volume.documents import Kind
from prefetch.volume.layout import Volume
from prefetch.volume.paths import is_model_path
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, has_fields

__all__ = ["LISTINGS", "RememberedFile", "RememberedListing", "read_listing", "write_listing"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS: dict[str, Kinds] = {"path": str, "size": int, "sha256": OPTIONAL_TEXT}


class RememberedFile(TypedDict):
    """One file: its path below the directory, its bytes, its SHA-256 where the host tells it."""

    path: str
    size: int
    sha256: str | None


class RememberedListing(TypedDict):
    """A directory at a commit."""

    commit: str
    files: Sequence[RememberedFile]


def write_listing(volume: Volume, key: str, listing: RememberedListing) -> None:
    """Remember what the directory that ``key`` (64 hex digits) stands for holds."""
    documents.write(volume, LISTINGS, _name(key), {**listing})


def read_listing(volume: Volume, key: str) -> RememberedListing | None:
    """What `write_listing` remembered; None if there is nothing, or any part of it cannot be trusted."""
    return documents.read(volume, LISTINGS, _name(key))


def _parse(name: str, document: Mapping[str, Any]) -> RememberedListing | None:
    commit, files = document.get("commit"), document.get("files")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit) or not isinstance(files, list):
        return None
    return RememberedListing(commit=commit, files=files) if all(map(_is_file, files)) else None


def _is_file(document: Any) -> bool:
    if not isinstance(document, dict) or not has_fields(document, _FIELDS) or not is_model_path(document["path"]):
        return False
    return document["sha256"] is None or bool(_SHA256.fullmatch(document["sha256"]))


def _name(key: str) -> str:
    if not _SHA256.fullmatch(key):
        raise ValueError(f"{key[:80]!r} is no key of a directory")
    return f"{key}.json"


LISTINGS = Kind("listings", re.compile(rf"{_SHA256.pattern}\.json"), _parse, version=1)
