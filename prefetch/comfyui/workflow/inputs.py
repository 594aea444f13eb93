"""What a node's inputs hold in the end: their own values, or those that links and hosts bring instead. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prefetch.comfyui.workflow.entry import Widget
from prefetch.comfyui.workflow.following import MISSING, Wires
from prefetch.comfyui.workflow.graph import Node
from prefetch.comfyui.workflow.loaders import Loader, LoaderTable
from prefetch.comfyui.workflow.names import unwrapped
from prefetch.comfyui.workflow.rows import is_off, is_zero
from prefetch.comfyui.workflow.widgets import Placed, first_text, named_values, place_values

__all__ = ["Inputs", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a link brings: a value, or the reason why nobody knows it."""

    value: object = None
    reason: str | None = None


class Inputs:
    """Reads the inputs of one workflow's nodes."""

    def __init__(self, table: LoaderTable, wires: Wires) -> None:
        self._table, self._wires = table, wires

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
        own = Sent(unwrapped(node.scope.overridden.get((node.key, found.name), found.value)))
        slot = node.slot(found.name)
        if slot is None or slot.link is None:
            return own
        origin = self._wires.origin(node.scope, slot.link)
        if origin.node is not None:
            return self._made_by(origin.node, own)
        return own if origin.promoted is MISSING else Sent(unwrapped(origin.promoted))

    def _made_by(self, maker: Node, own: Sent) -> Sent:
        if self._table.plays("constants", maker.kind):
            return self._constant(maker, own)
        if self._table.loader(maker.kind) is not None and maker.active:
            return Sent()  # it chooses a file and is asked itself
        return Sent(reason=f"it comes from {maker.kind} (node {maker.id}) and is known only when that has run")

    def _constant(self, maker: Node, own: Sent) -> Sent:
        for slot in maker.slots:
            if slot.link is not None:
                origin = self._wires.origin(maker.scope, slot.link)
                if origin.node is None and origin.promoted is not MISSING:
                    return Sent(unwrapped(origin.promoted))
                if origin.node is not None and origin.node is not maker:
                    return Sent(reason=f"it is put together by {maker.kind} (node {maker.id})")
        said = [value for (key, _), value in maker.scope.overridden.items() if key == maker.key]
        text = next((value for value in said if isinstance(value, str)), first_text(maker))
        return Sent(text) if text else own

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
        """The value of another widget of the same row; None where a link or nothing tells it."""
        name = widget.name.replace("*", found.row or "")
        slot, named = node.slot(name), named_values(node)
        if slot is not None and slot.link is not None:
            return None
        if (node.key, name) in node.scope.overridden:
            return node.scope.overridden[node.key, name]
        if name in named or widget.at is None or not isinstance(node.values, list):
            return named.get(name)
        row = (_row_number(found) or 1) - 1 if "*" in widget.name else 0
        at = widget.at + row * (found.entry.every or 0)
        return node.values[at] if at < len(node.values) else None


def _row_number(found: Placed) -> int | None:
    return int(found.row) if found.row is not None and found.row.isdecimal() and len(found.row) < 6 else None


def _switches_off(switch: Widget, value: object) -> bool:
    return value is not None and str(value) not in switch.values if switch.values else is_off(value)
