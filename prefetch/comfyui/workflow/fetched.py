"""Which files one node fetches by itself, by the table of downloads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prefetch.comfyui.workflow.downloads import Choice
from prefetch.comfyui.workflow.findings import SelfDownloaded, Unresolved
from prefetch.comfyui.workflow.graph import Node
from prefetch.comfyui.workflow.inputs import Inputs
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.names import doubt, plain_name

__all__ = ["fetched"]


def fetched(
    node: Node, choices: Iterable[Choice], inputs: Inputs, table: LoaderTable
) -> Iterator[SelfDownloaded | Unresolved]:
    """What a node fetches, as far as its inputs tell; what cannot be a file's name is not resolved."""
    for choice in choices:
        if choice.input is None:
            yield from _of(node, choice, None)
            continue
        placed = list(inputs.placed(node, (choice.input,)))
        sent = [inputs.sent(node, found) for found in placed if inputs.is_on(found, node)]
        values = [value for each in sent for value in (each.value, *each.choices)]
        names = [plain_name(value) for value in values if isinstance(value, str)]
        if not names and len(placed) == len(sent):
            yield from _of(node, choice, None)
        for name in names:
            problem = None if name in choice.of else doubt(f"{name.rstrip('/')}.bin", "x")
            if problem is not None:
                yield Unresolved(node.id, node.kind, choice.input.name, name, problem)
            elif name in choice.of or name not in table.none_values:
                yield from _of(node, choice, name)


def _of(node: Node, choice: Choice, value: str | None) -> Iterator[SelfDownloaded]:
    for download in choice.chosen(value):
        known = "<" not in download.place
        name = download.place.rstrip("/").rpartition("/")[2] if known else value
        yield SelfDownloaded(node.kind, node.id, name, download.place, download.source)
