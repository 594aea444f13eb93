"""The runs of the past, a small document each, kept on the volume they were for: the latest `KEPT`.

Each run writes a file of a name of its own, so any number of hosts write beside each other.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from prefetch.errors import PrefetchError
from prefetch.volume import files
from prefetch.volume.documents import encode
from prefetch.volume.layout import Volume
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, decode, has_fields

__all__ = ["KEPT", "PastRun", "last_success", "past_runs", "remember_run"]

KEPT = 200
_DIRECTORY = "history"
_VERSION = 1
_NAME = re.compile(r"[0-9]{13}-[0-9a-f]{8}\.json")
_LARGEST = 4096
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
_MOST = 1 << 53
"""What a number may be: more is no size and no count."""
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
    data = encode({"version": _VERSION, **asdict(run)})
    name = f"{min(run.started_ms, _LATEST):013}-{secrets.token_hex(4)}.json"
    with (
        files.os_errors("recording the run"),
        volume.writing(_DIRECTORY) as directory,
        volume.writing("tmp") as temporary,
    ):
        files.replace(name, data, dir_fd=directory, temporary=temporary)
        for old in _names(directory)[KEPT:]:
            files.remove(old, dir_fd=directory)


def past_runs(volume: Volume) -> Iterator[PastRun]:
    """The runs that are kept, the latest first; what is no such document is left out."""
    with files.os_errors("reading the history"), volume.reading(_DIRECTORY) as directory:
        if directory is None:
            return
        for name in _names(directory)[:KEPT]:
            data = files.read_small(name, dir_fd=directory, limit=_LARGEST)
            if data is not None and (run := _run_in(data)) is not None:
                yield run


def last_success(volume: Volume) -> float | None:
    """When the latest run that is known to have ended well did so, in seconds since 1970."""
    with suppress(PrefetchError):
        ended = (run.started_ms + run.milliseconds for run in past_runs(volume) if run.exit_code == 0)
        return next((moment / 1000 for moment in ended), None)
    return None


def _names(directory: int) -> list[str]:
    """Of all runs, the latest first: a name begins with its time."""
    return sorted(filter(_NAME.fullmatch, files.names(directory)), reverse=True)


def _run_in(data: bytes) -> PastRun | None:
    document = decode(data)
    if document is None or document.get("version") != _VERSION or not has_fields(document, _FIELDS):
        return None
    values = {name: document[name] for name in _FIELDS}
    if any(isinstance(value, int) and value > _MOST for value in values.values()) or values["started_ms"] > _LATEST:
        return None
    return PastRun(**values)
