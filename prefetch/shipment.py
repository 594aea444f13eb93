"""What a pod elsewhere is given to work on: the manifests, each model pinned, as variables of an environment."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefetch.errors import ManifestError, UsageError
from prefetch.given import INLINE, LONGEST_INLINE, URL
from prefetch.report.humanize import enumerated
from prefetch.sources.refs.file import FileRef
from prefetch.sources.refs.source import parse_source, pinned_to

if TYPE_CHECKING:
    from prefetch.manifest import Entry, Wanted
    from prefetch.settings import Settings

__all__ = ["Shipment", "pack"]


@dataclass(frozen=True, slots=True)
class Shipment:
    """Models that are all pinned.

    Attributes:
        models: how many.
        size: bytes of their contents, each counted once.
        environment: the variables that tell a pod of them.
    """

    models: int
    size: int
    environment: Mapping[str, str] = field(repr=False)


def pack(wanted: Wanted, settings: Settings, *, environ: Mapping[str, str] = os.environ) -> Shipment:
    """The variables that have a pod fetch these very bytes: the manifest itself, or where it was fetched from.

    Raises:
        UsageError: a model is not pinned, lies on this machine, or the manifest is too long for a variable.
    """
    entries = wanted.whole().entries
    if not entries:
        raise UsageError("The manifest wants no model.", remedy="Name another, or leave out --group.")
    _check_pinned(entries)
    _check_reachable(entries)
    contents = {entry.model.sha256: entry.model.size or 0 for entry in entries}
    address = "" if settings.manifest else environ.get(URL, "").strip()
    variables = _by_address(address, settings) if address else {INLINE: _inline(entries)}
    return Shipment(len(entries), sum(contents.values()), variables)


def _check_pinned(entries: Sequence[Entry]) -> None:
    loose = [entry.model.path for entry in entries if entry.model.sha256 is None or entry.model.size is None]
    if loose:
        raise UsageError(
            f"What a pod is to fetch has to be pinned, and this is not yet: {enumerated(loose)}.",
            remedy="Run prefetch lock with the manifest, and keep the lock beside it.",
        )


def _check_reachable(entries: Sequence[Entry]) -> None:
    here = [entry.model.path for entry in entries if isinstance(parse_source(entry.model.source), FileRef)]
    if here:
        raise ManifestError(
            f"{enumerated(here)} has a source on this machine, which no pod can read.",
            remedy="Give it an address as its source.",
        )


def _by_address(address: str, settings: Settings) -> dict[str, str]:
    variables = {URL: address, "PREFETCH_GROUP": ",".join(settings.group), "PREFETCH_LAYOUT": settings.layout}
    return {name: text for name, text in variables.items() if text}


def _inline(entries: Sequence[Entry]) -> str:
    document = {"version": 1, "models": [_model(entry) for entry in entries]}
    # Without a time in its head: the same manifest has to be the same intent.
    packed = gzip.compress(json.dumps(document, separators=(",", ":")).encode(), 9, mtime=0)
    text = base64.b64encode(packed).decode()
    if len(text) > LONGEST_INLINE:
        raise UsageError(
            f"The manifest takes {len(text):,} characters, and a pod's variable takes {LONGEST_INLINE:,}.",
            remedy=f"Put manifest and lock at an address, and give that in {URL} instead of the file.",
        )
    return text


def _model(entry: Entry) -> dict[str, Any]:
    """The entry as a manifest has it, its source pinned to the commit of its lock."""
    document: dict[str, Any] = entry.model.model_dump(mode="json", exclude_defaults=True, exclude={"groups"})
    document["source"] = str(pinned_to(parse_source(entry.model.source), entry.commit))
    return document
