"""How a pod goes away when its job is done: a container that only exits is started again, and billed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from prefetch.errors import Interrupted, PrefetchError
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import duration
from prefetch.signals import run_until_signal

__all__ = ["Ask", "Leaving", "Request", "Then", "ask_runpod"]

Then: TypeAlias = Literal["terminate", "stop", "exit", "idle"]
Request: TypeAlias = Literal["terminate", "stop"]

_FIRST: Mapping[Request, Sequence[Request]] = {"terminate": ("terminate", "stop"), "stop": ("stop",)}
_LAST: Mapping[Request, Sequence[Request]] = {"terminate": ("terminate", "stop"), "stop": ("stop", "terminate")}
_BILLED = "The pod stays, and is billed, until it is stopped or terminated in RunPod's console."
_TAKES = 300.0
"""Seconds in which RunPod ends a container that it has agreed to end."""
_AGAIN = 600.0
"""Seconds after which a pod that could not go asks again."""


class Ask(Protocol):
    """Asks RunPod to do something to this pod; raises an error of ours if it refuses."""

    def __call__(self, request: Request, /) -> None: ...


def ask_runpod(pod: str, environ: Mapping[str, str]) -> Ask:
    """What asks RunPod's API, with the key of the environment."""

    def ask(request: Request) -> None:
        # The network's libraries take half a second.
        from prefetch.runpod.client import open_runpod

        async def asking() -> None:
            async with open_runpod(environ) as api:
                await (api.remove_pod(pod) if request == "terminate" else api.act(pod, request))

        run_until_signal(asking)

    return ask


class Leaving:
    """The end of one pod.

    Args:
        ask: None where this is no pod of RunPod.
        left: seconds until the end of all; None where there is none.
        heard_in: seconds before the pod is first asked to go, in which what it said last is read by whoever follows it.
        wait: does nothing for so many seconds, or for ever; KeyboardInterrupt leaves it.
    """

    def __init__(
        self,
        ask: Ask | None,
        *,
        left: Callable[[], float | None],
        listener: Listener,
        heard_in: float = 0.0,
        wait: Callable[[float | None], object] = lambda seconds: threading.Event().wait(seconds),
    ) -> None:
        self._ask = ask
        self._left = left
        self._listener = listener
        self._heard_in = heard_in
        self._wait = wait

    def leave(self, then: Then) -> None:
        """Do what is wanted. Returns when the process is to end by itself, or is told to end by a signal."""
        try:
            self._leave(then)
        except (Interrupted, KeyboardInterrupt):
            return

    def _leave(self, then: Then) -> None:
        if then == "exit":
            return
        if then == "idle":
            self._tell(_BILLED if self._ask else "idles until it is stopped")
            self._idle(None)
            then = "terminate"
        elif not self._is_over():
            if self._heard_in:
                self._wait(self._heard_in)
            self._go_sooner_or_later(then)
        self._tell("the hours of --max-hours are over")
        self._ask_for(_LAST[then])

    def _go_sooner_or_later(self, request: Request) -> None:
        self._ask_for(_FIRST[request])
        self._tell(f"{_BILLED} It asks again every ten minutes.", level="warning")
        self._idle(_AGAIN)
        while not self._is_over():
            self._ask_for(_FIRST[request])
            self._idle(_AGAIN)

    def _ask_for(self, requests: Sequence[Request]) -> None:
        """Ask for one after the other, until this process is ended; returns where none was of use."""
        if self._ask is None:
            return
        for request in requests:
            try:
                self._ask(request)
            except Interrupted:
                raise
            except PrefetchError as error:
                self._tell(f"This pod cannot {request} itself. {error}", level="warning")
                continue
            self._tell(f"RunPod is going to {request} this pod")
            self._wait(_TAKES)
            self._tell(
                f"RunPod agreed to {request} this pod, which still runs after {duration(_TAKES)}.", level="warning"
            )

    def _idle(self, seconds: float | None) -> None:
        left = self._left()
        self._wait(min((bound for bound in (seconds, left) if bound is not None), default=None))

    def _is_over(self) -> bool:
        left = self._left()
        return left is not None and left <= 0

    def _tell(self, sentence: str, *, level: Literal["info", "warning"] = "info") -> None:
        self._listener(Notice(level, sentence))
