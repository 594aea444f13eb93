"""What is wrong with a manifest, in sentences that name file, line, entry and remedy.

Nothing of a file is quoted but the one scalar that is wrong, short and without what may be a credential.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prefetch.errors import ManifestError
from prefetch.net.urls import redact

__all__ = ["Place", "Problem", "manifest_error", "nearest", "printable", "shown"]

_SHOWN_CHARACTERS = 80
_SHOWN_PROBLEMS = 10
_LOOKED_AT = 2048  # characters; the search for secrets takes quadratic time in the worst case


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a manifest, counted from 1; None is the whole file."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at a place, and what to do about it."""

    place: Place
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message} {self.remedy}".rstrip()


def manifest_error(problems: Sequence[Problem], *, more: bool = False) -> ManifestError:
    """One error for one or more problems: the first ten in full, and how many more there are.

    Args:
        more: whether others were not even counted.
    """
    first = problems[0]
    if len(problems) == 1:
        return ManifestError(f"{first.place}: {first.message}", remedy=first.remedy)
    least = "More than " if more else ""
    lines = [f"{least}{len(problems)} errors in the manifest:", *map(str, problems[:_SHOWN_PROBLEMS])]
    if len(problems) > _SHOWN_PROBLEMS:
        lines.append(f"… and {len(problems) - _SHOWN_PROBLEMS} more.")
    return ManifestError("\n".join(lines))


def printable(text: str) -> str:
    """A text of a manifest on one short line, without tokens and the queries of addresses."""
    safe = redact(text[:_LOOKED_AT])
    cut = "".join(c if c.isprintable() else "?" for c in safe[:_SHOWN_CHARACTERS])
    return cut if len(safe) <= _SHOWN_CHARACTERS else f"{cut}…"


def shown(value: object) -> str:
    """A value of a manifest as an error may quote it: one short printable line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f'"{printable(value)}"'
        case int() | float():
            return printable(str(value))
        case dict():
            return "a mapping"
        case _:
            return "a list"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was probably meant to be."""
    close = difflib.get_close_matches(word[:_SHOWN_CHARACTERS].lower(), list(known), n=1)
    return close[0] if close else None
