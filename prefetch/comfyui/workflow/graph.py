"""A workflow as nodes and links, whatever form it was saved in. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Boundary", "Graph", "Link", "Node", "Output", "Scope", "Slot", "Stated"]

MOST_NODES = 20_000
"""How many nodes a workflow may have, those of each instance of a subgraph counted."""

MUTED, BYPASSED = 2, 4
INPUTS, OUTPUTS = "-10", "-20"
"""The ids that a subgraph's own ends have in its links."""


@dataclass(frozen=True, slots=True)
class Slot:
    """An input of a node: its link where it has one, and the widget that it stands for."""

    name: str
    type: str = "*"
    link: str | None = None
    widget: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a node, and whether any link leaves it."""

    type: str
    linked: bool


@dataclass(frozen=True, slots=True)
class Link:
    """From an output of a node to an input of another; the ids are those of one scope."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int
    type: str = "*"


@dataclass(frozen=True, slots=True)
class Boundary:
    """An end of a subgraph: an input or an output of all its instances."""

    name: str
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stated:
    """What a workflow says of a file in ``properties.models``."""

    name: str
    directory: str | None
    url: str | None
    sha256: str | None


@dataclass(slots=True, eq=False)
class Node:
    """One node of one scope.

    Attributes:
        id: where it stands: ``12``, or ``66:58`` inside instance 66 of a subgraph.
        key: its id within its scope.
        kind: its class.
        mode: 0, or 2 (muted) or 4 (bypassed).
        values: its widgets' values: a list in the widgets' order, or a mapping by their names.
        outputs: None where the form does not tell (API).
        core: whether it says that it is one of ComfyUI's own.
        inside: what a subgraph instance, or a group node, holds.
    """

    id: str
    key: str
    kind: str
    scope: Scope
    mode: int = 0
    slots: tuple[Slot, ...] = ()
    outputs: tuple[Output, ...] | None = None
    values: list[object] | Mapping[str, object] = field(default_factory=list)
    named: Mapping[str, object] = field(default_factory=dict)
    stated: tuple[Stated, ...] = ()
    core: bool = False
    inside: Scope | None = None

    @property
    def active(self) -> bool:
        """Whether it runs at all: neither it nor anything around it is muted or bypassed."""
        return self.scope.active and self.mode not in (MUTED, BYPASSED)

    def slot(self, name: str) -> Slot | None:
        """The input of this name, or the one that stands for the widget of this name."""
        return next((slot for slot in self.slots if name in (slot.widget, slot.name)), None)


@dataclass(slots=True, eq=False)
class Scope:
    """A graph in one place: the top one, or one subgraph in one instance of it.

    Attributes:
        promoted: the host's values for this subgraph's inputs, by the input's position.
        overridden: the host's values for widgets inside, by node and widget.
        group: whether it is a group node's inside, which takes part in everything its host does.
    """

    host: Node | None = None
    active: bool = True
    group: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    inputs: tuple[Boundary, ...] = ()
    outputs: tuple[Boundary, ...] = ()
    promoted: dict[int, object] = field(default_factory=dict)
    overridden: dict[tuple[str, str], object] = field(default_factory=dict)

    def walk(self) -> Iterator[Node]:
        """Every node of this graph and of those inside it, outer ones first."""
        pending = [self]
        while pending:
            for node in pending.pop().nodes.values():
                yield node
                if node.inside is not None:
                    pending.append(node.inside)


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole workflow.

    Attributes:
        stated: what is stated for it as a whole.
        warnings: sentences about what is odd in how it is drawn.
    """

    top: Scope
    stated: tuple[Stated, ...] = ()
    warnings: tuple[str, ...] = ()
