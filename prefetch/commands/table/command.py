"""What a command is, and what it ends with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prefetch.errors import PrefetchError
    from prefetch.report.notice import Listener
    from prefetch.settings import Settings

__all__ = ["Command", "Outcome"]


class Outcome(Protocol):
    """What a command ends with."""

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        ...

    @property
    def text(self) -> str:
        """The result for a person, on standard output; empty where standard error has told all."""
        ...

    @property
    def error(self) -> PrefetchError | None:
        """Why it ended so, where one error did."""
        ...

    def to_json(self) -> str:
        """The result for ``--json``."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One word after ``prefetch``, or two: a family and a word.

    Attributes:
        help: one line, for the list of commands.
        about: a paragraph, for the command's own help.
        options: fields of `Settings` the command takes, in the order of its help.
        examples: command lines with what each does.
        needs_linux: whether it opens a volume to write there, or an address to be watched at, as only Linux can.
        resumes: whether a run that was interrupted leaves what the next one goes on from.
        load: ``module:function``; the function takes the settings and a listener and blocks until its outcome.
    """

    name: str
    help: str
    about: str
    options: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    load: str
    needs_linux: bool = False
    resumes: bool = False

    @property
    def may_end_a_pod(self) -> bool:
        """Whether it can be a pod's one-shot job."""
        return "on_success" in self.options

    def function(self) -> Callable[[Settings, Listener], Outcome]:
        """Import the command's code."""
        module, _, name = self.load.partition(":")
        function: Callable[[Settings, Listener], Outcome] = getattr(import_module(module), name)
        return function
