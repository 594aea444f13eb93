"""Files and directories in repositories on the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, Literal
from urllib.parse import quote, unquote

from prefetch.net.urls import SecretURL
from prefetch.sources.refs.query import parameters
from prefetch.sources.refs.shown import holds_control, shown

__all__ = [
    "HUB_SITES",
    "HuggingFaceRef",
    "HuggingFolderRef",
    "RepoKind",
    "is_hub_folder_link",
    "parse_hf",
    "parse_hf_folder",
    "parse_hub_folder_link",
    "parse_hub_link",
]

RepoKind = Literal["model", "dataset", "space"]

HUB_SITES = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_KINDS: dict[str, RepoKind] = {"datasets": "dataset", "spaces": "space"}
_PREFIXES: dict[RepoKind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}
_FILE_VIEWS = frozenset({"resolve", "blob", "raw"})
_FOLDER_VIEWS = frozenset({"tree"})
_MEANINGLESS = {name: name for name in ("download", "not-for-all-audiences")}
"""What a link's parameters may be: how a browser shows the file, and that its reader is of age. None names a file."""
_NO_REPO = frozenset({"buckets", "kernels", "models"})
"""What may stand before an owner and is no kind of repository that is read here."""
_FILE_FORM = "write hf://[datasets/|spaces/]owner/repo[@revision]/path/to/file"
_FOLDER_FORM = "write hf://[datasets/|spaces/]owner/repo[@revision]/path/ with a slash at its end"
_BARE_FILE = re.compile(r"(?i)(hf://(?:(?:datasets|spaces)/)?(?!(?:datasets|spaces)/)[^/@]+)(/[^/@]+\.[a-z]\w*)")
"""A file of a repository without an owner: what ends as a file does is hardly a repository."""
_NAME = re.compile(r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class HuggingFaceRef:
    """One file in a repository on the Hugging Face Hub. ``revision`` and ``path`` are decoded.

    ``repo`` is ``owner/name``, or a bare name from the Hub's first days, which the Hub redirects to its owner's now.
    """

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
        # Without an owner, only the revision tells where the repository's name ends.
        plain = self.revision == "main" and "/" in self.repo
        revision = "" if plain else "@" + quote(self.revision, safe="")
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
    named = _BARE_FILE.fullmatch(text)
    kind, repo, revision, path = _split_hf(text if named is None else f"{named[1]}@main{named[2]}", _FILE_FORM)
    if not path:
        raise ValueError(f"{shown(text)} names no file; {_FILE_FORM}.")
    return _hub_file(text, kind, repo, revision, path)


def parse_hf_folder(text: str) -> HuggingFolderRef:
    """The directory that an ``hf://`` address with a slash at its end names; ValueError as `parse_hf`."""
    kind, repo, revision, path = _split_hf(text.rstrip("/"), _FOLDER_FORM)
    if not repo:
        raise ValueError(f"{shown(text)} names no repository; {_FOLDER_FORM}.")
    return _hub_folder(text, kind, repo, revision, path)


def parse_hub_link(text: str, url: SecretURL) -> HuggingFaceRef:
    """The file that a link to the Hub leads to; ``text`` is the link as it was written. ValueError as `parse_hf`."""
    remedy = "copy the file's own download link (…/resolve/REVISION/PATH) or write hf://owner/repo/path"
    found = _split_link(url, _FILE_VIEWS)
    if found is None or not found[3]:
        raise ValueError(f"{url} is not a link to one file of a repository; {remedy}.")
    parameters(url, _MEANINGLESS, remedy=f"take it out, or {remedy}")
    return _hub_file(text, *found)


def is_hub_folder_link(url: SecretURL) -> bool:
    """Whether an address is a link to a directory on the Hub."""
    return url.site in HUB_SITES and _split_link(url, _FOLDER_VIEWS) is not None


def parse_hub_folder_link(text: str, url: SecretURL) -> HuggingFolderRef:
    """The directory that a link to the Hub leads to; ``text`` is the link as it was written.

    ValueError as `parse_hf`.
    """
    found = _split_link(url, _FOLDER_VIEWS)
    if found is None:
        raise ValueError(f"{url} is not a link to a directory of a repository (…/tree/REVISION/PATH); {_FOLDER_FORM}.")
    parameters(url, _MEANINGLESS, remedy="take it out, or copy the download link (…/resolve/REVISION/PATH) of one file")
    kind, repo, revision, path = found
    return _hub_folder(text, kind, repo, revision, path if not path or path[-1] else path[:-1])


def _split_hf(text: str, form: str) -> tuple[RepoKind, str, str, list[str]]:
    """Kind, repository, revision and path of an ``hf://`` address; no repository where its name has no end."""
    if text[:5].lower() != "hf://":
        raise ValueError(f"{shown(text)} is not a Hugging Face source; {form}.")
    kind, segments = _kind_of(text[5:].split("/"))
    if segments[0] in _NO_REPO and kind == "model" and len(segments) > 2:
        raise ValueError(f"{shown(text)} is in no repository of models, datasets or spaces; {form}.")
    parts = 1 if "@" in segments[0] else 2
    if len(segments) < parts:
        return kind, "", "main", []
    *owner, name = segments[:parts]
    name, at, revision = name.partition("@")
    if at and not revision:
        raise ValueError(f"{shown(text)} has an empty revision after the @; {form}.")
    return kind, "/".join([*owner, name]), unquote(revision) or "main", segments[parts:]


def _split_link(url: SecretURL, views: Collection[str]) -> tuple[RepoKind, str, str, list[str]] | None:
    """Kind, repository, revision and decoded path of a link that shows one of ``views``; None for any other link."""
    kind, segments = _kind_of(url.path.lstrip("/").split("/"))
    for parts in (2, 1):
        owner, view, rest = segments[:parts], segments[parts : parts + 1], segments[parts + 1 :]
        if view and view[0] in views and rest:
            path = unquote("/".join(rest[1:])).split("/") if rest[1:] else []
            return kind, "/".join(owner), unquote(rest[0]), path
    return None


def _kind_of(segments: list[str]) -> tuple[RepoKind, list[str]]:
    kind = _KINDS.get(segments[0])
    return ("model", segments) if kind is None else (kind, segments[1:] or [""])


def _hub_file(text: str, kind: RepoKind, repo: str, revision: str, path: list[str]) -> HuggingFaceRef:
    if path[-1] == "":
        raise ValueError(f"{shown(text)} is a directory; end the path with a slash too, or name one file.")
    _check(text, repo, revision, path)
    return HuggingFaceRef(repo, "/".join(path), revision, kind)


def _hub_folder(text: str, kind: RepoKind, repo: str, revision: str, path: list[str]) -> HuggingFolderRef:
    _check(text, repo, revision, path)
    return HuggingFolderRef(repo, "/".join(path), revision, kind)


def _check(text: str, repo: str, revision: str, path: list[str]) -> None:
    if not all(_is_repo_name(name) for name in repo.split("/")):
        raise ValueError(f"{shown(text)} has no valid repository {repo!r}; it must be owner/name.")
    if not revision:
        raise ValueError(f"{shown(text)} has an empty revision; write main, or the one that is meant.")
    if {"", ".", ".."} & set(path):
        raise ValueError(f"{shown(text)} has an empty, '.' or '..' part in its path; write the plain path.")
    if holds_control(revision + "".join(path)):
        raise ValueError(f"{shown(text)} holds an encoded control character; write it without any.")


def _is_repo_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and "--" not in name and ".." not in name and not name.endswith(".git")
