"""The locks beside the manifests of a run, and what they make of its entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from prefetch.errors import ManifestError, UnpinnedError, UsageError
from prefetch.given import Written
from prefetch.inputs import MAX_BYTES, lock_path
from prefetch.lockfile import Lock, LockedModel, parse_lock
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import enumerated
from prefetch.volume.reading import read_file

if TYPE_CHECKING:
    from prefetch.manifest import Entry, Model, Wanted

__all__ = ["is_unpinned_pickle", "pin", "read_lock", "require_locked", "tell_unpinned", "unpinned_pickle"]

_PICKLES = frozenset({".pth", ".pt", ".ckpt", ".bin"})


def read_lock(manifest: Path | Written) -> Lock | None:
    """The lock beside ``manifest``; None where there is none.

    Raises:
        ManifestError: it cannot be read, or is no lock.
    """
    if isinstance(manifest, Written):
        return None if manifest.lock is None else parse_lock(manifest.lock, file=f"the lock of {manifest.name}")
    path = lock_path(manifest)
    try:
        return parse_lock(read_file(path, most=MAX_BYTES), file=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(f"{path}: the lock cannot be read: {error.strerror}.", remedy="Check its rights.") from None


def pin(wanted: Wanted, locks: Sequence[Lock | None]) -> Wanted:
    """Every entry with the size, hash and commit of the first lock that agrees with what the manifest says of it.

    Args:
        locks: one for each manifest that was given, None where none is beside it.
    """
    known = [lock for lock in locks if lock is not None]
    digests = tuple(None if lock is None else lock.sha256 for lock in locks)
    return replace(
        wanted,
        entries=tuple(_pinned(entry, known) for entry in wanted.entries),
        inputs=wanted.inputs and replace(wanted.inputs, locks=digests),
        locked=all(_locked(entry.model, known) is not None for entry in wanted.entries),
    )


def require_locked(wanted: Wanted, locks: Iterable[Lock | None]) -> None:
    """Raise UsageError unless every entry stands in a lock that agrees with it."""
    known = [lock for lock in locks if lock is not None]
    strangers = [entry.model.path for entry in wanted.entries if _locked(entry.model, known) is None]
    if strangers:
        raise UsageError(
            f"--locked: no lock agrees with the manifest on {enumerated(strangers)}.",
            remedy="Run prefetch lock with the manifest, and keep the lock beside it.",
        )


def tell_unpinned(paths: Sequence[str], listener: Listener) -> None:
    """Say which models have no hash beforehand: whatever their host has today is taken."""
    if paths:
        they = f"{enumerated(paths)} {'is' if len(paths) == 1 else 'are'}"
        listener(Notice("info", f"{they} not pinned; prefetch lock pins every model of a manifest."))


def is_unpinned_pickle(model: Model) -> bool:
    """Whether loading the file may run code, and nothing says which file is meant."""
    return model.sha256 is None and PurePosixPath(model.path).suffix.lower() in _PICKLES


def unpinned_pickle(model: Model) -> UnpinnedError:
    """The error of such a model."""
    return UnpinnedError(
        f"{model.path} may run code when it is loaded, and nothing pins which file is meant.",
        remedy="Run prefetch lock, give its sha256 in the manifest, or pass --allow-unpinned.",
    )


def _pinned(entry: Entry, locks: Sequence[Lock]) -> Entry:
    locked = _locked(entry.model, locks)
    if locked is None:
        return entry
    model = entry.model.model_copy(update={"size": locked.size, "sha256": locked.sha256})
    return replace(entry, model=model, commit=locked.commit)


def _locked(model: Model, locks: Iterable[Lock]) -> LockedModel | None:
    candidates = (lock.models.get(model.path) for lock in locks)
    return next((locked for locked in candidates if locked is not None and locked.agrees(model)), None)
