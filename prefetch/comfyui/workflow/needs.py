"""One node at a time: which files its widgets name, by the loader table. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from prefetch.comfyui.workflow.arriving import Arriving
from prefetch.comfyui.workflow.entry import Entry
from prefetch.comfyui.workflow.fetched import fetched
from prefetch.comfyui.workflow.findings import SelfDownloaded, Unresolved
from prefetch.comfyui.workflow.following import Wires
from prefetch.comfyui.workflow.graph import Node, Scope
from prefetch.comfyui.workflow.inputs import Inputs
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.names import ENDINGS, doubt, plain_name
from prefetch.comfyui.workflow.naming import PAGE, AnyOf, Reference, in_text, references, tags_in
from prefetch.comfyui.workflow.rows import names_in_rows
from prefetch.comfyui.workflow.texts import Texts, held_texts
from prefetch.comfyui.workflow.widgets import Placed, leftovers

__all__ = ["Finding", "Need", "Needs", "Remark"]

_UNKNOWN_CLASS = (
    "folder unknown: its class is not in the loader table; --loaders takes a table of your own (docs/workflows.md)"
)
_UNKNOWN_INPUT = "folder unknown: the loader table does not know this input of its class"
_UNKNOWN_ROW = "folder unknown: which node of its group it belongs to cannot be told"
_UNKNOWN_TAGS = "whether its class loads the LoRAs that its text names is not known"


@dataclass(frozen=True, slots=True)
class Need:
    """A file that one node names; ``folders`` is empty where it is unknown, else the likeliest first.

    Attributes:
        any_of: the files that will do, where the node is given less than a file's whole name.
        certain: whether it is this one, and not one of several of which a run takes one.
    """

    node: Node
    input: str | None
    folders: tuple[str, ...]
    name: str
    any_of: AnyOf | None = None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence on what a node may load, of which nothing shows that it does."""

    text: str


Finding = Need | SelfDownloaded | Unresolved | Remark


class Needs:
    """Finds what each node of one workflow names."""

    def __init__(self, table: LoaderTable, wires: Wires, arriving: Arriving) -> None:
        self._table = table
        self._inputs, self._texts = Inputs(table, arriving), Texts(table, wires, arriving.branches)

    def of(self, node: Node) -> Iterator[Finding]:
        """The findings of one node that runs."""
        if node.inside is not None:
            yield from self._grouped(node, node.inside)
            return
        entries, downloads = self._table.inputs(node.kind), self._table.downloads(node.kind)
        if downloads is not None:
            yield from fetched(node, downloads, self._inputs, self._table)
        if entries:
            yield from self._loaded(node, entries)
        elif downloads is None and not self._is_bystander(node):
            yield from self._unknown(node, leftovers(node), _UNKNOWN_CLASS)
            yield from self._unknown_tags(node)

    def _is_bystander(self, node: Node) -> bool:
        if self._table.chooses(node.kind):
            return True
        roles = ("bystanders", "notes", "outputs", "constants", "numbers", "texts", "getters", "setters", "reroutes")
        return any(self._table.plays(role, node.kind) for role in (*roles, "inner"))

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

    def _unknown_tags(self, node: Node) -> Iterator[Finding]:
        if names := [name for text in held_texts(node) for name in tags_in(text)]:
            yield Remark(f"{node.kind} (node {node.id}): {_UNKNOWN_TAGS}: {', '.join(dict.fromkeys(names))}.")

    def _loaded(self, node: Node, entries: tuple[Entry, ...]) -> Iterator[Finding]:
        placed = list(self._inputs.placed(node, entries))
        taken: set[str] = set()
        for found in placed:
            taken.update(plain_name(name) for name in _texts(found.value))
            if found.entry.names == PAGE or not self._inputs.is_on(found, node):
                continue
            if in_text(found.entry.names):
                yield from self._tagged(node, found)
                continue
            sent = self._inputs.sent(node, found)
            if sent.reason is not None:
                yield from self._undecided(node, found, sent.choices, sent.reason)
            for name in _texts(sent.value):
                taken.add(plain_name(name))
                yield from self._named(node, found, name)
        loose = [name for name in leftovers(node) if plain_name(name) not in taken]
        yield from self._unknown(node, loose, _UNKNOWN_INPUT)

    def _undecided(
        self, node: Node, found: Placed, choices: tuple[str, ...], reason: str
    ) -> Iterator[Need | Unresolved]:
        """The files of which a run takes one, each for itself; and that it does."""
        named = [finding for name in choices for finding in self._named(node, found, name)]
        needs = [finding for finding in named if isinstance(finding, Need)]
        these = " or ".join(f"models/{need.folders[0]}/{need.name}" for need in needs)
        yield Unresolved(node.id, node.kind, found.name, None, f"{reason}; it may be {these}" if these else reason)
        for finding in named:
            yield replace(finding, certain=False) if isinstance(finding, Need) else finding

    def _tagged(self, node: Node, found: Placed) -> Iterator[Finding]:
        text = self._texts.of(node, found)
        yield from self._named(node, found, "\n".join(text.parts))
        for maker in text.makers:
            reason = f"it comes from {maker.kind} (node {maker.id}) and is known only when that has run"
            if found.entry.prompt:
                yield Remark(
                    f"{node.kind} (node {node.id}): {found.name}: {reason}; LoRAs that it names are not listed."
                )
            else:
                yield Unresolved(node.id, node.kind, found.name, None, reason)

    def _named(self, node: Node, found: Placed, text: str) -> Iterator[Need | Unresolved]:
        """The files that a text of an input names."""
        entry = found.entry
        for reference in references(entry.names, text):
            name = reference.name
            if name in self._table.none_values:
                continue
            problem = self._table.stand_ins.get(name) or self._doubt(reference, entry)
            if problem is not None:
                yield Unresolved(node.id, node.kind, found.name, name, problem)
            else:
                folders = (self._table.home(entry.folders[0], name), *entry.folders[1:])
                yield Need(node, found.name, folders, name, reference.any_of)

    def _doubt(self, reference: Reference, entry: Entry) -> str | None:
        # A name that is no whole one stands for files that have an ending.
        whole = reference.any_of is None or reference.any_of.is_whole
        name = reference.name if whole else f"{reference.name}{ENDINGS[0]}"
        return doubt(name, entry.folders[0], endings=entry.endings)


def _texts(value: object) -> list[str]:
    """The file names in a value: itself, or those of its rows that are on."""
    if isinstance(value, str):
        return [value]
    return [name for name in names_in_rows(value) if isinstance(name, str)]
