"""Links that nobody drew: what nodes broadcast (cg-use-everywhere) → the links that ComfyUI's page sends. Pure.

A graph may hold the links as they were when it was saved (``extra.ue_links``); else the senders' own rules tell them.
Nothing crosses a subgraph's walls but through its inputs and outputs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prefetch.comfyui.workflow.broadcasters import Broadcast, Target, broadcasts_of, is_broadcaster
from prefetch.comfyui.workflow.drawing import Drawing
from prefetch.comfyui.workflow.graph import MUTED, OUTPUTS, Boundary, Link, Scope
from prefetch.comfyui.workflow.reading import as_list, as_map, as_number, as_text, key_of
from prefetch.errors import UsageError

__all__ = ["Broadcasts", "Effort", "broadcasts_in", "connect"]

_MOST_EFFORT = 200_000
_EXPRESSION_EFFORT = 40
"""What it costs to try expressions, compared with looking at two types."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Broadcasts:
    """The links that one graph's senders make, and sentences on inputs that two of them want alike."""

    links: tuple[Link, ...] = ()
    warnings: tuple[str, ...] = ()


class Effort:
    """How much was compared in all graphs of one workflow."""

    def __init__(self) -> None:
        self._spent = 0

    def spend(self, sent: Broadcast) -> None:
        """Count a comparison with a sender.

        Raises:
            UsageError: there are more senders and inputs to compare than anyone ever drew.
        """
        self._spent += 1 if sent.is_plain else _EXPRESSION_EFFORT
        if self._spent > _MOST_EFFORT:
            raise UsageError(
                "The workflow's nodes broadcast to more inputs than anyone ever drew.",
                remedy="Export the workflow for the API: there the links are real ones.",
            )


def broadcasts_in(drawn: Mapping[str, Any], links: Mapping[str, Link], effort: Effort) -> Broadcasts:
    """What is broadcast in one graph, beside the links that are drawn in it.

    Raises:
        UsageError: with this graph, it is more than anyone ever drew.
    """
    drawing = Drawing(drawn, links)
    recorded = as_list(as_map(drawn.get("extra")).get("ue_links"))
    if recorded and _is_fresh(recorded, drawing):
        return Broadcasts(tuple(_recorded(recorded, list(_targets(drawing)))))
    senders = [broadcast for key in drawing.nodes for broadcast in broadcasts_of(key, drawing)]
    return _Matching(drawing, senders, effort).all(_targets(drawing)) if senders else Broadcasts()


def connect(scope: Scope, links: tuple[Link, ...]) -> None:
    """Enter the links of broadcasts into a graph."""
    inputs: dict[str, dict[int, str]] = defaultdict(dict)
    for number, link in enumerate(links):
        scope.links[f"broadcast {number}"] = link
        inputs[link.target][link.target_slot] = f"broadcast {number}"
    for key, by_position in inputs.items():
        if key == OUTPUTS:
            scope.outputs = tuple(_ended(end, by_position.get(at)) for at, end in enumerate(scope.outputs))
        elif node := scope.nodes.get(key):
            node.slots = tuple(replace(slot, link=by_position.get(at, slot.link)) for at, slot in enumerate(node.slots))


def _ended(end: Boundary, link: str | None) -> Boundary:
    return end if link is None else replace(end, links=(link,))


class _Matching:
    """Who gets what: the sender of the highest priority, and none where two have the same."""

    def __init__(self, drawing: Drawing, senders: list[Broadcast], effort: Effort) -> None:
        self._drawing, self._effort = drawing, effort
        self._by_type: dict[str, list[Broadcast]] = defaultdict(list)
        for sent in sorted(senders, key=lambda sent: -sent.priority):
            for kind in sent.types:
                self._by_type[kind].append(sent)
        self._warnings: list[str] = []

    def all(self, targets: Iterable[Target]) -> Broadcasts:
        links = [link for target in targets for link in self._link(target)]
        return Broadcasts(tuple(links), tuple(self._warnings))

    def _link(self, target: Target) -> Iterator[Link]:
        best = self._best(target)
        if len(best) > 1:
            self._warnings.append(_tie(target, best))
        elif best:
            yield Link(best[0].origin, best[0].origin_slot, target.key, target.at, best[0].type)

    def _best(self, target: Target) -> list[Broadcast]:
        """The senders of the highest priority that the target fits; no more than two are looked for."""
        found: list[Broadcast] = []
        for sent in self._by_type.get(target.type, ()):
            if len(found) == 2 or (found and sent.priority < found[0].priority):
                break
            self._effort.spend(sent)
            if sent.fits(target, self._drawing):
                found.append(sent)
        return found


def _tie(target: Target, best: list[Broadcast]) -> str:
    where = "the subgraph's output" if target.key == OUTPUTS else f"node {target.key} ({target.titles[0]}), input"
    senders = f"nodes {best[0].rules.sender} and {best[1].rules.sender}"
    return f"{where} {target.shown}: gets nothing, as {senders} broadcast to it with the same priority."


def _targets(drawing: Drawing) -> Iterator[Target]:
    """The inputs without a value: of nodes that are not muted, and a subgraph's own outputs without a link."""
    for key, node in drawing.nodes.items():
        properties = as_map(node.get("properties"))
        if node.get("mode") == MUTED or is_broadcaster(node) or properties.get("rejects_ue_links"):
            continue
        for at, slot in enumerate(map(as_map, as_list(node.get("inputs")))):
            if drawing.source(slot.get("link")) is None:
                yield _target(key, at, slot, _titles(node), node.get("color"), _is_open(slot, properties))
    for at, end in enumerate(drawing.outputs):
        if not any(key_of(link) in drawing.links for link in as_list(end.get("linkIds"))):
            yield _target(OUTPUTS, at, end, ("subgraph output node",), None, True)


def _target(
    key: str, at: int, slot: Mapping[str, Any], titles: tuple[str, ...], color: object, is_open: bool | None
) -> Target:
    name, label = as_text(slot.get("name")), as_text(slot.get("label"))
    return Target(
        key=key,
        at=at,
        type=as_text(slot.get("type")),
        titles=titles,
        shown=label or as_text(slot.get("localized_name")) or name,
        name=label or name,
        color=color,
        open=is_open,
    )


def _is_open(slot: Mapping[str, Any], properties: Mapping[str, Any]) -> bool | None:
    said, name = as_map(properties.get("ue_properties")), as_text(slot.get("name"))
    if not slot.get("widget"):
        return not as_map(said.get("input_ue_unconnectable")).get(name)
    widgets = said.get("widget_ue_connectable", properties.get("widget_ue_connectable"))
    return None if widgets is None else bool(as_map(widgets).get(name))


def _titles(node: Mapping[str, Any]) -> tuple[str, ...]:
    """A node's title; where it has its class's, which only the class knows, the class's name and that in words."""
    if title := as_text(node.get("title")):
        return (title,)
    kind = as_text(node.get("type"))
    called = as_text(as_map(node.get("properties")).get("Node name for S&R"))
    return tuple(dict.fromkeys(filter(None, (kind, called, _WORDS.sub(" ", kind)))))


def _recorded(recorded: list[Any], targets: list[Target]) -> Iterator[Link]:
    """The recorded links whose target lacks a value."""
    lacking = {(target.key, target.at): target for target in targets}
    ends = [target for target in targets if target.key == OUTPUTS]
    for said in map(as_map, recorded):
        key, at = key_of(said.get("downstream")), as_number(said.get("downstream_slot"))
        target = lacking.get((key, at))
        if target is None and key == OUTPUTS and 0 <= at < len(ends):
            target = ends[at]  # the pack counts those without a link only
        if target is not None:
            origin, slot = key_of(said.get("upstream")), as_number(said.get("upstream_slot"))
            yield Link(origin, slot, target.key, target.at, target.type)


def _is_fresh(recorded: list[Any], drawing: Drawing) -> bool:
    """Whether all that sends by a record still does: the page forgets a record when a node is muted or deleted."""
    ends = (said.get(name) for said in map(as_map, recorded) for name in ("upstream", "controller") if name in said)
    return all(drawing.is_live(key_of(end)) for end in ends)
