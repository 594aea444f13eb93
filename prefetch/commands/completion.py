"""``prefetch completion``: what makes a shell complete the commands and their options."""

from __future__ import annotations

import argparse

import shtab

from prefetch.arguments import parser_of_all
from prefetch.commands.table import COMMANDS
from prefetch.errors import UsageError
from prefetch.report.events import Listener
from prefetch.report.result import TextResult
from prefetch.settings import Settings, option_of

__all__ = ["main"]

_FILES = frozenset({"MANIFEST", "ARCHIVE", "FILE", "PATH", "OUT"})


def main(settings: Settings, listener: Listener) -> TextResult:
    """Print the script for the shell that was named."""
    if len(settings.shell) != 1:
        raise UsageError("Name one shell: bash, zsh or fish.", remedy="Write for example: prefetch completion bash")
    parser = parser_of_all(COMMANDS, adorn=_adorn)
    return TextResult(shtab.complete(parser, shell=settings.shell[0]).rstrip("\n"))


def _adorn(action: argparse.Action, field: str) -> None:
    metavar = option_of(field).kind.metavar or ""
    if "|" in metavar:
        action.choices = metavar.split("|")
    elif metavar == "DIR":
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    elif metavar in _FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
