"""Files on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar
from urllib.parse import quote, unquote

from prefetch.sources.refs.shown import holds_control, shown

__all__ = ["FileRef", "parse_file"]

_FILE = re.compile(r"(?i:file://(?:localhost)?)(/.*)")


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file on this machine; ``path`` is absolute."""

    path: str

    needs_sha256: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        return "file://" + quote(self.path, errors="surrogateescape")


def parse_file(text: str) -> FileRef:
    """The file that a ``file://`` address names; ValueError says what is wrong with it and what to write."""
    match = _FILE.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not an absolute file address; write file:///absolute/path.")
    path = unquote(match[1], errors="surrogateescape")
    if "?" in match[1] or "#" in match[1]:
        raise ValueError(f"{shown(text)} holds a bare ? or #; write them %3F and %23.")
    if path.endswith("/"):
        raise ValueError(f"{shown(text)} is a directory; name one file.")
    if holds_control(path):
        raise ValueError(f"{shown(text)} holds an encoded control character; write it without any.")
    return FileRef(path)
