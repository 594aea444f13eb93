"""The seam between where bytes come from and what is done with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Body", "Origin", "RangesUnsupported"]


class RangesUnsupported(Exception):
    """The origin answered a range that does not start at 0 with the whole file: it can only be read from its start."""


@dataclass(frozen=True, slots=True)
class Body:
    """An open answer whose status, range and identity have been checked.

    Attributes:
        chunks: the bytes in order as they arrive, of whatever length the network gave (never empty). It ends exactly at
            the range's end, or raises `TransientError` when the connection is cut before.
        total: the file's whole size in bytes where the origin told it.
        ranged: whether this origin honoured the range; False means a whole file read from byte 0.
    """

    chunks: AsyncIterator[bytes]
    total: int | None
    ranged: bool


class Origin(Protocol):
    """One place that holds a model's bytes. Safe to use from many tasks at once."""

    @property
    def host(self) -> str:
        """The host as shown to people and in metrics, without credentials."""
        ...

    @property
    def ranges(self) -> bool | None:
        """Whether byte ranges are known to work; None while nobody asked."""
        ...

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        """Ask for bytes ``[start, stop)``; ``stop=None`` means to the end of a file of unknown size.

        Raises:
            RangesUnsupported: ``start`` > 0 and the origin sent the whole file.
            TransientError: worth another try, perhaps after `TransientError.floor` seconds.
            AccessError, SourceError, ContentError: final for this origin.
        """
        ...
