"""How a command's result and its error leave the process: results on standard output, all else on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import pairwise

from prefetch.commands.table import Outcome
from prefetch.errors import ModelsFailed, PrefetchError
from prefetch.report.writer import LineWriter
from prefetch.spelling import split_at_dashes
from prefetch.values import parse_switch

__all__ = ["InternalError", "Output", "prepare_streams"]


class InternalError(PrefetchError):
    """A fault of this program."""

    code = "internal"


@dataclass(frozen=True, slots=True)
class Output:
    """The forms asked for. Known before the arguments are understood, so that an error about them has them too."""

    json: bool
    json_log: bool

    @classmethod
    def wanted(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Output:
        """What the arguments (those before ``--``) and the environment ask for, however wrong the rest is."""
        words, _ = split_at_dashes(arguments)
        formats = [word for flag, word in pairwise(words) if flag == "--log-format"]
        formats += [word.partition("=")[2] for word in words if word.startswith("--log-format=")]
        flags = {word.partition("=")[0] for word in words}
        return cls(
            json="--json" in flags or _is_on(environ.get("PREFETCH_JSON", "")),
            json_log="json" in (formats or [environ.get("PREFETCH_LOG_FORMAT", "")]),
        )

    def end(self, outcome: Outcome) -> int:
        """Write the outcome and return the exit code it comes to."""
        code = self._result(outcome)
        # Last, where it is still in sight below a long table.
        if outcome.error is not None:
            self._tell(outcome.error)
        return code

    def _result(self, outcome: Outcome) -> int:
        try:
            _print(outcome.to_json() if self.json else outcome.text)
        except BrokenPipeError:
            return outcome.exit_code
        except OSError as error:
            self._tell(PrefetchError(f"Standard output cannot be written: {error.strerror}."))
            return outcome.exit_code or PrefetchError.exit_code
        return outcome.exit_code

    def _tell(self, error: PrefetchError) -> None:
        writer = LineWriter(sys.stderr)
        if self.json_log:
            from prefetch.report.logjson import error_record

            writer.write(error_record(error))
            return
        for line in _sentences(error).split("\n"):
            writer.write(line)


def _is_on(text: str) -> bool:
    try:
        return parse_switch(text)
    except ValueError:
        return False


def _sentences(error: PrefetchError) -> str:
    if isinstance(error, InternalError):
        return f"prefetch: {error}"
    # Each model's own error stands above already.
    return f"prefetch: error: {error.message if isinstance(error, ModelsFailed) else error}"


def prepare_streams() -> None:
    """Make both streams usable whatever they were given as: closed, or in an encoding that lacks characters."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - open for as long as the process is
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not stream.isatty():
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _print(text: str) -> None:
    if not text:
        return
    try:
        print(text, flush=True)
    except OSError:
        # What is still buffered must not raise once more when the interpreter flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
