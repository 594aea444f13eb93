"""How models come onto the volume, and what bounds that has."""

from __future__ import annotations

from dataclasses import dataclass, field

from prefetch import values
from prefetch.net.bounds import PATIENCE, RATE
from prefetch.settings.option import option, switch

__all__ = ["Transfer"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Transfer:
    """How bytes come, what bounds that has, and which sources are trusted."""

    __slots__ = ()

    connections: int = field(
        default=16,
        metadata=option(values.whole(1, 64, example="16"), "most connections open at once, over all models"),
    )
    memory: int = field(
        default=200_000_000,
        metadata=option(
            values.size("a size in bytes above 0", "200M", "SIZE"),
            "most memory for bytes between the network and the volume, beside some 80M of the program's own",
        ),
    )
    range_size: int | None = field(
        default=None,
        metadata=option(
            values.size("a size in bytes above 0", "32Mi", "SIZE"),
            "bytes asked for in one request; without it, as many as each host's first byte takes to hide",
        ),
    )
    limit_rate: int | None = field(
        default=None,
        metadata=option(
            values.size("a number of bytes a second above 0", "50M", "RATE"),
            "most bytes a second, over all connections: 50M is 50,000,000 bytes a second",
        ),
    )
    host_patience: float = field(
        default=PATIENCE,
        metadata=option(
            values.seconds(1, 86400, example="300"),
            "seconds that one host may cost a model, by a pause it asks for or by bringing next to nothing, before its "
            "mirrors are asked; without any, the model fails",
        ),
    )
    min_rate: int = field(
        default=RATE,
        metadata=option(
            values.size("a number of bytes a second above 0", "10K", "RATE"),
            "bytes a second of a model below which its host brings next to nothing",
        ),
    )
    quota: int | None = field(
        default=None,
        metadata=option(
            values.size("a size in bytes above 0", "100G", "SIZE"),
            "the volume's size as you bought it, where the file system does not tell (RunPod's network volumes): 100G "
            "or 93.1Gi",
        ),
    )
    fail_fast: bool = field(default=False, metadata=switch("stop everything at the first model that fails for good"))
    no_wait: bool = field(
        default=False,
        metadata=switch("end with exit code 5 where another process is fetching a model, do not wait for it"),
    )
    wait_timeout: float | None = field(
        default=None,
        metadata=option(values.seconds(0, example="600"), "wait at most so many seconds for other processes"),
    )
    claim_ttl: float = field(
        default=60.0,
        metadata=option(
            values.seconds(1, 3600, example="60"),
            "seconds after which a process that gives no sign of life is given up",
        ),
    )
    allow_private: bool = field(
        default=False,
        metadata=switch("let a manifest's https:// sources lead to private and link-local addresses"),
    )
    allow_unpinned: bool = field(
        default=False,
        metadata=switch("fetch .pth, .pt, .ckpt and .bin files that no hash pins; loading one can run code"),
    )
