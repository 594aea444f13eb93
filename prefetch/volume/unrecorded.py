"""Records that only spare the next run some work: a volume that refuses them costs that, and no run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefetch.errors import SpaceError, VolumeError
from prefetch.volume.layout import Volume, VolumeGone

__all__ = ["spared_if_refused"]


@contextmanager
def spared_if_refused(volume: Volume) -> Iterator[None]:
    """Go on where the volume refuses what is recorded inside: it may be mounted read-only, be another user's, or full.

    Why is kept in `Volume.unrecorded`, to be told once.

    Raises:
        VolumeGone: it is not the volume any more that it was, so nothing stands there either.
    """
    try:
        yield
    except VolumeGone:
        raise
    except (SpaceError, VolumeError) as error:
        volume.unrecorded.append(error)
