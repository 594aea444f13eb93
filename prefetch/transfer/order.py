"""What the engine is asked to do for one model, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefetch.errors import PrefetchError
from prefetch.net.origin import Origin

if TYPE_CHECKING:
    from prefetch.volume.content import Content
    from prefetch.volume.incoming import Incoming

__all__ = ["Finished", "Order", "Outcome", "Place"]


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """One model to be fetched.

    Attributes:
        path: below the volume's root.
        origins: where its bytes are, in the order they are to be tried; all hold the same bytes.
        size: bytes, None where no host tells.
        sha256: the digest it must have, None where nobody knows it.
        git_sha1: the git blob hash it must have, for files the Hub keeps in git.
        digests: the XXH3-128 that each of its blocks should have, 16 bytes each in order; None where nobody knows them.
            With them all origins serve the file at once, and each block is judged as it arrives.
        open_now: what `open` returns, where that takes no look at the volume; None where it does.
        open: makes or resumes the partial file. Called once, in a thread.
        lost: why the order is not ours any more, None while it is. Asked all the time.
    """

    path: str
    origins: Sequence[Origin]
    size: int | None
    sha256: str | None
    git_sha1: str | None
    digests: bytes | None
    open_now: Callable[[], Incoming | None]
    open: Callable[[], Incoming]
    lost: Callable[[], PrefetchError | None]


@dataclass(frozen=True, slots=True)
class Finished:
    """A file all of whose bytes are here; ``sha256`` is what they have, and what was wanted.

    Attributes:
        content: what its first bytes say it is; None where they came in an earlier run.
    """

    path: str
    incoming: Incoming
    sha256: str
    content: Content | None


Place = Callable[[Sequence[Finished]], Sequence[PrefetchError | None]]
"""Gives finished files their names, and says of each why that failed, if it did. Called in threads."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one order. ``error`` is None when the model stands under its final name.

    Attributes:
        size: bytes, as far as known.
        sha256: of the published file; None when there is none.
        received: bytes of body received from any host, those fetched again too.
        resumed: bytes that an earlier run had left in a partial file.
        seconds: from the opening of the partial file to the publication or the failure.
        rejected: hosts whose file provably has another SHA-256 than the order's, and which.
    """

    path: str
    size: int | None
    sha256: str | None
    received: int
    resumed: int
    seconds: float
    error: PrefetchError | None
    rejected: Sequence[tuple[Origin, str]] = ()
