"""What one host may cost. Standard library only: whoever reads the settings comes through here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PATIENCE", "RATE", "HostBounds"]

PATIENCE = 300.0
"""Seconds: as long as the window in which the Hub counts requests."""
RATE = 1000
"""Bytes a second: a gigabyte takes twelve days."""


@dataclass(frozen=True, slots=True)
class HostBounds:
    """How long a host is put up with.

    Attributes:
        patience: the longest pause it may ask for, and the longest it may bring next to nothing, in seconds.
        rate: bytes a second of one model below which it brings next to nothing.
    """

    patience: float = PATIENCE
    rate: int = RATE
