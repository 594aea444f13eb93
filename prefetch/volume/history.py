"""The runs of the past, a small document each, kept on the volume they were for: the latest `KEPT`.

Each run writes a file of a name of its own, so any number of hosts write beside each other.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from prefetch.errors import PrefetchError
from prefetch.volume import documents, files
from prefetch.volume.documents import Kind
from prefetch.volume.layout import Volume
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, has_fields

__all__ = ["HISTORY", "KEPT", "PastRun", "last_success", "past_runs", "remember_run"]

KEPT = 200
_FIELDS: dict[str, Kinds] = {
    "started_ms": int,
    "milliseconds": int,
    "exit_code": int,
    "code": OPTIONAL_TEXT,
    "models": int,
    "fetched": int,
    "failed": int,
    "bytes_downloaded": int,
    "bytes_resumed": int,
    "host": str,
    "pid": int,
}
_LATEST = 10**13 - 1
"""What has more digits is no time in milliseconds."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that ended.

    Attributes:
        started_ms: when it began, in milliseconds since 1970, by the clock of its host.
        milliseconds: how long it took.
        code: of the error it ended with, None where all was well.
        models: how many were wanted.
        fetched, failed: how many of them it downloaded, and did not bring to their end.
        host, pid: the process it was.
    """

    started_ms: int
    milliseconds: int
    exit_code: int
    code: str | None
    models: int
    fetched: int
    failed: int
    bytes_downloaded: int
    bytes_resumed: int
    host: str
    pid: int

    @property
    def speed(self) -> float:
        """Bytes received a second, on average."""
        return self.bytes_downloaded * 1000 / self.milliseconds if self.milliseconds else 0.0


def remember_run(volume: Volume, run: PastRun) -> None:
    """Keep a run, and of the others the latest. Raises an error of ours if the volume refuses."""
    documents.write(
        volume, HISTORY, f"{min(run.started_ms, _LATEST):013}-{secrets.token_hex(4)}.json", asdict(run), what="the run"
    )
    with files.os_errors("clearing the history"), volume.reading(HISTORY.directory) as directory:
        if directory is not None:
            for old in _latest_first(documents.names(volume, HISTORY))[KEPT:]:
                files.remove(old, dir_fd=directory)


def past_runs(volume: Volume) -> Iterator[PastRun]:
    """The runs that are kept, the latest first; what is no such document is left out."""
    latest = _latest_first(documents.names(volume, HISTORY))[:KEPT]
    return (run for _, run in documents.read_all(volume, HISTORY, latest))


def last_success(volume: Volume) -> float | None:
    """When the latest run that is known to have ended well did so, in seconds since 1970."""
    with suppress(PrefetchError):
        ended = (run.started_ms + run.milliseconds for run in past_runs(volume) if run.exit_code == 0)
        return next((moment / 1000 for moment in ended), None)
    return None


def _latest_first(names: Iterable[str]) -> list[str]:
    """A name begins with its run's time."""
    return sorted(names, reverse=True)


def _parse(name: str, document: Mapping[str, Any]) -> PastRun | None:
    if not has_fields(document, _FIELDS) or document["started_ms"] > _LATEST:
        return None
    return PastRun(**{name: document[name] for name in _FIELDS})


HISTORY = Kind("history", re.compile(r"[0-9]{13}-[0-9a-f]{8}\.json"), _parse, version=1, most=4096)
