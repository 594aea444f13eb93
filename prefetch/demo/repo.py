"""Repositories of the stand-in Hub: their files at each revision, as the Hub's API describes them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from prefetch.demo.content import BytesFile, Content

__all__ = ["Files", "Repo", "RepoKind", "Snapshot", "is_lfs", "oid"]

Files = Mapping[str, Content]
RepoKind = Literal["model", "dataset", "space"]

_LFS_SUFFIXES = frozenset({".safetensors", ".sft", ".gguf", ".pth", ".pt", ".ckpt", ".bin", ".onnx", ".dat"})
_LFS_SIZE = 10 << 20
_WRITTEN = "2026-01-02T03:04:05.000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repo:
    """One repository.

    Attributes:
        id: ``owner/name``.
        files: content by path, on the branch ``main``.
        revisions: the same for other branches, tags and refs, such as ``refs/pr/1``.
        gated: reading a file takes a token among ``readers``; listing takes none.
        private: without a token among ``readers`` it does not exist.
        disabled: nobody may read it.
        formerly: ids it had before, which redirect to it; one from the first days has no owner.
        xet: answers name the Xet storage too, which a client without it reads through the bridge.
    """

    id: str
    files: Files
    kind: RepoKind = "model"
    revisions: Mapping[str, Files] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    disabled: bool = False
    readers: frozenset[str] = frozenset()
    formerly: tuple[str, ...] = ()
    xet: bool = False

    def snapshots(self) -> dict[str, Snapshot]:
        """The repository at each of its named revisions."""
        named = {"main": self.files, **self.revisions}
        return {name: Snapshot(_commit(self.id, files), files) for name, files in named.items()}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository's files at one commit."""

    commit: str
    files: Files

    def siblings(self, *, blobs: bool) -> list[dict[str, Any]]:
        """The files as ``/api/models/{id}`` lists them, with sizes and hashes for ``blobs``."""
        if not blobs:
            return [{"rfilename": path} for path in sorted(self.files)]
        return [_sibling(path, content) for path, content in sorted(self.files.items())]

    def tree(self, folder: str, *, recursive: bool, expand: bool) -> list[dict[str, Any]] | None:
        """What lies below ``folder`` (empty: the root) as ``/tree`` lists it; None where there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        below = [path for path in sorted(_with_folders(self.files)) if path.startswith(prefix)]
        if not below and folder:
            return None
        return [self._entry(path, expand=expand) for path in below if recursive or "/" not in path[len(prefix) :]]

    def paths_info(self, paths: list[str], *, expand: bool) -> list[dict[str, Any]]:
        """The same for single paths, leaving out the ones that do not exist."""
        known = _with_folders(self.files)
        return [self._entry(path, expand=expand) for path in paths if path in known]

    def _entry(self, path: str, *, expand: bool) -> dict[str, Any]:
        last = {"lastCommit": {"id": self.commit, "title": "Upload", "date": _WRITTEN}} if expand else {}
        content = self.files.get(path)
        if content is None:
            return {"type": "directory", "oid": _sha1(f"tree {path}"), "size": 0, "path": path, **last}
        return (
            {"type": "file", "oid": oid(path, content), "size": content.size, "path": path} | _lfs(path, content) | last
        )


def is_lfs(path: str, content: Content) -> bool:
    """Whether the Hub keeps the file outside git, and its sha256 is therefore known."""
    return PurePosixPath(path).suffix in _LFS_SUFFIXES or content.size > _LFS_SIZE


def oid(path: str, content: Content) -> str:
    """The git hash of the file, or of its pointer where the file is kept outside git; 40 hex digits."""
    return BytesFile(content.lfs_pointer.encode()).git_sha1 if is_lfs(path, content) else content.git_sha1


def _lfs(path: str, content: Content) -> dict[str, Any]:
    if not is_lfs(path, content):
        return {}
    return {"lfs": {"oid": content.sha256, "size": content.size, "pointerSize": len(content.lfs_pointer)}}


def _sibling(path: str, content: Content) -> dict[str, Any]:
    lfs = _lfs(path, content)
    if lfs:
        lfs["lfs"]["sha256"] = lfs["lfs"].pop("oid")
    return {"rfilename": path, "size": content.size, "blobId": oid(path, content), **lfs}


def _with_folders(files: Files) -> set[str]:
    return {*files, *(folder for path in files for folder in _parents(path))}


def _parents(path: str) -> Iterator[str]:
    return (str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")


def _commit(repo_id: str, files: Files) -> str:
    return _sha1("\n".join([repo_id, *(f"{path} {oid(path, content)}" for path, content in sorted(files.items()))]))


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
