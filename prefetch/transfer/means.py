"""What all downloads of one transfer share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prefetch.net.bounds import HostBounds
from prefetch.report.events import Listener
from prefetch.transfer.buffers import Buffers
from prefetch.transfer.flow import Flow
from prefetch.transfer.threads import Spawn, Threads

__all__ = ["Means"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The threads, the memory and the ears of one transfer.

    Attributes:
        writers: threads that block on the volume.
        hashers: threads that compute hashes. Others than the writers: a volume that is slow to take bytes would keep
            them waiting, and then the hash would end long after the last byte came.
        buffers: for blocks between the network and the volume, and then until they are hashed.
        reading: for blocks that are read back. Others again: those of the network are waited for by every connection.
        spawn: starts a coroutine whose failure ends the transfer.
        changed: to be called when something may have become possible that was not.
        bounds: what each host of a model may cost.
    """

    writers: Threads
    hashers: Threads
    buffers: Buffers
    reading: Buffers
    flow: Flow
    spawn: Spawn
    listener: Listener
    changed: Callable[[], None]
    clock: Callable[[], float]
    bounds: HostBounds
