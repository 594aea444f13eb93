"""Reading JSON that anyone who can write to the volume may have written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any

Kinds = type | tuple[type, ...]
"""One type, or several of which a value may have any."""

__all__ = ["OPTIONAL_COUNT", "OPTIONAL_TEXT", "Kinds", "decode", "has_fields"]

OPTIONAL_COUNT = (int, NoneType)
OPTIONAL_TEXT = (str, NoneType)


def decode(data: bytes) -> dict[str, Any] | None:
    """The JSON object that ``data`` is; None if it is anything else."""
    try:
        document = json.loads(data)
    # RecursionError: a few kilobytes of brackets are enough for it.
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def has_fields(document: Mapping[str, Any], fields: Mapping[str, Kinds]) -> bool:
    """Whether every field is there with a value of its type, numbers not negative, text fit for a file."""
    return all(name in document and _fits(document[name], kind) for name, kind in fields.items())


def _fits(value: object, kind: Kinds) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # By exact type: a bool is an int to isinstance.
    if type(value) not in kinds:
        return False
    if isinstance(value, int):
        return value >= 0
    return not isinstance(value, str) or value.isascii() or _encodes(value)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
