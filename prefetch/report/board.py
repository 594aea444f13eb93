"""Where a run stands right now, gathered from its events: what is measured, and what a page can show."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import singledispatchmethod
from itertools import chain, islice
from typing import Literal, get_args

from prefetch.report.curve import Curve
from prefetch.report.events import (
    Claims,
    Event,
    HostBytes,
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
    Transfer,
    Verifying,
    Waiting,
)

__all__ = ["STATES", "Board", "Model", "State"]

State = Literal["queued", "fetching", "verifying", "waiting", "present", "adopted", "downloaded", "linked", "failed"]
STATES: tuple[State, ...] = get_args(State)
_ENDED = frozenset({"present", "adopted", "downloaded", "linked", "failed"})
_REMEMBERED = 20
"""Failures that are kept with their message."""


@dataclass(slots=True)
class Model:
    """One model: its state, its size in bytes (None while unknown), and how much of it is on the volume.

    ``owner`` is the process that fetches it where that is another one: its host and number. ``trouble`` is why its last
    request failed, in one word, until bytes move again.
    """

    state: State
    size: int | None = None
    done: int = 0
    speed: float = 0.0
    owner: tuple[str, int] | None = None
    trouble: str | None = None


class Board:
    """A listener that keeps the present state of a run, and sums over all runs it has heard of.

    Times are seconds since 1970.

    Attributes:
        lock: held while an event is taken in. Who reads in another thread than the one that tells holds it meanwhile.
        models: every model the run has named so far, by path.
        states: how many models are in each state; what is wanted and was not named yet is queued.
        unfinished: the paths of models that are not at their end, in the order in which they became known.
        unpinned: models that stand there though no hash was known beforehand.
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
        self.models: dict[str, Model] = {}
        self.unfinished: dict[str, None] = {}
        self.states: Counter[State] = Counter()
        self.unpinned = 0
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
        self._traffic = self._earlier = Traffic((), 0, 0.0, 0, 0.0)
        self._hosts: dict[str, None] = {}
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
            self._expect(models)
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
    def received(self) -> dict[str, int]:
        """Bytes of body by host in all runs, in the order in which the hosts became known."""
        summed = {host.host: host.bytes for host in self.traffic.received}
        return {host: summed[host] for host in self._hosts}

    @property
    def traffic(self) -> Traffic:
        """What was moved in all runs."""
        return _sum(self._earlier, self._traffic)

    @property
    def used(self) -> int | None:
        """Bytes used on the volume: as measured, and what was written since."""
        if self.space is None or self.space.used is None:
            return None
        return self.space.used + self.traffic.written - self._written_at_measure

    def at_work(self, most: int) -> Iterator[tuple[str, Model]]:
        """Models that are not at their end, at most so many: those that move first."""
        moving = [transfer.path for transfer in self.progress.active if transfer.path in self.unfinished]
        known = set(moving)
        resting = (path for path in self.unfinished if path not in known)
        return ((path, self.models[path]) for path in islice(chain(moving, resting), most))

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """An event that changes nothing here."""

    @_take.register
    def _(self, event: RunStarted) -> None:
        if not self._is_expected:
            self._expect(())
        self._is_expected = False
        self.states["queued"] += event.models - self.states.total()
        self._earlier, self._traffic = self.traffic, Traffic((), 0, 0.0, 0, 0.0)
        self.running, self.started, self._has_curve = True, self._clock(), False
        self._has_moved()

    @_take.register
    def _(self, event: Planned) -> None:
        self._has_moved()

    @_take.register
    def _(self, event: ModelStarted) -> None:
        self.resumed += event.resumed
        model = self._set(event.path, "fetching", size=event.size)
        model.done, model.owner = event.resumed, None
        self._has_moved()

    @_take.register
    def _(self, event: Progress) -> None:
        self.progress = event
        self._draw(event.speed)
        for transfer in event.active:
            self._note_transfer(transfer)

    @_take.register
    def _(self, event: Traffic) -> None:
        if event != self._traffic:
            self._traffic = event
            self._hosts.update(dict.fromkeys(host.host for host in event.received))
            self._has_moved()

    @_take.register
    def _(self, event: Claims) -> None:
        self.claims = event

    @_take.register
    def _(self, event: Space) -> None:
        self.space = event
        self._written_at_measure = self.traffic.written

    @_take.register
    def _(self, event: Retried) -> None:
        self.retries[event.cause] += 1
        if event.path in self.unfinished:
            self.models[event.path].trouble = event.cause

    @_take.register
    def _(self, event: Repaired) -> None:
        self.repaired[event.where] += event.bytes_refetched

    @_take.register
    def _(self, event: Verifying) -> None:
        self._set(event.path, "verifying", size=event.size)
        self._has_moved()

    @_take.register
    def _(self, event: Waiting) -> None:
        before = self.models.get(event.path)
        if before is None or before.done != event.done:
            self._has_moved()
        model = self._set(event.path, "waiting", size=event.size)
        model.done, model.speed = event.done, event.speed
        model.owner = None if event.host is None or event.pid is None else (event.host, event.pid)

    @_take.register
    def _(self, event: ModelDone) -> None:
        model = self._set(event.path, event.status, size=event.size)
        model.done = event.size
        self.unpinned += not event.pinned
        self._has_moved()

    @_take.register
    def _(self, event: ModelFailed) -> None:
        # One that another process has still is what it was in the result: waited for.
        self._set(event.path, "waiting" if event.code == "busy" else "failed")
        self.unfinished.pop(event.path, None)
        self.failures[event.code] += 1
        self.last_failures.append((self._clock(), event))
        self._has_moved()

    @_take.register
    def _(self, event: RunFinished) -> None:
        self.running, self.last_run, self.ended = False, event, self._clock()
        self.runs["ok" if event.ok else "failed"] += 1
        if event.ok:
            self.last_success = self.ended
        for path in tuple(self.unfinished):
            self._set(path, "failed")
        # Those that no event has named are no more there than these.
        self.states["failed"] += self.states.pop("queued", 0)
        self.progress = _AT_REST
        self._has_moved()

    def _expect(self, models: Iterable[tuple[str, int | None]]) -> None:
        self.models = {path: Model("queued", size) for path, size in models}
        self.unfinished = dict.fromkeys(self.models)
        self.states = Counter({"queued": len(self.models)})
        self.unpinned = 0

    def _note_transfer(self, transfer: Transfer) -> None:
        model = self.models.get(transfer.path)
        if model is not None and transfer.path in self.unfinished:
            model.size, model.done, model.speed = transfer.size, transfer.done, transfer.speed
            model.trouble = None if transfer.speed > 0 else model.trouble

    def _draw(self, speed: float) -> None:
        now = self._clock()
        # Until bytes move, the curve of the run before stays to be seen.
        if self.curve is None or not self._has_curve:
            self.curve, self._has_curve = Curve(now), True
        self.curve.add(now, speed)

    def _set(self, path: str, state: State, *, size: int | None = None) -> Model:
        model = self.models.get(path)
        if model is None:
            model = self.models[path] = Model("queued")
            self.unfinished[path] = None
            self.states["queued"] += not self.running
        self.states[model.state] -= 1
        self.states[state] += 1
        model.state, model.speed, model.trouble = state, 0.0, None
        model.size = model.size if size is None else size
        if state in _ENDED:
            self.unfinished.pop(path, None)
        return model

    def _has_moved(self) -> None:
        self.moved = self._clock()


_AT_REST = Progress((), 0, 0, 0, 0, 0.0, 0)


def _sum(one: Traffic, other: Traffic) -> Traffic:
    received: Counter[str] = Counter()
    for host in (*one.received, *other.received):
        received[host.host] += host.bytes
    return Traffic(
        received=tuple(HostBytes(host, count) for host, count in sorted(received.items())),
        written=one.written + other.written,
        write_seconds=one.write_seconds + other.write_seconds,
        hashed=one.hashed + other.hashed,
        hash_seconds=one.hash_seconds + other.hash_seconds,
    )
