"""The directories of a manifest → the files in them: as a lock says, or the volume remembers, or the Hub lists.

A directory becomes one entry a file, pinned to the listing's commit. No hash comes from a listing: what a host says is
no pin.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from pydantic import ValidationError

from prefetch.errors import ContentError, PrefetchError, TransientError, UsageError
from prefetch.lockfile import Lock
from prefetch.manifest import Entry, Folder, FolderEntry, Model, Wanted, merge
from prefetch.net.bounds import HostBounds
from prefetch.report.events import Listener
from prefetch.report.humanize import enumerated
from prefetch.report.notice import asked_again
from prefetch.settings import Settings
from prefetch.signals import run_until_signal
from prefetch.sources.listing import Listed, Listing
from prefetch.sources.refs.folder import parse_folder
from prefetch.sources.refs.hub import HuggingFolderRef
from prefetch.volume.layout import Volume
from prefetch.volume.listings import RememberedFile, RememberedListing, read_listing, write_listing
from prefetch.volume.unrecorded import spared_if_refused

if TYPE_CHECKING:
    from prefetch.sources.resolver import Resolver

__all__ = ["expand", "remember", "remembered", "to_be_locked", "with_files"]


def with_files(
    wanted: Wanted,
    locks: Sequence[Lock | None],
    volume: Volume,
    settings: Settings,
    *,
    listener: Listener,
    learned: Callable[[Folder, Listing], None],
) -> Wanted:
    """``wanted`` with the files of its directories: as a lock beside the manifests says, else as the volume remembers,
    unless it is to be refreshed, else as the Hub lists them.

    Args:
        learned: told what the Hub lists.

    Raises:
        UsageError: ``--locked``, and no lock has a directory as it is in the manifest.
    """
    known = {entry.folder: listing for entry in wanted.folders if (listing := _locked(entry.folder, locks)) is not None}
    unknown = [entry.folder for entry in wanted.folders if entry.folder not in known]
    if unknown and settings.locked:
        raise UsageError(
            f"--locked: no lock agrees with the manifest on {enumerated([folder.path for folder in unknown])}.",
            remedy="Run prefetch lock with the manifest, and keep the lock beside it.",
        )
    if not settings.refresh:
        known |= {folder: listing for folder in unknown if (listing := remembered(volume, folder)) is not None}
    told = _list_now([folder for folder in unknown if folder not in known], settings, listener=listener)
    for folder, answer in told.items():
        if isinstance(answer, Listing):
            learned(folder, answer)
    return expand(wanted, {**known, **told})


def to_be_locked(wanted: Wanted, lock: Lock | None, settings: Settings, *, listener: Listener) -> Wanted:
    """``wanted`` with the files of its directories: as its lock has them, else, or where ``--upgrade`` names any of
    them, as the Hub lists them now; with ``--check`` nobody is asked, and what is not locked is unlisted.
    """
    known: dict[Folder, Listing | PrefetchError] = {}
    for entry in wanted.folders:
        listing = None if lock is None else lock.listing(entry.folder)
        if listing is not None and not _is_upgraded(entry.folder, listing, settings.upgrade):
            known[entry.folder] = listing
        elif settings.check:
            known[entry.folder] = _not_locked(entry.folder)
    asked = [entry.folder for entry in wanted.folders if entry.folder not in known]
    return expand(wanted, known | _list_now(asked, settings, listener=listener))


def _is_upgraded(folder: Folder, listing: Listing, upgrade: str | None) -> bool:
    paths = (folder.path, *(folder.path + file.path for file in listing.files))
    return upgrade is not None and any(fnmatchcase(path, upgrade) for path in paths)


def _not_locked(folder: Folder) -> PrefetchError:
    return PrefetchError(f"{folder.path} is not in the lock as it is in the manifest.")


def _locked(folder: Folder, locks: Iterable[Lock | None]) -> Listing | None:
    found = (lock.listing(folder) for lock in locks if lock is not None)
    return next((listing for listing in found if listing is not None), None)


def expand(wanted: Wanted, listings: Mapping[Folder, Listing | PrefetchError]) -> Wanted:
    """``wanted`` with the files in place of its directories; a directory that could not be listed is `unlisted`.

    Raises:
        ManifestError: a file of a directory contradicts another entry.
    """
    entries, unlisted = list(wanted.entries), dict(wanted.unlisted)
    for entry in wanted.folders:
        listing = listings[entry.folder]
        try:
            entries += [] if isinstance(listing, PrefetchError) else entries_of(entry, listing)
        except PrefetchError as error:
            listing = error
        if isinstance(listing, PrefetchError):
            unlisted[entry.folder.path] = listing
    merged = merge(entries)
    directories = tuple(entry.folder for entry in wanted.folders)
    return replace(wanted, entries=merged.entries, folders=(), unlisted=unlisted, directories=directories)


def entries_of(entry: FolderEntry, listing: Listing) -> list[Entry]:
    """One entry for each file.

    Raises:
        ContentError: the listing names a file that cannot be placed, or none at all.
    """
    folder, ref = entry.folder, parse_folder(entry.folder.source)
    chosen = listing.chosen(include=folder.include, exclude=folder.exclude)
    if not chosen.files:
        raise ContentError(f"{folder.source} holds no file that is wanted.", remedy="Check its include and exclude.")
    return [Entry(_model(folder, ref, file), entry.place, listing.commit) for file in chosen.files]


def _model(folder: Folder, ref: HuggingFolderRef, file: Listed) -> Model:
    try:
        return Model(
            path=folder.path + file.path,
            source=str(ref.file(file.path)),
            size=file.size,
            groups=folder.groups,
            node_path=None if folder.node_path is None else folder.node_path + file.path,
        )
    except ValidationError:
        raise ContentError(
            f"{folder.source} is listed with a file {file.path[:80]!a}, which cannot be placed.",
            remedy="Leave it out by an exclude pattern.",
        ) from None


def remembered(volume: Volume, folder: Folder) -> Listing | None:
    """What the volume remembers of a directory."""
    found = read_listing(volume, _key(folder))
    if found is None:
        return None
    return Listing.of(found["commit"], (Listed(file["path"], file["size"], file["sha256"]) for file in found["files"]))


def remember(volume: Volume, folder: Folder, listing: Listing) -> None:
    """Have the volume remember what a directory holds."""
    assert listing.commit is not None
    files = [RememberedFile(path=file.path, size=file.size, sha256=file.sha256) for file in listing.files]
    with spared_if_refused(volume):
        write_listing(volume, _key(folder), RememberedListing(commit=listing.commit, files=files))


def _list_now(
    folders: Iterable[Folder], settings: Settings, *, listener: Listener
) -> dict[Folder, Listing | PrefetchError]:
    """Ask the Hub what directories hold, or why it does not tell."""
    # Half a second of imports that only a directory nobody knows is worth.
    from prefetch.net.client import open_session
    from prefetch.sources.access import Access
    from prefetch.sources.resolver import Resolver

    wanted = list(dict.fromkeys(folders))

    async def ask() -> list[Listing | PrefetchError]:
        async with open_session(
            connections=settings.connections,
            allow_private=settings.allow_private,
            bounds=HostBounds(settings.host_patience),
        ) as session:
            resolver = Resolver(session, Access.from_environment(os.environ))
            return await asyncio.gather(*(_ask(resolver, folder, listener) for folder in wanted))

    return dict(zip(wanted, run_until_signal(ask), strict=True)) if wanted else {}


async def _ask(resolver: Resolver, folder: Folder, listener: Listener) -> Listing | PrefetchError:
    try:
        return await resolver.tree(parse_folder(folder.source), on_retry=partial(_retried, listener))
    except PrefetchError as error:
        return error


def _retried(listener: Listener, error: TransientError, attempt: int, delay: float) -> None:
    listener(asked_again(error, delay))


def _key(folder: Folder) -> str:
    """The whole listing is remembered, whatever is wanted of it: patterns may change without asking anybody."""
    return hashlib.sha256(json.dumps(str(parse_folder(folder.source))).encode()).hexdigest()
