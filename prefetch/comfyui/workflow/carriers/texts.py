"""Texts under the keys that ComfyUI and its nodes save a workflow by."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["COMMENT", "KEYS", "keyed", "readable"]

COMMENT = "comment"
"""The key of one text that holds both, as VideoHelperSuite and some pictures have it."""

KEYS = ("workflow", "prompt", COMMENT)


def readable(text: bytes) -> str:
    """UTF-8, and where it is none what any bytes can be read as. Without the NUL at its end."""
    try:
        return text.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return text.rstrip(b"\0").decode("latin-1")


def keyed(text: str) -> Iterator[tuple[str, str]]:
    """A text without a key of its own: ``workflow:{…}``, or an object that has the keys in it."""
    if text.startswith("{"):
        yield COMMENT, text
        return
    key, colon, value = text.partition(":")
    if colon:
        yield key, value
