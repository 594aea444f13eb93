"""A workflow's subgraph definitions, indexed once however often they stand in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefetch.comfyui.workflow.reading import as_list, as_map, as_number, as_text, key_of

__all__ = ["Definition", "Definitions"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One subgraph as it is drawn.

    Attributes:
        inputs: its inputs' names, in order.
        ends: for each input the ends of its links: a node's class, the input's name there, whether it is a widget.
    """

    drawn: Mapping[str, Any]
    inputs: tuple[str, ...]
    ends: tuple[tuple[tuple[str, str, bool], ...], ...]


class Definitions:
    """All definitions by their id."""

    def __init__(self, raw: object) -> None:
        self._raw = {key_of(as_map(entry).get("id")): as_map(entry) for entry in as_list(raw)}
        self._read: dict[str, Definition] = {}
        self._widgets: dict[tuple[str, int], bool] = {}

    def get(self, kind: str) -> Definition | None:
        """The definition that a node of this class is an instance of."""
        if kind not in self._read and kind in self._raw:
            self._read[kind] = _definition(self._raw[kind])
        return self._read.get(kind)

    def ends_in_widget(self, kind: str, position: int) -> bool:
        """Whether an input of the definition leads to a widget, at whatever depth."""
        known = self._widgets.get((kind, position))
        if known is None:
            # Until it is known, what leads back to itself leads nowhere.
            self._widgets[kind, position] = False
            known = self._widgets[kind, position] = self._ends_in_widget(kind, position)
        return known

    def _ends_in_widget(self, kind: str, position: int) -> bool:
        definition = self.get(kind)
        for inner, name, is_widget in definition.ends[position] if definition else ():
            if is_widget:
                return True
            nested = self.get(inner)
            if nested and name in nested.inputs and self.ends_in_widget(inner, nested.inputs.index(name)):
                return True
        return False


def _definition(drawn: Mapping[str, Any]) -> Definition:
    links = {key_of(as_map(link).get("id")): as_map(link) for link in as_list(drawn.get("links"))}
    nodes = {key_of(as_map(node).get("id")): as_map(node) for node in as_list(drawn.get("nodes"))}
    inputs = [as_map(entry) for entry in as_list(drawn.get("inputs"))]

    def ends(entry: Mapping[str, Any]) -> tuple[tuple[str, str, bool], ...]:
        found = []
        for link in (links.get(key_of(number), {}) for number in as_list(entry.get("linkIds"))):
            node = nodes.get(key_of(link.get("target_id")), {})
            slots, at = as_list(node.get("inputs")), as_number(link.get("target_slot"))
            if 0 <= at < len(slots):
                slot = as_map(slots[at])
                found.append((as_text(node.get("type")), as_text(slot.get("name")), bool(slot.get("widget"))))
        return tuple(found)

    return Definition(drawn, tuple(as_text(entry.get("name")) for entry in inputs), tuple(map(ends, inputs)))
