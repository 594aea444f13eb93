"""``prefetch runpod`` as tests from outside have it: an account, a manifest with its sizes, and the command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.commands import Commands, Outcome
from tests.support.models import Wanted, write_manifest
from tests.support.pods import idle
from tests.support.runpod import KEY, RunPod
from tests.support.runs import until

__all__ = ["IMAGE", "Populates", "result_document"]

IMAGE = "ghcr.io/you/prefetch:1"


@dataclass(frozen=True, slots=True)
class Populates:
    """Populates of ``models`` through ``runpod``."""

    commands: Commands
    runpod: RunPod
    models: Sequence[Wanted]
    env: Mapping[str, str] = field(default_factory=dict)

    def manifest(self, entries: Sequence[Mapping[str, Any]] | None = None) -> Path:
        """A manifest of these entries, by default of all models, pinned."""
        chosen = [model.entry() for model in self.models] if entries is None else entries
        return write_manifest(self.commands.home / "models.yaml", chosen)

    def volume(self, size: int = 50, data_center: str = "EU-RO-1") -> str:
        """A network volume that is there."""
        return self.runpod.add_volume("models", size=size, data_center=data_center)

    def words(self, *options: str, entries: Sequence[Mapping[str, Any]] | None = None) -> list[str | Path]:
        """What stands behind ``prefetch``."""
        return ["runpod", "populate", self.manifest(entries), "--image", IMAGE, "--json", *options]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that lead to the account."""
        endpoint = {"PREFETCH_RUNPOD_ENDPOINT": self.runpod.endpoint, "RUNPOD_API_KEY": KEY}
        return {**endpoint, **self.env, **(env or {})}

    def run(self, *options: str, env: Mapping[str, str] | None = None, entries: Any = None) -> Outcome:
        """``prefetch runpod populate --yes --json`` to its end."""
        words = self.words("--yes", *options, entries=entries)
        return self.commands.run(*words, env=self.environment(env))

    @contextmanager
    def start(self, *options: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
        """The same, killed at the end of the block if it is not over by then."""
        with self.commands.start(*self.words("--yes", *options), env=self.environment(env)) as process:
            yield process

    @contextmanager
    def at_work(self, *options: str, pods: int = 1) -> Iterator[subprocess.Popen[str]]:
        """The same with pods that do nothing, from the moment when so many run."""
        self.runpod.job = idle
        with self.start(*options) as process:
            until(lambda: self._running() >= pods, f"{pods} at work", process)
            yield process

    def _running(self) -> int:
        return sum(pod.status == "RUNNING" for pod in self.runpod.pods.values())

    def clean(self, *options: str) -> Outcome:
        """``prefetch runpod clean --json``."""
        return self.commands.run("runpod", "clean", "--json", *options, env=self.environment())


def result_document(models: Sequence[Wanted], *, status: str = "downloaded", exit_code: int = 0) -> dict[str, Any]:
    """What a job says at its end."""
    listed = [
        {
            "path": model.path,
            "status": status,
            "size": model.content.size,
            "sha256": model.content.sha256,
            "bytes_downloaded": model.content.size,
            "bytes_resumed": 0,
            "error": None,
        }
        for model in models
    ]
    error = None if exit_code == 0 else {"code": "network", "message": "The host went away."}
    return {
        "ok": exit_code == 0,
        "exit_code": exit_code,
        "error": error,
        "volume": "/runpod-volume",
        "seconds": 1.0,
        "bytes_downloaded": sum(model.content.size for model in models),
        "models": listed,
    }
