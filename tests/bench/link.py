"""What a connection to the origin is like."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One kind of connection.

    Attributes:
        pace: bytes a second that each connection gets; 0 for no limit.
        slowed: every tenth accepted connection gets its pace divided by this.
        delay: seconds before the first byte of each response.
    """

    pace: int = 0
    slowed: int = 1
    delay: float = 0.0
