"""Which nodes lead to an output: ComfyUI runs those, and no others. Pure.

A workflow does not say which classes are outputs. One without output slots is; so is one whose name says that it saves
or shows. Of the rest, what nothing is linked to is taken for an output unless it is known, or plain from what it
makes, that it is none: better one model too many than one too few. A workflow without any is a part of one, such as a
blueprint, or ends in a node that nobody knows: then all its ends count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prefetch.comfyui.workflow.following import Wires
from prefetch.comfyui.workflow.graph import Graph, Node, Slot
from prefetch.comfyui.workflow.loaders import LoaderTable

__all__ = ["ends_of", "outputs_of", "reached", "sources_of"]

_PRESENTABLE = frozenset({"IMAGE", "STRING", "VIDEO", "AUDIO", "MASK", "*"})

_NO_END = ("notes", "getters", "setters", "reroutes", "constants", "numbers")

Asked = Callable[[Node], tuple[Slot, ...]]
"""Tells which of a node's inputs it asks for a value."""


def outputs_of(graph: Graph, wires: Wires, table: LoaderTable) -> list[Node]:
    """The active nodes for whose sake a workflow is run."""
    nodes, linked = _active(graph, wires)
    return [node for node in nodes if _is_output(node, table, linked=node in linked)]


def ends_of(graph: Graph, wires: Wires, table: LoaderTable) -> list[Node]:
    """The active nodes to which nothing is linked and that have inputs, but for loaders and what only hands on."""
    nodes, linked = _active(graph, wires)
    return [
        node
        for node in nodes
        if node not in linked
        and any(slot.link is not None for slot in node.slots)
        and node.inside is None
        and not (table.loader(node.kind) or table.chooses(node.kind))
        and not any(table.plays(role, node.kind) for role in _NO_END)
    ]


def _active(graph: Graph, wires: Wires) -> tuple[list[Node], set[Node]]:
    """The active nodes, and those of them that another one is linked to."""
    nodes = [node for node in graph.top.walk() if node.active]
    return nodes, {source for node in nodes for source in _origins(node, wires, node.slots)}


def reached(outputs: Iterable[Node], wires: Wires, asked: Asked) -> set[Node]:
    """Every active node that an output needs, outputs too."""
    pending, found = list(outputs), set[Node]()
    while pending:
        node = pending.pop()
        if node.active and node not in found:
            found.add(node)
            pending.extend(sources_of(node, wires, asked(node)))
    return found


def sources_of(node: Node, wires: Wires, slots: Iterable[Slot]) -> Iterator[Node]:
    """The nodes that run when a node does which asks these of its inputs."""
    yield from _together(node)
    yield from _origins(node, wires, slots)


def _origins(node: Node, wires: Wires, slots: Iterable[Slot]) -> Iterator[Node]:
    origins = (wires.origin(node.scope, slot.link) for slot in slots if slot.link is not None)
    return (origin.node for origin in origins if origin.node is not None)


def _together(node: Node) -> Iterator[Node]:
    """All that runs when a part of a group node does."""
    if node.inside is not None and node.inside.group:
        yield from node.inside.nodes.values()
    if node.scope.group and node.scope.host is not None:
        yield node.scope.host


def _is_output(node: Node, table: LoaderTable, *, linked: bool) -> bool:
    if node.inside is not None or any(table.plays(role, node.kind) for role in ("bystanders", "notes", "getters")):
        return False
    if table.plays("outputs", node.kind):
        return True
    if linked or any(table.plays(role, node.kind) for role in ("inner", "reroutes", "setters", "constants", "numbers")):
        return False
    if table.loader(node.kind) or table.chooses(node.kind):
        return False
    if not node.outputs:
        return True
    return not node.core and any(output.type in _PRESENTABLE for output in node.outputs)
