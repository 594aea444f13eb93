"""A command of this program that goes on beside the process that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefetch.arguments import written
from prefetch.commands.table import COMMANDS
from prefetch.settings import Settings, option_names, variable_of

__all__ = ["start", "start_tied"]

_MAY_BE_SECRET = frozenset({"pushgateway", "webhook"})
"""Options whose value can hold a password or a key, and so may stand on no command line: everybody can read those."""


def start(name: str, settings: Settings, environ: Mapping[str, str]) -> int:
    """Start ``prefetch NAME`` with these settings, in a session of its own, and give its process id.

    It outlives this process. Tokens and addresses it has from ``environ``. All it writes goes to our standard error, as
    plain lines: what stands on the terminal is somebody else's by then.
    """
    return _start(["-m", "prefetch"], name, settings, environ)


def start_tied(name: str, settings: Settings, environ: Mapping[str, str]) -> int:
    """The same, but it is stopped in order when this process, whatever that has become by then, is gone."""
    return _start(["-m", "prefetch.tied", str(os.getpid())], name, settings, environ)


def _start(how: Sequence[str], name: str, settings: Settings, environ: Mapping[str, str]) -> int:
    # It works in another directory, so that it keeps none of ours from being unmounted.
    settings = replace(settings, **{field: _absolute(getattr(settings, field)) for field in option_names()})
    # Nobody waits for it: this process becomes another program, and is its parent still.
    process = subprocess.Popen(
        [sys.executable, "-P", *how, name, *written(settings, _fields(name) - _MAY_BE_SECRET)],
        env={**_without_settings(environ), **_unseen(settings, name), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        stderr=sys.stderr.fileno(),
        start_new_session=True,
        cwd=os.sep,
    )
    process.returncode = 0  # else its destructor would call it forgotten
    return process.pid


def _fields(name: str) -> set[str]:
    """What the command and the entrypoint can both be told; manifests the entrypoint has from its environment only."""
    options = {command.name: set(command.options) for command in COMMANDS}
    return options[name] & options["hook"] | {"manifest"}


def _absolute(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    return value.absolute() if isinstance(value, Path) else value


def _without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    settings = set(map(variable_of, option_names()))
    return {name: value for name, value in environ.items() if name not in settings}


def _unseen(settings: Settings, name: str) -> dict[str, str]:
    fields = _fields(name) & _MAY_BE_SECRET
    return {variable_of(field): value for field in fields if (value := getattr(settings, field)) is not None}
