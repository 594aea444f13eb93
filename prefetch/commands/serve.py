"""``prefetch serve``: the sidecar."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

from prefetch.comfyui.nodes import check_comfyui
from prefetch.commands.run import failure_left
from prefetch.monitor.asked import asked_of
from prefetch.opening import open_or_make_volume
from prefetch.report.events import Listener
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.values import Endpoint

__all__ = ["main"]

USUAL = Endpoint("127.0.0.1", 9464)
"""Where a sidecar listens that was not told where: only this machine reaches it."""


def main(settings: Settings, listener: Listener) -> RunResult:
    """Keep the volume to its manifests until SIGTERM or SIGINT."""
    # Until the loop takes it: a reload that is asked for too early must not end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = replace(settings, listen=settings.listen or USUAL, linger=0.0)
    asked = asked_of(settings, os.environ)
    assert asked is not None
    from prefetch.sidecar.webhook import webhook_of

    webhook = webhook_of(settings, os.environ)
    with failure_left(asked, settings, listener):
        check_comfyui(settings.comfyui)
        volume = open_or_make_volume(settings, listener)
        from prefetch.sidecar.serving import serve_on

        return serve_on(volume, replace(settings, volume=volume.root), asked, webhook, listener)
