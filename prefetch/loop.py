"""An event loop that knows for how long it had nothing to do: what tells a machine at its limit from a slow network."""

from __future__ import annotations

import asyncio
import selectors
import time

__all__ = ["Loop", "idle_seconds"]


class Loop(asyncio.SelectorEventLoop):
    """The standard event loop, and the seconds for which it has waited."""

    def __init__(self) -> None:
        self._timed = _Timed()
        super().__init__(self._timed)

    @property
    def idle_seconds(self) -> float:
        """Seconds without anything to do, since it was made."""
        return self._timed.idle_seconds


class _Timed(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.idle_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        since = time.perf_counter()
        try:
            return super().select(timeout)
        finally:
            self.idle_seconds += time.perf_counter() - since


def idle_seconds() -> float | None:
    """Seconds for which the running loop had nothing to do; None where it is another one, which does not tell."""
    loop = asyncio.get_running_loop()
    return loop.idle_seconds if isinstance(loop, Loop) else None
