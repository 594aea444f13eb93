"""Progress for machines: one JSON object a line. docs/logs.md describes each."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TextIO

from prefetch.errors import PrefetchError
from prefetch.report.events import Claims, Event, Progress, RunFinished, Traffic, Waiting
from prefetch.report.writer import LineWriter, Throttle

__all__ = ["JsonLog", "error_record", "event_name"]

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def event_name(event: type[Event]) -> str:
    """The name of an event in the log: ``ModelDone`` → ``model_done``."""
    return _WORD.sub("_", event.__name__).lower()


def error_record(error: PrefetchError) -> str:
    """The line for the error a command ends with."""
    return _record("error", {"code": error.code, "exit_code": error.exit_code, "message": str(error)})


def _record(name: str, fields: dict[str, Any]) -> str:
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"ts": stamp, "event": name, **fields})


class JsonLog:
    """A listener that writes every event as it is, what comes all the time only every five seconds."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = LineWriter(stream)
        self._throttle = Throttle(clock)
        self._withheld: Traffic | None = None

    def __call__(self, event: Event) -> None:
        """Write the event."""
        if isinstance(event, RunFinished) and self._withheld is not None:
            self._write(self._withheld)
        told = self._is_due(event)
        if isinstance(event, Traffic):
            # Its last sums are the run's.
            self._withheld = None if told else event
        if told:
            self._write(event)

    def _is_due(self, event: Event) -> bool:
        if isinstance(event, Waiting):
            return self._throttle.allows(event.path)
        return not isinstance(event, Progress | Traffic | Claims) or self._throttle.allows(event_name(type(event)))

    def _write(self, event: Event) -> None:
        self._out.write(_record(event_name(type(event)), asdict(event)))
