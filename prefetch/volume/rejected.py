"""Files of hosts that turned out to have another hash than the manifest's: no run fetches one to find that out again.

A document that lies keeps runs from a source, and from nothing else: until `--refresh`, or until the manifest or what
the host tells is another.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prefetch.volume import documents
from prefetch.volume.documents import Kind
from prefetch.volume.identity import Identity
from prefetch.volume.layout import Volume
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, has_fields

__all__ = ["KEPT", "REJECTED", "rejected_hash", "remember_rejected"]

KEPT = 200
"""How many are remembered: the latest."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS: dict[str, Kinds] = {"url": str, "etag": OPTIONAL_TEXT, "size": int, "expected": str, "found": str}


def remember_rejected(volume: Volume, identity: Identity, found: str) -> None:
    """Keep that a host's file has the SHA-256 ``found`` and not the identity's.

    Nothing is kept of a file that cannot be told from its successor, by a commit or a strong validator. Raises an error
    of ours if the volume refuses.
    """
    if not replace(identity, sha256=None).resumable:
        return
    said = _said_of(identity)
    documents.write(volume, REJECTED, _name(said), {**said, "found": found}, what="a wrong hash")
    documents.keep_newest(volume, REJECTED, KEPT)


def rejected_hash(volume: Volume, identity: Identity) -> str | None:
    """The SHA-256 that was found instead of the identity's; None where nothing is known. Raises an error of ours."""
    said = _said_of(identity)
    document = documents.read(volume, REJECTED, _name(said))
    # Under another file's name it says nothing of this one.
    return document["found"] if document is not None and said.items() <= document.items() else None


def _said_of(identity: Identity) -> dict[str, Any]:
    return {"url": identity.url, "etag": identity.etag, "size": identity.size, "expected": identity.sha256}


def _name(said: Mapping[str, Any]) -> str:
    return f"{hashlib.sha256(json.dumps(said).encode()).hexdigest()}.json"


def _parse(_: str, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not has_fields(document, _FIELDS):
        return None
    if not all(_SHA256.fullmatch(document[name]) for name in ("expected", "found")):
        return None
    return {name: document[name] for name in _FIELDS}


REJECTED = Kind("rejected", re.compile(rf"{_SHA256.pattern}\.json"), _parse, version=1, most=1 << 20)
