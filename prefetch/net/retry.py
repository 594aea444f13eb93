"""How long to wait before another try, and when to give up, as small objects that tenacity and the engine share."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import tenacity

from prefetch.errors import PatienceError, PrefetchError, TransientError, let_frames_go
from prefetch.net.bounds import PATIENCE, HostBounds

__all__ = [
    "WORTH_ANOTHER_TRY",
    "FullJitter",
    "Outage",
    "RetryListener",
    "Retrying",
    "cost_bound",
    "metadata_retrying",
    "too_long",
    "too_slow",
]

RetryListener = Callable[[TransientError, int, float], None]
"""Told of a failure that is tried again: the error, the number of the try that failed, seconds until the next."""

WORTH_ANOTHER_TRY = tenacity.retry_if_exception_type(TransientError) & tenacity.retry_if_not_exception_type(
    PatienceError
)
"""Whether the same host should be asked once more."""

_OVERLOAD = frozenset({"status_429", "status_503"})
_ASKED_AGAIN_AFTER = 10.0  # seconds; guessed: as long as the first waited for it
_PATIENCE = {"dns": 10.0, "connect": 10.0, "timeout": 30.0}  # seconds; a slow host deserves more than an absent one


@dataclass(frozen=True, slots=True)
class FullJitter:
    """A wait over what the host asked for: uniform in ``[floor, floor + min(cap, base * 2**n)]`` seconds.

    Attributes:
        base: the first window in seconds.
        overload_base: the first window after 429 and 503, where the host itself says it has too much to do.
        cap: the widest window in seconds; the floor comes on top of it.
        patience: the highest floor in seconds.
        uniform: draws from ``[0, 1)``.
    """

    base: float = 1.0
    overload_base: float = 5.0
    cap: float = 60.0
    patience: float = PATIENCE
    uniform: Callable[[], float] = random.random

    def delay(self, error: TransientError, attempt: int) -> float:
        """Seconds to wait after the ``attempt``-th try (1 is the first) failed with ``error``.

        Raises:
            PatienceError: the host asked for more than its bound.
        """
        if error.floor > self.patience:
            raise too_long(error.message.rstrip("."), error.floor, self.patience, again=self.patience) from error
        base = self.overload_base if error.cause in _OVERLOAD else self.base
        window = min(self.cap, base * 2.0 ** min(attempt - 1, 32))
        return error.floor + self.uniform() * window

    def spread(self) -> float:
        """Seconds by which one of many who wait for the same moment should come later than it."""
        return self.uniform() * self.base

    def __call__(self, state: tenacity.RetryCallState) -> float:
        """The same as a tenacity ``wait``."""
        error = state.outcome.exception() if state.outcome else None
        return self.delay(error, state.attempt_number) if isinstance(error, TransientError) else 0.0


def cost_bound(patience: float) -> tenacity.stop.stop_base:
    """No other try where a host has cost more than one pause of the longest kind and as long again in waits."""
    return tenacity.stop_before_delay(2 * patience)


def too_long(who: str, asked: float, patience: float, *, again: float) -> PatienceError:
    """The error for a pause of ``asked`` seconds that ``who`` wants: more than ``patience``; ``again`` are left."""
    return PatienceError(
        f"{who}, and asks for a pause of {asked:.0f} s, longer than the {patience:.0f} s of --host-patience.",
        cause="pause",
        floor=again,
        remedy="Run it again later, add a mirror to its entry, or set a longer --host-patience.",
    )


def too_slow(host: str, what: str, bounds: HostBounds) -> PatienceError:
    """The error for a host that brought next to nothing of ``what`` for as long as it may."""
    return PatienceError(
        f"{host} gave less than {bounds.rate} bytes a second of {what} for {bounds.patience:.0f} s.",
        cause="slow",
        remedy="Run it again later, add a mirror to its entry, or set a lower --min-rate.",
    )


class _StillAway(TransientError):
    """What was found out a moment ago, of a host that is not asked again for it."""


class Outage(tenacity.stop.stop_base):
    """Since when a host has been out of reach, for all who ask it: the first gives up in time, the others at once.

    For `_ASKED_AGAIN_AFTER` seconds then nobody asks at all: of ten thousand models, each would wait for a name server.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._given_up: tuple[float, TransientError] | None = None

    def check(self) -> None:
        """Raise what those were told who have just given the host up."""
        if self._given_up is None:
            return
        when, error = self._given_up
        if self._clock() - when < _ASKED_AGAIN_AFTER:
            raise _StillAway(error.message, cause=error.cause, remedy=error.remedy)

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        """As a tenacity ``stop``: whether another try would come after the patience with such a failure has run out."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _StillAway):
            return True
        patience = _PATIENCE.get(error.cause) if isinstance(error, TransientError) else None
        if patience is None or not isinstance(error, TransientError):
            self.end()
            return False
        now = self._clock()
        self._since = now if self._since is None else self._since
        over = now + state.upcoming_sleep - self._since > patience
        if over:
            self._since = -math.inf
            let_frames_go(error)
            self._given_up = now, error
        return over

    def end(self) -> None:
        """The host has answered."""
        self._since = self._given_up = None


class Retrying(tenacity.AsyncRetrying):
    """As tenacity's, but done with what it called: else its last steps refer to it, and what it retries stays in memory
    until somebody collects garbage.
    """

    async def __call__(  # type: ignore[override]  # as in tenacity itself
        self, fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Call ``fn`` until it succeeds, or another try is worth nothing."""
        try:
            return await super().__call__(fn, *args, **kwargs)
        except PrefetchError as error:
            # The frames there hold the state of the tries, which holds the error.
            let_frames_go(error)
            raise
        finally:
            self.iter_state.reset()


def metadata_retrying(
    *,
    on_retry: RetryListener,
    wait: FullJitter,
    outage: Outage | None = None,
    attempts: int = 7,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Retrying:
    """The policy for small questions (what is this file?): asked again on `TransientError`; the last is raised."""

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransientError):
            on_retry(error, state.attempt_number, state.upcoming_sleep)

    return Retrying(
        retry=WORTH_ANOTHER_TRY,
        wait=wait,
        stop=tenacity.stop_any(tenacity.stop_after_attempt(attempts), cost_bound(wait.patience), outage or Outage()),
        sleep=sleep,
        before_sleep=tell,
        reraise=True,
    )
