"""What arrives at an input by its link: the value that was chosen, or those of which a run chooses one. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from prefetch.comfyui.workflow.branches import Branches, Wire
from prefetch.comfyui.workflow.entry import Widget
from prefetch.comfyui.workflow.following import MISSING, Origin, Wires
from prefetch.comfyui.workflow.graph import Node, Scope
from prefetch.comfyui.workflow.held import own_value
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.names import unwrapped
from prefetch.comfyui.workflow.widgets import first_text

__all__ = ["Arrival", "Arriving"]

_CHANGES = frozenset({"randomize", "increment", "decrement"})
"""What stands beside the value of a primitive that has another one in each run."""

_MOST_STEPS = 500
"""So far is a value followed through nodes that hand it on; nobody draws longer ways."""


@dataclass(slots=True)
class Arrival:
    """What is known of the value that a link brings.

    Attributes:
        values: what it is, or may be.
        deciders: the switches of which only a run tells what they take.
        makers: the nodes of which only a run tells what they make.
        chosen: whether a node that chooses a file by itself sends its name.
        changes: whether it is another one in each run.
    """

    values: list[object]
    deciders: list[Node]
    makers: list[Node]
    chosen: bool = False
    changes: bool = False

    @property
    def is_known(self) -> bool:
        """Whether there is one value, the same in every run."""
        alike = len(set(map(repr, self.values))) == 1
        return alike and not (self.makers or self.chosen or self.changes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing comes by the link: it hangs in the air."""
        return not (self.values or self.deciders or self.makers or self.chosen)


class Arriving:
    """Follows the values of one workflow back to where they stand."""

    def __init__(self, table: LoaderTable, wires: Wires) -> None:
        self._table, self._wires = table, wires
        self.branches = Branches(table, wires, self.value)

    def by(self, scope: Scope, link: str) -> Arrival:
        """What a link of this graph brings."""
        found = Arrival([], [], [])
        pending: deque[Wire] = deque([(scope, link, None)])
        seen: set[Wire] = set()
        while pending:
            wire = pending.popleft()
            if wire in seen:
                continue
            seen.add(wire)
            origin = self._wires.origin(wire[0], wire[1])
            if len(seen) > _MOST_STEPS and origin.node is not None:
                found.makers.append(origin.node)
                break
            pending.extend(self._step(origin, wire[2], found))
        return found

    def value(self, node: Node, widget: Widget) -> object:
        """The value of a node's widget, or of the link to it; `MISSING` where only a run tells it."""
        slot = node.slot(widget.name)
        if slot is None or slot.link is None:
            return unwrapped(own_value(node, widget))
        found = self.by(node.scope, slot.link)
        if found.is_empty:
            return unwrapped(own_value(node, widget))
        return found.values[0] if found.is_known else MISSING

    def _step(self, origin: Origin, output: int | None, found: Arrival) -> list[Wire]:
        """Note what a link begins with; the links to go on with where it only hands on."""
        node = origin.node
        if node is None:
            found.values.extend([] if origin.promoted is MISSING else [unwrapped(origin.promoted)])
            return []
        if self._table.plays("constants", node.kind) or self._table.plays("numbers", node.kind):
            return self._constant(node, found)
        way = self.branches.behind(node, origin.output, carried=output)
        if way is not None:
            found.values.extend(unwrapped(value) for value in way.values)
            found.deciders.extend([] if way.decided else [node])
            return list(way.links)
        if self._table.loader(node.kind) is not None and node.active:
            found.chosen = True
        else:
            found.makers.append(node)
        return []

    def _constant(self, node: Node, found: Arrival) -> list[Wire]:
        """The value in a node that hands it out; or the link to it."""
        fed = [slot.link for slot in node.slots if slot.link is not None and self._is_fed(node, slot.link)]
        if len(fed) == 1:
            return [(node.scope, fed[0], None)]
        if fed:
            found.makers.append(node)
            return []
        said = [value for (key, _), value in node.scope.overridden.items() if key == node.key]
        held = list(node.values.values()) if not isinstance(node.values, list) else node.values
        text = next((value for value in said if isinstance(value, str)), first_text(node))
        value = next(iter([*said, *held]), "")
        found.values.extend(each for each in [text if isinstance(value, str) else value] if each != "")
        found.changes |= any(isinstance(each, str) and each in _CHANGES for each in held[1:2])
        return []

    def _is_fed(self, node: Node, link: str) -> bool:
        origin = self._wires.origin(node.scope, link)
        return origin.promoted is not MISSING if origin.node is None else origin.node is not node
