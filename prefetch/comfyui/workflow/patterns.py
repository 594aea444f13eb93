"""Regular expressions that stand in a workflow: a stranger wrote them, so none may take long. Pure."""

from __future__ import annotations

import re

__all__ = ["Pattern", "pattern"]

_LONGEST, _LONGEST_TEXT = 200, 64
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_REPEAT, _CHOICE = re.compile(r"[*+{]"), re.compile(r"(?<!\()\?|\|")
_REPEAT_WAYS, _CHOICE_WAYS, _MOST_WAYS = 32, 2, 2**16
"""How many ways to fit a short text each part may multiply; so many in all are tried in some milliseconds."""


class Pattern:
    """An expression, or its opposite; it remembers what it was tried on."""

    def __init__(self, expression: re.Pattern[str], *, inverted: bool) -> None:
        self._expression, self._inverted = expression, inverted
        self._known: dict[str, bool] = {}

    def allows(self, *texts: str) -> bool:
        """Whether any of a thing's names fits; for the opposite, whether none does."""
        return any(map(self._fits, texts)) != self._inverted

    def _fits(self, text: str) -> bool:
        text = text[:_LONGEST_TEXT]
        if text not in self._known:
            self._known[text] = self._expression.search(text) is not None
        return self._known[text]


def pattern(text: object, *, inverted: bool = False) -> Pattern | None:
    """The expression in a text; None where it says nothing, is none, or could take for ever."""
    if not isinstance(text, str) or text in ("", ".*") or len(text) > _LONGEST:
        return None
    choices = len(_CHOICE.findall(text)) if "(" in text or "?" in text else 0
    ways = _REPEAT_WAYS ** len(_REPEAT.findall(text)) * _CHOICE_WAYS**choices
    if _REPEATED_GROUP.search(text) or ways > _MOST_WAYS:
        return None
    try:
        return Pattern(re.compile(text), inverted=inverted)
    except (re.error, RecursionError, OverflowError):
        return None
