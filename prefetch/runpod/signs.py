"""What the job in a pod and whoever follows it from afar know each other by: a variable, and a line of the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prefetch.errors import Interrupted

__all__ = ["INTENT", "LONGEST", "RESULT", "result_in", "result_line"]

INTENT = "PREFETCH_INTENT"
"""The variable that marks a pod as made from afar, and for what: its log goes away with it."""
RESULT = "PREFETCH_RESULT"
"""What the line of the result begins with."""
LONGEST = 12_000
"""Bytes of the line at most: what is longer, a container's log may cut in two."""


def result_line(document: Mapping[str, Any]) -> str:
    """The line that tells a result. Where all models make it too long, those are left out that are all well."""
    line = f"{RESULT} {json.dumps(document)}"
    models = [model for model in document["models"] if model["error"] is not None]
    while len(line) > LONGEST:
        told = {**document, "models": models, "models_left_out": len(document["models"]) - len(models)}
        line = f"{RESULT} {json.dumps(told)}"
        if not models:
            break
        models = models[: len(models) // 2]
    return line


def result_in(line: str) -> Mapping[str, Any] | None:
    """The document in a line of the log, if it is the job's result.

    A job that was stopped by a signal is none yet: its container is started again, and goes on.
    """
    # What a log view may have put before it is no part of it.
    _, found, text = line.partition(f"{RESULT} ")
    if not found:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    code = document.get("exit_code") if isinstance(document, dict) else None
    return document if isinstance(code, int) and code != Interrupted.exit_code else None
