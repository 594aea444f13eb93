"""What a file system may hold after a power cut, worked out from the changes that were made to it, in their order.

The model is weaker than any file system in use, so what survives it survives them:

- Bytes and lengths of a file are sure once it was synced. Each later write may be there, or not, or only its beginning.
- Names in a directory are sure once that directory was synced. Of its later changes any first part may be there, and
  every directory decides for itself.
- A rename is in both of its directories or in neither.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.faultfs import Change

__all__ = ["CHOICES", "Choice", "Crash", "Disk"]


@dataclass(slots=True)
class Node:
    """A file or a directory: what is sure of it, and what was done to it since."""

    is_directory: bool
    data: bytes = b""
    writes: list[Change] = field(default_factory=list)
    names: dict[str, Node] = field(default_factory=dict)
    moves: list[tuple[int, str, Node | None]] = field(default_factory=list)
    """Number of the change, the name, and what it stands for from then on (None: for nothing)."""

    def current(self) -> dict[str, Node]:
        return _moved(self.names, self.moves)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the unsynced changes outlive the power cut.

    Attributes:
        moves: of so many changes of a directory's names, how many.
        keep: how many bytes of one write; None for all, and of a change of length likewise.
    """

    name: str
    moves: Callable[[int], int]
    keep: Callable[[Change], int | None]


def _drawn(seed: int) -> Choice:
    draw = random.Random(seed)
    return Choice(
        f"drawn {seed}",
        lambda count: draw.randint(0, count),
        lambda change: draw.choice([None, 0, draw.randrange(0, change.length + 1, 512)]),
    )


CHOICES = (
    Choice("everything", lambda count: count, lambda change: None),
    Choice("nothing", lambda count: 0, lambda change: 0),
    Choice("names without bytes", lambda count: count, lambda change: None if change.operation == "truncate" else 0),
    Choice("bytes without names", lambda count: 0, lambda change: None),
)


@dataclass(frozen=True, slots=True)
class Crash:
    """The disk after a power cut: every file's bytes by its path, which file that is, and the directories."""

    files: dict[str, bytes]
    identities: dict[str, int]
    directories: frozenset[str]

    def write(self, root: Path) -> None:
        """Make it so below the empty folder ``root``."""
        for path in sorted(self.directories):
            (root / path).mkdir(parents=True, exist_ok=True)
        first: dict[int, str] = {}
        for path, data in self.files.items():
            name = first.setdefault(self.identities[path], path)
            if name == path:
                (root / path).write_bytes(data)
            else:
                (root / path).hardlink_to(root / name)


class Disk:
    """Takes changes one by one, and tells what a power cut could leave."""

    def __init__(self) -> None:
        self._root = Node(is_directory=True)
        self._by_inode: dict[int, Node] = {}
        self._count = 0
        self._draws = 0

    def apply(self, change: Change) -> None:
        """The next change."""
        self._count += 1
        match change.operation:
            case "create" | "mkdir":
                node = self._by_inode[change.inode] = Node(is_directory=change.operation == "mkdir")
                self._name(change.path, node)
            case "link":
                self._name(change.path2, self._at(change.path))
            case "rename":
                node = self._at(change.path)
                self._name(change.path, None)
                self._name(change.path2, node)
            case "unlink":
                self._name(change.path, None)
            case "write" | "truncate":
                self._by_inode[change.inode].writes.append(change)
            case "fsync":
                node = self._by_inode[change.inode]
                node.data, node.writes = _written(node, lambda change: None), []
            case "fsyncdir":
                node = self._at(change.path)
                node.names, node.moves = node.current(), []

    def crash(self, choice: Choice) -> Crash:
        """What is left if the power is cut now."""
        kept = self._kept_moves(choice)
        files: dict[str, bytes] = {}
        identities: dict[str, int] = {}
        directories: set[str] = set()
        contents: dict[int, bytes] = {}
        pending = [("", self._root)]
        while pending:
            above, directory = pending.pop()
            moves = [move for move in directory.moves if move[0] in kept[id(directory)]]
            for name, node in _moved(directory.names, moves).items():
                path = f"{above}{name}"
                if node.is_directory:
                    directories.add(path)
                    pending.append((f"{path}/", node))
                else:
                    identities[path] = id(node)
                    if id(node) not in contents:
                        contents[id(node)] = _written(node, choice.keep)
                    files[path] = contents[id(node)]
        return Crash(files, identities, frozenset(directories))

    def drawn(self) -> Choice:
        """A choice by lot, another one each time."""
        self._draws += 1
        return _drawn(self._draws)

    def _kept_moves(self, choice: Choice) -> dict[int, set[int]]:
        """By directory the numbers of the changes that are kept, a rename in both of its directories or in neither."""
        directories = self._directories()
        kept = {
            id(directory): {number for number, *_ in directory.moves[: choice.moves(len(directory.moves))]}
            for directory in directories
        }
        synced = {id(d): {number for number, *_ in d.moves} for d in directories}
        settled = False
        while not settled:
            settled = True
            every = set().union(*kept.values())
            for directory in directories:
                own = kept[id(directory)]
                if missing := (every & synced[id(directory)]) - own:
                    # The later change of the two directories takes all before it along.
                    own |= {number for number in synced[id(directory)] if number <= max(missing)}
                    settled = False
        return kept

    def _directories(self) -> list[Node]:
        """Every directory that is there or may be there again."""
        found: dict[int, Node] = {}
        pending = [self._root]
        while pending:
            directory = pending.pop()
            if id(directory) in found:
                continue
            found[id(directory)] = directory
            nodes: Iterable[Node | None] = (*directory.names.values(), *(node for _, _, node in directory.moves))
            pending += [node for node in nodes if node is not None and node.is_directory]
        return list(found.values())

    def _at(self, path: str) -> Node:
        node = self._root
        for name in filter(None, path.split("/")):
            node = node.current()[name]
        return node

    def _name(self, path: str, node: Node | None) -> None:
        above, _, name = path.rpartition("/")
        self._at(above).moves.append((self._count, name, node))


def _moved(names: dict[str, Node], moves: Iterable[tuple[int, str, Node | None]]) -> dict[str, Node]:
    result = dict(names)
    for _, name, node in moves:
        result.pop(name, None)
        if node is not None:
            result[name] = node
    return result


def _written(node: Node, keep: Callable[[Change], int | None]) -> bytes:
    data = bytearray(node.data)
    for change in node.writes:
        length = keep(change)
        if change.operation == "truncate":
            if length is None:
                data = data[: change.length].ljust(change.length, b"\0")
            continue
        kept = change.data if length is None else change.data[:length]
        if kept:
            data = data.ljust(change.offset, b"\0")
            data[change.offset : change.offset + len(kept)] = kept
    return bytes(data)
