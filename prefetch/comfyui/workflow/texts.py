"""The text that reaches an input: its own, or what links bring through nodes that hold, join and show texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prefetch.comfyui.workflow.branches import Branches, Wire
from prefetch.comfyui.workflow.following import MISSING, Wires
from prefetch.comfyui.workflow.graph import Node
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.names import unwrapped
from prefetch.comfyui.workflow.widgets import Placed

__all__ = ["Text", "Texts", "held_texts"]


@dataclass(frozen=True, slots=True)
class Text:
    """What is known of a text before a run.

    Attributes:
        parts: the texts that it is made of, and those of the nodes that make the rest of it.
        makers: the nodes of which only a run tells what they make.
    """

    parts: tuple[str, ...]
    makers: tuple[Node, ...] = ()


class Texts:
    """Follows the texts of one workflow."""

    def __init__(self, table: LoaderTable, wires: Wires, branches: Branches) -> None:
        self._table, self._wires, self._branches = table, wires, branches

    def of(self, node: Node, found: Placed) -> Text:
        """The text of an input: of its link where it has one, else its own."""
        slot = node.slot(found.name)
        own = node.scope.overridden.get((node.key, found.name), found.value)
        if slot is None or slot.link is None:
            return Text(tuple(_texts(own)))
        parts, makers = list[str](), list[Node]()
        pending: list[Wire] = [(node.scope, slot.link, None)]
        seen: set[object] = set()
        while pending:
            wire = pending.pop()
            origin = self._wires.origin(wire[0], wire[1])
            maker, at = origin.node, origin.output if wire[2] is None else wire[2]
            if maker is None:
                parts += _texts(own if origin.promoted is MISSING else origin.promoted)
            elif (maker, at) not in seen:
                seen.add((maker, at))
                pending += self._made_by(maker, origin.output, wire[2], parts, makers)
            own = None
        return Text(tuple(dict.fromkeys(parts)), tuple(dict.fromkeys(makers)))

    def _made_by(
        self, maker: Node, output: int, carried: int | None, parts: list[str], makers: list[Node]
    ) -> list[Wire]:
        """Note what a node adds to a text; the links to go on with."""
        if (way := self._branches.behind(maker, output, carried=carried)) is not None:
            parts += [text for value in way.values for text in _texts(value)]
            return list(way.links)
        parts += held_texts(maker)
        if self._passes_on(maker):
            return [(maker.scope, slot.link, None) for slot in maker.slots if slot.link is not None]
        if self._table.loader(maker.kind) is None:
            # A loader that tells what it loaded is asked itself.
            makers.append(maker)
        return []

    def _passes_on(self, node: Node) -> bool:
        return any(self._table.plays(role, node.kind) for role in ("constants", "texts", "reroutes"))


def held_texts(node: Node) -> list[str]:
    """A node's own texts, those that its host sets among them."""
    values = list(node.values.values()) if isinstance(node.values, Mapping) else list(node.values)
    said = [value for (key, _), value in node.scope.overridden.items() if key == node.key]
    return [text for value in (*values, *said) for text in _texts(value)]


def _texts(value: object) -> Iterator[str]:
    value = unwrapped(value)
    if isinstance(value, str):
        yield value
