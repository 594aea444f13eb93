"""Nodes that broadcast (cg-use-everywhere): what each of them sends, and who may have it. Pure.

As version 7.8 of that pack decides it (chrisgoringe/cg-use-everywhere@a3952a4, js/use_everywhere_classes.js).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prefetch.comfyui.workflow.drawing import Drawing
from prefetch.comfyui.workflow.graph import OUTPUTS
from prefetch.comfyui.workflow.patterns import Pattern, pattern
from prefetch.comfyui.workflow.reading import as_list, as_map, as_text

__all__ = ["Broadcast", "Target", "broadcasts_of", "is_broadcaster"]

_SEEDS, _PROMPTS = "Seed Everywhere", "Prompts Everywhere"
_PROMPT_INPUTS = (r"(_|\b)pos(itive|_|\b)|^prompt|正面", r"(_|\b)neg(ative|_|\b)|负面")
"""Which inputs the two of a Prompts Everywhere go to."""
_EXPRESSIONS = ("title", "input", "group")


@dataclass(frozen=True, slots=True)
class Target:
    """An input that may take a broadcast.

    Attributes:
        key: its node's id, or that of the subgraph's own outputs.
        at: its position among the node's inputs.
        titles: what the node is called; where the file does not say, what it may be called.
        shown: the name that is shown beside the input.
        name: its own name, or the one that a person gave it.
        open: whether it takes broadcasts; None where the file is too old to say, which is a yes to broadcasters of
            its time.
    """

    key: str
    at: int
    type: str
    titles: tuple[str, ...]
    shown: str
    name: str
    color: object
    open: bool | None


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom one node sends to: what all of these allow.

    Attributes:
        group: what the title of one of the target's groups must be.
        sender: the sender's id.
        in_group: 1 for targets in a group of the sender's, 2 for all others, 0 for both; ``in_color`` alike.
    """

    title: Pattern | None
    input: Pattern | None
    group: Pattern | None
    sender: str
    in_group: int
    color: object
    in_color: int
    string_to_combo: bool
    send_to_any: bool
    is_old: bool

    def allow(self, target: Target, drawing: Drawing) -> bool:
        """Whether a target may have anything of this sender. A subgraph's own outputs are in no group, of no colour."""
        return (
            (self.is_old if target.open is None else target.open)
            and not (target.key == OUTPUTS and (self.in_group or self.in_color or self.group is not None))
            and (self.in_color == 0 or (self.color == target.color) == (self.in_color == 1))
            and (self.title is None or self.title.allows(*target.titles))
            and (self.input is None or self.input.allows(target.shown))
            and (self.in_group == 0 or self._is_together(target, drawing) == (self.in_group == 1))
            and (self.group is None or any(map(self.group.allows, drawing.titles_around(target.key))))
        )

    def _is_together(self, target: Target, drawing: Drawing) -> bool:
        return bool(drawing.groups_around(self.sender) & drawing.groups_around(target.key))


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One value that one node sends to every open input that may have it.

    Attributes:
        origin: the node where the value is made, which need not be the sender, and its output.
        name: its name at the sender.
        match: where the sender has several of this type, how the target's name compares with its own: 0 it is the
            same, 1 they begin alike, 2 they end alike, 3 it is the target's title, 4 it is an expression.
    """

    origin: str
    origin_slot: int
    type: str
    name: str
    rules: Rules
    priority: int
    match: int | None

    @property
    def types(self) -> frozenset[str]:
        """The types of the inputs that take this."""
        combo = ["COMBO"] if self.type == "STRING" and self.rules.string_to_combo else []
        return frozenset([self.type, *combo, *(["*"] if self.rules.send_to_any else [])])

    @property
    def is_plain(self) -> bool:
        """Whether no expression has to be tried for it."""
        return self.rules.title is None and self.rules.input is None and self.match != 4

    def fits(self, target: Target, drawing: Drawing) -> bool:
        """Whether a target of one of these types takes this."""
        return (
            self.origin != target.key
            and self.rules.allow(target, drawing)
            and (self.match is None or self._fits_name(target))
        )

    def _fits_name(self, target: Target) -> bool:
        if self.match == 3:
            return self.name in target.titles
        if self.match == 4:
            expression = pattern(self.name)
            return expression is None or expression.allows(target.name)
        shorter, longer = sorted((self.name, target.name), key=len)
        if self.match == 1:
            return longer.startswith(shorter)
        return longer.endswith(shorter) if self.match == 2 else longer == shorter


@dataclass(frozen=True, slots=True)
class _Sent:
    """A value at its sender; ``input`` is a rule of its own beside the sender's."""

    origin: str
    origin_slot: int
    type: str
    name: str
    input: str | None = None


def is_broadcaster(node: Mapping[str, Any]) -> bool:
    """Whether a drawn node is one of the pack's own, whose inputs take no broadcast."""
    kind = as_text(node.get("type"))
    return kind.startswith("Anything Everywhere") or kind in (_SEEDS, _PROMPTS)


def broadcasts_of(key: str, drawing: Drawing) -> Iterator[Broadcast]:
    """What a node sends: nothing unless it broadcasts, and is neither muted nor bypassed."""
    node = drawing.nodes[key]
    converted = as_map(node.get("properties")).get("ue_convert") in (True, 1)
    if not drawing.is_live(key) or not (converted or is_broadcaster(node)):
        return
    said = _settings(node)
    if node.get("type") == _SEEDS or said.get("seed_inputs") is True:
        sent = [_Sent(key, 0, "INT", "seed", as_text(said.get("input_regex")) or "seed")]
    else:
        sent = list(_outputs(key, node, said) if converted else _inputs(node, drawing))
    types = Counter(value.type for value in sent)
    has_twins = max(types.values(), default=0) > 1
    for value in sent:
        if drawing.is_live(value.origin):
            twin = value.input is None and (types[value.type] > 1 or bool(said.get("apply_to_unrepeated")))
            yield Broadcast(
                origin=value.origin,
                origin_slot=value.origin_slot,
                type=value.type,
                name=value.name,
                rules=_rules(key, drawing, said, value.input),
                priority=_count(said.get("priority")) or _priority(node, said, has_twins=has_twins),
                match=_count(said.get("repeated_type_rule")) if twin else None,
            )


def _settings(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a sender's properties say, in the form of version 7; before it the expressions were widgets."""
    properties = as_map(node.get("properties"))
    said = as_map(properties.get("ue_properties"))
    major = as_text(said.get("version")).partition(".")[0]
    if not is_broadcaster(node) or (major.isdecimal() and int(major[:4]) >= 7):
        return said
    texts = as_list(node.get("widgets_values")) if node.get("type") == "Anything Everywhere?" else []
    expressions = {f"{name}_regex": text for name, text in zip(_EXPRESSIONS, texts, strict=False)}
    old = {name: properties.get(name) for name in ("group_restricted", "color_restricted")}
    return {**old, **expressions, **said, "is_old": True}


def _outputs(key: str, node: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[_Sent]:
    silent = as_map(said.get("output_not_broadcasting"))
    for at, output in enumerate(map(as_map, as_list(node.get("outputs")))):
        if not silent.get(as_text(output.get("name"))):
            yield _Sent(key, at, as_text(output.get("type")), _name(output))


def _inputs(node: Mapping[str, Any], drawing: Drawing) -> Iterator[_Sent]:
    for at, slot in enumerate(map(as_map, as_list(node.get("inputs")))):
        link = drawing.source(slot.get("link"))
        if link is None:
            continue
        kinds = (link.type, drawing.output_type(link), as_text(slot.get("type")))
        prompt = _PROMPT_INPUTS[at] if node.get("type") == _PROMPTS and at < len(_PROMPT_INPUTS) else None
        yield _Sent(
            link.origin,
            link.origin_slot,
            next((kind for kind in kinds if kind not in ("", "*")), "*"),
            _name(slot),
            prompt,
        )


def _name(slot: Mapping[str, Any]) -> str:
    return as_text(slot.get("label")) or as_text(slot.get("name"))


def _rules(key: str, drawing: Drawing, said: Mapping[str, Any], own_input: str | None) -> Rules:
    def expression(name: str) -> Pattern | None:
        return pattern(said.get(f"{name}_regex"), inverted=bool(said.get(f"{name}_regex_invert")))

    return Rules(
        title=expression("title"),
        input=pattern(own_input) if own_input else expression("input"),
        group=expression("group"),
        sender=key,
        in_group=_count(said.get("group_restricted")),
        color=drawing.nodes[key].get("color"),
        in_color=_count(said.get("color_restricted")),
        string_to_combo=bool(said.get("string_to_combo")),
        send_to_any=bool(said.get("send_to_any")),
        is_old=said.get("is_old") is True,
    )


def _priority(node: Mapping[str, Any], said: Mapping[str, Any], *, has_twins: bool) -> int:
    """The more a sender restricts itself, the higher; the pack's own figures."""
    restricted = has_twins or any(said.get(f"{name}_regex") not in (None, "", ".*") for name in _EXPRESSIONS)
    return (
        10
        + 10 * (node.get("type") in (_SEEDS, _PROMPTS))
        + 20 * restricted
        + 3 * (_count(said.get("group_restricted")) > 0)
        + 6 * (_count(said.get("color_restricted")) > 0)
    )


def _count(value: object) -> int:
    return max(int(value), 0) if isinstance(value, int) else 0
