"""From what a person asked for to the manifests and the volume it means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefetch.errors import UsageError
from prefetch.limits import Limits, Patience
from prefetch.settings import Settings
from prefetch.volume.layout import Volume, find_volume

if TYPE_CHECKING:
    from prefetch.manifest import Wanted

__all__ = ["find_manifests", "limits_of", "open_volume", "wanted_on"]

SYSTEM_MANIFEST = Path("/etc/prefetch/manifest.yaml")


def open_volume(settings: Settings, *, create: bool = False) -> Volume:
    """The volume to work on; with ``create``, its last directory is made where it is missing."""
    root = find_volume(settings.volume, require_mount=settings.require_mount)
    # Only the last one: a misspelt mount point must not become 37 GB on the container's disk.
    return Volume.open(root, create=create and root.absolute().parent.is_dir())


def find_manifests(settings: Settings, volume: Volume) -> tuple[Path, ...]:
    """The manifests that were given, else the first of those places that holds one; empty where none does."""
    if settings.manifest:
        return settings.manifest
    places = (volume.root / "prefetch.yaml", SYSTEM_MANIFEST)
    return next(((place,) for place in places if place.is_file()), ())


def wanted_on(volume: Volume, settings: Settings) -> Wanted:
    """What the manifests want on this volume, pinned by the locks beside them, where ``--layout`` has it.

    Raises:
        UsageError: no manifest was given, and there is none in the usual places; or ``--locked`` and no lock.
        ManifestError: a manifest or a lock cannot be used.
    """
    manifests = find_manifests(settings, volume)
    if not manifests:
        raise UsageError(
            f"No manifest was given, and there is neither {volume.root / 'prefetch.yaml'} nor {SYSTEM_MANIFEST}.",
            remedy="Name one, as in: prefetch run models.yaml --volume /workspace",
        )
    # YAML and pydantic take a fifth of a second to import, which a run with nothing to do need not pay.
    from prefetch.arranging import arranged
    from prefetch.manifest import load_manifests
    from prefetch.pinning import pin, read_lock, require_locked

    wanted = load_manifests(manifests, groups=settings.group)
    locks = list(map(read_lock, manifests))
    if settings.locked:
        require_locked(wanted, locks)
    return arranged(pin(wanted, locks), settings.layout)


def limits_of(settings: Settings) -> Limits:
    """The bounds among the settings."""
    return Limits(
        connections=settings.connections,
        memory=settings.memory,
        range_size=settings.range_size,
        limit_rate=settings.limit_rate,
        quota=settings.quota,
        fail_fast=settings.fail_fast,
        allow_private=settings.allow_private,
        allow_unpinned=settings.allow_unpinned,
        patience=Patience(0.0 if settings.no_wait else settings.wait_timeout, settings.claim_ttl),
    )
