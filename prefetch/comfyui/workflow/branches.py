"""Which of its inputs a switch takes, and where the values of a context come from, as far as a look can tell. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prefetch.comfyui.workflow.entry import Widget
from prefetch.comfyui.workflow.following import MISSING, Wires
from prefetch.comfyui.workflow.graph import Node, Scope, Slot
from prefetch.comfyui.workflow.held import has_input, own_value, plain_text
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.switches import Case, Context, Switch

__all__ = ["Branches", "Way", "Wire"]

_MOST_LOOKED_AT = 2_000
_DEEPEST = 40
_TRUTHS = {"true", "false"}

Wire = tuple[Scope, str | None, int | None]
"""A link of a graph; and, where it is a context that comes by it, the position of the value that is wanted of it."""

Telling = Callable[[Node, Widget], object]
"""Tells the value of a node's widget; `MISSING` where only a run does."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where the value of an output comes from.

    Attributes:
        links: the links it may come by.
        values: what it may be without a link: texts in the node's own widgets.
        decided: whether there is no more than one; else a run decides.
    """

    links: tuple[Wire, ...]
    values: tuple[object, ...] = ()
    decided: bool = True


class Branches:
    """Decides the switches of one workflow, each once."""

    def __init__(self, table: LoaderTable, wires: Wires, telling: Telling) -> None:
        self._table, self._wires, self._telling = table, wires, telling
        self._taken: dict[Node, tuple[tuple[Widget, ...], bool] | None] = {}
        self._bringing: dict[Wire, bool] = {}
        self._depth = 0

    def behind(self, node: Node, output: int, *, carried: int | None = None) -> Way | None:
        """Where the value of an output comes from, or of a context that leaves by it the one of position ``carried``.

        None for a node that makes it.
        """
        if context := self._table.contexts.get(node.kind):
            return self._in_context(node, context, output if carried is None else carried)
        if split := self._table.splits.get(node.kind):
            return self._way(node, (split.of,), carried, decided=True)
        switch = self._table.switches.get(node.kind)
        if switch is None or not 0 <= output < switch.outputs:
            return None
        taken, decided = self._taken_by(node, switch)
        names = taken[output : output + 1] if decided else self._all(node, switch, output)
        return self._way(node, names, carried, decided=decided)

    def asked(self, node: Node) -> tuple[Slot, ...]:
        """The inputs that a node may ask for a value: all, but for the branches that a switch does not take."""
        if context := self._table.contexts.get(node.kind):
            if context.how != "first":
                return node.slots
            first = next((link for _, link, _ in self._in_context(node, context, 0).links), None)
            return tuple(s for s in node.slots if s.link == first or not context.inputs.fullmatch(s.name))
        switch = self._table.switches.get(node.kind)
        if switch is None:
            return node.slots
        taken, decided = self._taken_by(node, switch)
        if not decided:
            return node.slots
        names = {widget.name for widget in taken}
        patterns = [switch.pattern(output) for output in range(switch.outputs)]
        return tuple(s for s in node.slots if s.name in names or not any(p.fullmatch(s.name) for p in patterns))

    def looked_at(self, node: Node) -> tuple[Slot, ...]:
        """The inputs by whose links ComfyUI looks at a node's sources before a run: all that are not cut before."""
        switch = self._table.switches.get(node.kind)
        if switch is None or switch.by is None or switch.cut is None or self._telling(node, switch.cut) is not True:
            return node.slots
        by = node.slot(switch.by.name)
        # Its pack cuts by a widget's own value, and by no other that is linked to it.
        return self.asked(node) if by is None or by.link is None else node.slots

    def is_kept_out(self, node: Node, output: int) -> bool:
        """Whether a node keeps what is linked to this output from running."""
        split = self._table.splits.get(node.kind)
        if split is None or not split.blocks:
            return False
        value = self._telling(node, split.by)
        chosen = None if value is MISSING else split.chosen(plain_text(value))
        return chosen is not None and chosen != output

    def is_decided(self, node: Node) -> bool:
        """Whether a node takes the same inputs in every run."""
        switch = self._table.switches.get(node.kind)
        return switch is None or self._taken_by(node, switch)[1]

    def _taken_by(self, node: Node, switch: Switch) -> tuple[tuple[Widget, ...], bool]:
        """The inputs for each output, and whether they are decided."""
        if node not in self._taken:
            self._taken[node] = None
            self._depth += 1
            taken = self._decide(node, switch) if self._depth < _DEEPEST else None
            self._depth -= 1
            self._taken[node] = ((), False) if taken is None else (taken, True)
        # None while it is being decided: it then waits for itself, and nothing is.
        return self._taken[node] or ((), False)

    def _decide(self, node: Node, switch: Switch) -> tuple[Widget, ...] | None:
        if switch.by is None:
            slots = [slot for slot in node.slots if switch.pattern(0).fullmatch(slot.name)]
            first = next((slot for slot in slots if self._brings(node.scope, slot.link)), None)
            return () if first is None else (Widget(first.name),)
        value = self._telling(node, switch.by)
        chosen = self._chosen(node, switch, value) if isinstance(value, str | int | float) else None
        if chosen is None or not any(has_input(node, widget) for widget in chosen):
            return None
        others = [case.inputs for case in switch.cases if case.value in _TRUTHS and case.inputs != chosen]
        if others and not self._is_fed(node, chosen[0]) and self._is_fed(node, others[0][0]):
            return others[0]
        return chosen

    def _chosen(self, node: Node, switch: Switch, value: str | float) -> tuple[Widget, ...] | None:
        text = plain_text(value)
        for case in switch.cases:
            if case.value in _TRUTHS:
                fits = case.value == ("true" if value else "false")
                inputs = case.inputs if fits else ()
            elif case.same_as is not None:
                same = self._if_same(node, case, text)
                if same is None:
                    return None
                inputs = same
            else:
                inputs = case.named(text) if case.value in ("*", "else", text) else ()
            if inputs:
                return inputs
        return None

    def _if_same(self, node: Node, case: Case, text: str) -> tuple[Widget, ...] | None:
        """The inputs of a case whose widget holds the text and that has any; None where only a run tells."""
        if case.same_as is None or not has_input(node, case.same_as):
            return ()
        value = self._telling(node, case.same_as)
        if value is MISSING:
            return None
        return case.inputs if plain_text(value) == text and self._is_fed(node, case.inputs[0]) else ()

    def _is_fed(self, node: Node, widget: Widget) -> bool:
        slot = node.slot(widget.name)
        linked = slot is not None and slot.link is not None
        return self._brings(node.scope, slot.link) if slot and linked else own_value(node, widget) is not MISSING

    def _all(self, node: Node, switch: Switch, output: int) -> tuple[Widget, ...]:
        pattern = switch.pattern(output)
        slots = tuple(Widget(slot.name) for slot in node.slots if pattern.fullmatch(slot.name))
        widgets = (widget for case in switch.cases for widget in case.inputs[output : output + 1])
        return (*slots, *(widget for widget in widgets if all(widget.name != slot.name for slot in slots)))

    def _way(self, node: Node, names: tuple[Widget, ...], carried: int | None, *, decided: bool) -> Way:
        links: list[Wire] = []
        values: list[object] = []
        for widget in names:
            slot = node.slot(widget.name)
            if slot is not None and slot.link is not None:
                links.append((node.scope, slot.link, carried))
            elif (value := own_value(node, widget)) is not MISSING:
                values.append(value)
        return Way(tuple(links), tuple(values), decided)

    def _in_context(self, node: Node, context: Context, output: int) -> Way:
        own = node.slot(context.values[output]) if 0 < output < len(context.values) else None
        if own is not None and context.how == "base" and own.link is not None and self._brings(node.scope, own.link):
            return Way(((node.scope, own.link, None),))
        others = [slot for slot in node.slots if context.inputs.fullmatch(slot.name)]
        if context.how == "last":
            others.reverse()
        probe = None if context.how == "first" else output
        bringing = (slot.link for slot in others if slot.link and self._brings(node.scope, slot.link, probe))
        return Way(tuple((node.scope, link, output) for link in bringing)[:1])

    def _brings(self, scope: Scope, link: str | None, output: int | None = None) -> bool:
        """Whether a value comes by a link, which nothing muted cuts: as a context's output, or as the link itself."""
        start: Wire = (scope, link, output)
        pending, before = [start], dict[Wire, Wire | None]({start: None})
        found: Wire | None = None
        while pending and found is None:
            wire = pending.pop()
            further = () if wire[1] is None else self._behind_wire(wire)
            # So many that nothing is known of are taken for something: better one model too many.
            if further is None or len(before) > _MOST_LOOKED_AT:
                found = wire
            for each in further or ():
                if each not in before:
                    before[each] = wire
                    pending.append(each)
        self._bringing.update(dict.fromkeys(before, False) if found is None else {})
        while found is not None:
            self._bringing[found] = True
            found = before[found]
        return self._bringing[start]

    def _behind_wire(self, wire: Wire) -> Sequence[Wire] | None:
        """The links of which one must bring something for this one to do; None where it does."""
        known = self._bringing.get(wire)
        if known is not None:
            return None if known else ()
        origin = self._wires.origin(wire[0], wire[1])
        if origin.node is None:
            return () if origin.promoted is MISSING else None
        return self._further(origin.node, wire[2])

    def _further(self, node: Node, output: int | None) -> Sequence[Wire] | None:
        """The same for what a node hands on; None for one that makes it."""
        context, switch = self._table.contexts.get(node.kind), self._table.switches.get(node.kind)
        if context is not None:
            return list(_context_links(node, context, output))
        if split := self._table.splits.get(node.kind):
            return [(node.scope, slot.link, output) for slot in node.slots if slot.name == split.of.name]
        if switch is None:
            return None
        taken, decided = ((), False) if switch.by is None else self._taken_by(node, switch)
        names = {widget.name for widget in taken} if decided else {widget.name for widget in self._all(node, switch, 0)}
        return [(node.scope, slot.link, output) for slot in node.slots if slot.name in names]


def _context_links(node: Node, context: Context, output: int | None) -> Iterator[Wire]:
    """What may fill a context, or one value in it: the input of its name, and the contexts that come in."""
    wanted = None if not output or output >= len(context.values) else context.values[output]
    for slot in node.slots:
        if context.inputs.fullmatch(slot.name):
            yield node.scope, slot.link, output
        elif context.how == "base" and wanted in (None, slot.name):
            yield node.scope, slot.link, None
