"""A run as a pod's only job: what it came to is kept on the volume and told in one line, then the pod goes away."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import get_args

from prefetch.commands.table import Outcome
from prefetch.errors import Interrupted, PrefetchError, UsageError
from prefetch.hours import Hours
from prefetch.leaving import Leaving, Then, ask_runpod
from prefetch.report.events import Listener, Notice
from prefetch.report.result import RunResult
from prefetch.report.writer import LineWriter
from prefetch.runpod.signs import INTENT, result_line
from prefetch.settings import Settings
from prefetch.spelling import shown, split_at_dashes
from prefetch.volume.owner import Owner

__all__ = ["do_and_leave", "leave_misread"]

_HEARD_IN = 5.0
"""Seconds for whoever follows the log to read its last line."""
_POD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def do_and_leave(
    work: Callable[[], Outcome], settings: Settings, environ: Mapping[str, str], listener: Listener
) -> Outcome:
    """Do the work, keep and tell its result, and have the pod go the way that was asked for.

    Whoever stops the work by a signal has plans of his own with the pod: then nothing more is done.

    Raises:
        UsageError: the pod is to go, and this is none.
    """
    pod = _pod_in(environ, settings)
    hours = Hours.of(settings, pod or _place())
    outcome = hours.do(work)
    stopped = outcome.exit_code == Interrupted.exit_code
    wanted = settings.on_success if outcome.exit_code == 0 else settings.on_failed
    then: Then = "exit" if stopped or wanted is None else wanted
    document = json.loads(outcome.to_json())
    try:
        hours.end(then, document)
    except PrefetchError as error:
        listener(Notice("warning", f"The result cannot be kept on the volume. {error}"))
    LineWriter(sys.stderr).write(result_line(document))
    if outcome.error is not None and then != "exit":
        # The command's own end, which tells it too, may never come.
        listener(Notice("warning", str(outcome.error)))
    ask = None if pod is None else ask_runpod(pod, environ)
    Leaving(ask, left=hours.left, listener=listener, heard_in=_heard_in(environ)).leave(then)
    return outcome


def leave_misread(words: Sequence[str], error: PrefetchError, environ: Mapping[str, str]) -> None:
    """Have a pod go as after a failure whose settings cannot be read, as far as they tell how it is to go.

    Else a slip of the pen in a template would have its container started again and again, and billed.
    """
    from prefetch.report.lines import Lines

    then, pod = _then_of(words, environ), environ.get("RUNPOD_POD_ID", "")
    if then is None or not _POD.fullmatch(pod):
        return
    listener = Lines(sys.stderr)
    result = RunResult(error.exit_code, None, 0.0, error=error)
    LineWriter(sys.stderr).write(result_line(json.loads(result.to_json())))
    listener(Notice("warning", str(error)))
    Leaving(ask_runpod(pod, environ), left=lambda: None, listener=listener, heard_in=_heard_in(environ)).leave(then)


def _then_of(words: Sequence[str], environ: Mapping[str, str]) -> Then | None:
    """What a failure is to lead to, by command line or environment, however wrong the rest is."""
    before, _ = split_at_dashes(words)
    given = [word for flag, word in pairwise(before) if flag == "--on-failure"]
    given += [word.partition("=")[2] for word in before if word.startswith("--on-failure=")]
    wanted = (given or [environ.get("PREFETCH_ON_FAILURE", "")])[-1]
    return next((then for then in get_args(Then) if then == wanted and then != "exit"), None)


def _heard_in(environ: Mapping[str, str]) -> float:
    return _HEARD_IN if environ.get(INTENT) else 0.0


def _pod_in(environ: Mapping[str, str], settings: Settings) -> str | None:
    """The id of the pod that this runs in; None elsewhere."""
    pod = environ.get("RUNPOD_POD_ID") or None
    if pod is not None and not _POD.fullmatch(pod):
        raise UsageError(f"RUNPOD_POD_ID is {shown(pod)}, which is no pod's id.", remedy="Leave it as RunPod sets it.")
    flags = {"--on-success": settings.on_success, "--on-failure": settings.on_failed}
    for flag, then in flags.items():
        if then not in ("terminate", "stop"):
            continue
        if environ.get("RUNPOD_ENDPOINT_ID"):
            raise UsageError(
                f"{flag} {then} is for a pod, and this is a serverless worker, which RunPod ends by itself.",
                remedy="Start workers through prefetch hook, and fill the volume from a pod.",
            )
        if pod is None:
            raise UsageError(
                f"{flag} {then} is for a RunPod pod, and RUNPOD_POD_ID is not set.",
                remedy="Elsewhere leave it out: the command then ends.",
            )
    return pod


def _place() -> str:
    """What a job elsewhere is kept under: the host's name, which under Kubernetes is the pod's."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"host-{Owner.current().host}")[:64]
