"""Where an image's symbolic links lead, once its layers lie over one another, and so by which names files are seen.

Links are followed as Linux does, from the root of the image and never out of it. What that may cost is bounded: a real
image has some ten thousand links of a few names each, but folders that are linked into one another have no end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from prefetch.image.tree import Copy, Folder, Node, Symlink

__all__ = ["linked"]

_MOST_STEPS, _MOST_NAMES = 500_000, 10_000
_MOST_HOPS = 40
"""As many links in a row as Linux follows."""

_DEEPEST = 2
"""How many linked folders are looked through in one another."""

_SEARCHED = frozenset({"models", "custom_nodes"})
"""In these a linked folder is looked through; elsewhere its names matter to nobody, and `/` itself may be linked."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder, and the one it stands in; None above the root."""

    folder: Folder
    above: _Place | None = None

    def holds(self, other: _Place) -> bool:
        """Whether ``other`` is this folder, or stands somewhere below it."""
        place: _Place | None = other
        while place is not None and place.folder is not self.folder:
            place = place.above
        return place is not None


def linked(root: Folder) -> Iterator[tuple[str, Copy]]:
    """Each name by which a copy is seen through a symbolic link: one to it, or one to a folder above it."""
    return islice(_linked(root), _MOST_NAMES)


def _linked(root: Folder) -> Iterator[tuple[str, Copy]]:
    follower = _Follower(_Place(root))
    pending: list[tuple[str, Node | _Place, _Place, int]] = [("", follower.top, follower.top, 0)]
    while pending and follower.steps_left > 0:
        path, found, place, depth = pending.pop()
        if isinstance(found, Symlink):
            found, depth = follower.follow(found, place), depth + 1
            if isinstance(found, _Place) and (depth > _DEEPEST or not _is_searched(path) or found.holds(place)):
                continue
        if isinstance(found, Copy) and depth:
            yield path, found
        elif isinstance(found, dict):
            found = _Place(found, place)
        if isinstance(found, _Place):
            follower.steps_left -= len(found.folder) if depth else 0
            below = found.folder.items()
            pending.extend((f"{path}/{name}" if path else name, node, found, depth) for name, node in below)


def _is_searched(path: str) -> bool:
    return not _SEARCHED.isdisjoint(path.split("/"))


class _Follower:
    """Follows links, on a budget of steps."""

    def __init__(self, top: _Place) -> None:
        self.top = top
        self.steps_left = _MOST_STEPS

    def follow(self, link: Symlink, place: _Place) -> Copy | _Place | None:
        """What a link that stands in ``place`` leads to; None where that is nothing, or links lead in a circle."""
        found: Copy | _Place = self.top if link.absolute else place
        names, hops = deque(link.names), 1
        while names and isinstance(found, _Place) and self.steps_left > 0:
            self.steps_left -= 1
            name = names.popleft()
            node = found.folder.get(name)
            if name == "..":
                found = found.above or found
            elif isinstance(node, Symlink) and hops < _MOST_HOPS:
                hops += 1
                names.extendleft(reversed(node.names))
                found = self.top if node.absolute else found
            elif isinstance(node, dict):
                found = _Place(node, found)
            elif isinstance(node, Copy):
                found = node
            else:
                return None
        return None if names else found
