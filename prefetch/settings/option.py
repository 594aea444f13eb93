"""How one option is given: what may be written for it, and how it is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefetch import values

__all__ = ["Option", "option", "switch"]


@dataclass(frozen=True, slots=True)
class Option:
    """How a field of `Settings` is given.

    Attributes:
        kind: what may be written, and what it means.
        help: what it does, for the help and for docs/settings.md.
        positional: whether it is written without a ``--name`` before it.
        alone: what the option means without a value, where it may stand so.
        flag: how it is written on a command line, where that is not its field's name.
        variable: what stands behind PREFETCH_, where that is not its field's name. Options of two commands may share
            one: each takes the values that it knows.
        short: its one-letter form, where it has one.
    """

    kind: values.Kind
    help: str
    positional: bool = False
    alone: str | None = None
    flag: str | None = None
    variable: str | None = None
    short: str | None = None


def option(kind: values.Kind, text: str, **how: Any) -> dict[str, Option]:
    """The metadata of a field that is an option; ``how`` are further attributes of `Option`."""
    return {"option": Option(kind, text, **how)}


def switch(text: str) -> dict[str, Option]:
    """The metadata of a field that is True where its option is given."""
    return option(values.switch(), text)
