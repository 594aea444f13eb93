"""``prefetch hook``: an image's entrypoint. The models first, then this process becomes the command."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from prefetch.comfyui.nodes import find_comfyui
from prefetch.commands.table import Outcome
from prefetch.errors import Interrupted, PrefetchError
from prefetch.handover import Handover, without_secrets
from prefetch.hook import check_serving, check_workflows, ensure, leave_sidecar, mode_of, verify
from prefetch.report.notice import Listener, Notice
from prefetch.settings import Settings
from prefetch.signals import within

if TYPE_CHECKING:
    from prefetch.report.result import RunResult

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> Outcome:
    """Prepare the volume as the mode says; the outcome is the command to become, or why it is not started."""
    environ = dict(os.environ)
    handover = Handover.to(settings.command, environ if settings.keep_env else without_secrets(environ))
    settings = replace(settings, comfyui=find_comfyui(settings.comfyui))
    check_serving(settings, environ)
    with within(settings.deadline):
        failure = _failure(settings, environ, listener)
    if failure is not None:
        if settings.on_failure == "abort" or failure.exit_code == Interrupted.exit_code:
            return failure
        listener(Notice("warning", f"{failure.error} The command is started all the same."))
    leave_sidecar(settings, environ, listener)
    return handover


def _failure(settings: Settings, environ: dict[str, str], listener: Listener) -> RunResult | None:
    began = time.monotonic()
    try:
        match mode_of(settings, environ):
            case "ensure":
                failure = ensure(settings, environ, listener)
            case "verify":
                failure = verify(settings, listener)
            case "off":
                return None
        return failure or check_workflows(settings, listener)
    except PrefetchError as error:
        from prefetch.report.result import RunResult

        volume = None if settings.volume is None else str(settings.volume.absolute())
        return RunResult(error.exit_code, volume, time.monotonic() - began, error=error)
