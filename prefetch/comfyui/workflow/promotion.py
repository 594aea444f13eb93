"""What a subgraph's host says of the widgets inside it: it wins over what stands there.

Three generations of workflows: a host that lists widgets in ``proxyWidgets`` and has no values of its own (the inner
ones hold); one that has a value for each of them; and one whose values belong to the definition's inputs that end in
a widget, in the definition's order.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefetch.comfyui.workflow.definitions import Definition, Definitions
from prefetch.comfyui.workflow.graph import Node, Scope
from prefetch.comfyui.workflow.reading import as_list, as_text, key_of

__all__ = ["promote"]

_OWN_INPUT = "-1"

Target = int | tuple[str, str]
"""An input of the definition by its position, or a node inside and its widget."""


def promote(host: Node, scope: Scope, definitions: Definitions, proxies: Sequence[object]) -> None:
    """Enter into ``scope`` what ``host``, and whoever promoted the host's widgets in turn, says of its inside."""
    definition = definitions.get(host.kind)
    if definition is None:
        return
    listed = [target for target in (_target(definition, as_list(proxy)) for proxy in proxies) if target is not None]
    ends = [at for at in range(len(definition.inputs)) if definitions.ends_in_widget(host.kind, at)]
    for target, value in zip(_targets(host, definition, ends, listed), _values(host), strict=False):
        _enter(scope, target, value)
    for (key, widget), value in host.scope.overridden.items():
        if key == host.key:
            _enter(scope, _named(definition, listed, widget), value)


def _enter(scope: Scope, target: Target | None, value: object) -> None:
    if value is None or target is None:
        return
    if isinstance(target, int):
        scope.promoted[target] = value
    else:
        scope.overridden[target] = value


def _values(host: Node) -> list[object]:
    return host.values if isinstance(host.values, list) else list(host.values.values())


def _targets(host: Node, definition: Definition, ends: Sequence[Target], listed: Sequence[Target]) -> Sequence[Target]:
    """What the host's values belong to, told by their number; nothing where that fits no rule."""
    count = len(_values(host))
    shown = [definition.inputs.index(s.name) for s in host.slots if s.widget and s.name in definition.inputs]
    forms: list[Sequence[Target]] = [listed, ends, [*ends, *listed], shown]
    return next((form for form in forms if form and len(form) == count), ())


def _target(definition: Definition, proxy: Sequence[object]) -> Target | None:
    if len(proxy) < 2:
        return None
    key, widget = key_of(proxy[0]), as_text(proxy[1])
    if key != _OWN_INPUT:
        return key, widget
    return definition.inputs.index(widget) if widget in definition.inputs else None


def _named(definition: Definition, listed: Sequence[Target], widget: str) -> Target | None:
    if widget in definition.inputs:
        return definition.inputs.index(widget)
    return next((target for target in listed if isinstance(target, tuple) and target[1] == widget), None)
