"""``prefetch schema``: the manifest's JSON Schema."""

from __future__ import annotations

from prefetch.manifest import schema_json
from prefetch.report.events import Listener
from prefetch.report.result import TextResult
from prefetch.settings import Settings

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> TextResult:
    """The schema, which is JSON with or without ``--json``."""
    return TextResult(schema_json().rstrip("\n"))
