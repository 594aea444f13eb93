"""A download killed at half and begun again: how long the rest takes, and how many bytes came twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.bench.downloads import Download, contestant, fetch_verified
from tests.bench.jobs import Job, Stage
from tests.bench.link import Link
from tests.bench.ours import OURS, PREFETCH
from tests.bench.rounds import Contestant
from tests.bench.usage import Usage, started_alone
from tests.bench.volumes import capped_moosefs, capped_volume

__all__ = ["CONNECTIONS", "RESUMED", "Resume", "unread_bytes"]

CONNECTIONS = 16
RESUMED = f"{OURS}, resumed at half"
PATIENCE = 300.0
LISTENING = "0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """prefetch from nothing to the end, and from half to the end after a SIGKILL."""

    sizes: Mapping[str, int]
    link: Link
    size: int = 0

    @contextmanager
    def contestants(self, scratch: Path) -> Iterator[list[Contestant]]:
        """Both, as long as the origin is up."""
        download = Download(
            sizes=self.sizes, link=self.link, volume=capped_volume, names=(OURS,), connections=CONNECTIONS
        )
        with download.stage(scratch) as stage:
            yield [contestant(OURS, stage), Contestant(RESUMED, partial(_resumed, stage))]


def unread_bytes(port: int, *, table: str) -> int:
    """What the kernel holds of connections to and from ``port``; ``table`` is /proc/net/tcp."""
    rows = (line.split() for line in table.splitlines()[1:])
    ours = (row for row in rows if row[3] != LISTENING and f"{port:04X}" in (row[1][-4:], row[2][-4:]))
    return sum(int(held, 16) for row in ours for held in row[4].split(":"))


def _resumed(stage: Stage) -> Usage:
    with capped_moosefs(stage.files.size) as filesystem:
        job = Job(stage.files, stage.origin, filesystem.root, stage.work, stage.connections)
        received = _killed_at_half(job, chunks=filesystem.slot.folder / "chunks")
        rest = fetch_verified(PREFETCH, job)
    again = received + rest.facts["fetched_again"]
    return replace(rest, facts={**rest.facts, "fetched_again": again})


def _killed_at_half(job: Job, *, chunks: Path) -> int:
    """Kill a download when half of its bytes are on the chunkserver's disk; the body bytes it had received by then."""
    job.origin.cdn.log.forget()
    environment = job.environment | PREFETCH.settings(job)
    with started_alone(PREFETCH.command(job), env=environment, output=job.work / "killed.log") as process:
        _wait_until(lambda: _is_over(process) or _stored(chunks) >= job.files.size // 2)
        # Stopped first, so that what it had not read yet can be counted.
        os.killpg(process.pid, signal.SIGSTOP)
        unread = _unread_when_settled(job.origin.cdn.port)
    _wait_until(lambda: _held(job.origin.cdn.port) == 0)
    return sum(response.sent for response in job.origin.cdn.log.responses()) - unread


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"The download to be killed ended by itself, with {process.returncode}.")
    return False


def _stored(chunks: Path) -> int:
    return sum(chunk.stat().st_blocks * 512 for chunk in chunks.glob("*/chunk_*"))


def _unread_when_settled(port: int) -> int:
    """nginx goes on until the kernel takes no more."""
    before, now = -1, _held(port)
    while now != before:
        time.sleep(0.3)
        before, now = now, _held(port)
    return now


def _held(port: int) -> int:
    return unread_bytes(port, table=Path("/proc/net/tcp").read_text())


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"The download to be killed did not come that far within {PATIENCE:.0f} s.")
        time.sleep(0.05)
