"""``prefetch demo``: all of it against the built-in origin, offline, in seconds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from prefetch.commands import run
from prefetch.demo.command import demo
from prefetch.report.events import Listener
from prefetch.report.result import RunResult
from prefetch.settings import Settings

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> RunResult:
    """Serve the synthetic seed set on loopback and put it on the volume, by default ./volume."""
    volume = settings.volume or Path("volume")

    def job(manifest: Path, variables: Mapping[str, str]) -> RunResult:
        os.environ.update(variables)
        return run.main(settings.model_copy(update={"manifest": (manifest,), "volume": volume}), listener)

    return demo(volume, job)
