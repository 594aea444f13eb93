"""Which listener suits where standard error leads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, TextIO

from prefetch.report.notice import Listener

__all__ = ["listener_for"]


class _Wanted(Protocol):
    @property
    def log_format(self) -> Literal["text", "json"]: ...


@contextmanager
def listener_for(settings: _Wanted, stream: TextIO) -> Iterator[Listener]:
    """The listener for ``stream``, taken down at the end of the block so that plain lines may follow."""
    if settings.log_format == "json":
        from prefetch.report.logjson import JsonLog

        yield JsonLog(stream)
    elif _can_be_redrawn(stream):
        from prefetch.report.console import Console

        console = Console(stream)
        try:
            yield console
        finally:
            console.close()
    else:
        from prefetch.report.plain import Plain

        yield Plain(stream)


def _can_be_redrawn(stream: TextIO) -> bool:
    utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    able = stream.isatty() and utf8 and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
    return able and not _is_a_pods_log(stream)


def _is_a_pods_log(stream: TextIO) -> bool:
    """Whether a terminal is the one of a RunPod pod's first process: its log view shows all that is redrawn as debris.

    Whoever works in a pod has another terminal, of SSH or of the web.
    """
    if not os.environ.get("RUNPOD_POD_ID"):
        return False
    try:
        return os.fstat(stream.fileno()).st_rdev == Path("/proc/1/fd/2").stat().st_rdev
    except OSError:
        return False
