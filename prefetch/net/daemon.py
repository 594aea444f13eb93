"""Blocking calls that nobody has to wait for at the end: a thread stuck in a socket must not hold up Ctrl-C."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["in_daemon_thread"]

T = TypeVar("T")


async def in_daemon_thread(call: Callable[[], T], *, name: str) -> T:
    """Run ``call`` in a thread of its own. When the awaiting task is cancelled the thread is left to end alone."""
    answer: Future[T] = Future()
    # A running future cannot be cancelled, so the thread may always set its outcome.
    answer.set_running_or_notify_cancel()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(answer)
