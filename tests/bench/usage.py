"""Run a command and tell what its whole process tree took: time, CPU, memory."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

__all__ = ["Usage", "run_measured", "started_alone"]

SAMPLE_SECONDS = 0.05
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
LOOK_UP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took.

    Attributes:
        seconds: wall time from its start to its end.
        cpu_seconds: user and system time of it and of every process it waited for.
        peak_bytes: the greatest sum of the tree's resident sets, looked at twenty times a second; what processes share
            counts for each of them.
        facts: what else is known of it, by name.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    facts: Mapping[str, float] = field(default_factory=dict)

    def then(self, other: Usage) -> Usage:
        """Both, one after the other."""
        return Usage(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.peak_bytes, other.peak_bytes),
            {**self.facts, **other.facts},
        )


def run_measured(command: Sequence[str], *, env: Mapping[str, str], output: Path) -> Usage:
    """Run ``command`` to its end, both its outputs into ``output``.

    Raises:
        RuntimeError: it ended with another code than 0; the message carries the end of its output.
    """
    started = time.monotonic()
    with started_alone(command, env=env, output=output) as process, _watched(process.pid) as memory:
        _wait_for(process.pid)
        _, status, spent = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output.read_text()[-2000:]}")
    return Usage(seconds, spent.ru_utime + spent.ru_stime, memory.peak)


@contextmanager
def started_alone(command: Sequence[str], *, env: Mapping[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` in a session of its own, of which nothing is left after the block; killed, too, if we are."""
    mortal = ["setpriv", "--pdeathsig", "KILL", *command]
    with output.open("wb") as log:
        process = subprocess.Popen(
            mortal, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(pid: int) -> None:
    """Until it ends. Looks up now and then: a signal that another thread received does not end a plain wait."""
    descriptor = os.pidfd_open(pid)
    try:
        while not select.select([descriptor], [], [], LOOK_UP_SECONDS)[0]:
            continue
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _MemoryWatch:
    """Looks at a process tree's memory until it is told that it is over."""

    pid: int
    peak: int = 0
    over: Event = field(default_factory=Event)

    def run(self) -> None:
        while not self.over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(_resident_set_size, _tree(self.pid))))


@contextmanager
def _watched(pid: int) -> Iterator[_MemoryWatch]:
    watch = _MemoryWatch(pid)
    thread = Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.over.set()
        thread.join()


def _tree(pid: int) -> list[int]:
    tree, unvisited = [], [pid]
    while unvisited:
        parent = unvisited.pop()
        tree.append(parent)
        unvisited += _children(parent)
    return tree


def _children(pid: int) -> list[int]:
    try:
        tasks = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for line in tasks for child in line.split()]


def _resident_set_size(pid: int) -> int:
    # Not the proportional one: the kernel walks every page for it, and so takes the more of what is measured the more
    # memory there is.
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * PAGE_SIZE
