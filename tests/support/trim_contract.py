"""Cuts RunPod's published API contract to the operations that prefetch or its templates use, without its prose.

    python -m tests.support.trim_contract runpod-openapi-v2.json

The whole document is at https://api.runpod.io/v2/openapi.json. Run this again when it changes, and read what differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["CONTRACT", "trimmed"]

CONTRACT = Path(__file__).with_name("runpod_contract.json")

_OPERATIONS = {
    "/v2/pods": ("get", "post"),
    "/v2/pods/{id}": ("get", "delete"),
    "/v2/pods/{id}/logs": ("get",),
    "/v2/pods/{id}/action": ("post",),
    "/v2/network-volumes": ("get", "post"),
    "/v2/network-volumes/{id}": ("get", "delete"),
    "/v2/templates": ("post",),
    "/v2/serverless": ("post",),
    "/v2/catalog/cpus": ("get",),
    "/v2/catalog/datacenters": ("get",),
}
_PROSE = frozenset({"summary", "description", "tags", "example", "examples", "externalDocs"})
_NAMES = frozenset({"properties", "schemas", "responses", "headers", "parameters", "securitySchemes"})


def trimmed(document: dict[str, Any]) -> dict[str, Any]:
    """The part of the contract that is used, with everything it refers to."""
    paths = {path: _path(document["paths"][path], methods) for path, methods in _OPERATIONS.items()}
    found: dict[str, Any] = {"securitySchemes": _rules(document["components"]["securitySchemes"], named=True)}
    waiting = list(_references(paths))
    while waiting:
        kind, name = waiting.pop()
        if name not in found.setdefault(kind, {}):
            found[kind][name] = _rules(document["components"][kind][name])
            waiting.extend(_references(found[kind][name]))
    components = {kind: dict(sorted(parts.items())) for kind, parts in sorted(found.items())}
    info = {"title": document["info"]["title"], "version": document["info"]["version"]}
    kept: dict[str, Any] = {key: document[key] for key in ("openapi", "security") if key in document}
    return {**kept, "info": info, "servers": [{"url": "/"}], "paths": paths, "components": components}


def _path(item: dict[str, Any], methods: tuple[str, ...]) -> dict[str, Any]:
    return {key: _rules(value) for key, value in item.items() if key in (*methods, "parameters")}


def _rules(value: Any, *, named: bool = False) -> Any:
    """The same without prose; with ``named``, the keys are names that others chose."""
    if isinstance(value, list):
        return [_rules(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: "" if key == "description" and not named and _is_response(value) else _rules(item, named=key in _NAMES)
        for key, item in value.items()
        if named or _is_kept(key, value)
    }


def _is_kept(key: str, holder: dict[str, Any]) -> bool:
    # A response must have a description, by OpenAPI's own rules.
    return not key.startswith("x-") and (key not in _PROSE or (key == "description" and _is_response(holder)))


def _is_response(holder: dict[str, Any]) -> bool:
    return "description" in holder and ("content" in holder or "headers" in holder) and "schema" not in holder


def _references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            _, _, kind, name = reference.split("/")
            yield kind, name
        for item in value.values():
            yield from _references(item)


if __name__ == "__main__":
    whole = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    CONTRACT.write_text(json.dumps(trimmed(whole), indent=1) + "\n", encoding="utf-8")
