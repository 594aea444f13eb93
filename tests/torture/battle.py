"""One volume from empty to whole, while its writers are killed at random moments."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from prefetch.demo.log import LogEntry
from prefetch.demo.server import DemoServer
from tests.support.commands import Commands
from tests.support.models import BLOCK, Wanted, journals, sent_bytes, write_manifest
from tests.torture.arenas import Arena, Host
from tests.torture.checker import missing_from, wrong_files
from tests.torture.faults import any_fault, flipped

__all__ = ["Battle", "Tally", "asked"]

CONNECTIONS = 3
LONGEST = 2.5
"""Seconds between two kills at most; a writer that was killed is started again at once."""
PATIENCE = 120.0
FINISHED = Mapping[str, set[int]]


@dataclass(slots=True)
class Tally:
    """What a torture has come to.

    Attributes:
        wanted: bytes of the models of every volume.
        fetched: bytes of bodies that the origin sent for them.
        faults: how many replies the origin spoilt.
        failures: a sentence for each thing that must not be.
    """

    kills: int = 0
    volumes: int = 0
    wanted: int = 0
    fetched: int = 0
    faults: int = 0
    checks: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, what: str, wrong: Sequence[str]) -> None:
        """One thing was looked at; ``wrong`` is what was found."""
        self.checks += 1
        if wrong:
            self.failures.append(f"{what}: {'; '.join(wrong)}")
            print(f"FAILED {self.failures[-1]}", flush=True)


@dataclass(slots=True)
class _Writer:
    host: Host
    process: subprocess.Popen[bytes]
    output: Path


class Battle:
    """Writers on one volume.

    Args:
        models: what they fetch; bytes of the last one may come wrong.
        expected: 64 hex digits by path.
    """

    def __init__(
        self,
        arena: Arena,
        name: str,
        origin: DemoServer,
        models: Sequence[Wanted],
        *,
        expected: Mapping[str, str],
        work: Path,
        chance: random.Random,
        tally: Tally,
    ) -> None:
        self._arena = arena
        self._name = name
        self._origin = origin
        self._models = models
        self._expected = expected
        self._work = work
        self._chance = chance
        self._tally = tally
        self._writers: list[_Writer] = []
        self._started = 0
        self._flipped = False
        self._copies: list[tuple[int, FINISHED]] = []
        self._manifest = write_manifest(work / "models.yaml", [model.entry() for model in models])

    def fight(self, kills: int, until: float) -> None:
        """Kill at most so many writers, not after ``until`` on the monotonic clock; then have the others finish."""
        (self._arena.hosts[0].mount / self._name).mkdir()
        before = len(self._origin.requests)
        self._origin.clear_faults()
        with self._all_dead_at_the_end():
            self._writers = [self._start(host) for host in self._arena.hosts]
            while kills and time.monotonic() < until and self._running():
                self._misbehave()
                time.sleep(self._chance.uniform(0, LONGEST))
                kills -= self._kill_one()
            self._finish()
        self._count(self._origin.requests[before:])

    def _count(self, requests: Sequence[LogEntry]) -> None:
        wanted = sum(model.content.size for model in self._models)
        fetched, faults = sent_bytes(requests), [name for request in requests for name in request.faults]
        # A kill costs each connection the block it was at, and what was on its way; a fault costs one of them that.
        # A byte that came wrong costs its model once more.
        lost = 2 * BLOCK * (len(self._copies) * CONNECTIONS + len(faults))
        most = wanted + lost + faults.count("Flip") * self._models[-1].content.size
        self._tally.check(f"{self._name}, bytes fetched", [f"{fetched}, not {most}"] if fetched > most else [])
        self._tally.volumes += 1
        self._tally.wanted += wanted
        self._tally.fetched += fetched
        self._tally.faults += len(faults)

    def _start(self, host: Host) -> _Writer:
        self._started += 1
        output = self._work / f"{self._name}-{self._started}.log"
        commands = host.commands(Commands(self._work))
        command = commands.argv(
            "run", self._manifest, "--volume", host.mount / self._name, "--claim-ttl", "3", "--json",
            "--connections", str(CONNECTIONS),
        )  # fmt: skip
        with output.open("wb") as log:
            process = subprocess.Popen(
                command,
                env=commands.environment({"HF_ENDPOINT": self._origin.endpoint}),
                cwd=self._work,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return _Writer(host, process, output)

    def _running(self) -> list[_Writer]:
        return [writer for writer in self._writers if writer.process.poll() is None]

    def _misbehave(self) -> None:
        self._origin.add_faults(any_fault(self._chance))
        flip = flipped(self._models[-1], self._chance)
        if self._chance.random() < 0.2 and not self._flipped:
            # Once: a host that sends wrong bytes twice is given up, and rightly.
            self._flipped = True
            self._origin.add_faults(flip)
        if self._chance.random() < 0.2:
            self._origin.expire_links()

    def _kill_one(self) -> int:
        """SIGKILL a writer, look at what stands on the volume, and start it again; how many were killed."""
        # Drawn whatever runs, so that the next draws are the same in every run of a seed.
        place, look = self._chance.random(), self._chance.randrange(len(self._arena.hosts))
        running = self._running()
        if not running:
            return 0
        victim = running[int(place * len(running))]
        _kill(victim.process)
        if victim.process.returncode != -signal.SIGKILL:
            return 0
        self._tally.kills += 1
        self._copies.append(self._copy(victim.host))
        self._look(self._arena.hosts[look])
        self._writers[self._writers.index(victim)] = self._start(victim.host)
        return 1

    def _copy(self, host: Host) -> tuple[int, FINISHED]:
        """The finished blocks as the journals list them, and how many requests came before they were read."""
        finished = journals(host.mount / self._name)
        return len(self._origin.requests), finished

    def _look(self, host: Host) -> None:
        self._tally.check(
            f"{self._name}, kill {self._tally.kills}", wrong_files(host.mount / self._name, self._expected)
        )

    def _finish(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._running() and time.monotonic() < deadline:
            time.sleep(0.05)
        ends = [_end(writer) for writer in self._writers if writer.process.poll() != 0]
        self._tally.check(f"{self._name}, how the writers ended", ends)
        for number, host in enumerate(self._arena.hosts):
            volume = host.mount / self._name
            wrong = [*wrong_files(volume, self._expected), *missing_from(volume, self._expected)]
            self._tally.check(f"{self._name}, all models, through mount {number}", wrong)
        self._tally.check(f"{self._name}, finished blocks that were asked for again", self._asked_again())

    def _asked_again(self) -> list[str]:
        """Requests after a kill for blocks that the journals listed at that kill.

        Not for the model whose bytes come wrong: what is found wrong at its end has to be fetched again.
        """
        requests = self._origin.requests
        return [
            f"{model.path} blocks {sorted(again)} after a kill at request {before}"
            for before, finished in self._copies
            for model in self._models[:-1]
            if (again := finished.get(model.path, set()) & asked(requests[before:], model))
        ]

    @contextmanager
    def _all_dead_at_the_end(self) -> Iterator[None]:
        try:
            yield
        finally:
            for writer in self._writers:
                _kill(writer.process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end(writer: _Writer) -> str:
    tail = writer.output.read_text(errors="replace")[-2000:]
    return f"exit {writer.process.returncode} on {writer.host.name or 'this host'}: {tail}"


def asked(requests: Iterable[LogEntry], model: Wanted) -> set[int]:
    """The blocks of a model of which a byte was asked for, whatever the answer was."""
    asked: set[int] = set()
    for request in requests:
        if request.server == "cdn" and request.file.endswith(f"/{model.name}"):
            span = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", request.range or "")
            start, stop = (int(span[1]), int(span[2]) + 1) if span else (0, model.content.size)
            asked.update(range(start // BLOCK, -(-stop // BLOCK)))
    return asked
