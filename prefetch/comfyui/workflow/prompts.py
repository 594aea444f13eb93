"""What texts in a workflow name: embeddings in prompts, and the addresses of files in notes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from prefetch.comfyui.workflow.graph import Graph, Node
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.names import doubt, is_model_name, plain_name

__all__ = ["embeddings_in", "noted_in"]

_EMBEDDING = re.compile(r"\bembedding:([^\s,:()\[\]{}<>|\"']{1,255})", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^\s<>\"'`\\|)\]}]{1,2000}")
_LONGEST = 100_000


def embeddings_in(nodes: Iterable[Node], table: LoaderTable) -> tuple[str, ...]:
    """The textual inversions that the prompts of these nodes name, sorted."""
    found: set[str] = set()
    for node in nodes:
        if table.plays("notes", node.kind):
            continue
        said = [value for (key, _), value in node.scope.overridden.items() if key == node.key]
        for text in _texts([*_values(node), *said, *node.scope.promoted.values()]):
            found.update(plain_name(name).rstrip(".;") for name in _EMBEDDING.findall(text))
    return tuple(sorted(name for name in found if name and doubt(f"{name}.pt", "embeddings") is None))


def noted_in(graph: Graph, table: LoaderTable) -> tuple[tuple[str, str], ...]:
    """Each model file that notes give an address of, with that address; none where they give several."""
    found: dict[str, set[str]] = {}
    for node in graph.top.walk():
        if not table.plays("notes", node.kind):
            continue
        for text in _texts(_values(node)):
            for address in _ADDRESS.findall(text):
                if name := _file_of(address):
                    found.setdefault(name, set()).add(_direct(address))
    return tuple(sorted((name, said.pop()) for name, said in found.items() if len(said) == 1))


def _values(node: Node) -> list[object]:
    return list(node.values.values()) if isinstance(node.values, Mapping) else node.values


def _texts(values: Iterable[object]) -> Iterator[str]:
    return (value[:_LONGEST] for value in values if isinstance(value, str))


def _file_of(address: str) -> str | None:
    try:
        name = unquote(urlsplit(address).path).rpartition("/")[2]
    except ValueError:
        return None
    return name if is_model_name(name) else None


def _direct(address: str) -> str:
    return address.partition("?")[0].partition("#")[0].replace("/blob/", "/resolve/", 1)
