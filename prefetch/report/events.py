"""What happens in a run, as types. The core emits them; everything a person or a machine sees is made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prefetch.report.notice import Listener, Notice

__all__ = [
    "Claims",
    "Event",
    "Filling",
    "HostBytes",
    "Listener",
    "ModelDone",
    "ModelFailed",
    "ModelStarted",
    "ModelVerified",
    "Notice",
    "Planned",
    "Progress",
    "Repaired",
    "Replaced",
    "Resolving",
    "Retried",
    "RunFinished",
    "RunStarted",
    "Space",
    "Traffic",
    "Transfer",
    "VerifyFinished",
    "VerifyStarted",
    "Verifying",
    "Waiting",
]

DoneStatus = Literal["present", "adopted", "downloaded", "linked"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A command began its work on ``volume`` (absolute path) with so many models wanted."""

    volume: str
    models: int


@dataclass(frozen=True, slots=True)
class Resolving:
    """The hosts of so many models are asked what they have: size, hash, address."""

    models: int


@dataclass(frozen=True, slots=True)
class Planned:
    """What is left to do is known: models and bytes to fetch, bytes already here in partial files."""

    models: int
    bytes_to_fetch: int
    bytes_resumed: int
    unknown_sizes: int


@dataclass(frozen=True, slots=True)
class ModelStarted:
    """The first bytes of a model are being asked for; ``resumed`` bytes of it were already here."""

    path: str
    host: str
    size: int | None
    resumed: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """Where one model stands: ``done`` of ``size`` bytes on the volume, ``hashed`` of them verified in order."""

    path: str
    size: int | None
    done: int
    hashed: int
    connections: int
    speed: float  # bytes a second over the last seconds


@dataclass(frozen=True, slots=True)
class Progress:
    """Twice a second while bytes move: every active model, and the sums over the whole run."""

    active: tuple[Transfer, ...]
    bytes_done: int
    bytes_total: int
    models_done: int
    models_total: int
    speed: float  # bytes a second over the last seconds
    connections: int


@dataclass(frozen=True, slots=True)
class HostBytes:
    """Bytes of body received from one host."""

    host: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """The sums of the run so far, beside each `Progress` and when a transfer ends.

    The seconds are the threads' time, summed up: ``written`` bytes were brought to the volume in ``write_seconds``;
    ``hashed`` bytes were hashed, and where they had left the memory read back, in ``hash_seconds``.
    """

    received: tuple[HostBytes, ...]
    written: int
    write_seconds: float
    hashed: int
    hash_seconds: float


@dataclass(frozen=True, slots=True)
class Claims:
    """This process holds so many claims, and so many models are held by others."""

    held: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Space:
    """What the volume holds and may hold, in bytes; None for what is not known.

    ``capacity`` is the file system's size, ``quota`` what the user said, ``used`` what counts against the quota where
    there is one, or else against the capacity.
    """

    capacity: int | None
    quota: int | None
    used: int | None


@dataclass(frozen=True, slots=True)
class Retried:
    """The ``attempt``-th try failed, and the next begins after ``delay`` seconds. ``cause`` is one short word."""

    path: str
    host: str
    cause: str
    message: str
    attempt: int
    delay: float


@dataclass(frozen=True, slots=True)
class Repaired:
    """Bytes that did not match their digest were fetched again: ``where`` is disk or transit."""

    path: str
    where: Literal["disk", "transit"]
    bytes_refetched: int


@dataclass(frozen=True, slots=True)
class Verifying:
    """A file that stands on the volume is being hashed (adoption, or the verify command)."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another process is fetching a model: ``done`` of ``size`` bytes by its own word, at ``speed`` bytes a second.

    ``host`` and ``pid`` are None where it has not said who it is.
    """

    path: str
    host: str | None
    pid: int | None
    size: int | None
    done: int
    speed: float


@dataclass(frozen=True, slots=True)
class Replaced:
    """A file that was not ours stood under the final name and was kept at ``kept_at`` (relative to the volume)."""

    path: str
    kept_at: str
    size: int


@dataclass(frozen=True, slots=True)
class ModelVerified:
    """Every byte of a model of more than one block is here with the right hash; what is left is its name.

    ``behind`` are the seconds since its last byte arrived; None where none had to be fetched.
    """

    path: str
    sha256: str
    behind: float | None


@dataclass(frozen=True, slots=True)
class ModelDone:
    """A model stands under its final name, verified."""

    path: str
    status: DoneStatus
    size: int
    sha256: str
    pinned: bool  # whether a hash was known beforehand
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """A model is not there; ``message`` is one sentence with its remedy.

    It is ``waiting`` where another process has it still and was waited for long enough.
    """

    path: str
    code: str
    message: str
    status: Literal["failed", "waiting"] = "failed"


@dataclass(frozen=True, slots=True)
class Filling:
    """How the volume of one data center is coming on, for `prefetch runpod populate`.

    ``state`` is a few words. While its pod fetches, ``done`` of ``total`` bytes are there, at ``speed`` bytes a second.
    """

    data_center: str
    state: str
    done: int
    total: int | None
    speed: float


@dataclass(frozen=True, slots=True)
class VerifyStarted:
    """So many models on ``volume`` (absolute path) are to be read; with ``quick``, only compared with their records."""

    volume: str
    models: int
    quick: bool


@dataclass(frozen=True, slots=True)
class VerifyFinished:
    """They were verified, and so many of them are ``bad``; ``bytes_read`` is 0 where nothing was read."""

    ok: bool
    exit_code: int
    seconds: float
    models: int
    bad: int
    bytes_read: int


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The command ended; counts by final status."""

    ok: bool
    exit_code: int
    seconds: float
    bytes_downloaded: int
    bytes_resumed: int
    failed: int
    waiting: int = 0


Event = (
    RunStarted
    | Resolving
    | Planned
    | ModelStarted
    | Progress
    | Traffic
    | Claims
    | Space
    | Retried
    | Repaired
    | Verifying
    | Waiting
    | Replaced
    | ModelVerified
    | ModelDone
    | ModelFailed
    | Filling
    | Notice
    | VerifyStarted
    | VerifyFinished
    | RunFinished
)
