"""The files below a directory of a repository, as its host lists them, and which of them are wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

__all__ = ["Listed", "Listing", "matches"]


@dataclass(frozen=True, slots=True)
class Listed:
    """One file: its path below the directory, its size in bytes, and its SHA-256 where the host tells it."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a directory holds at one commit (None where its files are pinned to several), sorted by path."""

    commit: str | None
    files: tuple[Listed, ...]

    @classmethod
    def of(cls, commit: str | None, files: Iterable[Listed]) -> Listing:
        """The listing of these files."""
        return cls(commit, tuple(sorted(files, key=lambda file: file.path)))

    def chosen(self, *, include: Sequence[str], exclude: Sequence[str]) -> Listing:
        """The files that the patterns choose."""
        files = (file for file in self.files if matches(file.path, include=include, exclude=exclude))
        return replace(self, files=tuple(files))


def matches(path: str, *, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a file is wanted: any of ``include`` matches (or there is none), and none of ``exclude``.

    As in ``hf download``: ``*`` crosses slashes, and a pattern that ends with a slash means all below it.
    """
    return (not include or _any(path, include)) and not _any(path, exclude)


def _any(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)
