"""What killed processes left behind that no later run would ever look at: a few bytes each, and they add up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from prefetch.volume import files, generations
from prefetch.volume.layout import Volume

__all__ = ["DRAFT_SECONDS", "clear_leftovers"]

DRAFT_SECONDS = 24 * 3600
"""The age at which a file that is renamed within milliseconds is nobody's any more, whatever the hosts' clocks say."""


def clear_leftovers(volume: Volume) -> None:
    """Delete journals that lost their data file to a publication, and drafts that were never renamed.

    Raises:
        VolumeError: the volume refused.
    """
    with files.os_errors("clearing away what killed runs left"):
        with volume.reading("partial") as partials:
            if partials is not None:
                generations.clear_dead(partials)
        with volume.reading("tmp") as drafts:
            if drafts is not None:
                for name in _old(drafts):
                    files.remove(name, dir_fd=drafts)


def _old(directory: int) -> Iterator[str]:
    for name in os.listdir(directory):
        with suppress(OSError):
            # By the change of the inode: a draft that is a second name of a model has the model's time.
            if time.time() - os.stat(name, dir_fd=directory, follow_symlinks=False).st_ctime > DRAFT_SECONDS:
                yield name
