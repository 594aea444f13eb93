"""The seam between where bytes come from and what is done with them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

__all__ = ["Body", "Origin", "RangesUnsupported"]


class RangesUnsupported(Exception):
    """Several answers of the origin do not make one file: it can only be read by a single one, from its start.

    Args:
        why: the end of a sentence that says so ("example.com serves no ranges").
        told: whether that is worth a warning of its own, as the host seems to serve ranges.
    """

    def __init__(self, why: str, *, told: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.told = told


class Body(Protocol):
    """An open answer whose status, range and identity have been checked.

    Attributes:
        total: the file's whole size in bytes where the origin told it.
        ranged: whether this origin honoured the range; False means a whole file read from byte 0.
        received: bytes put into buffers so far, counted as they arrive, so that what came before an error counts.
    """

    @property
    def total(self) -> int | None: ...
    @property
    def ranged(self) -> bool: ...
    @property
    def received(self) -> int: ...

    async def fill(self, buffer: memoryview) -> int:
        """Put the next bytes into ``buffer`` and return how many: fewer than it holds only at the body's end.

        Raises:
            TransientError: the connection broke before the range's end.
            ContentError: the body is longer than the file.
        """
        ...


class Origin(Protocol):
    """One place that holds a model's bytes. Safe to use from many tasks at once."""

    @property
    def host(self) -> str:
        """The host as shown to people and in metrics, without credentials."""
        ...

    @property
    def ranges(self) -> bool | None:
        """Whether byte ranges are known to work, and those of several answers to fit; None while nobody asked."""
        ...

    @property
    def pause(self) -> float:
        """Seconds for which the host wants no request; 0 if it may be asked now."""
        ...

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        """Ask for bytes ``[start, stop)``; ``stop=None`` means to the end of a file of unknown size.

        Raises:
            RangesUnsupported: ``start`` > 0 and the origin sent the whole file, or another answer's range would not
                fit to this one.
            TransientError: worth another try, perhaps after `TransientError.floor` seconds.
            AccessError, SourceError, ContentError: final for this origin.
        """
        ...
