"""What a run may use."""

from __future__ import annotations

from dataclasses import dataclass

from prefetch.net.bounds import HostBounds

__all__ = ["Limits", "Patience"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How others are waited for.

    Attributes:
        timeout: seconds to wait at most, None without end.
        life: seconds after which a claim that stands still may be outbid.
    """

    timeout: float | None
    life: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds a person set.

    Attributes:
        connections: open at once, over all hosts.
        memory: bytes of buffers between the network and the volume.
        range_size: bytes asked for in one request, None to learn what suits each host.
        limit_rate: bytes a second over all connections, None for no cap.
        quota: bytes the volume may hold, where its file system does not tell.
        fail_fast: begin nothing new after the first failure.
        allow_private: let sources lead to private and link-local addresses.
        allow_unpinned: fetch files that can run code when loaded though nothing pins them.
        host: what one host may cost.
        patience: how others that fetch the same models are waited for.
    """

    connections: int
    memory: int
    range_size: int | None
    limit_rate: int | None
    quota: int | None
    fail_fast: bool
    allow_private: bool
    allow_unpinned: bool
    host: HostBounds
    patience: Patience
