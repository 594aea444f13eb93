"""What the sentences about a source have in common."""

from __future__ import annotations

import re

from prefetch.net.urls import redact

__all__ = ["holds_control", "shown"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def holds_control(text: str) -> bool:
    """Whether there is a control character in it."""
    return _CONTROL.search(text) is not None


def shown(text: str) -> str:
    """A source in quotes for a message: short, and without what may be secret in it."""
    short = redact(text)
    return repr(short if len(short) <= 120 else short[:119] + "…")
