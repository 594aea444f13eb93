"""Where a link really comes from: through reroutes, bypassed nodes, Get and Set nodes and subgraphs' walls. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from prefetch.comfyui.workflow.graph import BYPASSED, INPUTS, MUTED, Node, Scope
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.widgets import first_text

__all__ = ["MISSING", "Origin", "Wires"]

MISSING = object()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a link starts.

    Attributes:
        node: None where the link is cut.
        promoted: what the outermost host on the way says instead of it.
        output: the node's output.
    """

    node: Node | None
    promoted: object = MISSING
    output: int = -1


_Wire = tuple[Scope, str | None]


class Wires:
    """The links of one workflow. Each is followed once, however many nodes hang on it."""

    def __init__(self, table: LoaderTable) -> None:
        self._table = table
        self._origins: dict[_Wire, Origin] = {}
        self._setters: dict[Scope, dict[str, Node]] = {}

    def origin(self, scope: Scope, link: str | None) -> Origin:
        """Follow a link of ``scope`` back to the node that makes its value."""
        wire: _Wire = (scope, link)
        way: dict[_Wire, object] = {}
        start, promoted = Origin(None), MISSING
        while wire[1] is not None and wire not in way:
            if known := self._origins.get(wire):
                start, promoted = known, known.promoted
                break
            way[wire] = MISSING
            start, further = self._step(*wire)
            way[wire] = start.promoted
            if further is None:
                break
            wire = further
        # What is met last stands outermost, and wins over all before it.
        for passed, said in reversed(way.items()):
            promoted = said if promoted is MISSING else promoted
            self._origins[passed] = Origin(start.node, promoted, start.output)
        return self._origins.get((scope, link), Origin(None))

    def _step(self, scope: Scope, link: str | None) -> tuple[Origin, _Wire | None]:
        """What a link begins with, a host's word for it among that, and the link to go on with."""
        found = scope.links.get(link or "")
        if found is None:
            return Origin(None), None
        if found.origin == INPUTS:
            said = scope.promoted.get(found.origin_slot, MISSING)
            return Origin(None, said), _outside(scope, found.origin_slot)
        node = scope.nodes.get(found.origin)
        if node is None or node.mode == MUTED:
            return Origin(None), None
        further = self._through(node, found.origin_slot)
        return (Origin(node, output=found.origin_slot), None) if further is None else (Origin(None), further)

    def _through(self, node: Node, output: int) -> _Wire | None:
        """The link behind a node that only passes on; None for one that makes something."""
        if node.mode == BYPASSED:
            return node.scope, _bypass(node, output)
        if node.inside is not None and not node.inside.group:
            ends = node.inside.outputs
            links = ends[output].links if 0 <= output < len(ends) else ()
            return node.inside, links[0] if links else None
        if self._table.plays("getters", node.kind):
            setter = self._setter(node)
            return (setter.scope, _first_link(setter)) if setter else (node.scope, None)
        if self._table.plays("reroutes", node.kind) or self._table.plays("setters", node.kind):
            return node.scope, _first_link(node)
        return None

    def _setter(self, getter: Node) -> Node | None:
        """The Set node of the same name, in this graph or in one around it."""
        name, scope = first_text(getter), getter.scope
        while True:
            found = self._setters_of(scope).get(name)
            if found is not None or scope.host is None:
                return found
            scope = scope.host.scope

    def _setters_of(self, scope: Scope) -> dict[str, Node]:
        if scope not in self._setters:
            nodes = [node for node in scope.nodes.values() if node.mode == 0]
            self._setters[scope] = {first_text(n): n for n in nodes if self._table.plays("setters", n.kind)}
        return self._setters[scope]


def _outside(scope: Scope, position: int) -> _Wire | None:
    host = scope.host
    if host is None or not 0 <= position < len(scope.inputs):
        return None
    slot = next((slot for slot in host.slots if slot.name == scope.inputs[position].name), None)
    return None if slot is None else (host.scope, slot.link)


def _bypass(node: Node, output: int) -> str | None:
    """What a bypassed node passes on: the input of the output's type, the one across from it first."""
    outputs = node.outputs or ()
    kind = outputs[output].type if 0 <= output < len(outputs) else "*"
    across = node.slots[output : output + 1] if output >= 0 else ()
    fitting = [slot for slot in (*across, *node.slots) if kind == "*" or slot.type in (kind, "*")]
    return fitting[0].link if fitting else None


def _first_link(node: Node) -> str | None:
    return next((slot.link for slot in node.slots if slot.link is not None), None)
