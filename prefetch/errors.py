"""Every error this program raises on purpose, and the exit code each one ends with.

PrefetchError                     1  some model failed
├── UsageError                    2  the command line or a setting
│   └── ManifestError             2  a manifest
├── AccessError                   3  a token, a gate, a licence
├── SpaceError                    4  the volume or its quota is full
│   └── OutgrownError             4  a model of unknown size takes more than is left; the others still fit
├── BusyError                     5  somebody else is fetching it
├── UnpinnedError                 1  a model that may run code when it is loaded, and nothing pins it
├── VolumeError                   1  the volume refused a read or a write
├── SourceError                   1  the host has no such file, or refuses it for good
│   ├── UnsourcedError            1  the manifest does not say yet where it is to be had
│   ├── RevisionError             1  its repository has no such revision, so none of the files asked for there
│   └── ContentError              1  what was received is not the file that was asked for
│       ├── HashMismatch          1  all bytes are there and their SHA-256 is another
│       └── FormatMismatch        1  its format is not the one that the ending of its name says
├── TransientError                1  worth another try: a reset, a cut, a stall, 429, 5xx
│   └── PatienceError             1  the host wants a longer pause, or is slower, than it may: others are asked first
├── DeadlineError                 1  the time that a start may take was over
├── ModelsFailed                  ·  several models failed: the code they share, else 1
└── Interrupted                 130  SIGINT, SIGTERM or SIGHUP

A message is one sentence that says what and where; a remedy is one that says what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

__all__ = [
    "AccessError",
    "BusyError",
    "ContentError",
    "DeadlineError",
    "FormatMismatch",
    "HashMismatch",
    "Interrupted",
    "ManifestError",
    "ModelsFailed",
    "OutgrownError",
    "PatienceError",
    "PrefetchError",
    "RevisionError",
    "SourceError",
    "SpaceError",
    "TransientError",
    "UnpinnedError",
    "UnsourcedError",
    "UsageError",
    "VolumeError",
    "first_cause",
    "from_os_error",
    "let_frames_go",
]


class PrefetchError(Exception):
    """The root: a failure with a sentence, a remedy and an exit code.

    Args:
        status: the HTTP status by which a host refused; None for every other failure.

    Attributes:
        is_final: whether no other try can end otherwise until the manifest, its lock or a setting is changed.
    """

    exit_code = 1
    code = "failed"
    is_final = False

    def __init__(self, message: str, *, remedy: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class UsageError(PrefetchError):
    """The command line or a setting cannot be used as it is."""

    exit_code = 2
    code = "usage"


class ManifestError(UsageError):
    """A manifest cannot be used as it is."""

    code = "manifest"


class AccessError(PrefetchError):
    """The host wants a token, an accepted licence, or another account."""

    exit_code = 3
    code = "access"


class SpaceError(PrefetchError):
    """The volume, or the quota on it, has no room for what is left to do."""

    exit_code = 4
    code = "space"


class OutgrownError(SpaceError):
    """A model whose host does not tell its size takes more room than the other models leave it; those still fit."""


class VolumeError(PrefetchError):
    """The volume refused a read or a write for a reason other than space."""

    code = "volume"


class BusyError(PrefetchError):
    """Another owner holds the model: it is to be waited for, or was waited for long enough."""

    exit_code = 5
    code = "busy"


class DeadlineError(PrefetchError):
    """The time that somebody set was over before all was done; what came is kept."""


class UnpinnedError(PrefetchError):
    """A model may run code when it is loaded, and neither manifest nor lock says which file is meant."""

    code = "unpinned"
    is_final = True


class SourceError(PrefetchError):
    """The host answered for good: no such file, gone, refused."""

    code = "source"


class UnsourcedError(SourceError):
    """An entry of the manifest says not yet where its model is to be had."""

    is_final = True


class RevisionError(SourceError):
    """The repository has no such revision, and so none of the files that are asked for there."""


class ContentError(SourceError):
    """What was received is not the file that was asked for."""

    code = "content"


class HashMismatch(ContentError):
    """Every byte arrived and the SHA-256 is not the expected one."""

    code = "hash_mismatch"


class FormatMismatch(ContentError):
    """The file is of a format that no loader of names with this ending reads."""


class TransientError(PrefetchError):
    """A failure that another try may mend.

    Args:
        cause: one short word for counters (``reset``, ``cut``, ``stall``, ``status_503``, ...).
        floor: seconds the host asked us to wait, a lower bound for the next try.
    """

    code = "network"

    def __init__(self, message: str, *, cause: str, floor: float = 0.0, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.cause = cause
        self.floor = floor


class PatienceError(TransientError):
    """A host costs more time than one host may; it is asked again only where no other is left.

    Its ``floor`` is how many seconds later that may be: never more than the host's bound.
    """


class ModelsFailed(PrefetchError):
    """The sum of models that failed, each told by a line of its own; the remedy is what the first one said."""

    def __init__(self, message: str, *, first: PrefetchError, exit_code: int, is_final: bool = False) -> None:
        super().__init__(message, remedy=str(first))
        self.exit_code, self.code, self.is_final = exit_code, first.code, is_final


class Interrupted(PrefetchError):
    """SIGINT, SIGTERM or SIGHUP: the same command goes on from there.

    Args:
        lost: why what came of a file is of no use to the next run, by the file's path; nothing for those that are kept.
    """

    exit_code = 130
    code = "interrupted"

    def __init__(self, message: str, *, lost: Mapping[str, str] | None = None, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.lost = lost or {}


def first_cause(error: BaseException) -> BaseException:
    """What went wrong first: of a group of errors the first, however deep it lies in other groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def let_frames_go(error: BaseException) -> None:
    """Take from an error that is kept, and from what led to it, where it was raised: the frames there hold what was at
    work in them, memory and connections, and refer back to who keeps the error.
    """
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_BROKEN = "State is kept: see to the volume, then run the same command again."
_RIGHTS = "Give this user the right to write there, or run as the user whose files they are."
_REMEDIES = {
    errno.EIO: _BROKEN,
    errno.ENOTCONN: _BROKEN,
    errno.ESTALE: _BROKEN,
    errno.ETIMEDOUT: _BROKEN,
    errno.EROFS: "Mount the volume for writing, then run the same command again.",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
}


def from_os_error(error: OSError, *, what: str) -> PrefetchError:
    """The error of ours that an ``OSError`` on the volume means; ``what`` names the operation and the file."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return SpaceError(
            f"No space left while {what}: {reason}.",
            remedy="What is done is kept; enlarge the volume or remove files, then run the same command again.",
        )
    remedy = _REMEDIES.get(error.errno or 0, "Check the volume's mount and its rights.")
    return VolumeError(f"The volume failed while {what}: {reason}.", remedy=remedy)
