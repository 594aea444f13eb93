"""From what a person asked for to the manifests and the volume it means."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prefetch.errors import UsageError
from prefetch.given import SYSTEM_MANIFEST, Given, Remote, Written, find_given
from prefetch.limits import Limits, Patience
from prefetch.net.bounds import HostBounds
from prefetch.report.humanize import enumerated
from prefetch.report.notice import Listener, Notice
from prefetch.settings import Settings
from prefetch.volume.absent import NoVolume, UnmadeVolume
from prefetch.volume.layout import Volume, find_volume
from prefetch.volume.mounts import may_be_made, mounted_volume

if TYPE_CHECKING:
    from prefetch.manifest import Folder, Wanted
    from prefetch.sources.listing import Listing

__all__ = [
    "at_hand",
    "find_manifests",
    "limits_of",
    "none_given",
    "open_or_make_volume",
    "open_volume",
    "volume_to_plan_for",
    "wanted_of",
    "wanted_on",
    "warn_left_open",
]


def open_volume(settings: Settings) -> Volume:
    """The volume to work on, which is there."""
    return Volume.open(find_volume(settings.volume, require_mount=settings.require_mount))


def open_or_make_volume(settings: Settings, listener: Listener) -> Volume:
    """The volume to work on; its last directory is made where it is missing, and a notice says so.

    Raises:
        UsageError: the name of what is missing looks misspelt.
    """
    root = find_volume(settings.volume, require_mount=settings.require_mount)
    missing = may_be_made(root)
    volume = Volume.open(root, create=missing)
    if missing:
        listener(Notice("info", f"made {volume.root}, which was not there"))
    return volume


def volume_to_plan_for(settings: Settings) -> Volume:
    """The volume to compare with; an empty one where there is none yet, or none was named and none is mounted."""
    if settings.volume is None and not settings.require_mount and mounted_volume() is None:
        return NoVolume()
    root = find_volume(settings.volume, require_mount=settings.require_mount)
    if may_be_made(root):
        return UnmadeVolume(root)
    return Volume.open(root)


def find_manifests(settings: Settings, volume: Volume) -> tuple[Given, ...]:
    """The manifests that were given, by the command line or the environment, or stand in one of the usual places."""
    return find_given(settings.manifest, os.environ, None if isinstance(volume, NoVolume) else volume.root)


def wanted_on(
    volume: Volume,
    settings: Settings,
    listener: Listener,
    *,
    learned: Callable[[Folder, Listing], None] = lambda folder, listing: None,
) -> Wanted:
    """What the manifests want on this volume, pinned by the locks beside them, where ``--layout`` has it.

    Args:
        learned: told what a directory of a repository holds, where its host had to be asked.

    Raises:
        UsageError: no manifest was given, and there is none in the usual places; or ``--locked`` and no lock.
        ManifestError: a manifest or a lock cannot be used.
        AccessError, SourceError, TransientError: a manifest cannot be fetched.
    """
    given = find_manifests(settings, volume)
    if not given:
        raise none_given(volume)
    manifests = at_hand(given, settings, listener)
    return wanted_of(manifests, volume, settings, listener, learned=learned)


def wanted_of(
    manifests: Sequence[Path | Written],
    volume: Volume,
    settings: Settings,
    listener: Listener,
    *,
    learned: Callable[[Folder, Listing], None] = lambda folder, listing: None,
) -> Wanted:
    """The same of manifests that are at hand; raises what `wanted_on` does for those."""
    # YAML and pydantic take a fifth of a second to import, which a run with nothing to do need not pay.
    from prefetch.arranging import arranged
    from prefetch.comfyui.placement import check_placement
    from prefetch.expansion import with_files
    from prefetch.manifest import load_manifests
    from prefetch.pinning import pin, read_lock, require_locked

    wanted = load_manifests(manifests, groups=settings.group, allow_private=settings.allow_private)
    check_placement(wanted.entries)
    warn_left_open(wanted, manifests, listener)
    locks = list(map(read_lock, manifests))
    if wanted.folders:
        wanted = with_files(wanted, locks, volume, settings, listener=listener, learned=learned)
    if settings.locked:
        require_locked(wanted, locks)
    return arranged(pin(wanted, locks), settings.layout)


def warn_left_open(wanted: Wanted, manifests: Sequence[Path | Written], listener: Listener) -> None:
    """Say where manifests want nothing, and which of their entries are only comments yet: those are not fetched."""
    names = ", ".join(each.name if isinstance(each, Written) else str(each) for each in manifests)
    number = len(wanted.left_open)
    comments = f"{enumerated(wanted.left_open)} {'stands' if number == 1 else 'stand'} there as comments only"
    if not (wanted.entries or wanted.folders or wanted.open):
        verb = "wants" if len(manifests) == 1 else "want"
        listener(Notice("warning", f"{names} {verb} no model{f': {comments}' if number else ''}"))
    elif number:
        listener(Notice("warning", f"{names}: {comments}, for want of a source: a run leaves them out"))


def at_hand(given: Sequence[Given], settings: Settings, listener: Listener) -> list[Path | Written]:
    """The manifests, those at addresses fetched; raises what `wanted_on` does for those."""
    return [_retrieved(each, settings, listener) if isinstance(each, Remote) else each for each in given]


def none_given(volume: Volume) -> UsageError:
    """The error where nothing says what is wanted."""
    neither = "no" if isinstance(volume, NoVolume) else f"neither {volume.root / 'prefetch.yaml'} nor"
    return UsageError(
        f"No manifest was given, and there is {neither} {SYSTEM_MANIFEST}.",
        remedy="Name one, as in: prefetch run models.yaml --volume /workspace, or in PREFETCH_MANIFEST.",
    )


def _retrieved(remote: Remote, settings: Settings, listener: Listener) -> Written:
    # The network's libraries take half a second.
    from prefetch.retrieving import retrieve
    from prefetch.signals import run_until_signal

    return run_until_signal(lambda: retrieve(remote, allow_private=settings.allow_private, listener=listener))


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
        host=HostBounds(settings.host_patience, settings.min_rate),
        patience=Patience(0.0 if settings.no_wait else settings.wait_timeout, settings.claim_ttl),
    )
