"""One node at a time: which files its widgets name, by the loader table. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prefetch.comfyui.workflow.findings import SelfDownloaded, Unresolved
from prefetch.comfyui.workflow.following import MISSING, Wires
from prefetch.comfyui.workflow.graph import Node, Scope
from prefetch.comfyui.workflow.loaders import Loader, LoaderTable, Places
from prefetch.comfyui.workflow.names import doubt, plain_name, unwrapped
from prefetch.comfyui.workflow.rows import is_off, is_zero, names_in_rows
from prefetch.comfyui.workflow.tableform import Widget
from prefetch.comfyui.workflow.widgets import Placed, first_text, leftovers, named_values, place_values

__all__ = ["Finding", "Need", "Needs"]

_UNKNOWN_CLASS = "folder unknown: its class is not in the loader table"
_UNKNOWN_INPUT = "folder unknown: the loader table does not know this input of its class"
_UNKNOWN_ROW = "folder unknown: which node of its group it belongs to cannot be told"
_TAG = re.compile(r"<lora:([^:<>\n]{1,255})")


@dataclass(frozen=True, slots=True)
class Need:
    """A file that one node names; ``folders`` is empty where it is unknown, else the likeliest first."""

    node: Node
    input: str | None
    folders: tuple[str, ...]
    name: str


Finding = Need | SelfDownloaded | Unresolved


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a link brings: a value, or the reason why nobody knows it."""

    value: object = None
    reason: str | None = None


class Needs:
    """Finds what each node of one workflow names."""

    def __init__(self, table: LoaderTable, wires: Wires) -> None:
        self._table, self._wires = table, wires

    def of(self, node: Node) -> Iterator[Finding]:
        """The findings of one node that runs."""
        if node.inside is not None:
            yield from self._grouped(node, node.inside)
            return
        loader, places = self._table.loader(node.kind), self._table.places(node.kind)
        if places is not None:
            yield from self._self_downloaded(node, places)
        elif loader is not None:
            yield from self._loaded(node, loader)
        elif self._table.plays("tagged", node.kind):
            yield from self._tagged(node)
        elif not self._is_bystander(node):
            yield from self._unknown(node, leftovers(node), _UNKNOWN_CLASS)

    def _is_bystander(self, node: Node) -> bool:
        roles = ("bystanders", "notes", "outputs", "constants", "getters", "setters", "reroutes", "inner")
        return any(self._table.plays(role, node.kind) for role in roles)

    def _unknown(self, node: Node, names: list[str], reason: str) -> Iterator[Finding]:
        for name in map(plain_name, dict.fromkeys(names)):
            if name in self._table.none_values:
                continue
            problem = doubt(name, "x")
            yield Unresolved(node.id, node.kind, None, name, problem or reason)
            if problem is None:
                yield Need(node, None, (), name)

    def _grouped(self, host: Node, inside: Scope) -> Iterator[Finding]:
        """The files in a group node's row of values that none of its inner nodes took."""
        if inside.group:
            taken = {name for inner in inside.nodes.values() for name in leftovers(inner)}
            yield from self._unknown(host, [name for name in leftovers(host) if name not in taken], _UNKNOWN_ROW)

    def _tagged(self, node: Node) -> Iterator[Finding]:
        values = node.values.values() if isinstance(node.values, Mapping) else node.values
        names = [name for value in values if isinstance(value, str) for name in _TAG.findall(value)]
        for name in map(plain_name, dict.fromkeys(names)):
            yield from self._named(node, "text", ("loras",), name)

    def _loaded(self, node: Node, loader: Loader) -> Iterator[Finding]:
        placed = list(self._placed(node, loader))
        taken: set[str] = set()
        for found in placed:
            taken.update(plain_name(name) for name in _texts(found.value))
            if not self._is_on(found, node):
                continue
            sent = self._sent(node, found)
            if sent.reason is not None:
                yield Unresolved(node.id, node.kind, found.name, None, sent.reason)
            for name in _texts(sent.value):
                taken.add(plain_name(name))
                yield from self._named(node, found.name, found.entry.folders, name)
        loose = [name for name in leftovers(node) if plain_name(name) not in taken]
        yield from self._unknown(node, loose, _UNKNOWN_INPUT)

    def _named(self, node: Node, where: str, folders: tuple[str, ...], text: str) -> Iterator[Finding]:
        name = plain_name(text)
        if name in self._table.none_values:
            return
        problem = self._table.stand_ins.get(name) or doubt(name, folders[0])
        if problem is not None:
            yield Unresolved(node.id, node.kind, where, name, problem)
        else:
            yield Need(node, where, (self._table.home(folders[0], name), *folders[1:]), name)

    def _placed(self, node: Node, loader: Loader) -> Iterator[Placed]:
        """Each input of the loader with the node's own value, and those that have a link only."""
        placed = place_values(node, loader, self._table.none_values)
        yield from placed
        known = {found.name for found in placed}
        for entry in loader:
            for slot in node.slots:
                name = slot.widget or slot.name
                match = entry.pattern.fullmatch(name)
                if slot.link is not None and match and name not in known:
                    known.add(name)
                    yield Placed(entry, name, match[1] if "*" in entry.name else None, None)
            if "*" not in entry.name and entry.name not in known and (node.key, entry.name) in node.scope.overridden:
                yield Placed(entry, entry.name, None, None)

    def _sent(self, node: Node, found: Placed) -> _Sent:
        """What an input's value is in the end: what a link brings, else what a host says, else the widget's own."""
        own = _Sent(unwrapped(node.scope.overridden.get((node.key, found.name), found.value)))
        slot = node.slot(found.name)
        if slot is None or slot.link is None:
            return own
        origin = self._wires.origin(node.scope, slot.link)
        if origin.node is not None:
            return self._made_by(origin.node, own)
        return own if origin.promoted is MISSING else _Sent(unwrapped(origin.promoted))

    def _made_by(self, maker: Node, own: _Sent) -> _Sent:
        if self._table.plays("constants", maker.kind):
            return self._constant(maker, own)
        if self._table.loader(maker.kind) is not None and maker.active:
            return _Sent()  # it chooses a file and is asked itself
        return _Sent(reason=f"it comes from {maker.kind} (node {maker.id}) and is known only when that has run")

    def _constant(self, maker: Node, own: _Sent) -> _Sent:
        for slot in maker.slots:
            if slot.link is not None:
                origin = self._wires.origin(maker.scope, slot.link)
                if origin.node is None and origin.promoted is not MISSING:
                    return _Sent(unwrapped(origin.promoted))
                if origin.node is not None and origin.node is not maker:
                    return _Sent(reason=f"it is put together by {maker.kind} (node {maker.id})")
        said = [value for (key, _), value in maker.scope.overridden.items() if key == maker.key]
        text = next((value for value in said if isinstance(value, str)), first_text(maker))
        return _Sent(text) if text else own

    def _is_on(self, found: Placed, node: Node) -> bool:
        entry = found.entry
        if entry.switch and _switches_off(entry.switch, self._beside(entry.switch, found, node)):
            return False
        if entry.weight and is_zero(self._beside(entry.weight, found, node)):
            return False
        count = self._beside(entry.count, found, node) if entry.count else None
        row = _row_number(found)
        return not (isinstance(count, int) and row is not None and row > count)

    def _beside(self, widget: Widget, found: Placed, node: Node) -> object:
        """The value of another widget of the same row; None where a link or nothing tells it."""
        name = widget.name.replace("*", found.row or "")
        slot, named = node.slot(name), named_values(node)
        if slot is not None and slot.link is not None:
            return None
        if (node.key, name) in node.scope.overridden:
            return node.scope.overridden[node.key, name]
        if name in named or widget.at is None or not isinstance(node.values, list):
            return named.get(name)
        row = (_row_number(found) or 1) - 1 if "*" in widget.name else 0
        at = widget.at + row * (found.entry.every or 0)
        return node.values[at] if at < len(node.values) else None

    def _self_downloaded(self, node: Node, places: Places) -> Iterator[Finding]:
        for place in places:
            if place.input is None:
                yield SelfDownloaded(node.kind, node.id, None, place.path)
                continue
            for found in self._placed(node, (place.input,)):
                value = self._sent(node, found).value
                for name in map(plain_name, _texts(value)):
                    problem = doubt(f"{name}.bin", "x")
                    if problem is not None:
                        yield Unresolved(node.id, node.kind, found.name, name, problem)
                    elif name not in self._table.none_values:
                        yield SelfDownloaded(node.kind, node.id, name, place.filled(name))


def _row_number(found: Placed) -> int | None:
    return int(found.row) if found.row is not None and found.row.isdecimal() and len(found.row) < 6 else None


def _switches_off(switch: Widget, value: object) -> bool:
    return value is not None and value not in switch.values if switch.values else is_off(value)


def _texts(value: object) -> list[str]:
    """The file names in a value: itself, or those of its rows that are on."""
    if isinstance(value, str):
        return [value]
    return [name for name in names_in_rows(value) if isinstance(name, str)]
