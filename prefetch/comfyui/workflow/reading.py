"""Plain values out of JSON that may hold anything anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prefetch.comfyui.workflow.graph import Stated

__all__ = ["as_list", "as_map", "as_number", "as_text", "key_of", "stated_in"]

_CREDENTIALS = re.compile(r"(?i)([?&])(?:token|access_token|api_?key|auth|password|signature)=[^&#]*&?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def as_map(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """The value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def as_number(value: object) -> int:
    """The value if it is a whole number, else -1, which is no position of anything."""
    return value if isinstance(value, int) else -1


def key_of(value: object) -> str:
    """An id as text: ids are numbers here and texts there."""
    return str(value) if isinstance(value, str | int) else ""


def stated_in(entries: object) -> tuple[Stated, ...]:
    """What a list of ``{name, url, directory, hash, hash_type}`` says."""
    found = (_stated(as_map(entry)) for entry in as_list(entries))
    return tuple(entry for entry in found if entry is not None)


def _stated(entry: Mapping[str, Any]) -> Stated | None:
    name, url = as_text(entry.get("name")).replace("\\", "/"), as_text(entry.get("url")).strip()
    if not name:
        return None
    digest = as_text(entry.get("hash"))
    kind = as_text(entry.get("hash_type")).lower().replace("-", "")
    sha256 = digest.lower() if kind in ("sha256", "") and _SHA256.fullmatch(digest) else None
    web = url.startswith(("https://", "http://")) and "@" not in url.partition("://")[2].partition("/")[0]
    return Stated(name, as_text(entry.get("directory")) or None, _without_secrets(url) if web else None, sha256)


def _without_secrets(url: str) -> str:
    """People save workflows with their own key in an address."""
    return _CREDENTIALS.sub(r"\1", url).rstrip("?&")
