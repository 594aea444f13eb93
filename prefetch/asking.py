"""One question to the person at the terminal."""

from __future__ import annotations

import sys

from prefetch.errors import PrefetchError, UsageError

__all__ = ["agreed", "can_be_asked", "require_yes"]


def can_be_asked() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def agreed(question: str) -> bool:
    """Whether the person says yes; anything else is a no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def require_yes(question: str) -> None:
    """Raise unless the person says yes.

    Raises:
        UsageError: nobody can be asked.
        PrefetchError: the answer was no.
    """
    if not can_be_asked():
        raise UsageError("Nobody can be asked whether to go on: this is no terminal.", remedy="Add --yes to agree.")
    if not agreed(question):
        raise PrefetchError("The answer was no: nothing was made.")
