"""What ``properties.models`` adds to a file whose name agrees: its address, its hash, a folder nobody else knows. Pure.

A quarter of what people saved names another file than the widget beside it does, so the widget decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from prefetch.comfyui.workflow.graph import Graph, Stated
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.needs import Need

__all__ = ["Metadata"]


class Metadata:
    """All that one workflow states of files."""

    def __init__(self, graph: Graph, table: LoaderTable) -> None:
        self._table = table
        self._by_name: dict[str, list[Stated]] = defaultdict(list)
        for stated in (*graph.stated, *(s for node in graph.top.walk() for s in node.stated)):
            self._by_name[stated.name].append(stated)

    def folder_of(self, need: Need) -> str | None:
        """Where the file stands below ``models``: one of its loader's folders, else what its node states."""
        said = [self._table.folder(stated.directory) for stated in self._own(need) if stated.directory]
        if need.folders:
            return next((folder for folder in said if folder in need.folders), need.folders[0])
        return said[0] if said else None

    def of(self, need: Need, folder: str | None) -> Stated | None:
        """What is stated of the file: by its own node, else by the whole workflow where all of that agrees."""
        own = [stated for stated in self._own(need) if stated.url is not None]
        if own:
            return own[0]
        others = [s for s in self._by_name[need.name] if s.url is not None and self._same_folder(s, folder)]
        return others[0] if len({stated.url for stated in others}) == 1 else None

    def _own(self, need: Need) -> Iterable[Stated]:
        exact = [stated for stated in need.node.stated if stated.name == need.name]
        return exact or [s for s in need.node.stated if _base(s.name) == _base(need.name)]

    def _same_folder(self, stated: Stated, folder: str | None) -> bool:
        return stated.directory is not None and self._table.folder(stated.directory) == folder


def _base(name: str) -> str:
    return name.rpartition("/")[2]
