"""Copies of models that are on this machine or volume already: the Hub's own cache, and the models RunPod caches.

A copy is found by its name, which in the Hub's cache is its SHA-256, and believed by its bytes alone: it is read as any
other source is, verified on the way, and given up for the real one where it turns out wrong. It is copied and never
hard-linked: a file in a cache can be written by whoever put it there, and what is published was never writable by
anyone but its publisher.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prefetch.sources.refs.cached import CACHE_FOLDERS
from prefetch.sources.refs.hub import HuggingFaceRef
from prefetch.sources.refs.source import SourceRef

__all__ = ["Copy", "Nearby", "cache_places"]

_BLOB = re.compile(r"[0-9a-f]{64}")
_RUNPOD = "huggingface-cache/hub"


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that should hold the wanted bytes: its path, absolute, and its size in bytes."""

    path: str
    size: int


def cache_places(environ: Mapping[str, str], volume: Path) -> list[Path]:
    """Where caches of the Hub's form may be: the user's own, and RunPod's on the volume and at its usual mount."""
    home = Path(environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    own = Path(environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or home / "hub")
    places = (own.expanduser(), volume / _RUNPOD, Path("/runpod-volume") / _RUNPOD)
    return list(dict.fromkeys(places))


@dataclass(slots=True)
class Nearby:
    """Looks into caches, each listed once. Blocking calls."""

    places: Iterable[Path]
    _blobs: dict[str, str] | None = field(default=None, init=False)
    _snapshots: dict[str, list[str]] = field(default_factory=dict, init=False)

    def find(self, ref: SourceRef, *, sha256: str, size: int, commit: str | None) -> Copy | None:
        """A copy of the file with this hash; None where none is to be seen.

        Args:
            ref: where its source has it, for caches that keep files by their names only.
            size: bytes.
            commit: what the source is pinned to, where it is.
        """
        named = () if not isinstance(ref, HuggingFaceRef) else self._by_name(ref, commit)
        for path in (*self._by_hash(sha256), *named):
            copy = _look(path)
            if copy is not None and copy.size == size:
                return copy
        return None

    def _by_hash(self, sha256: str) -> Iterator[str]:
        if self._blobs is None:
            self._blobs = {name: path for place in self.places for name, path in _blobs_in(place)}
        if (path := self._blobs.get(sha256)) is not None:
            yield path

    def _by_name(self, ref: HuggingFaceRef, commit: str | None) -> Iterator[str]:
        """What stands at the file's name in a snapshot, which another program may have filled without blobs."""
        repo = f"{CACHE_FOLDERS[ref.kind]}--{ref.repo.replace('/', '--')}"
        for place in self.places:
            snapshots = f"{place}/{repo}/snapshots"
            if snapshots not in self._snapshots:
                self._snapshots[snapshots] = _names_in(snapshots)
            for name in self._snapshots[snapshots]:
                if commit in (None, name):
                    yield f"{snapshots}/{name}/{ref.path}"


def _blobs_in(place: Path) -> Iterator[tuple[str, str]]:
    for repo in _names_in(os.fspath(place)):
        if repo.partition("--")[0] in CACHE_FOLDERS.values():
            blobs = f"{place}/{repo}/blobs"
            yield from ((name, f"{blobs}/{name}") for name in _names_in(blobs) if _BLOB.fullmatch(name))


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(directory))
    except OSError:
        # No cache there, or none that can be read: it is only a short cut.
        return []


def _look(path: str) -> Copy | None:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return Copy(path, found.st_size) if stat.S_ISREG(found.st_mode) else None
