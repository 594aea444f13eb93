"""``prefetch status --history``: the runs of the past, from the volume alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from prefetch.report import humanize
from prefetch.report.result import RunResult
from prefetch.volume.history import PastRun, past_runs
from prefetch.volume.layout import Volume

__all__ = ["history"]


def history(volume: Volume, *, began: float) -> RunResult:
    """The runs that are kept on a volume, the latest first; ``began`` is the monotonic time the command did."""
    runs = list(past_runs(volume))
    return RunResult(
        exit_code=0,
        volume=str(volume.root),
        seconds=time.monotonic() - began,
        text=_table(runs),
        more={"history": [_document(run) for run in runs]},
    )


def _table(runs: Sequence[PastRun]) -> str:
    if not runs:
        return "no run has fetched anything here yet"
    return "\n".join([_row("started (UTC)", "result", "bytes", "time", "speed", "models", "by"), *map(_told, runs)])


def _row(started: str, result: str, size: str, took: str, speed: str, models: str, by: str) -> str:
    return f"{started:<19}  {result:<12} {size:>9} {took:>7} {speed:>11}  {models:<24} {by}"


def _told(run: PastRun) -> str:
    return _row(
        f"{_moment(run):%Y-%m-%d %H:%M:%S}",
        humanize.printable(run.code or "ok"),
        humanize.size(run.bytes_downloaded),
        humanize.duration(run.milliseconds / 1000),
        humanize.rate(run.speed),
        f"{run.fetched} of {run.models} fetched" + (f", {run.failed} not" if run.failed else ""),
        humanize.printable(f"process {run.pid} on {run.host}"),
    )


def _document(run: PastRun) -> dict[str, object]:
    return {
        "started": _moment(run).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "seconds": run.milliseconds / 1000,
        "exit_code": run.exit_code,
        "code": run.code,
        "models": run.models,
        "fetched": run.fetched,
        "failed": run.failed,
        "bytes_downloaded": run.bytes_downloaded,
        "bytes_resumed": run.bytes_resumed,
        "speed": round(run.speed),
        "host": run.host,
        "pid": run.pid,
    }


def _moment(run: PastRun) -> datetime:
    return datetime.fromtimestamp(run.started_ms / 1000, UTC)
