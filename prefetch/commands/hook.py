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
from prefetch.hook import (
    Mode,
    check_serving,
    check_workflows,
    ensure,
    leave_sidecar,
    mode_of,
    read_workflows,
    verify,
)
from prefetch.report.notice import Listener, Notice
from prefetch.settings import Settings
from prefetch.signals import within

if TYPE_CHECKING:
    from prefetch.commands.workflow_check import Workflows
    from prefetch.report.result import RunResult

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> Outcome:
    """Prepare the volume as the mode says; the outcome is the command to become, or why it is not started."""
    environ = dict(os.environ)
    handover = Handover.to(settings.command, environ if settings.keep_env else without_secrets(environ))
    settings = replace(settings, comfyui=find_comfyui(settings.comfyui))
    check_serving(settings, environ)
    mode = mode_of(settings, environ)
    workflows = read_workflows(settings, mode, listener)
    with within(settings.deadline):
        failure = _failure(mode, workflows, settings, environ, listener)
    if failure is not None:
        if settings.on_failure == "abort" or failure.exit_code == Interrupted.exit_code:
            return failure
        listener(Notice("warning", str(failure.error)))
        listener(Notice("warning", "The command is started all the same."))
    leave_sidecar(settings, environ, listener)
    return handover


def _failure(
    mode: Mode, workflows: Workflows | None, settings: Settings, environ: dict[str, str], listener: Listener
) -> RunResult | None:
    began = time.monotonic()
    try:
        match mode:
            case "ensure":
                failure = ensure(settings, environ, listener)
            case "verify":
                failure = verify(settings, listener)
            case "off":
                return None
        return failure or check_workflows(workflows, settings, listener)
    except PrefetchError as error:
        from prefetch.report.result import RunResult

        volume = None if settings.volume is None else str(settings.volume.absolute())
        return RunResult(error.exit_code, volume, time.monotonic() - began, error=error)
