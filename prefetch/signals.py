"""What ends work before it is done: SIGINT, SIGTERM and SIGHUP, first gracefully, then at once; and a deadline."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ExtensionFileLoader
from types import FrameType
from typing import Any, NoReturn, TypeVar

from prefetch.errors import DeadlineError, Interrupted
from prefetch.report.humanize import duration

__all__ = [
    "interrupted",
    "interrupted_for_nothing",
    "leave_at_once",
    "missed_deadline",
    "run_until_signal",
    "take_signals",
    "within",
]

T = TypeVar("T")

_GRACE = 0.5
_GRACE_AGAIN = 0.05
_ALARM = hasattr(signal, "SIGALRM")
"""Whether this system has alarms: Windows has none, and a second signal is what ends work that does not."""
_SHOW_CURSOR = b"\x1b[?25h"


@dataclass(slots=True)
class _Deadline:
    seconds: float
    moment: float
    passed: bool = False

    @property
    def error(self) -> DeadlineError:
        return DeadlineError(
            f"The models were not there within the deadline of {duration(self.seconds)}; what came is kept.",
            remedy="Fill the volume beforehand, or allow more time with --deadline.",
        )


_deadline: ContextVar[_Deadline | None] = ContextVar("_deadline", default=None)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """End every `run_until_signal` of the block when so many seconds are over, counted from now; None for no limit."""
    token = _deadline.set(None if seconds is None else _Deadline(seconds, time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def missed_deadline() -> DeadlineError | None:
    """The error of a deadline, where that has ended any work of the block it is set for."""
    deadline = _deadline.get()
    return deadline.error if deadline is not None and deadline.passed else None


def interrupted_for_nothing() -> Interrupted:
    """The error with which a command ends that leaves nothing for its next run."""
    return Interrupted("Interrupted: run the same command again; it begins anew.")


def interrupted(lost: Mapping[str, str] | None = None) -> Interrupted:
    """The error a stopped command ends with.

    Args:
        lost: why what came of a file is of no use to the next run, by the file's path; an empty text says that it is.
    """
    why = {path: reason for path, reason in (lost or {}).items() if reason}
    if not why:
        return Interrupted("Interrupted: state is kept; run the same command again to go on.")
    first, more = next(iter(why)), len(why) - 1
    over = f"{first} and {more} more start over" if more else f"{first} starts over"
    return Interrupted(f"Interrupted: run the same command again to go on; {over}: {why[first]}.", lost=why)


def take_signals() -> None:
    """Make SIGTERM and SIGHUP raise `KeyboardInterrupt`, as SIGINT does, while no event loop runs."""
    for number in _ending():
        # Whoever starts a job in the background may have it ignore Ctrl-C.
        if number != signal.SIGINT or signal.getsignal(number) is signal.default_int_handler:
            signal.signal(number, _interrupt)


def _ending() -> Iterator[signal.Signals]:
    """The signals that end the work; a hangup too, unless it is ignored: by nohup, or by `serve`, which takes it."""
    yield signal.SIGINT
    yield signal.SIGTERM
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        yield hangup


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _ALARM or not _loads_extension(frame):
        raise KeyboardInterrupt
    # Native code takes it for its own failure to begin, and says so at length: a little later, when it has begun.
    signal.signal(signal.SIGALRM, _interrupt)
    _alarm_in(_GRACE_AGAIN)


def _loads_extension(frame: FrameType | None) -> bool:
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            return True
        frame = frame.f_back
    return False


def leave_at_once(code: int) -> NoReturn:
    """End the process now, whatever its threads wait for: one may hang for minutes in a write to a dead mount."""
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, _SHOW_CURSOR)
    os._exit(code)


def run_until_signal(main: Callable[[], Coroutine[Any, Any, T]], *, grace: float = _GRACE) -> T:
    """Run ``main()`` in an event loop; SIGINT, SIGTERM or SIGHUP cancels it, a second one ends the process.

    So does the deadline of `within`. A coroutine that answers its cancellation with a value, in time, has that value
    returned. In any other thread than
    the main one signals are not ours, and it is only run.

    Args:
        grace: seconds after the first signal in which the work has to end.

    Raises:
        Interrupted: a signal came, and the work stopped or did not stop in time. The process is then to end
            through `leave_at_once`, for a thread may still hang.
        DeadlineError: the deadline's moment came, or was over before.
    """
    import asyncio  # takes a fiftieth of a second, which a command without an event loop need not pay

    from prefetch.loop import Loop

    if threading.current_thread() is not threading.main_thread():
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(_in_time(main))
    try:
        with _Stopper(grace) as stopper, asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(stopper.run(partial(_in_time, main)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise interrupted() from None


async def _in_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    import asyncio

    deadline = _deadline.get()
    if deadline is None:
        return await main()
    limit = asyncio.timeout(deadline.moment - time.monotonic())
    try:
        async with limit:
            return await main()
    except TimeoutError:
        if limit.expired():
            raise deadline.error from None
        raise
    finally:
        deadline.passed = deadline.passed or limit.expired()


class _Stopper:
    """Takes the signals while it is entered, and cancels what it runs."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._former: dict[signal.Signals, Any] = {}
        self._cancel: Callable[[], object] | None = None
        self._stopping = False

    def __enter__(self) -> _Stopper:
        self._former = {number: signal.signal(number, self._on_signal) for number in _ending()}
        if _ALARM:
            self._former[signal.SIGALRM] = signal.signal(signal.SIGALRM, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        _alarm_in(0.0)
        for number, handler in self._former.items():
            signal.signal(number, handler)

    async def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Await ``main()``, to be cancelled by the first signal."""
        import asyncio

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._cancel = partial(loop.call_soon_threadsafe, task.cancel)
        try:
            return await main()
        finally:
            self._cancel = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            leave_at_once(Interrupted.exit_code)
        self._stopping = True
        # Work that does not end when cancelled, or an executor whose thread hangs, is broken off by KeyboardInterrupt;
        # again and again, since the loop's own closing may wait for the same thread.
        _alarm_in(self._grace, _GRACE_AGAIN)
        if self._cancel is None:
            raise KeyboardInterrupt
        self._cancel()


def _alarm_in(seconds: float, again: float = 0.0) -> None:
    if _ALARM:
        signal.setitimer(signal.ITIMER_REAL, seconds, again)
