"""Each model that is wanted, in which state it is, and how many are in each state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Literal, get_args

from prefetch.report.events import Transfer

__all__ = ["STATES", "Model", "Models", "State"]

State = Literal["queued", "fetching", "verifying", "waiting", "present", "adopted", "downloaded", "linked", "failed"]
STATES: tuple[State, ...] = get_args(State)
_ENDED = frozenset({"present", "adopted", "downloaded", "linked", "failed"})


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


class Models:
    """The models of one run after the other.

    Attributes:
        by_path: every model that was named so far.
        states: how many are in each state; what is wanted and was not named yet is queued.
        unfinished: the paths of those that are not at their end, in the order in which they became known.
        unpinned: how many stand there though no hash was known beforehand.
    """

    def __init__(self) -> None:
        self.by_path: dict[str, Model] = {}
        self.states: Counter[State] = Counter()
        self.unfinished: dict[str, None] = {}
        self.unpinned = 0
        self._is_counted = False

    def expect(self, models: Iterable[tuple[str, int | None]]) -> None:
        """These paths, with their sizes where known, are wanted now, and nothing else."""
        self.by_path = {path: Model("queued", size) for path, size in models}
        self.unfinished = dict.fromkeys(self.by_path)
        self.states = Counter({"queued": len(self.by_path)})
        self.unpinned = 0

    def begin(self, number: int) -> None:
        """So many are wanted in all; those that nobody has named will be."""
        self.states["queued"] += number - self.states.total()
        self._is_counted = True

    def end(self) -> None:
        """What is not at its end by now has failed."""
        self._is_counted = False
        for path in tuple(self.unfinished):
            self.move(path, "failed")
        # Those that no event has named are no more there than these.
        self.states["failed"] += self.states.pop("queued", 0)

    def move(self, path: str, state: State, *, size: int | None = None) -> Model:
        """The model at ``path``, which is in this state now, and of this size where that is known."""
        model = self.by_path.get(path) or self._add(path)
        self.states[model.state] -= 1
        self.states[state] += 1
        model.state, model.speed, model.trouble = state, 0.0, None
        model.size = model.size if size is None else size
        if state in _ENDED:
            self.unfinished.pop(path, None)
        return model

    def give_up(self, path: str) -> None:
        """The run has done with it, whatever its state is."""
        self.unfinished.pop(path, None)

    def note(self, transfer: Transfer) -> None:
        """How far its bytes have come."""
        model = self.by_path.get(transfer.path)
        if model is not None and transfer.path in self.unfinished:
            model.size, model.done, model.speed = transfer.size, transfer.done, transfer.speed
            model.trouble = None if transfer.speed > 0 else model.trouble

    def note_trouble(self, path: str, cause: str) -> None:
        """Why its last request failed."""
        if path in self.unfinished:
            self.by_path[path].trouble = cause

    def at_work(self, active: Iterable[Transfer], most: int) -> Iterator[tuple[str, Model]]:
        """Those that are not at their end, at most so many: the ``active`` ones first."""
        moving = [transfer.path for transfer in active if transfer.path in self.unfinished]
        known = set(moving)
        resting = (path for path in self.unfinished if path not in known)
        return ((path, self.by_path[path]) for path in islice(chain(moving, resting), most))

    def _add(self, path: str) -> Model:
        model = self.by_path[path] = Model("queued")
        self.unfinished[path] = None
        self.states["queued"] += not self._is_counted
        return model
