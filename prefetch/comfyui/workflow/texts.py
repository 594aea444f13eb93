"""The text that reaches an input: its own, or what links bring through nodes that hold, join and show texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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

    def __init__(self, table: LoaderTable, wires: Wires) -> None:
        self._table, self._wires = table, wires

    def of(self, node: Node, found: Placed) -> Text:
        """The text of an input: of its link where it has one, else its own."""
        slot = node.slot(found.name)
        own = node.scope.overridden.get((node.key, found.name), found.value)
        if slot is None or slot.link is None:
            return Text(tuple(_texts(own)))
        parts, pending = self._behind(node, slot.link, own)
        makers, seen = [], set()
        while pending:
            maker = pending.pop()
            if maker in seen:
                continue
            seen.add(maker)
            parts += held_texts(maker)
            if self._passes_on(maker):
                for each in maker.slots:
                    said, further = self._behind(maker, each.link, None)
                    parts, pending = parts + said, pending + further
            elif self._table.loader(maker.kind) is None:
                # A loader that tells what it loaded is asked itself.
                makers.append(maker)
        return Text(tuple(dict.fromkeys(parts)), tuple(makers))

    def _behind(self, node: Node, link: str | None, own: object) -> tuple[list[str], list[Node]]:
        """The text at a link's beginning, or the node that makes it."""
        if link is None:
            return [], []
        origin = self._wires.origin(node.scope, link)
        if origin.node is not None:
            return [], [origin.node]
        return list(_texts(own if origin.promoted is MISSING else origin.promoted)), []

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
