"""The end of the entrypoint: this process becomes the command it was started for."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from prefetch.errors import UsageError
from prefetch.spelling import shown

__all__ = ["Handover", "without_secrets"]

_OURS = "PREFETCH_"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "CIVITAI_API_TOKEN")
_FILE = "_FILE"
_NAMED = re.compile(r"=([A-Za-z_][A-Za-z0-9_]*)\s*(?:,|$)")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Handover:
    """A command with its words and its environment. An outcome of which nothing is printed: the command is next."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    exit_code: int = 0
    text: str = ""
    error: None = None

    @classmethod
    def to(cls, words: tuple[str, ...], environment: Mapping[str, str]) -> Handover:
        """The handover to a command that can be found.

        Raises:
            UsageError: there is no such command.
        """
        if not words:
            raise UsageError(
                "No command was given to start.", remedy="Write it behind two dashes: prefetch hook -- /start.sh"
            )
        if not _is_there(words[0], environment):
            raise UsageError(f"There is no command {shown(words[0])} to start.", remedy=_remedy(words[0], environment))
        return cls(words, environment)

    def start(self) -> NoReturn:
        """Become the command: same process, same streams, signals as they were before Python.

        Raises:
            UsageError: the system refuses to start it.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        # Python ignores these two, and what is ignored stays so in the command.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        try:
            os.execvpe(self.words[0], self.words, self.environment)  # noqa: S606 - to be the command, no shell between
        except OSError as error:
            raise UsageError(
                f"{shown(self.words[0])} cannot be started: {error.strerror}.",
                remedy="A script begins with a line such as #!/bin/sh.",
            ) from None

    def to_json(self) -> str:
        """Nothing: standard output is the command's."""
        return ""


def _remedy(command: str, environment: Mapping[str, str]) -> str:
    words = command.split()
    if len(words) > 1 and _is_there(words[0], environment):
        return f"Separate its words: {shown(','.join(words))} in PREFETCH_COMMAND, by blanks behind two dashes."
    return "Check its path, and that it is executable."


def _is_there(command: str, environment: Mapping[str, str]) -> bool:
    if "/" in command:
        return os.access(command, os.X_OK)
    from shutil import which

    return which(command, path=environment.get("PATH")) is not None


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without prefetch's own variables and the tokens that it reads."""
    dropped = set(_secret_names(environ))
    return {name: value for name, value in environ.items() if name not in dropped and not name.startswith(_OURS)}


def _secret_names(environ: Mapping[str, str]) -> Iterator[str]:
    named = _NAMED.findall(environ.get("PREFETCH_TOKENS", ""))
    referred = _REFERENCE.findall(environ.get("PREFETCH_HEADERS", ""))
    for name in (*_TOKENS, *named, *referred):
        yield name
        yield name + _FILE
