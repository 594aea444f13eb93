"""The words a person typed: taken apart, and said back quoted, without secrets, with the word they may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["did_you_mean", "nearest", "shown", "split_at_dashes"]

# A text, as in prefetch.values.
_SUSPICIOUS = r"(hf|rpa|rps|user)_\w+|[\w-]{32,}"
_LONGEST = 80


def shown(value: object) -> str:
    """The value as a shell would take it, printable and short; what looks like a token is left out."""
    import shlex

    from prefetch.net.urls import redact

    text = redact(str(value).strip())
    if re.fullmatch(_SUSPICIOUS, text) or "…" in text:
        return "(not shown)"
    return shlex.quote(text if text.isprintable() else ascii(text)[1:-1])[:_LONGEST]


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str) -> str:
    """A sentence with the known word nearest to ``word``, or ``otherwise`` if none is near."""
    found = nearest(word, known)
    return otherwise if found is None else f"Did you mean {found}?"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` is most like; None if it is like none."""
    from difflib import get_close_matches

    # Without the dashes, which all options share.
    bare = {name.lstrip("-"): name for name in known}
    matches = get_close_matches(word.lstrip("-"), bare, n=1)
    return bare[matches[0]] if matches else None


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before a lone ``--``, and what stands after it and is never an option."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:cut]), list(arguments[cut + 1 :])
