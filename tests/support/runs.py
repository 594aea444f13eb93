"""The main job as tests from outside have it: an origin, a manifest, a volume, and the command as another process."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prefetch.demo.log import LogEntry
from prefetch.demo.server import DemoServer
from tests.support.commands import Commands, Outcome
from tests.support.models import Wanted, sent_bytes, write_manifest

__all__ = ["Runs", "since", "until"]

PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of ``models`` from ``origin`` onto ``volume``; manifests lie beside the volume."""

    commands: Commands
    origin: DemoServer
    volume: Path
    models: tuple[Wanted, ...]

    def on(self, volume: Path) -> Runs:
        """The same on another volume."""
        return replace(self, volume=volume)

    def of(self, *models: Wanted) -> Runs:
        """The same with other models."""
        return replace(self, models=models)

    def manifest(self, entries: Iterable[Mapping[str, Any]] | None = None, *, name: str = "m.yaml") -> Path:
        """A manifest of these entries, by default all models, pinned."""
        chosen = [model.entry() for model in self.models] if entries is None else entries
        return write_manifest(self.commands.home / name, chosen)

    def run(self, *options: str, entries: Any = None, env: Mapping[str, str] | None = None) -> Outcome:
        """``prefetch run --json`` to its end."""
        return self.commands.run(*self.words("run", options, entries), env=self.environment(env))

    def do(self, command: str, *options: str, entries: Any = None, env: Mapping[str, str] | None = None) -> Outcome:
        """``prefetch COMMAND --json`` of the same manifest on the same volume."""
        return self.commands.run(*self.words(command, options, entries), env=self.environment(env))

    @contextmanager
    def start(
        self, *options: str, entries: Any = None, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """``prefetch run --json``, killed at the end of the block if it is not over by then."""
        with self.commands.start(*self.words("run", options, entries), env=self.environment(env)) as process:
            yield process

    def run_until_killed(self, when: Callable[[], bool], *options: str) -> bool:
        """``prefetch run`` that gets SIGKILL as soon as ``when()`` is true; False if it was over before."""
        with self.start(*options) as process:
            until(lambda: process.poll() is not None or when(), "the moment to kill")
            process.send_signal(signal.SIGKILL)
            return process.wait() == -signal.SIGKILL

    def sent(self) -> int:
        """Bytes of bodies that the origin has sent."""
        return sent_bytes(self.origin.requests)

    def words(self, command: str, options: Iterable[str] = (), entries: Any = None) -> list[str | Path]:
        """What stands after ``prefetch`` on the command line."""
        return [command, self.manifest(entries), "--volume", self.volume, "--json", *options]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that lead to the origin, and ``env``."""
        return {"HF_ENDPOINT": self.origin.endpoint, **(env or {})}


def since(origin: DemoServer, before: int) -> list[LogEntry]:
    """What the origin was asked after its first ``before`` requests."""
    return origin.requests[before:]


def until(condition: Callable[[], bool], what: str, process: subprocess.Popen[str] | None = None) -> None:
    """Wait for ``condition()``; the test fails if it never comes, or if ``process`` ends before."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} never came"
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended before {what}: {process.communicate()}")
        time.sleep(0.005)
