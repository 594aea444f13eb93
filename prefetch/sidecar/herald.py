"""What a sidecar has to tell those who do not look: which messages there are, and when one is worth sending."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from prefetch.errors import PrefetchError, TransientError
from prefetch.report.result import RunResult
from prefetch.verification import Verdict

__all__ = ["About", "Herald"]

About = Literal["manifest", "address"]
"""What is wrong: the manifests themselves, or that what is at their address cannot be had."""

MOST = 50
"""Models that a message names; more are only counted."""
_DONE = ("downloaded", "adopted", "linked")


class Herald:
    """Tells each thing once: a success after which something is different, a failure when it begins or changes.

    Args:
        post: takes a message: its type and what it says.
    """

    def __init__(self, post: Callable[[str, Mapping[str, Any]], None], volume: str) -> None:
        self._post = post
        self._of = {"volume": volume, "host": os.environ.get("RUNPOD_POD_ID") or socket.gethostname()}
        self._failure: object = None

    def ran(self, result: RunResult, removed: Sequence[str], *, new: bool) -> None:
        """A run ended by itself.

        Args:
            removed: models that were removed after it.
            new: whether the manifests had changed before it.
        """
        failed = {model.path: model.error for model in result.models if model.error is not None}
        changed = [model.path for model in result.models if model.status in _DONE]
        failure = None if result.error is None else (result.error.code, tuple(failed))
        before, self._failure = self._failure, failure
        if result.exit_code == 0:
            if new or changed or removed or before is not None:
                self._post("models.ready", self._about(result, changed, removed, failed))
        elif failure != before:
            self._post("models.failed", self._about(result, changed, removed, failed))

    def refused(self, about: About, error: PrefetchError) -> None:
        """The manifests cannot be used; an address that only does not answer right now is not worth a message."""
        if not isinstance(error, TransientError):
            self._post("manifest.refused", {**self._of, "about": about, "error": _error(error)})

    def damaged(self, verdict: Verdict) -> None:
        """A model on the volume is not what it was."""
        found = {"path": verdict.path, "status": verdict.status, "detail": verdict.detail}
        self._post("model.damaged", {**self._of, **found})

    def _about(
        self, result: RunResult, changed: Iterable[str], removed: Iterable[str], failed: Mapping[str, str | None]
    ) -> dict[str, Any]:
        return {
            **self._of,
            "exit_code": result.exit_code,
            "error": None if result.error is None else _error(result.error),
            "seconds": round(result.seconds, 3),
            "bytes_downloaded": result.bytes_downloaded,
            "models": Counter(model.status for model in result.models),
            "changed": list(changed)[:MOST],
            "removed": list(removed)[:MOST],
            "failed": [{"path": path, "error": error} for path, error in list(failed.items())[:MOST]],
        }


def _error(error: PrefetchError) -> dict[str, str]:
    return {"code": error.code, "message": str(error)}
