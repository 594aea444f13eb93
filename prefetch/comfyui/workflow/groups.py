"""Group nodes, which were before subgraphs: one node with the widgets of all nodes inside it in a row. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefetch.comfyui.workflow.graph import Link, Node, Scope
from prefetch.comfyui.workflow.names import is_model_name
from prefetch.comfyui.workflow.reading import as_list, as_map, as_number, key_of

__all__ = ["group_name", "group_scope"]

Reader = Callable[[Mapping[str, Any], Scope, str], Node]


def group_name(kind: str) -> str | None:
    """The name of the group that a node of this class is one of."""
    return kind[len("workflow/") :] if kind.startswith(("workflow/", "workflow>")) else None


def group_scope(host: Node, definition: Mapping[str, Any], read_node: Reader) -> Scope:
    """What is inside a group node, with the host's values in place of the definition's, which are stale."""
    scope = Scope(host=host, active=host.active, group=True)
    drawn = [as_map(raw) for raw in as_list(definition.get("nodes"))]
    for number, raw in enumerate(drawn):
        node = read_node({**raw, "id": number, "inputs": _unlinked(raw)}, scope, f"{host.id}:")
        scope.nodes[node.key] = node
    for number, link in enumerate(as_list(definition.get("links"))):
        _connect(scope, f"link {number}", as_list(link))
    for key, values in _split(host, [as_list(raw.get("widgets_values")) for raw in drawn]).items():
        scope.nodes[key].values = values
    return scope


def _unlinked(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**as_map(slot), "link": None} for slot in as_list(raw.get("inputs"))]


def _connect(scope: Scope, number: str, fields: Sequence[object]) -> None:
    if len(fields) < 4:
        return
    origin, target, at = key_of(fields[0]), scope.nodes.get(key_of(fields[2])), as_number(fields[3])
    if origin not in scope.nodes or target is None or not 0 <= at < len(target.slots):
        return
    scope.links[number] = Link(origin, as_number(fields[1]), target.key, at)
    slot = replace(target.slots[at], link=number)
    target.slots = (*target.slots[:at], slot, *target.slots[at + 1 :])


def _split(host: Node, stale: Sequence[list[object]]) -> dict[str, list[object]]:
    """The host's row of values cut into each inner node's; where the lengths differ, file names go by their order."""
    row = list(host.values) if isinstance(host.values, list) else list(host.values.values())
    if len(row) == sum(map(len, stale)):
        cut = iter(row)
        return {str(number): [next(cut) for _ in values] for number, values in enumerate(stale)}
    files = [value for value in row if is_model_name(value)]
    if len(files) != sum(is_model_name(value) for values in stale for value in values):
        # Whose they are cannot be told: the stale ones must not pass for them.
        return {str(n): [] for n, values in enumerate(stale) if any(map(is_model_name, values))}
    fresh = iter(files)
    return {
        str(number): [next(fresh) if is_model_name(value) else value for value in values]
        for number, values in enumerate(stale)
    }
