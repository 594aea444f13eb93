"""Which nodes every run of a workflow runs, which only some do, and at which ComfyUI looks before it takes it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from prefetch.comfyui.workflow.branches import Branches
from prefetch.comfyui.workflow.following import Wires
from prefetch.comfyui.workflow.graph import Graph, Node, Slot
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.reach import ends_of, outputs_of, reached, sources_of

__all__ = ["Runs"]

_MOST_LOOKED_AT = 200


class Runs:
    """The nodes of one workflow by when they run.

    Attributes:
        sometimes: those that an output may need.
        assumed: whether the ends of the graph are taken for outputs, for it looks like a part of a workflow.
        linked: those that are linked to an output, by branches too that no run takes, but for those that are cut.
    """

    def __init__(self, graph: Graph, wires: Wires, table: LoaderTable, branches: Branches) -> None:
        self._wires, self._table, self._branches = wires, table, branches
        self._outputs = outputs_of(graph, wires, table)
        # What only previews itself, in a subgraph beside which nothing stands, is a blueprint all the same.
        is_part = not graph.top.links and all(node.scope.host is not None for node in self._outputs)
        ends = ends_of(graph, wires, table) if is_part or not self._outputs else []
        self.assumed = not set(ends) <= set(self._outputs)
        self._outputs += ends
        self.sometimes = reached(self._outputs, wires, branches.asked)
        self.linked = reached(self._outputs, wires, branches.looked_at)
        self._open = {node for node in self.sometimes if not branches.is_decided(node)}
        self._kept_out = self._find_kept_out()
        self._consumers: dict[Node, list[Node]] | None = None
        self._parts: dict[Node, list[set[Node]]] = {}
        self._known: dict[Node, bool] = {}

    def always(self, node: Node) -> bool:
        """Whether an output needs a node whatever a run chooses."""
        if node not in self.sometimes or node in self._kept_out:
            return False
        if not self._open:
            return True
        # Of so many that nobody asks for, what some runs need passes for what all need: better one model too many.
        if node not in self._known and len(self._known) < _MOST_LOOKED_AT:
            self._known[node] = self._forces(node)
        return self._known.get(node, True)

    def _find_kept_out(self) -> set[Node]:
        """The nodes that a split keeps from running, and those that only run when these do."""
        found = set[Node]()
        behind: dict[Node, list[Node]] = defaultdict(list)
        for node in self.sometimes:
            for slot in self._branches.asked(node):
                origin = self._wires.origin(node.scope, slot.link)
                if origin.node is not None:
                    behind[origin.node].append(node)
                    if self._branches.is_kept_out(origin.node, origin.output):
                        found.add(node)
        pending = list(found)
        while pending:
            new = [node for node in behind[pending.pop()] if node not in found]
            found.update(new)
            pending += new
        return found

    def _forces(self, node: Node) -> bool:
        """Whether no choice of all switches avoids a node: what asks it does not, and a switch only in all branches."""
        if self._consumers is None:
            self._consumers = defaultdict(list)
            for consumer in self.sometimes:
                for source in sources_of(consumer, self._wires, self._branches.asked(consumer)):
                    self._consumers[source].append(consumer)
        forced, pending = {node}, [node]
        while pending:
            for consumer in self._consumers[pending.pop()]:
                if consumer not in forced and self._is_forced(consumer, forced):
                    forced.add(consumer)
                    pending.append(consumer)
        return not forced.isdisjoint(self._outputs)

    def _is_forced(self, node: Node, forced: set[Node]) -> bool:
        if node not in self._open:
            return True
        if node not in self._parts:
            self._parts[node] = [set(sources_of(node, self._wires, slots)) for slots in self._parts_of(node)]
        rest, *branches = self._parts[node]
        if len(branches) > _MOST_LOOKED_AT or not rest.isdisjoint(forced):
            return True
        return bool(branches) and not any(branch.isdisjoint(forced) for branch in branches)

    def _parts_of(self, node: Node) -> Iterator[tuple[Slot, ...]]:
        """What an undecided switch asks in any case, and then the inputs of each branch that has a link."""
        switch = self._table.switches[node.kind]
        patterns = [switch.pattern(output) for output in range(switch.outputs)]
        taken = [any(pattern.fullmatch(slot.name) for pattern in patterns) for slot in node.slots]
        yield tuple(slot for slot, may in zip(node.slots, taken, strict=True) if not may)
        linked = [slot for slot, may in zip(node.slots, taken, strict=True) if may and slot.link is not None]
        for case in switch.cases:
            if case.value == "*":
                yield from ((slot,) for slot in linked)
            elif found := tuple(slot for slot in linked if slot.name in {each.name for each in case.inputs}):
                yield found
