"""Whether this end, by its volume or its processors, is what the connections wait for. Pure."""

from __future__ import annotations

from collections import deque
from enum import Enum
from statistics import fmean

__all__ = ["Load", "LoadMeter"]

LOOKS = 4
"""Looks over which a mean is taken: a network volume takes bytes in bursts, and a beginning is always busy."""


class Load(Enum):
    """How this end keeps up with the network."""

    LIGHT = "it waits for the network"
    EVEN = "neither waits much for the other"
    FULL = "the network waits for it"

    @classmethod
    def of(cls, *, waiting: float, idle: float) -> Load:
        """
        Args:
            waiting: the share of the connections that wait for memory, and so for the volume.
            idle: the share of the time in which the event loop had nothing to do.
        """
        if waiting >= 0.5 or idle <= 0.1:
            return cls.FULL
        return cls.LIGHT if waiting <= 0.25 and idle >= 0.2 else cls.EVEN


class LoadMeter:
    """The load of the last looks.

    Args:
        now: a clock's seconds.
        idle: seconds for which the event loop has had nothing to do; None where it does not tell, and counts as idle.
    """

    def __init__(self, now: float, idle: float | None) -> None:
        self._last = now, idle
        self._waiting = deque([0.0] * LOOKS, maxlen=LOOKS)
        self._idle = deque([1.0] * LOOKS, maxlen=LOOKS)

    def look(self, now: float, *, waiting: float, idle: float | None) -> Load:
        """Take note of the share of the connections that wait for memory, and of the idle seconds up to ``now``."""
        since, before = self._last
        self._last = now, idle
        self._waiting.append(waiting)
        self._idle.append(1.0 if idle is None or before is None or now <= since else (idle - before) / (now - since))
        return Load.of(waiting=fmean(self._waiting), idle=fmean(self._idle))
