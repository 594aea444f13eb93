"""Values out of a loader table's document; what is of another kind is an error with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prefetch.comfyui.workflow.entry import Widget
from prefetch.errors import UsageError
from prefetch.yamlfile import line_of

__all__ = ["Values"]

_WIDGET_AT = re.compile(r"([^@=]+?)(?:\s*@\s*([0-9]{1,3}))?(?:\s*=\s*(.+))?")


class Values:
    """One document; ``at`` is the way to the value that is read, for its line."""

    def __init__(self, document: object, file: str) -> None:
        self._document, self._file = document, file

    def mapping(self, value: object, at: tuple[str, ...]) -> Mapping[str, object]:
        """A mapping; nothing is an empty one, but for the document itself."""
        if value is None and at:
            return {}
        if not isinstance(value, dict):
            raise self.error(at, "a mapping belongs here", "Write NAME: VALUE.")
        return value

    def text(self, value: object, at: tuple[str, ...]) -> str:
        """A text."""
        if not isinstance(value, str):
            raise self.error(at, "a text belongs here", "Write it in quotes if it looks like a number.")
        return value

    def texts(self, value: object, at: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts; nothing is an empty one."""
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.error(at, "a list belongs here", "Write brackets: [A, B].")
        return tuple(self.text(item, at) for item in value)

    def texts_by_name(self, value: object, at: tuple[str, ...]) -> Mapping[str, str]:
        """A mapping of texts."""
        return {name: self.text(item, (*at, name)) for name, item in self.mapping(value, at).items()}

    def widget(self, value: object, at: tuple[str, ...]) -> Widget:
        """Another widget of a node: ``toggle``, ``toggle @ 0``, ``toggle @ 0 = A|B``."""
        match = _WIDGET_AT.fullmatch(self.text(value, at))
        if match is None:
            raise self.error(at, "a widget is written toggle, or toggle @ 0 with its position", "Correct it.")
        return Widget(match[1], int(match[2]) if match[2] else None, tuple(match[3].split("|")) if match[3] else ())

    def error(self, at: tuple[str, ...], message: str, remedy: str) -> UsageError:
        """The error of the value at ``at``."""
        return UsageError(f"{self._file}:{line_of(self._document, at)}: {message}.", remedy=remedy)
