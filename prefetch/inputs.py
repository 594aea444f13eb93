"""What a run is asked with, as bytes: by these another run knows, without reading YAML, that it is asked the same.

Standard library only: the container's entrypoint comes through here before every start.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefetch.given import Given, Remote, Written
from prefetch.volume.reading import Unfit, read_file

__all__ = ["MAX_BYTES", "Included", "Inputs", "digest", "lock_path", "read_includes", "read_inputs", "unchanged"]

MAX_BYTES = 16 << 20
"""The largest manifest, and the largest lock."""

_UNKNOWN = ""
"""In the place of a hash: nobody knows what is at an address before it is fetched."""


@dataclass(frozen=True, slots=True)
class Included:
    """A manifest that another one includes: ``name`` is relative to the folder of the ``root``-th manifest given."""

    root: int
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """The SHA-256 of everything that says what is wanted.

    Attributes:
        manifests: of each manifest that was given, in order.
        locks: of the lock beside each, None where there is none.
        groups: the names that select models; none for all of them.
        layout: where models are put, as ``--layout`` says it.
        includes: the manifests that those include.
        addresses: the digest of the address that each manifest was fetched from, None for one that was not; none at all
            is None for each. What was fetched is known by its address, whatever it says today, and its lock with it.
    """

    manifests: tuple[str, ...] = ()
    locks: tuple[str | None, ...] = ()
    groups: tuple[str, ...] = ()
    layout: str = "modern"
    includes: tuple[Included, ...] = ()
    addresses: tuple[str | None, ...] = ()

    @property
    def key(self) -> str:
        """64 hex digits by which a later run knows that it is asked the same.

        They do not change with the includes, whose names nobody knows before reading YAML, nor with what is at an
        address, which nobody knows before fetching it.
        """
        named = list(self._named())
        content = [[name for name, _ in named], [lock for _, lock in named], sorted(set(self.groups)), self.layout]
        return digest(json.dumps(content, separators=(",", ":")).encode())

    def _named(self) -> Iterator[tuple[str, str | None]]:
        addresses = self.addresses or (None,) * len(self.manifests)
        locks = self.locks or (None,) * len(self.manifests)
        for sha256, lock, address in zip(self.manifests, locks, addresses, strict=True):
            yield (sha256, lock) if address is None else (f"address:{address}", None)


def digest(data: bytes) -> str:
    """The SHA-256 of ``data``, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def lock_path(manifest: Path) -> Path:
    """Where the lock of a manifest stands."""
    return manifest.with_name(f"{manifest.stem}.lock.json")


def read_inputs(manifests: Sequence[Given]) -> Inputs | None:
    """What these hold now, but for their includes; None where one is not there, or can be read only once.

    Of one that would have to be fetched, only the address is known, or the hash that it is pinned to.
    """
    try:
        found = [_of_manifest(manifest) for manifest in manifests]
        locks = [_of_lock(manifest) for manifest in manifests]
    except OSError:
        return None
    roots = tuple(sha256 for sha256 in found if sha256 is not None)
    addresses = tuple(map(_address_of, manifests))
    return Inputs(roots, tuple(locks), addresses=addresses) if len(roots) == len(manifests) else None


def unchanged(includes: Iterable[Included], manifests: Sequence[Given]) -> bool:
    """Whether the includes that were found below ``manifests`` still hold what they held."""
    known = list(includes)
    return read_includes(known, manifests) == tuple(include.sha256 for include in known)


def read_includes(includes: Iterable[Included], manifests: Sequence[Given]) -> tuple[str | None, ...]:
    """The SHA-256 of each of these includes as it is now, None for one that cannot be read."""
    return tuple(_of_include(include, manifests) for include in includes)


def _of_include(include: Included, manifests: Sequence[Given]) -> str | None:
    root = manifests[include.root] if include.root < len(manifests) else None
    try:
        return _of_file(root.parent / include.name) if isinstance(root, Path) else None
    except OSError:
        return None


def _of_manifest(manifest: Given) -> str | None:
    match manifest:
        case Written():
            return digest(manifest.data)
        case Remote():
            return manifest.sha256 or _UNKNOWN
    return _of_file(manifest)


def _address_of(manifest: Given) -> str | None:
    match manifest:
        case Written():
            return manifest.address
        case Remote():
            return None if manifest.sha256 else manifest.digest
    return None


def _of_lock(manifest: Given) -> str | None:
    if isinstance(manifest, Path):
        return _of_file(lock_path(manifest))
    lock = manifest.lock if isinstance(manifest, Written) else None
    return None if lock is None else digest(lock)


def _of_file(path: Path) -> str | None:
    """None where nothing is there; OSError for what cannot be read again: a pipe is empty for the next reader."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise Unfit("it is no regular file")
    return digest(read_file(path, most=MAX_BYTES))
