"""The file tree of an image while its layers are laid over one another: which stored bytes each name leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from prefetch.image.contents import Stored

__all__ = ["Copy", "Tree"]


@dataclass(slots=True, eq=False)
class Copy:
    """Bytes that a layer (a number from 0) stores, and how many names still lead to them."""

    layer: int
    file: Stored
    names: int = 0

    @property
    def hidden(self) -> bool:
        """Whether nothing leads to them any more."""
        return self.names == 0


_Folder: TypeAlias = "dict[str, _Node]"
_Node: TypeAlias = "_Folder | Copy | None"


class Tree:
    """What is seen so far. A node is a folder, a copy, or None for what has no bytes."""

    def __init__(self) -> None:
        self._root: _Folder = {}

    def store(self, copy: Copy) -> Copy:
        """The copy is seen at its path from now on."""
        self._put(copy.file.path, copy)
        return copy

    def link(self, path: str, target: str) -> None:
        """What is seen at ``target`` is seen at ``path`` too."""
        folder, name = self._folder(target)
        node = folder.get(name)
        self._put(path, node if isinstance(node, Copy) else None)

    def replace(self, path: str) -> None:
        """Something without bytes is seen at ``path``."""
        self._put(path, None)

    def make_directory(self, path: str) -> None:
        """``path`` is a folder: the one that is there, or an empty one."""
        folder, name = self._folder(path)
        if name and not isinstance(folder.get(name), dict):
            self._put(path, {})

    def delete(self, path: str, *, opaque: bool) -> None:
        """Nothing is seen at ``path``; where it is opaque, nothing below it."""
        folder, name = self._folder(path)
        if not opaque:
            _release(folder.pop(name, None))
        elif isinstance(below := folder.get(name) if name else self._root, dict):
            _release(below)
            below.clear()

    def seen(self) -> Iterator[tuple[str, Copy]]:
        """Every path that leads to a copy."""
        pending: list[tuple[str, _Node]] = [("", self._root)]
        while pending:
            path, node = pending.pop()
            if isinstance(node, Copy):
                yield path, node
            elif node is not None:
                pending.extend((f"{path}/{name}" if path else name, below) for name, below in node.items())

    def _put(self, path: str, node: _Node) -> None:
        folder, name = self._folder(path)
        if isinstance(node, Copy):
            node.names += 1
        _release(folder.get(name))
        folder[name] = node

    def _folder(self, path: str) -> tuple[_Folder, str]:
        folder = self._root
        *above, name = path.split("/")
        for part in above:
            below = folder.get(part)
            if not isinstance(below, dict):
                _release(below)
                below = folder[part] = {}
            folder = below
        return folder, name


def _release(node: _Node) -> None:
    pending = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, Copy):
            one.names -= 1
        elif one is not None:
            pending.extend(one.values())
