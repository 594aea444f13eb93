"""Reading JSON that anyone who can write to the volume may have written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any

Kinds = type | tuple[type, ...]
"""One type, or several of which a value may have any."""

__all__ = ["MOST", "OPTIONAL_COUNT", "OPTIONAL_TEXT", "Kinds", "decode", "has_fields", "is_text"]

OPTIONAL_COUNT = (int, NoneType)
OPTIONAL_TEXT = (str, NoneType)

MOST = 1 << 53
"""What a number may be: more is no size, no count and no time, and no reader of JSON agrees with another about it."""

_MOST_VALUES = 2_000_000
"""Values that a document may have: those of some 60,000 models. Three bytes of text can make a value of seventy."""


def decode(data: bytes) -> dict[str, Any] | None:
    """The JSON object that ``data`` is; None if it is anything else."""
    # By the characters that each value but the first one comes with, before any value takes room.
    if len(data) - len(data.translate(None, b"[{,:")) > _MOST_VALUES:
        return None
    try:
        document = json.loads(data)
    # RecursionError: a few kilobytes of brackets are enough for it.
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def has_fields(document: Mapping[str, Any], fields: Mapping[str, Kinds]) -> bool:
    """Whether every field is there with a value of its type, numbers from 0 to `MOST`, text fit for a file."""
    return all(name in document and _fits(document[name], kind) for name, kind in fields.items())


def _fits(value: object, kind: Kinds) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # By exact type: a bool is an int to isinstance.
    if type(value) not in kinds:
        return False
    if isinstance(value, int):
        return 0 <= value <= MOST
    return not isinstance(value, str) or is_text(value)


def is_text(value: object) -> bool:
    """Whether it is text that a file can hold: JSON can write half of a character."""
    try:
        return isinstance(value, str) and (value.isascii() or bool(value.encode()))
    except UnicodeEncodeError:
        return False
