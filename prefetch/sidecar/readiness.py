"""The one word of ``/readyz``: whether all that is required is there and verified, by what the runs tell."""

from __future__ import annotations

from collections.abc import Mapping

from prefetch.manifest import Model
from prefetch.report.events import (
    Event,
    ModelDone,
    ModelFailed,
    ModelStarted,
    RunFinished,
    RunStarted,
    Verifying,
    Waiting,
)
from prefetch.report.result import RunResult

__all__ = ["Readiness"]


class Readiness:
    """A listener. A model counts as verified from when a run found it so until anything says otherwise.

    So a sidecar that is ready stays so while it looks after the same models again, and while it fetches others.
    """

    def __init__(self) -> None:
        self._required: Mapping[str, Model | None] | None = None
        self._verified: frozenset[str] = frozenset()
        self._working = True

    def expect(self, required: Mapping[str, Model | None]) -> None:
        """From now on these are required; what is known of one that is wanted as before still counts."""
        before = self._required or {}
        kept = {path for path in self._verified if path in required and required[path] == before.get(path)}
        self._verified, self._required = frozenset(kept), required

    def lose(self, *paths: str) -> None:
        """These are not there, or damaged."""
        self._verified -= frozenset(paths)

    def take(self, result: RunResult) -> None:
        """What a run came to in the end: it may have ended before it could tell of each model."""
        self.lose(*(model.path for model in result.models if model.status in ("failed", "waiting")))

    def lose_all(self) -> None:
        """Nothing is known to be there any more."""
        self._verified = frozenset()

    def word(self) -> str:
        """``ready``, or else ``working`` or ``failed``. Called from any thread."""
        if self._required is not None and self._verified.issuperset(self._required):
            return "ready"
        return "working" if self._working else "failed"

    def __call__(self, event: Event) -> None:
        """Take the event in."""
        match event:
            case ModelDone():
                self._verified |= {event.path}
            case ModelFailed() | ModelStarted() | Waiting() | Verifying():
                self.lose(event.path)
            case RunStarted():
                self._working = True
            case RunFinished():
                self._working = event.ok
