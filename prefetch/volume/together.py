"""Many small files get their names at once, in the order of `publish`, each step done for all before the next one.

What a network file system takes longest for, opening directories and waiting for the disk, is so paid once for all.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from prefetch.errors import PrefetchError, VolumeError, from_os_error
from prefetch.volume import files
from prefetch.volume.draft import Draft
from prefetch.volume.inventory import Record
from prefetch.volume.layout import Volume
from prefetch.volume.publish import Published, place_in, rename_from

__all__ = ["publish_together"]


@dataclass(slots=True)
class _Placement:
    """One file of the group.

    Attributes:
        number: its descriptor, None while it is not open.
        left: whether its file lies where drafts lie.
    """

    draft: Draft
    ours: Record | None
    number: int | None = None
    left: bool = False
    published: Published | None = None
    error: PrefetchError | None = None

    @property
    def path(self) -> str:
        return self.draft.identity.path

    @property
    def outcome(self) -> Published | PrefetchError:
        outcome = self.error or self.published
        assert outcome is not None
        return outcome

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Keep what goes wrong inside from the others."""
        try:
            yield
        except PrefetchError as error:
            self.error = error
        except OSError as error:
            self.error = from_os_error(error, what=what)


def publish_together(volume: Volume, wanted: Sequence[tuple[Draft, Record | None]]) -> list[Published | PrefetchError]:
    """Give drafts, whose content the caller has verified, their final names; what came of each, in their order.

    Args:
        wanted: each with the record of its path: a file that is not the one we placed and recorded is kept.

    Raises:
        SpaceError, VolumeError: the volume refused before any of them was begun.
    """
    group = [_Placement(draft, ours) for draft, ours in wanted]
    with files.os_errors("opening the directory of drafts"), volume.writing("tmp") as temporary:
        try:
            for each in group:
                with each.step(f"writing {each.path}"):
                    _write(each, temporary)
            for each in _well(group):
                with each.step(f"bringing {each.path} to the disk"):
                    _finish(each)
            _place_all(volume, _well(group), temporary)
        finally:
            for each in group:
                _clear(each, temporary)
    return [each.outcome for each in group]


def _well(group: Sequence[_Placement]) -> list[_Placement]:
    return [each for each in group if each.error is None]


def _write(each: _Placement, temporary: int) -> None:
    data = each.draft.data
    if data is None or len(data) != each.draft.size:
        raise VolumeError(f"{each.path} is not whole.", remedy="Run the same command again.")
    each.number = os.open(each.draft.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=temporary)
    each.left = True
    files.write_at(each.number, data, 0)


def _finish(each: _Placement) -> None:
    number, each.number = each.number, None
    assert number is not None
    try:
        # A rename can reach the disk before the bytes do: after a power cut the name would hold zeros.
        files.flush(number)
        with suppress(OSError):
            files.pin_modified(number)
    finally:
        # The last moment for a network file system to tell that a write failed.
        os.close(number)


def _place_all(volume: Volume, group: Sequence[_Placement], temporary: int) -> None:
    by_parent: defaultdict[str, list[_Placement]] = defaultdict(list)
    for each in group:
        by_parent[each.path.rpartition("/")[0]].append(each)
    for placements in by_parent.values():
        try:
            directory = volume.directory(placements[0].path)
        except PrefetchError as error:
            for each in placements:
                each.error = error
            continue
        try:
            _place_in_one(volume, placements, directory, temporary)
        finally:
            os.close(directory)


def _place_in_one(volume: Volume, placements: Sequence[_Placement], directory: int, temporary: int) -> None:
    for each in placements:
        with each.step(f"moving {each.path} into its place"):
            rename = partial(rename_from, each.draft.name, temporary)
            each.published = place_in(volume, each.path, directory, each.ours, rename)
            each.left = False
    try:
        # The names themselves have to be on the disk before anything relies on them, like a record.
        files.flush(directory)
    except OSError as error:
        for each in _well(placements):
            each.error = from_os_error(error, what=f"moving {each.path} into its place")


def _clear(each: _Placement, temporary: int) -> None:
    if each.number is not None:
        os.close(each.number)
    if each.left:
        files.remove(each.draft.name, dir_fd=temporary)
