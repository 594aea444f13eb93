"""What a node's inputs hold in the end: their own values, or those that links and hosts bring instead. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prefetch.comfyui.workflow.arriving import Arrival, Arriving
from prefetch.comfyui.workflow.entry import Widget
from prefetch.comfyui.workflow.following import MISSING
from prefetch.comfyui.workflow.graph import Node
from prefetch.comfyui.workflow.loaders import Loader, LoaderTable
from prefetch.comfyui.workflow.names import unwrapped
from prefetch.comfyui.workflow.rows import is_off, is_zero
from prefetch.comfyui.workflow.widgets import Placed, place_values

__all__ = ["Inputs", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What an input holds in the end.

    Attributes:
        value: what it is; None where it is nothing, or not known.
        choices: what it may be, where a run chooses one of these.
        reason: why not all of it is known.
    """

    value: object = None
    choices: tuple[str, ...] = ()
    reason: str | None = None


class Inputs:
    """Reads the inputs of one workflow's nodes."""

    def __init__(self, table: LoaderTable, arriving: Arriving) -> None:
        self._table, self._arriving = table, arriving

    def placed(self, node: Node, loader: Loader) -> Iterator[Placed]:
        """Each input of the loader with the node's own value, and those that have a link only."""
        placed = place_values(node, loader, self._table.none_values)
        yield from placed
        known = {found.name for found in placed}
        for entry in loader:
            for slot in node.slots:
                name = slot.widget or slot.name
                match = entry.pattern.fullmatch(name)
                if slot.link is not None and match and name not in known:
                    known.add(name)
                    yield Placed(entry, name, match[1] if "*" in entry.name else None, None)
            if "*" not in entry.name and entry.name not in known and (node.key, entry.name) in node.scope.overridden:
                yield Placed(entry, entry.name, None, None)

    def sent(self, node: Node, found: Placed) -> Sent:
        """What an input's value is in the end: what a link brings, else what a host says, else the widget's own."""
        slot = node.slot(found.name)
        arrival = None if slot is None or slot.link is None else self._arriving.by(node.scope, slot.link)
        if arrival is None or arrival.is_empty:
            return Sent(unwrapped(node.scope.overridden.get((node.key, found.name), found.value)))
        values = list(dict.fromkeys(value for value in arrival.values if isinstance(value, str)))
        if arrival.makers or len(values) > 1:
            return Sent(choices=tuple(values), reason=_reason(arrival))
        return Sent(next(iter(values or arrival.values), None))

    def is_on(self, found: Placed, node: Node) -> bool:
        entry = found.entry
        if entry.switch and _switches_off(entry.switch, self._beside(entry.switch, found, node)):
            return False
        if entry.weight and is_zero(self._beside(entry.weight, found, node)):
            return False
        count = self._beside(entry.count, found, node) if entry.count else None
        row = _row_number(found)
        return not (isinstance(count, int) and row is not None and row > count)

    def _beside(self, widget: Widget, found: Placed, node: Node) -> object:
        """The value of another widget of the same row; None where nothing tells it before a run."""
        row = (_row_number(found) or 1) - 1 if "*" in widget.name else 0
        at = None if widget.at is None else widget.at + row * (found.entry.every or 0)
        value = self._arriving.value(node, Widget(widget.name.replace("*", found.row or ""), at))
        return None if value is MISSING else value


def _reason(arrival: Arrival) -> str:
    """Why a value is known only when a node has run: one that takes it, or one that makes it."""
    node, how = (arrival.deciders or arrival.makers)[0], "is taken by" if arrival.deciders else "comes from"
    return f"it {how} {node.kind} (node {node.id}) and is known only when that has run"


def _row_number(found: Placed) -> int | None:
    return int(found.row) if found.row is not None and found.row.isdecimal() and len(found.row) < 6 else None


def _switches_off(switch: Widget, value: object) -> bool:
    return value is not None and str(value) not in switch.values if switch.values else is_off(value)
