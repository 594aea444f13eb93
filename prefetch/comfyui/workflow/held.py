"""What a node's own widgets hold, as switches ask for it. Pure."""

from __future__ import annotations

from prefetch.comfyui.workflow.entry import Widget
from prefetch.comfyui.workflow.following import MISSING
from prefetch.comfyui.workflow.graph import Node
from prefetch.comfyui.workflow.widgets import named_values

__all__ = ["has_input", "own_value", "plain_text"]


def has_input(node: Node, widget: Widget) -> bool:
    """Whether a node has such an input at all: one that is not there is another version's."""
    return any(slot.name == widget.name for slot in node.slots) or own_value(node, widget) is not MISSING


def own_value(node: Node, widget: Widget) -> object:
    """What a node's own widget holds, or its host says; `MISSING` where there is none."""
    if (node.key, widget.name) in node.scope.overridden:
        return node.scope.overridden[node.key, widget.name]
    named = named_values(node)
    if widget.name in named:
        return named[widget.name]
    if widget.at is None or not isinstance(node.values, list) or widget.at >= len(node.values):
        return MISSING
    return node.values[widget.at]


def plain_text(value: object) -> str:
    """A value as the table writes it: 2.0 is 2."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)
