"""The command line: finds the command, reads its settings, and ends every failure as one sentence and an exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prefetch import __version__
from prefetch.commands.table import COMMANDS, Command, Outcome
from prefetch.errors import PrefetchError, UsageError
from prefetch.net.urls import redact
from prefetch.output import InternalError, Output, prepare_streams
from prefetch.report.result import RunResult, TextResult
from prefetch.signals import interrupted
from prefetch.spelling import did_you_mean, shown, split_at_dashes

if TYPE_CHECKING:
    from prefetch.report.events import Listener
    from prefetch.settings import Settings

__all__ = ["main"]

_HELP = frozenset({"-h", "--help"})


def main(arguments: Sequence[str] | None = None, *, commands: Sequence[Command] = COMMANDS) -> int:
    """Do what the arguments (by default the process's own) say, and return the exit code."""
    words = tuple(sys.argv[1:] if arguments is None else arguments)
    # While no event loop runs, SIGTERM stops the work as Ctrl-C does: by KeyboardInterrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    prepare_streams()
    outcome = _guarded(lambda: _dispatch(words, commands))
    return Output.wanted(words, os.environ).end(outcome)


def _dispatch(words: Sequence[str], commands: Sequence[Command]) -> Outcome:
    first = words[0] if words else ""
    if first in _HELP:
        return TextResult(_overview(commands))
    if first == "--version":
        return TextResult(f"prefetch {__version__}")
    command = _find(first, commands)
    from prefetch.arguments import help_of, parse
    from prefetch.loading import load_settings

    if _HELP & set(split_at_dashes(words[1:])[0]):
        return TextResult(help_of(command))
    return _execute(command, load_settings(parse(command, words[1:])))


def _find(word: str, commands: Sequence[Command]) -> Command:
    for command in commands:
        if command.name == word:
            return command
    if not word:
        print(_overview(commands), file=sys.stderr)
        raise UsageError("No command was given.", remedy="Write for example: prefetch run models.yaml")
    options = ["--version", *sorted(_HELP)]
    if word.startswith("-"):
        otherwise = "Options come after the command, as in: prefetch run --json"
        remedy = did_you_mean(word, options, otherwise=otherwise)
        raise UsageError(f"prefetch has no option {shown(word)}.", remedy=remedy)
    names = [command.name for command in commands]
    remedy = did_you_mean(word, [*names, *options], otherwise=f"The commands are {', '.join(names)}.")
    raise UsageError(f"prefetch has no command {shown(word)}.", remedy=remedy)


def _execute(command: Command, settings: Settings) -> Outcome:
    from prefetch.loading import misspelt_variables
    from prefetch.report.events import Notice
    from prefetch.report.listener import listener_for

    volume = None if settings.volume is None else str(settings.volume.absolute())
    with listener_for(settings, sys.stderr) as listener:
        for name, nearest in misspelt_variables(os.environ):
            listener(Notice("warning", f"{name} is not a setting of this program; did you mean {nearest}?"))
        return _guarded(lambda: _call(command, settings, listener), volume=volume)


def _call(command: Command, settings: Settings, listener: Listener) -> Outcome:
    function = command.function()
    # What was imported stays for ever: from now on only what the command makes is looked at for garbage.
    gc.freeze()
    gc.enable()
    return function(settings, listener)


def _guarded(work: Callable[[], Outcome], *, volume: str | None = None) -> Outcome:
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
        error = _internal(fault)
    return RunResult(exit_code=error.exit_code, volume=volume, seconds=time.monotonic() - began, error=error)


def _internal(fault: Exception) -> InternalError:
    if os.environ.get("PREFETCH_DEBUG"):
        print(redact("".join(traceback.format_exception(fault))), end="", file=sys.stderr)
    said = redact(str(fault)).partition("\n")[0][:300]
    return InternalError(
        f"internal error: {type(fault).__name__}: {said}",
        remedy="- please report it with the output of PREFETCH_DEBUG=1",
    )


def _overview(commands: Sequence[Command]) -> str:
    width = max(len(command.name) for command in commands)
    return "\n".join(
        [
            "usage: prefetch COMMAND [OPTION]...",
            "",
            "Puts a manifest's models on a volume: in parallel, resumed, verified, each whole or not at all.",
            "",
            "commands:",
            *(f"  {command.name:{width}}  {command.help}" for command in commands),
            "",
            "examples:",
            "  prefetch demo                                  see it work, offline",
            "  prefetch run models.yaml --volume /workspace   put the models there",
            "",
            "'prefetch COMMAND --help' tells what a command takes. Every option can also be set in the environment,",
            "as in PREFETCH_VOLUME=/workspace. 'prefetch --version' prints the version.",
        ]
    )
