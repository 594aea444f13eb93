"""The form that ComfyUI's page saves, every generation of it → a graph with its subgraphs unfolded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prefetch.comfyui.workflow.broadcast import Broadcasts, Effort, broadcasts_in, connect
from prefetch.comfyui.workflow.definitions import Definitions
from prefetch.comfyui.workflow.graph import (
    BYPASSED,
    MOST_NODES,
    MUTED,
    Boundary,
    Graph,
    Link,
    Node,
    Output,
    Scope,
    Slot,
)
from prefetch.comfyui.workflow.groups import group_name, group_scope
from prefetch.comfyui.workflow.promotion import promote
from prefetch.comfyui.workflow.reading import as_list, as_map, as_number, as_text, key_of, stated_in
from prefetch.errors import UsageError

__all__ = ["read_ui"]

_DEEPEST = 32


def read_ui(document: Mapping[str, Any]) -> Graph:
    """The graph of ``{"nodes": [...], "links": [...]}``.

    Raises:
        UsageError: its subgraphs unfold to more than anyone ever drew.
    """
    reader = _Reader(document)
    return Graph(reader.top(), stated_in(document.get("models")), reader.warnings)


class _Reader:
    """Unfolds each instance of each subgraph where it stands."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._definitions = Definitions(as_map(document.get("definitions")).get("subgraphs"))
        self._groups = as_map(as_map(document.get("extra")).get("groupNodes"))
        self._broadcasts: dict[tuple[str, ...], Broadcasts] = {}
        self._effort = Effort()
        self._nodes = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd in any of the graphs."""
        return tuple(dict.fromkeys(said for found in self._broadcasts.values() for said in found.warnings))

    def top(self) -> Scope:
        scope = Scope()
        self._fill(scope, self._document, prefix="", inside=())
        return scope

    def _fill(self, scope: Scope, drawn: Mapping[str, Any], *, prefix: str, inside: tuple[str, ...]) -> None:
        scope.links = dict(_links(drawn))
        for raw in as_list(drawn.get("nodes")):
            if not isinstance(raw, dict) or not as_text(raw.get("type")):
                continue
            self._count()
            node = read_node(raw, scope, prefix)
            scope.nodes[node.key] = node
        connect(scope, self._broadcast(drawn, scope.links, inside[-1:]).links)
        for raw in as_list(drawn.get("nodes")):
            node_of_raw = scope.nodes.get(key_of(as_map(raw).get("id")))
            if node_of_raw is not None:
                self._unfold(node_of_raw, as_map(as_map(raw).get("properties")), inside)

    def _broadcast(self, drawn: Mapping[str, Any], links: Mapping[str, Link], kind: tuple[str, ...]) -> Broadcasts:
        """What is broadcast in a graph: in the top one (), or in each instance of a subgraph alike."""
        if kind not in self._broadcasts:
            self._broadcasts[kind] = broadcasts_in(drawn, links, self._effort)
        return self._broadcasts[kind]

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise UsageError(
                f"The workflow's subgraphs unfold to more than {MOST_NODES} nodes.",
                remedy="Take out subgraphs that hold each other.",
            )

    def _unfold(self, node: Node, properties: Mapping[str, Any], inside: tuple[str, ...]) -> None:
        if group := group_name(node.kind):
            node.inside = group_scope(node, as_map(self._groups.get(group)), read_node)
            return
        definition = self._definitions.get(node.kind)
        if definition is None or node.kind in inside or len(inside) >= _DEEPEST:
            return
        scope = Scope(host=node, active=node.active)
        scope.inputs = tuple(_boundaries(definition.drawn.get("inputs")))
        scope.outputs = tuple(_boundaries(definition.drawn.get("outputs")))
        promote(node, scope, self._definitions, as_list(properties.get("proxyWidgets")))
        self._fill(scope, definition.drawn, prefix=f"{node.id}:", inside=(*inside, node.kind))
        node.inside = scope


def read_node(raw: Mapping[str, Any], scope: Scope, prefix: str) -> Node:
    """One node as it is drawn, without what may be inside it."""
    properties, key, values = as_map(raw.get("properties")), key_of(raw.get("id")), raw.get("widgets_values")
    mode = as_number(raw.get("mode"))
    return Node(
        id=prefix + key,
        key=key,
        kind=as_text(raw.get("type")),
        scope=scope,
        mode=mode if mode in (MUTED, BYPASSED) else 0,
        slots=tuple(_slot(as_map(slot)) for slot in as_list(raw.get("inputs"))),
        outputs=tuple(_output(as_map(output)) for output in as_list(raw.get("outputs"))),
        values=values if isinstance(values, list | dict) else [],
        named=as_map(raw.get("widgets_values_named")),
        stated=stated_in(properties.get("models")),
        core=properties.get("cnr_id") == "comfy-core",
    )


def _slot(raw: Mapping[str, Any]) -> Slot:
    widget = raw.get("widget")
    name = as_text(as_map(widget).get("name")) or as_text(widget)
    return Slot(as_text(raw.get("name")), as_text(raw.get("type")) or "*", _link_id(raw.get("link")), name or None)


def _output(raw: Mapping[str, Any]) -> Output:
    return Output(as_text(raw.get("type")) or "*", bool(as_list(raw.get("links"))))


def _link_id(value: object) -> str | None:
    return key_of(value) or None


def _links(drawn: Mapping[str, Any]) -> Iterator[tuple[str, Link]]:
    """The links of a graph, without those that were drawn for a broadcast while it ran."""
    temporary = set(map(key_of, as_list(as_map(drawn.get("extra")).get("links_added_by_ue"))))
    raw = drawn.get("links")
    for entry in raw if isinstance(raw, list) else list(as_map(raw).values()):
        if isinstance(entry, dict):
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
            fields = [entry.get(name) for name in names]
        else:
            fields = [*as_list(entry)[:6], None][:6]
        if len(fields) == 6 and key_of(fields[0]) not in temporary:
            start, end = key_of(fields[1]), key_of(fields[3])
            link = Link(start, as_number(fields[2]), end, as_number(fields[4]), as_text(fields[5]) or "*")
            yield key_of(fields[0]), link


def _boundaries(raw: object) -> Iterator[Boundary]:
    for entry in map(as_map, as_list(raw)):
        yield Boundary(as_text(entry.get("name")), tuple(key_of(link) for link in as_list(entry.get("linkIds"))))
