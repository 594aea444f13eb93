"""A path in a cache of the Hub's form → the file of the Hub that it is a copy of. Pure.

Such a cache has ``models--OWNER--NAME/snapshots/COMMIT/PATH``, links as a rule, to ``models--OWNER--NAME/blobs/HASH``.
"""

from __future__ import annotations

import re

from prefetch.sources.refs.hub import HuggingFaceRef, RepoKind, parse_hf

__all__ = ["CACHE_FOLDERS", "cached_file", "is_cached"]

CACHE_FOLDERS: dict[RepoKind, str] = {"model": "models", "dataset": "datasets", "space": "spaces"}
"""With what the name of a repository's folder begins."""

_KINDS = {folder: kind for kind, folder in CACHE_FOLDERS.items()}
_REPOSITORY = rf"(?:^|/)({'|'.join(_KINDS)})--([^/]+)"
_CACHED = re.compile(rf"{_REPOSITORY}/(?:blobs|snapshots)/")
_SNAPSHOT = re.compile(rf"{_REPOSITORY}/snapshots/([0-9a-f]{{40}})/(.+)")


def is_cached(path: str) -> bool:
    """Whether the path is one of a file in such a cache, wherever that is."""
    return _CACHED.search(path) is not None


def cached_file(path: str) -> HuggingFaceRef | None:
    """The file, pinned to its commit; None where the path does not tell, or tells of what no source can name."""
    match = _SNAPSHOT.search(path)
    if match is None:
        return None
    folder, name, commit, below = match.groups()
    ref = HuggingFaceRef(name.replace("--", "/", 1), below, commit, _KINDS[folder])
    try:
        return parse_hf(str(ref))
    except ValueError:
        return None
