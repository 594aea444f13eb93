"""Where a run stands right now, gathered from its events: what is measured, and what a page can show."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from functools import singledispatchmethod

from prefetch.report.curve import Curve
from prefetch.report.events import (
    Claims,
    Event,
    ModelDone,
    ModelFailed,
    ModelStarted,
    Planned,
    Progress,
    Repaired,
    Retried,
    RunFinished,
    RunStarted,
    Space,
    Traffic,
    Verifying,
    Waiting,
)
from prefetch.report.models import Model, Models
from prefetch.report.totals import Totals

__all__ = ["Board"]

_REMEMBERED = 20
"""Failures that are kept with their message."""


class Board:
    """A listener that keeps the present state of a run, and sums over all runs it has heard of.

    Times are seconds since 1970.

    Attributes:
        lock: held while an event is taken in. Who reads in another thread than the one that tells holds it meanwhile.
        models: every model that the latest run wants, and how many are in each state.
        totals: what was moved in all runs.
        retries, failures, repaired: counts by cause, and bytes by where they were damaged.
        last_failures: the latest, each with its time.
        runs: ended runs by result, ``ok`` or ``failed``.
        manifest_usable: whether the manifests that are followed could be used when they were last looked at; None where
            none are followed.
        curve: the speed since the latest run that moves bytes began.
        scrubbed, damaged: bytes that were read again beside the runs, and models that were found damaged so.
        warnings: what is wrong until it is said to be right again: a sentence with its remedy, by what it is about.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.lock = threading.Lock()
        self.models = Models()
        self.totals = Totals()
        self.retries: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self.last_failures: deque[tuple[float, ModelFailed]] = deque(maxlen=_REMEMBERED)
        self.resumed = 0
        self.progress = _AT_REST
        self.claims = Claims(0, 0)
        self.space: Space | None = None
        self.runs: Counter[str] = Counter()
        self.manifest_usable: bool | None = None
        self.scrubbed = self.damaged = 0
        self.warnings: dict[str, str] = {}
        self.curve: Curve | None = None
        self.running = False
        self.started: float | None = None
        self.moved: float | None = None
        self.last_run: RunFinished | None = None
        self.ended: float | None = None
        self.last_success: float | None = None
        self._written_at_measure = 0
        self._is_expected = False
        self._has_curve = False

    def __call__(self, event: Event) -> None:
        """Take the event in."""
        with self.lock:
            self._take(event)

    def expect(self, models: Iterable[tuple[str, int | None]]) -> None:
        """These paths, with their sizes where known, are what the next run is to bring."""
        with self.lock:
            self.models.expect(models)
            self._is_expected = True

    def remember_success(self, when: float | None) -> None:
        """A run ended well at ``when``, before this process was there to see it."""
        self.last_success = when

    def note_scrub(self, scrubbed: int, damaged: int) -> None:
        """So many bytes were read again, and so many models found damaged."""
        with self.lock:
            self.scrubbed += scrubbed
            self.damaged += damaged

    def warn(self, about: str, sentence: str) -> None:
        """Until `settle`, show this sentence, which says what is wrong with ``about`` (``manifest``) and what to do."""
        with self.lock:
            self.warnings[about] = sentence

    def settle(self, about: str) -> None:
        """Nothing is wrong with ``about`` any more."""
        with self.lock:
            self.warnings.pop(about, None)

    @property
    def seconds(self) -> float:
        """How long ago the latest run began."""
        return 0.0 if self.started is None else max(self._clock() - self.started, 0.0)

    @property
    def used(self) -> int | None:
        """Bytes used on the volume: as measured, and what was written since."""
        if self.space is None or self.space.used is None:
            return None
        return self.space.used + self.totals.traffic.written - self._written_at_measure

    def at_work(self, most: int) -> Iterator[tuple[str, Model]]:
        """Models that are not at their end, at most so many: those that move first."""
        return self.models.at_work(self.progress.active, most)

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """An event that changes nothing here."""

    @_take.register
    def _(self, event: RunStarted) -> None:
        if not self._is_expected:
            self.models.expect(())
        self._is_expected = False
        self.models.begin(event.models)
        self.totals.begin()
        self.running, self.started, self._has_curve = True, self._clock(), False
        self._has_moved()

    @_take.register
    def _(self, event: Planned) -> None:
        self._has_moved()

    @_take.register
    def _(self, event: ModelStarted) -> None:
        self.resumed += event.resumed
        model = self.models.move(event.path, "fetching", size=event.size)
        model.done, model.owner = event.resumed, None
        self._has_moved()

    @_take.register
    def _(self, event: Progress) -> None:
        self.progress = event
        self._draw(event.speed)
        for transfer in event.active:
            self.models.note(transfer)

    @_take.register
    def _(self, event: Traffic) -> None:
        if self.totals.note(event):
            self._has_moved()

    @_take.register
    def _(self, event: Claims) -> None:
        self.claims = event

    @_take.register
    def _(self, event: Space) -> None:
        self.space = event
        self._written_at_measure = self.totals.traffic.written

    @_take.register
    def _(self, event: Retried) -> None:
        self.retries[event.cause] += 1
        self.models.note_trouble(event.path, event.cause)

    @_take.register
    def _(self, event: Repaired) -> None:
        self.repaired[event.where] += event.bytes_refetched

    @_take.register
    def _(self, event: Verifying) -> None:
        self.models.move(event.path, "verifying", size=event.size)
        self._has_moved()

    @_take.register
    def _(self, event: Waiting) -> None:
        before = self.models.by_path.get(event.path)
        if before is None or before.done != event.done:
            self._has_moved()
        model = self.models.move(event.path, "waiting", size=event.size)
        model.done, model.speed = event.done, event.speed
        model.owner = None if event.host is None or event.pid is None else (event.host, event.pid)

    @_take.register
    def _(self, event: ModelDone) -> None:
        model = self.models.move(event.path, event.status, size=event.size)
        model.done = event.size
        self.models.unpinned += not event.pinned
        self._has_moved()

    @_take.register
    def _(self, event: ModelFailed) -> None:
        # One that another process has still is what it was in the result: waited for.
        self.models.move(event.path, event.status)
        self.models.give_up(event.path)
        self.failures[event.code] += 1
        self.last_failures.append((self._clock(), event))
        self._has_moved()

    @_take.register
    def _(self, event: RunFinished) -> None:
        self.running, self.last_run, self.ended = False, event, self._clock()
        self.runs["ok" if event.ok else "failed"] += 1
        if event.ok:
            self.last_success = self.ended
        self.models.end()
        self.progress = _AT_REST
        self._has_moved()

    def _draw(self, speed: float) -> None:
        now = self._clock()
        # Until bytes move, the curve of the run before stays to be seen.
        if self.curve is None or not self._has_curve:
            self.curve, self._has_curve = Curve(now), True
        self.curve.add(now, speed)

    def _has_moved(self) -> None:
        self.moved = self._clock()


_AT_REST = Progress((), 0, 0, 0, 0, 0.0, 0)
