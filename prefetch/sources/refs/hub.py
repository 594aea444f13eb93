"""Files and directories in repositories on the Hugging Face Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, Literal
from urllib.parse import quote, unquote

from prefetch.net.urls import SecretURL
from prefetch.sources.refs.shown import holds_control, shown

__all__ = ["HUB_HOSTS", "HuggingFaceRef", "HuggingFolderRef", "RepoKind", "parse_hf", "parse_hub_link"]

RepoKind = Literal["model", "dataset", "space"]

HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_KINDS: dict[str, RepoKind] = {"datasets": "dataset", "spaces": "space"}
_PREFIXES: dict[RepoKind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}
_FILE_VIEWS = frozenset({"resolve", "blob", "raw"})
_NAME = re.compile(r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class HuggingFaceRef:
    """One file in a repository on the Hugging Face Hub. ``revision`` and ``path`` are decoded."""

    repo: str
    path: str
    revision: str = "main"
    kind: RepoKind = "model"

    needs_sha256: ClassVar[bool] = False

    @property
    def repo_path(self) -> str:
        """The repository as it stands in addresses: ``owner/name``, ``datasets/owner/name``, ``spaces/owner/name``."""
        return _PREFIXES[self.kind] + self.repo

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        revision = "" if self.revision == "main" else "@" + quote(self.revision, safe="")
        return f"hf://{self.repo_path}{revision}/{self.path}"


@dataclass(frozen=True, slots=True)
class HuggingFolderRef:
    """One directory in a repository on the Hub, with all below it; ``path`` is empty for the whole repository."""

    repo: str
    path: str
    revision: str = "main"
    kind: RepoKind = "model"

    @property
    def repo_path(self) -> str:
        """The repository as it stands in addresses."""
        return _PREFIXES[self.kind] + self.repo

    @property
    def prefix(self) -> str:
        """What the path of every file below it begins with."""
        return f"{self.path}/" if self.path else ""

    def file(self, name: str) -> HuggingFaceRef:
        """The file at ``name`` below it."""
        return HuggingFaceRef(self.repo, self.prefix + name, self.revision, self.kind)

    def __str__(self) -> str:
        return str(self.file("x"))[:-1]


def parse_hf(text: str) -> HuggingFaceRef:
    """The file that an ``hf://`` address names; ValueError says what is wrong with it and what to write."""
    form = "write hf://[datasets/|spaces/]owner/repo[@revision]/path/to/file"
    if not text[:5].lower() == "hf://":
        raise ValueError(f"{shown(text)} is not a Hugging Face source; {form}.")
    segments = text[5:].split("/")
    kind = _KINDS.get(segments[0])
    owner, repo, *path = segments[1:] if kind else [*segments, ""]
    if not kind:
        path = path[:-1]
    repo, at, revision = repo.partition("@")
    if not path:
        raise ValueError(f"{shown(text)} names no file; {form}.")
    if at and not revision:
        raise ValueError(f"{shown(text)} has an empty revision after the @; {form}.")
    return _hub_file(text, kind or "model", f"{owner}/{repo}", unquote(revision) or "main", path)


def parse_hub_link(text: str, url: SecretURL) -> HuggingFaceRef:
    """The file that a link to the Hub leads to; ``text`` is the link as it was written. ValueError as `parse_hf`."""
    segments = url.path.lstrip("/").split("/")
    kind = _KINDS.get(segments[0])
    owner, repo, view, revision, *path = (*(segments[1:] if kind else segments), *[""] * 4)
    path = path[:-4]
    if view not in _FILE_VIEWS or not path:
        raise ValueError(
            f"{url} is not a link to one file of a repository; copy the file's own download link "
            "(…/resolve/REVISION/PATH) or write hf://owner/repo/path."
        )
    decoded = unquote("/".join(path)).split("/")
    return _hub_file(text, kind or "model", f"{owner}/{repo}", unquote(revision), decoded)


def _hub_file(text: str, kind: RepoKind, repo: str, revision: str, path: list[str]) -> HuggingFaceRef:
    if path[-1] == "":
        raise ValueError(f"{shown(text)} is a directory; end the path with a slash too, or name one file.")
    if not all(_is_repo_name(name) for name in repo.split("/")):
        raise ValueError(f"{shown(text)} has no valid repository {repo!r}; it must be owner/name.")
    if {"", ".", ".."} & set(path):
        raise ValueError(f"{shown(text)} has an empty, '.' or '..' part in its path; write the plain path.")
    if holds_control(revision + "".join(path)):
        raise ValueError(f"{shown(text)} holds an encoded control character; write it without any.")
    return HuggingFaceRef(repo, "/".join(path), revision, kind)


def _is_repo_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and "--" not in name and ".." not in name and not name.endswith(".git")
