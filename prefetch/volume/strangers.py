"""What stands below ``.prefetch`` in the place of a document and is none: set aside, until ``prune`` removes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from prefetch.volume import claims, documents, files, generations
from prefetch.volume.applied import APPLIED
from prefetch.volume.followed import FOLLOWED
from prefetch.volume.history import HISTORY
from prefetch.volume.inventory import BATCHES, DIGESTS, RECORDS
from prefetch.volume.jobs import JOBS
from prefetch.volume.layout import Volume
from prefetch.volume.leftovers import is_draft
from prefetch.volume.listings import LISTINGS
from prefetch.volume.rejected import REJECTED
from prefetch.volume.scrubbing import SCRUB
from prefetch.volume.trees import remove_all

__all__ = ["Stranger", "find_strangers", "remove_stranger"]


@dataclass(frozen=True, slots=True)
class Stranger:
    """Something that is nothing of ours: its path below ``.prefetch``, its bytes."""

    path: str
    size: int


def find_strangers(volume: Volume) -> list[Stranger]:
    """Everything of the kind, sorted by path. Reads every document. Raises an error of ours if the volume refuses."""
    found = []
    for parent, fits in _FITS.items():
        with files.os_errors(f"reading {parent}"), volume.reading(parent) as directory:
            for name in () if directory is None else files.names(directory):
                assert directory is not None
                status = files.lstat(name, dir_fd=directory)
                if status is not None and not fits(name, directory):
                    found.append(Stranger(f"{parent}/{name}", status.st_size))
    return sorted(found, key=lambda stranger: stranger.path)


def remove_stranger(volume: Volume, path: str) -> bool:
    """Remove what stands there, a directory with all that is in it; False if it is one of ours by now."""
    parent, _, name = path.partition("/")
    with files.os_errors(f"removing {path}"), volume.reading(parent) as directory:
        if directory is None:
            return True
        if _FITS[parent](name, directory):
            return files.lstat(name, dir_fd=directory) is None
        remove_all((name,), dir_fd=directory)
    return True


def _is_record(name: str, directory: int) -> bool:
    if not DIGESTS.fullmatch(name):
        return documents.fits((RECORDS, BATCHES), name, directory)
    return _is(lambda status: stat.S_ISREG(status.st_mode), name, directory)


def _is_claim(name: str, directory: int) -> bool:
    return _is(partial(claims.fits, name), name, directory)


def _is_draft(name: str, directory: int) -> bool:
    return _is(partial(is_draft, name), name, directory)


def _is(test: Callable[[os.stat_result], bool], name: str, directory: int) -> bool:
    """Whether the status of what stands there passes; so too if nothing stands there any more."""
    status = files.lstat(name, dir_fd=directory)
    return status is None or test(status)


_FITS: Mapping[str, Callable[[str, int], bool]] = {
    **{
        kind.directory: partial(documents.fits, (kind,))
        for kind in (APPLIED, FOLLOWED, HISTORY, JOBS, LISTINGS, REJECTED, SCRUB)
    },
    "claims": _is_claim,
    "inventory": _is_record,
    "partial": generations.fits,
    "tmp": _is_draft,
}
"""For each directory, whether what has a name in it is one of ours."""
