"""Nodes that hand on one of their inputs, as a loader table writes them (``switches.yaml``). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prefetch.comfyui.workflow.entry import Widget
from prefetch.comfyui.workflow.tablevalues import Values

__all__ = ["Case", "Context", "Split", "Switch", "read_contexts", "read_splits", "read_switches"]

_RULE = 'a switch is written {by: WIDGET @ 0, "1": INPUT, else: INPUT}, or {first: "any_*"}'
_SPLIT_RULE = 'a split is written {of: INPUT, by: WIDGET @ 0, outputs: ["1"]}, or outputs: ["True", "False"]'
_SPLIT_KEYS = {"of", "by", "outputs", "blocks"}
_CONTEXT_RULE = 'a context is written {base: INPUT}, {first: "ctx_*"} or {last: "ctx_*"}'


@dataclass(frozen=True, slots=True)
class Case:
    """The inputs that a switch takes, one for each of its outputs, when its value is this.

    Attributes:
        value: a text; ``true``, ``false``; ``else`` for any other; ``*`` for the text that stands in the inputs' names.
        same_as: the widget whose value it is instead.
    """

    value: str
    inputs: tuple[Widget, ...]
    same_as: Widget | None = None

    def named(self, value: str) -> tuple[Widget, ...]:
        """The inputs, with the switch's value in the place of a star."""
        return tuple(Widget(each.name.replace("*", value), each.at) for each in self.inputs)


@dataclass(frozen=True, slots=True)
class Switch:
    """A class that hands on one of its inputs.

    Attributes:
        by: the widget that decides; None for one that takes the first input that a value comes by.
        cases: what it takes, in the order in which they are tried.
        cut: the widget by which the other inputs' links are cut before ComfyUI looks at what they lead to.
    """

    by: Widget | None
    cases: tuple[Case, ...]
    cut: Widget | None = None

    @property
    def outputs(self) -> int:
        """How many of its outputs hand something on; those behind tell of the switch itself."""
        return max(len(case.inputs) for case in self.cases)

    def pattern(self, output: int) -> re.Pattern[str]:
        """The names of all inputs that this output may take."""
        names = {case.inputs[output].name for case in self.cases if output < len(case.inputs)}
        return re.compile("|".join(re.escape(name).replace(r"\*", ".+") for name in sorted(names)))


@dataclass(frozen=True, slots=True)
class Split:
    """A class that hands its one value on by one of its outputs.

    Attributes:
        of: the input that is handed on.
        by: the widget that decides.
        outputs: the values of ``by`` that choose the outputs, in their order; where there is but a number, the first
            output's, and each further one is chosen by the next number.
        blocks: whether nodes behind the other outputs do not run; else they are given nothing.
    """

    of: Widget
    by: Widget
    outputs: tuple[str, ...]
    blocks: bool

    def chosen(self, value: str) -> int | None:
        """The output that a value of ``by`` chooses; None where no value is known to."""
        if len(self.outputs) > 1:
            return self.outputs.index(value) if value in self.outputs else None
        return int(value) - int(self.outputs[0]) if value.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Context:
    """A class that carries many values in one.

    Attributes:
        values: the names of its outputs, the context itself first.
        how: ``base``: it has inputs of these names, and ``inputs`` brings what they lack; ``first``, ``last``: it takes
            one of several contexts.
        inputs: what the names of the inputs for contexts match.
    """

    values: tuple[str, ...]
    how: str
    inputs: re.Pattern[str]


def read_switches(values: Values, said: object) -> Mapping[str, Switch]:
    """The section ``switches`` of a table, by class."""
    classes = values.mapping(said, ("switches",))
    return {kind: _switch(values, row, ("switches", kind)) for kind, row in classes.items()}


def read_contexts(values: Values, said: object, names: object) -> Mapping[str, Context]:
    """The section ``contexts``, by class; ``names`` is the section ``context_values``."""
    carried, found = values.texts(names, ("context_values",)), {}
    for kind, row in values.mapping(said, ("contexts",)).items():
        at = ("contexts", kind)
        fields = values.mapping(row, at)
        if len(fields) != 1 or not fields.keys() <= {"base", "first", "last"}:
            raise values.error(at, _CONTEXT_RULE, "Correct it.")
        how, pattern = next(iter(fields.items()))
        found[kind] = Context(carried, how, _matching(values.text(pattern, (*at, how))))
    return found


def read_splits(values: Values, said: object) -> Mapping[str, Split]:
    """The section ``splits``, by class."""
    found = {}
    for kind, row in values.mapping(said, ("splits",)).items():
        at = ("splits", kind)
        fields = values.mapping(row, at)
        outputs = values.texts(fields.get("outputs"), (*at, "outputs"))
        blocks = fields.get("blocks", True)
        numbered = len(outputs) == 1 and outputs[0].isdecimal()
        if {*fields, "blocks"} != _SPLIT_KEYS or not isinstance(blocks, bool) or not (numbered or len(outputs) > 1):
            raise values.error(at, _SPLIT_RULE, "Correct it.")
        of, by = (values.widget(fields[key], (*at, key)) for key in ("of", "by"))
        found[kind] = Split(of, by, outputs, blocks)
    return found


def _matching(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".+"))


def _switch(values: Values, row: object, at: tuple[str, ...]) -> Switch:
    fields = values.mapping(row, at)
    if "first" in fields and len(fields) == 1:
        return Switch(None, (Case("*", (values.widget(fields["first"], (*at, "first")),)),))
    cases = tuple(_cases(values, fields, at))
    if "by" not in fields or not cases or "first" in fields:
        raise values.error(at, _RULE, "Correct it.")
    cut = values.widget(fields["cut"], (*at, "cut")) if "cut" in fields else None
    return Switch(values.widget(fields["by"], (*at, "by")), cases, cut)


def _cases(values: Values, fields: Mapping[str, object], at: tuple[str, ...]) -> Iterator[Case]:
    for key, said in fields.items():
        if key not in ("by", "cut"):
            names = values.text(said, (*at, key)).split("|")
            inputs = tuple(values.widget(name.strip(), (*at, key)) for name in names)
            yield Case(key, inputs, values.widget(key[1:], (*at, key)) if key[:1] == "=" else None)
