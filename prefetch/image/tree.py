"""The file tree of an image while its layers are laid over one another: which stored bytes each name leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prefetch.image.contents import Stored

__all__ = ["Copy", "Folder", "Node", "Symlink", "Tree"]


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


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link's text."""

    target: str

    @property
    def absolute(self) -> bool:
        """Whether it begins at the image's root."""
        return self.target.startswith("/")

    @property
    def names(self) -> Sequence[str]:
        """The names to go by, one after another."""
        return [name for name in self.target.split("/") if name not in ("", ".")]


Folder: TypeAlias = "dict[str, Node]"
Node: TypeAlias = "Folder | Copy | Symlink | None"


class Tree:
    """What is seen so far. A node is a folder, a copy, a link, or None for what else has no bytes."""

    def __init__(self) -> None:
        self.root: Folder = {}

    def store(self, copy: Copy) -> Copy:
        """The copy is seen at its path from now on."""
        self._put(copy.file.path, copy)
        return copy

    def link(self, path: str, target: str) -> None:
        """What is seen at ``target`` is seen at ``path`` too."""
        folder, name = self._folder(target)
        node = folder.get(name)
        self._put(path, None if isinstance(node, dict) else node)

    def replace(self, path: str, by: Symlink | None = None) -> None:
        """A symbolic link, or something else without bytes, is seen at ``path``."""
        self._put(path, by)

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
        elif isinstance(below := folder.get(name) if name else self.root, dict):
            _release(below)
            below.clear()

    def seen(self) -> Iterator[tuple[str, Copy]]:
        """Every path that leads to a copy."""
        pending: list[tuple[str, Node]] = [("", self.root)]
        while pending:
            path, node = pending.pop()
            if isinstance(node, Copy):
                yield path, node
            elif isinstance(node, dict):
                pending.extend((f"{path}/{name}" if path else name, below) for name, below in node.items())

    def _put(self, path: str, node: Node) -> None:
        folder, name = self._folder(path)
        if isinstance(node, Copy):
            node.names += 1
        _release(folder.get(name))
        folder[name] = node

    def _folder(self, path: str) -> tuple[Folder, str]:
        folder = self.root
        *above, name = path.split("/")
        for part in above:
            below = folder.get(part)
            if not isinstance(below, dict):
                _release(below)
                below = folder[part] = {}
            folder = below
        return folder, name


def _release(node: Node) -> None:
    pending = [node]
    while pending:
        one = pending.pop()
        if isinstance(one, Copy):
            one.names -= 1
        elif isinstance(one, dict):
            pending.extend(one.values())
