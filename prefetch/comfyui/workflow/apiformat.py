"""The form that is sent to ComfyUI's server (API format) → a graph. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefetch.comfyui.workflow.graph import MOST_NODES, Graph, Link, Node, Scope, Slot
from prefetch.comfyui.workflow.reading import as_map, as_text, key_of
from prefetch.errors import UsageError

__all__ = ["read_api"]


def read_api(document: Mapping[str, Any]) -> Graph:
    """The graph of ``{"12": {"class_type": …, "inputs": {…}}, …}``; anything else in it is passed over.

    Raises:
        UsageError: it has more nodes than anyone ever drew.
    """
    scope = Scope()
    for key, raw in document.items():
        kind = as_text(as_map(raw).get("class_type"))
        if kind:
            if len(scope.nodes) == MOST_NODES:
                raise UsageError(
                    f"The workflow has more than {MOST_NODES} nodes.", remedy="Give the workflow of one task alone."
                )
            scope.nodes[key] = _node(key, kind, as_map(raw["inputs"]) if "inputs" in raw else {}, scope)
    return Graph(scope)


def _node(key: str, kind: str, inputs: Mapping[str, Any], scope: Scope) -> Node:
    slots: list[Slot] = []
    values: dict[str, object] = {}
    for name, value in inputs.items():
        if _is_link(value):
            link = f"{key}.{name}"
            scope.links[link] = Link(key_of(value[0]), value[1], key, len(slots))
            slots.append(Slot(name, link=link))
        else:
            values[name] = value
    return Node(id=key, key=key, kind=kind, scope=scope, slots=tuple(slots), values=values)


def _is_link(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str | int)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )
