"""The block digests beside the manifests of a run, as far as they fit the locks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prefetch.blockfile import MAX_BYTES, BlockDigests, Digests, blocks_path, parse_blocks
from prefetch.errors import ManifestError
from prefetch.inputs import lock_path
from prefetch.lockfile import Lock, compare_blocks
from prefetch.manifest import Wanted
from prefetch.pinning import read_lock
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import count
from prefetch.volume.reading import read_file

__all__ = ["blocks_beside", "read_blocks"]


def read_blocks(manifest: Path) -> BlockDigests | None:
    """The block digests beside ``manifest``; None where there are none.

    Raises:
        ManifestError: they cannot be read, or are none.
    """
    path = blocks_path(manifest)
    try:
        return parse_blocks(read_file(path, most=MAX_BYTES), file=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}.", remedy="Check its rights.") from None


def blocks_beside(manifests: Iterable[Path], wanted: Wanted, listener: Listener) -> dict[str, Digests]:
    """The block digests beside the manifests, by the SHA-256 of their files; what does not fit is told and left out.

    Args:
        wanted: what is wanted of the manifests, pinned.
    """
    known: dict[str, Digests] = {}
    for manifest in manifests:
        try:
            known |= _fitting(manifest, listener)
        except ManifestError as error:
            listener(Notice("warning", f"{error.message} It is ignored. {error.remedy}"))
    pinned = {entry.model.sha256 for entry in wanted.entries}
    return {sha256: digests for sha256, digests in known.items() if sha256 in pinned}


def _fitting(manifest: Path, listener: Listener) -> dict[str, Digests]:
    found = read_blocks(manifest)
    if found is None:
        return {}
    lock = read_lock(manifest)
    if lock is None:
        return dict(found.files)
    _tell_misfit(manifest, lock, found, listener)
    sizes = {model.sha256: model.size for model in lock.models.values()}
    return {sha256: digests for sha256, digests in found.files.items() if sizes.get(sha256) == digests.size}


def _tell_misfit(manifest: Path, lock: Lock, found: BlockDigests, listener: Listener) -> None:
    misfits = [item.what for item in compare_blocks(lock, found, file=blocks_path(manifest).name)]
    if misfits:
        lacking, strangers = misfits.count("missing"), misfits.count("extra")
        message = (
            f"{blocks_path(manifest)} does not fit {lock_path(manifest).name}: it lacks {count(lacking, 'file')}, "
            f"and {strangers} that are not pinned there are ignored. Make it anew with prefetch lock --blocks."
        )
        listener(Notice("warning", message))
