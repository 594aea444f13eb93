"""A run, watched: its metrics served while it works, written out again and again, and left in their last state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

from prefetch.errors import Interrupted, PrefetchError
from prefetch.monitor.asked import Asked
from prefetch.monitor.outlets import Outlet, Snapshot
from prefetch.monitor.page import add_page
from prefetch.monitor.server import Server, application
from prefetch.monitor.thread import in_thread
from prefetch.net.daemon import in_daemon_thread
from prefetch.report import humanize
from prefetch.report.board import Board
from prefetch.report.events import Listener, Notice, RunFinished, RunStarted, Space
from prefetch.report.metrics import registry_of
from prefetch.report.result import RunResult
from prefetch.signals import run_until_signal

__all__ = ["leave_failure", "readiness", "watched"]

PATIENCE = 10.0
AT_A_SIGNAL = 2.0
"""Seconds for a Pushgateway to answer: while there is time, and when there is not."""
MEASURED_EVERY = 300.0
"""Seconds after which the volume's room is looked at again: others write to it too."""

Work = Callable[[], Awaitable[RunResult]]
Measure = Callable[[], Space]


def watched(
    work: Work,
    *,
    asked: Asked,
    board: Board,
    measure: Measure,
    listener: Listener,
    word: Callable[[], str] | None = None,
) -> RunResult:
    """Do ``work`` until its end or a signal, as `run_until_signal` does, and let ``board`` be seen meanwhile.

    Args:
        board: hears all that ``listener`` is told, and what ``work`` tells.
        measure: looks at the volume's room. Called in a thread.
        word: what ``/readyz`` says, by default how the run stands.

    Raises:
        UsageError: the address cannot be listened on.
    """
    watch = _Watch(asked, board, measure, listener, word or partial(readiness, board))
    with watch.serving():
        try:
            result = run_until_signal(partial(watch.run, work))
        except Interrupted as error:
            board(RunFinished(False, error.exit_code, 0.0, 0, 0, 0))
            watch.leave_behind(within=AT_A_SIGNAL)
            raise
    watch.leave_behind(within=AT_A_SIGNAL if _is_stopped(result) else PATIENCE)
    return result


def leave_failure(asked: Asked, error: PrefetchError, *, last_success: float | None, listener: Listener) -> None:
    """Leave behind that a run ended with ``error`` before there was anything to watch."""
    board = Board()
    board.remember_success(last_success)
    board(RunStarted("", 0))
    board(RunFinished(False, error.exit_code, 0.0, 0, 0, 0))
    _Watch(asked, board, _unknown, listener, partial(readiness, board)).leave_behind(within=PATIENCE)


def readiness(board: Board) -> str:
    """One word on what is wanted: whether it is there and verified."""
    if board.running or board.last_run is None:
        return "working"
    return "ready" if board.last_run.ok else "failed"


def _unknown() -> Space:
    return Space(None, None, None)


def _is_stopped(result: RunResult) -> bool:
    return result.exit_code == Interrupted.exit_code


class _Watch:
    def __init__(
        self, asked: Asked, board: Board, measure: Measure, listener: Listener, word: Callable[[], str]
    ) -> None:
        self._word = word
        self._asked = asked
        self._board = board
        self._measure = measure
        self._listener = listener
        self._registry = registry_of(board)
        self._failing: set[int] = set()

    async def run(self, work: Work) -> RunResult:
        async with self._beside(self._measure_on(), *map(self._write_on, self._asked.outlets)):
            result = await work()
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                await self._see_out()
        return result

    def leave_behind(self, *, within: float) -> None:
        """Write the last state to every outlet. No event loop runs any more."""
        for outlet in self._asked.outlets:
            self._tell(outlet, self._write(outlet, within=within)())

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer requests, where that is asked for, until the end of the block."""
        listening = self._asked.listening
        if listening is None:
            yield
            return
        app = application(self._registry, access=listening.access, readiness=self._word)
        add_page(app, self._board)
        with in_thread(Server(app, listening.endpoint)) as endpoint:
            self._listener(Notice("info", f"Listening on http://{endpoint}"))
            yield

    @asynccontextmanager
    async def _beside(self, *work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _see_out(self) -> None:
        """The run is over: be there for those who look now and then."""
        with suppress(asyncio.CancelledError):
            if self._board.space is None:
                await self._look_at_space()
            if self._asked.listening is not None and self._asked.linger:
                for_long = humanize.duration(self._asked.linger)
                self._listener(Notice("info", f"Listening for {for_long} more, or until a signal comes."))
                await asyncio.sleep(self._asked.linger)

    async def _measure_on(self) -> None:
        while True:
            await asyncio.sleep(MEASURED_EVERY)
            await self._look_at_space()

    async def _look_at_space(self) -> None:
        # A volume that cannot be asked is told of by the run itself.
        with suppress(PrefetchError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                self._listener(await in_daemon_thread(self._measure, name="space"))

    async def _write_on(self, outlet: Outlet) -> None:
        while True:
            await asyncio.sleep(outlet.every)
            self._tell(outlet, await in_daemon_thread(self._write(outlet, within=PATIENCE), name="metrics"))

    def _write(self, outlet: Outlet, *, within: float) -> Callable[[], PrefetchError | None]:
        """What writes the present state, to be called in any thread; it returns why that failed."""
        snapshot = Snapshot(self._registry.collect())

        def write() -> PrefetchError | None:
            try:
                outlet.write(snapshot, within=within)
            except PrefetchError as error:
                return error
            return None

        return write

    def _tell(self, outlet: Outlet, error: PrefetchError | None) -> None:
        """Say that an outlet fails, once until it works again."""
        if error is None:
            self._failing.discard(id(outlet))
        elif id(outlet) not in self._failing:
            self._failing.add(id(outlet))
            self._listener(Notice("warning", str(error)))
