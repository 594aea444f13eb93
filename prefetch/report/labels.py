"""Models' names in few characters, so that no two in one view look the same."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from os.path import commonpath

from prefetch.report.humanize import printable, shorten

__all__ = ["labels_of"]

_WORD = re.compile(r"[^\W_]*\Z")


def labels_of(paths: Iterable[str], width: int) -> Mapping[str, str]:
    """For each path its file's name in at most ``width`` characters, with folders where two files have one name."""
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        by_name[path.rpartition("/")[2]].append(path)
    names = {path: printable(name) for path, name in _named(by_name)}
    return dict(zip(names, _shortened(list(names.values()), width), strict=True))


def _named(by_name: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, str]]:
    for name, paths in by_name.items():
        shared = len(commonpath(paths)) + 1 if len(paths) > 1 and commonpath(paths) else 0
        yield from ((path, name if len(paths) == 1 else path[shared:]) for path in paths)


def _shortened(names: Sequence[str], width: int) -> list[str]:
    """Each name cut in its middle; those that look the same then, where they differ."""
    cut = [shorten(name, width) for name in names]
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name, short in zip(names, cut, strict=True):
        alike[short].append(name)
    return [
        short if len(set(alike[short])) == 1 else _around(name, _difference(name, alike[short]), width)
        for name, short in zip(names, cut, strict=True)
    ]


def _difference(name: str, others: Iterable[str]) -> int:
    """Where the name first differs from the one that it is most like."""
    return max(_shared(name, other) for other in others if other != name)


def _shared(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _around(name: str, at: int, width: int) -> str:
    """The name in ``width`` characters, with the word in view that is at ``at``, and its end where there is room."""
    word = _WORD.search(name, 0, at)
    rest = name[word.start() if word is not None and at - word.start() < width // 2 else at :]
    if len(rest) >= width:
        return f"…{rest[: width - 2]}…" if width > 2 else rest[:width]
    return f"{name[: width - 1 - len(rest)]}…{rest}"
