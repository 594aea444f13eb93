"""Regular expressions that stand in a workflow: a stranger wrote them, so none may take long. Pure."""

from __future__ import annotations

import re

__all__ = ["Pattern", "pattern"]

_LONGEST, _LONGEST_TEXT = 200, 64
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_REPEAT = re.compile(r"[*+{]")
_MOST_REPEATS = 3
"""With so many repeats, none of them inside another, a text of 64 characters is tried in some milliseconds."""


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
    if _REPEATED_GROUP.search(text) or len(_REPEAT.findall(text)) > _MOST_REPEATS:
        return None
    try:
        return Pattern(re.compile(text), inverted=inverted)
    except (re.error, RecursionError, OverflowError):
        return None
