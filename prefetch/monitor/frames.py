"""What a page in a browser is sent: first all of it, then only what has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prefetch.monitor.parts import parts_of, title_of
from prefetch.monitor.rows import html_of, id_of
from prefetch.report.view import Row, View

__all__ = ["BEAT", "Picture"]

BEAT = b"event: beat\ndata: 1\n\n"
"""What says that nothing has changed. A comment would hold a connection too, but no page could hear it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A view with its parts and, by their ids, its rows."""

    title: str
    parts: Mapping[str, str]
    rows: Mapping[str, Row]

    @classmethod
    def of(cls, view: View) -> Picture:
        """The picture of a view. Its rows are drawn only once they are to be sent."""
        return cls(title_of(view), parts_of(view), {id_of(row): row for row in view.rows})

    def whole(self) -> bytes:
        """All of it, as a server-sent event."""
        return _event(title=self.title, parts=self.parts, rows=_drawn(self.rows.items()), order=list(self.rows))

    def since(self, before: Picture) -> bytes:
        """What is new in it, as a server-sent event; `BEAT` where nothing is."""
        if self == before:
            return BEAT
        order = list(self.rows)
        return _event(
            title=self.title,
            parts={name: html for name, html in self.parts.items() if before.parts.get(name) != html},
            rows=_drawn((name, row) for name, row in self.rows.items() if before.rows.get(name) != row),
            order=None if order == list(before.rows) else order,
        )

    def table(self) -> str:
        """The rows as HTML."""
        return "\n".join(map(html_of, self.rows.values()))


def _drawn(rows: Iterable[tuple[str, Row]]) -> dict[str, str]:
    return {name: html_of(row) for name, row in rows}


def _event(**fields: object) -> bytes:
    # JSON leaves no line break in it, which would end the event.
    return f"event: frame\ndata: {json.dumps(fields, ensure_ascii=True)}\n\n".encode()
