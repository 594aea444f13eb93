"""One node at a time: which files its widgets name, by the loader table. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prefetch.comfyui.workflow.findings import SelfDownloaded, Unresolved
from prefetch.comfyui.workflow.following import Wires
from prefetch.comfyui.workflow.graph import Node, Scope
from prefetch.comfyui.workflow.inputs import Inputs
from prefetch.comfyui.workflow.loaders import Loader, LoaderTable, Places
from prefetch.comfyui.workflow.names import doubt, plain_name
from prefetch.comfyui.workflow.rows import names_in_rows
from prefetch.comfyui.workflow.widgets import leftovers

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


class Needs:
    """Finds what each node of one workflow names."""

    def __init__(self, table: LoaderTable, wires: Wires) -> None:
        self._table, self._inputs = table, Inputs(table, wires)

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
        placed = list(self._inputs.placed(node, loader))
        taken: set[str] = set()
        for found in placed:
            taken.update(plain_name(name) for name in _texts(found.value))
            if not self._inputs.is_on(found, node):
                continue
            sent = self._inputs.sent(node, found)
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

    def _self_downloaded(self, node: Node, places: Places) -> Iterator[Finding]:
        for place in places:
            if place.input is None:
                yield SelfDownloaded(node.kind, node.id, None, place.path)
                continue
            for found in self._inputs.placed(node, (place.input,)):
                value = self._inputs.sent(node, found).value
                for name in map(plain_name, _texts(value)):
                    problem = doubt(f"{name}.bin", "x")
                    if problem is not None:
                        yield Unresolved(node.id, node.kind, found.name, name, problem)
                    elif name not in self._table.none_values:
                        yield SelfDownloaded(node.kind, node.id, name, place.filled(name))


def _texts(value: object) -> list[str]:
    """The file names in a value: itself, or those of its rows that are on."""
    if isinstance(value, str):
        return [value]
    return [name for name in names_in_rows(value) if isinstance(name, str)]
