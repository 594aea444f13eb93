"""A verified file gets its final name, in an order that leaves nothing wrong behind wherever it is cut off."""

from __future__ import annotations

import errno
import functools
import hashlib
import itertools
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Protocol

from prefetch.errors import HashMismatch, PrefetchError
from prefetch.volume import files
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.inventory import Record, matches
from prefetch.volume.layout import Volume
from prefetch.volume.partial import Identity, Partial

__all__ = ["Published", "Rename", "link", "place_in", "publish", "rename_from"]

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


class Rename(Protocol):
    """Gives a file another name, in another directory. Raises OSError."""

    def __call__(self, name: str, /, *, dir_fd: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Published:
    """What stands under the final name now.

    Attributes:
        kept_at: where the file that stood there before was moved, relative to the volume's root; None if there was
            none, or it was ours.
    """

    stat: os.stat_result
    kept_at: str | None


def publish(volume: Volume, partial: Partial, path: str, *, ours: Record | None) -> Published:
    """Give a partial file, whose content the caller has verified, its final name. It is closed in any case.

    Args:
        path: the model's path.
        ours: the record of that path. A file that is not the one we placed and recorded is kept.

    Raises:
        SpaceError, VolumeError: the partial file is kept for another try.
    """
    with closing(partial):
        # A size that is wrong now would be wrong under the final name for ever.
        partial.check_whole()

        # A rename can reach the disk before the bytes do: after a power cut the name would hold zeros.
        partial.sync()

        # The last moment for a network file system to tell that a write failed; and no late write can come after it.
        partial.close_data()

        published = _place(volume, path, ours, partial.rename_to)

        # Only now that the new name is durable; and what is left over by then is no reason to call the model missing.
        with suppress(PrefetchError):
            partial.discard()
        return published


def link(volume: Volume, existing: str, path: str, *, sha256: str, ours: Record | None) -> Published:
    """Have the verified model at ``existing`` stand at ``path`` too: one file with two names, or a copy of it.

    Args:
        sha256: what the model has; a copy is compared with it.
        ours: as for `publish`.

    Raises:
        HashMismatch: a copy had to be made, and the model is not what it was.
        SpaceError, VolumeError: the volume refused.
    """
    here, there = volume.stat(existing), volume.stat(path)
    if here is not None and there is not None and os.path.samestat(here, there):
        return Published(there, None)
    with files.os_errors(f"linking {existing} to {path}"), volume.writing("tmp") as temporary:
        draft = f"link.{secrets.token_hex(8)}"
        if not _second_name(volume, existing, draft, temporary):
            return _copy(volume, existing, path, sha256, ours)
        try:
            return _place(volume, path, ours, functools.partial(rename_from, draft, temporary))
        finally:
            # It could not be placed; or the very file was placed meanwhile, and then a rename does nothing.
            files.remove(draft, dir_fd=temporary)


def place_in(volume: Volume, path: str, directory: int, ours: Record | None, rename: Rename) -> Published:
    """Have a file stand at ``path``, whose directory is open; its name is only durable once that is flushed.

    Raises:
        OSError, VolumeError: the volume refused, or something else than a file stands there.
    """
    name = path.rpartition("/")[2]
    standing = files.lstat(name, dir_fd=directory)
    if standing is not None and not stat.S_ISREG(standing.st_mode):
        volume.check_target(path)

    # Before the rename, which would take a user's file from the volume without a word.
    kept_at = None if standing is None else _keep(volume, path, directory, standing, ours)

    # The one moment at which the new content appears: whoever opens the name gets the old file or the new one.
    rename(name, dir_fd=directory)
    return Published(os.stat(name, dir_fd=directory, follow_symlinks=False), kept_at)


def _place(volume: Volume, path: str, ours: Record | None, rename: Rename) -> Published:
    directory = volume.directory(path)
    try:
        with files.os_errors(f"moving {path} into its place"):
            placed = place_in(volume, path, directory, ours, rename)

            # The name itself has to be on the disk before anything relies on it, like a record or a deletion.
            files.flush(directory)
            return placed
    finally:
        os.close(directory)


def _keep(volume: Volume, path: str, directory: int, standing: os.stat_result, ours: Record | None) -> str | None:
    """Keep what stands at ``path`` and is not ours below ``.prefetch/replaced``; returns where."""
    *parents, name = path.split("/")
    if _is_ours(ours, standing):
        return None
    with volume.writing("replaced") as replaced:
        shelves = map(str, itertools.count(1))
        shelf = next(shelf for shelf in shelves if _keep_on(replaced, (shelf, *parents), name, directory, standing))
    return f"{volume.state.name}/replaced/{shelf}/{path}"


def _keep_on(replaced: int, shelf: Iterable[str], name: str, directory: int, standing: os.stat_result) -> bool:
    """Whether it could be kept in this directory, where something else may be kept already."""
    try:
        there = files.descend(replaced, shelf, step=files.make_directory)
    except NotADirectoryError:
        return False
    try:
        kept = files.lstat(name, dir_fd=there)
        if kept is None:
            _give_name(directory, name, there)
        elif not os.path.samestat(kept, standing):
            return False
        # If only the rename that follows outlived a power cut, the user's file would be lost.
        files.flush(there)
        return True
    finally:
        os.close(there)


def _give_name(directory: int, name: str, there: int) -> None:
    try:
        # A second name and not a move: the final name never disappears, not even for a moment.
        os.link(name, name, src_dir_fd=directory, dst_dir_fd=there, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(name, name, src_dir_fd=directory, dst_dir_fd=there)


def _is_ours(ours: Record | None, standing: os.stat_result) -> bool:
    return ours is not None and ours.placed and stat.S_ISREG(standing.st_mode) and matches(ours, standing)


def _second_name(volume: Volume, existing: str, draft: str, temporary: int) -> bool:
    """Give a model another name in the directory ``temporary``; False where files cannot have two."""
    with volume.parent_of(existing) as (directory, name):
        try:
            os.link(name, draft, src_dir_fd=directory, dst_dir_fd=temporary, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
    return True


def rename_from(draft: str, temporary: int, name: str, *, dir_fd: int) -> None:
    """A `Rename` of the file ``draft`` in the directory ``temporary``."""
    os.rename(draft, name, src_dir_fd=temporary, dst_dir_fd=dir_fd)


def _copy(volume: Volume, existing: str, path: str, sha256: str, ours: Record | None) -> Published:
    """A copy by way of a partial file, so that one that was cut off is found and cleared away like any other."""
    with open(volume.open_file(existing), "rb", buffering=0) as source:
        identity = Identity(path, os.fstat(source.fileno()).st_size, sha256, "", None)
        with closing(Partial.open(volume, identity)) as copy:
            found = _copy_blocks(source.fileno(), copy)
            if found != sha256:
                copy.discard()
                raise HashMismatch(
                    f"{existing} has the SHA-256 {found} now, expected {sha256}.", remedy="Run `prefetch verify`."
                )
            return publish(volume, copy, path, ours=ours)


def _copy_blocks(source: int, copy: Partial) -> str:
    sha256, buffer = hashlib.sha256(), memoryview(bytearray(BLOCK_SIZE))
    for index in range(copy.block_count):
        view = buffer[: copy.block_length(index)]
        if not files.read_into(source, view, index * BLOCK_SIZE):
            break
        sha256.update(view)
        copy.write(index, view)
    return sha256.hexdigest()
