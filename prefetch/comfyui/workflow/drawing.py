"""A graph as it is drawn: its nodes, links and groups, and where the nodes stand. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefetch.comfyui.workflow.graph import BYPASSED, INPUTS, MUTED, Link
from prefetch.comfyui.workflow.reading import as_list, as_map, as_text, key_of

__all__ = ["Drawing"]

_TITLE_HEIGHT, _COLLAPSED_WIDTH = 30.0, 80.0
"""Of a node's title, which stands above its position, and of a node folded to its title (the page's own figures)."""

_MOST_GROUPS = 500
_FARTHEST = 1e9

_Box = tuple[float, float, float, float]


class Drawing:
    """One graph, the top one or a subgraph's definition.

    Attributes:
        nodes: its nodes by their ids.
        links: its links by their ids.
        outputs: for a subgraph, its outputs.
    """

    def __init__(self, drawn: Mapping[str, Any], links: Mapping[str, Link]) -> None:
        self.nodes = {key_of(as_map(node).get("id")): as_map(node) for node in as_list(drawn.get("nodes"))}
        self.outputs = [as_map(entry) for entry in as_list(drawn.get("outputs"))]
        self.links = links
        groups = [as_map(group) for group in as_list(drawn.get("groups"))[:_MOST_GROUPS]]
        self._titles = [as_text(group.get("title")) for group in groups]
        self._boxes = [_box(as_list(group.get("bounding"))) for group in groups]
        self._sources: dict[str, Link | None] = {}
        self._around: dict[str, frozenset[int]] = {}

    def is_live(self, key: str) -> bool:
        """Whether a node is there and neither muted nor bypassed; the graph's own inputs always are."""
        return key == INPUTS or (key in self.nodes and self.nodes[key].get("mode") not in (MUTED, BYPASSED))

    def source(self, link_id: object) -> Link | None:
        """The link that a value comes by, bypassed nodes left behind; None where there is no value."""
        passed: dict[str, None] = {}
        key, found = key_of(link_id), self.links.get(key_of(link_id))
        while found is not None and key not in passed:
            if key in self._sources:
                found = self._sources[key]
                break
            passed[key] = None
            node = self.nodes.get(found.origin)
            if node is None or node.get("mode") != BYPASSED:
                break
            key = _across(node, found)
            found = self.links.get(key)
        self._sources.update(dict.fromkeys(passed, found))
        return found

    def output_type(self, link: Link) -> str:
        """The type that the output has where a link begins; empty where the drawing does not say."""
        outputs = as_list(self.nodes.get(link.origin, {}).get("outputs"))
        return as_text(as_map(outputs[link.origin_slot]).get("type")) if 0 <= link.origin_slot < len(outputs) else ""

    def groups_around(self, key: str) -> frozenset[int]:
        """The groups, by their position, that a node's centre lies in: nothing but the drawing says it."""
        if key not in self._around:
            centre = _centre(self.nodes.get(key, {}))
            self._around[key] = frozenset(at for at, box in enumerate(self._boxes) if _holds(box, centre))
        return self._around[key]

    def titles_around(self, key: str) -> list[str]:
        """The titles of these groups."""
        return [self._titles[at] for at in self.groups_around(key)]


def _across(node: Mapping[str, Any], link: Link) -> str:
    """The link that a bypassed node passes on to this one: of the type's inputs, the one across from it first."""
    slots, at = [as_map(slot) for slot in as_list(node.get("inputs"))], link.origin_slot
    slots = [*slots[at : at + 1], *slots] if at >= 0 else slots
    fitting = (slot for slot in slots if link.type == "*" or slot.get("type") in (link.type, "*"))
    return key_of(next(fitting, {}).get("link"))


def _holds(box: _Box | None, point: tuple[float, float] | None) -> bool:
    if box is None or point is None:
        return False
    left, top, width, height = box
    return left <= point[0] <= left + width and top <= point[1] <= top + height


def _centre(node: Mapping[str, Any]) -> tuple[float, float] | None:
    place, size = _pair(node.get("pos")), _pair(node.get("size")) or (0.0, 0.0)
    if place is None:
        return None
    width, height = (_COLLAPSED_WIDTH, 0.0) if as_map(node.get("flags")).get("collapsed") else size
    return place[0] + width / 2, place[1] + (height - _TITLE_HEIGHT) / 2


def _box(bounding: list[Any]) -> _Box | None:
    corner, size = _pair(bounding[:2]), _pair(bounding[2:4])
    return None if corner is None or size is None else (*corner, *size)


def _pair(value: object) -> tuple[float, float] | None:
    """Two numbers of a list, or of the mapping ``{"0": x, "1": y}`` that older pages saved."""
    pair = [value.get("0"), value.get("1")] if isinstance(value, dict) else as_list(value)[:2]
    numbers = [float(n) for n in pair if isinstance(n, int | float) and abs(n) < _FARTHEST]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None
