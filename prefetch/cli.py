"""The command line: finds the command, reads its settings, and ends every failure as one sentence and an exit code."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prefetch import __version__
from prefetch.commands.choice import HELP, choose, may_mean_a_job, overview
from prefetch.commands.table import COMMANDS, Command, Outcome
from prefetch.errors import Interrupted, PrefetchError, UsageError, first_cause
from prefetch.handover import Handover
from prefetch.output import InternalError, Output, prepare_streams
from prefetch.signals import interrupted, interrupted_for_nothing, take_signals
from prefetch.spelling import split_at_dashes
from prefetch.system import check_system

if TYPE_CHECKING:
    from prefetch.report.notice import Listener
    from prefetch.settings import Settings

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, commands: Sequence[Command] = COMMANDS) -> int:
    """Do what the arguments (by default the process's own) say, and return the exit code."""
    words = tuple(sys.argv[1:] if arguments is None else arguments)
    take_signals()
    prepare_streams()
    outcome = _guarded(lambda: _dispatch(words, commands))
    if isinstance(outcome, Handover):
        # Only here, where the listener is done with the terminal.
        outcome = _guarded(outcome.start)
    return Output.wanted(words, os.environ).end(outcome)


def _dispatch(words: Sequence[str], commands: Sequence[Command]) -> Outcome:
    first = words[0] if words else ""
    if first == "help":
        words = (*words[1:], "--help")
        first = words[0]
    if first in HELP:
        return _text(overview(commands))
    if first == "--version":
        return _text(f"prefetch {__version__}")
    try:
        chosen = choose(words, commands)
    except UsageError as error:
        _end_misread(words, error, job=may_mean_a_job(words, commands))
        raise
    if chosen is None:
        return _text(overview(commands, first))
    command, rest = chosen
    from prefetch.arguments import help_of, parse
    from prefetch.loading import load_settings

    if HELP & set(split_at_dashes(rest)[0]):
        return _text(help_of(command))
    try:
        settings = load_settings(parse(command, rest))
    except PrefetchError as error:
        _end_misread(rest, error, job=command.may_end_a_pod)
        raise
    return _execute(command, settings)


def _end_misread(words: Sequence[str], error: PrefetchError, *, job: bool) -> None:
    """Where this is a pod whose only job cannot even begin, have it go as after any other failure."""
    if job and os.environ.get("RUNPOD_POD_ID"):
        from prefetch.oneshot import leave_misread

        leave_misread(words, error, os.environ)


def _text(text: str) -> Outcome:
    from prefetch.report.result import TextResult

    return TextResult(text)


def _execute(command: Command, settings: Settings) -> Outcome:
    from prefetch.loading import misspelt_variables
    from prefetch.report.listener import listener_for
    from prefetch.report.notice import Notice

    volume = None if settings.volume is None else str(settings.volume.absolute())
    with listener_for(settings, sys.stderr) as listener:
        for name, nearest in misspelt_variables(os.environ):
            listener(Notice("warning", f"{name} is not a setting of this program; did you mean {nearest}?"))

        def work() -> Outcome:
            return _guarded(lambda: _call(command, settings, listener), volume=volume, resumes=command.resumes)

        if not command.may_end_a_pod or (settings.on_success, settings.on_failed, settings.max_hours) == (None,) * 3:
            return work()
        from prefetch.oneshot import do_and_leave

        return _guarded(
            lambda: do_and_leave(work, settings, os.environ, listener), volume=volume, resumes=command.resumes
        )


def _call(command: Command, settings: Settings, listener: Listener) -> Outcome:
    if command.needs_linux:
        check_system(command.name)
    function = command.function()
    # What was imported stays for ever: from now on only what the command makes is looked at for garbage.
    gc.freeze()
    gc.enable()
    return function(settings, listener)


def _guarded(work: Callable[[], Outcome], *, volume: str | None = None, resumes: bool = False) -> Outcome:
    began = time.monotonic()
    error: PrefetchError
    try:
        return work()
    except PrefetchError as failure:
        error = failure
    except KeyboardInterrupt:
        error = interrupted()
    except Exception as fault:
        # The one place for it: whatever went wrong, a person gets a sentence and a script its document.
        cause = first_cause(fault)
        error = cause if isinstance(cause, PrefetchError) else _internal(cause)
    if isinstance(error, Interrupted) and not resumes:
        error = interrupted_for_nothing()
    from prefetch.report.result import RunResult

    return RunResult(exit_code=error.exit_code, volume=volume, seconds=time.monotonic() - began, error=error)


def _internal(fault: BaseException) -> InternalError:
    from prefetch.net.urls import redact

    if os.environ.get("PREFETCH_DEBUG"):
        import traceback

        print(redact("".join(traceback.format_exception(fault))), end="", file=sys.stderr)
    said = redact(str(fault)).partition("\n")[0][:300]
    return InternalError(
        f"internal error: {type(fault).__name__}: {said}",
        remedy="- please report it with the output of PREFETCH_DEBUG=1",
    )
