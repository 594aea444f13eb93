"""``prefetch demo``: all of it against the built-in origin, offline, in seconds."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from prefetch.commands import run
from prefetch.demo.command import demo
from prefetch.report.events import Listener, Notice
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.volume.layout import Volume

__all__ = ["main"]

_TROUBLES = (
    "A Hub on this machine serves seven synthetic models and misbehaves on purpose: 429 and 503, an expired link, "
    "a reset, a stall, a slow connection, a damaged byte."
)


def main(settings: Settings, listener: Listener) -> RunResult:
    """Serve the synthetic seed set on loopback and put it on the volume, by default ./volume."""
    volume = settings.volume or Path("volume")
    Volume.open(volume, create=True)
    # No group: what the environment selects of a user's own manifests is not in this one.
    settings = replace(settings, volume=volume, group=())

    def job(manifest: Path, variables: Mapping[str, str]) -> RunResult:
        os.environ.update(variables)
        listener(Notice("info", _TROUBLES))
        result = run.main(replace(settings, manifest=(manifest,)), listener)
        if result.exit_code == 0:
            program = "prefetch" if shutil.which("prefetch") else sys.argv[0]
            again = shlex.join([program, "run", str(manifest), "--volume", str(volume)])
            listener(Notice("info", f"Once more, with nothing left to fetch: {again}"))
        return result

    return demo(volume, job)
