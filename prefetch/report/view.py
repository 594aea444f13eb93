"""What a page shows of a board at one moment: a copy that no event changes any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from prefetch.report.board import Board
from prefetch.report.events import Claims, HostBytes, Progress, RunFinished, Space
from prefetch.report.models import STATES, Model, State

__all__ = ["MOST_ROWS", "Failure", "Row", "View", "view_of"]

MOST_ROWS = 200
"""Models that are shown one by one: those at work, then those that are not, then those at their end."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model, as `prefetch.report.models.Model` has it."""

    path: str
    state: State
    size: int | None
    done: int
    speed: float
    owner: tuple[str, int] | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model is not there, since when, in seconds since 1970; the message says what to do."""

    path: str
    when: float
    message: str


@dataclass(frozen=True, slots=True)
class View:
    """A board at one moment.

    Attributes:
        wanted, ended: how many models are wanted, and how many of them are there and verified.
        done, size: bytes that are there of those that are wanted, but the failed; None while a size is unknown.
        failures: of models that are not there by now either, the latest first.
        rest: the states of those models that have no row.
        speeds, step: the mean speed of each step of so many seconds, since bytes began to move.
        retries: requests that were tried again.
        seconds: how long the run has been at work.
    """

    wanted: int
    ended: int
    done: int
    size: int | None
    states: tuple[tuple[State, int], ...]
    running: bool
    seconds: float | None
    last_run: RunFinished | None
    progress: Progress
    claims: Claims
    space: Space | None
    used: int | None
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]
    received: tuple[HostBytes, ...]
    retries: int
    rows: tuple[Row, ...]
    rest: tuple[tuple[State, int], ...]
    speeds: tuple[float, ...]
    step: float


def view_of(board: Board, *, most: int = MOST_ROWS) -> View:
    """A board as it is now, with at most so many models one by one."""
    with board.lock:
        rows = tuple(_row(path, model) for path, model in islice(_in_order(board, most), most))
        done, size = _bytes(board)
        return View(
            wanted=board.models.states.total(),
            ended=sum(board.models.states[state] for state in ("present", "adopted", "downloaded", "linked")),
            done=done,
            size=size,
            states=_counts(board.models.states),
            running=board.running,
            seconds=board.seconds if board.running else None,
            last_run=board.last_run,
            progress=board.progress,
            claims=board.claims,
            space=board.space,
            used=board.used,
            warnings=tuple(board.warnings.values()),
            failures=tuple(_failures(board)),
            received=tuple(HostBytes(host, count) for host, count in board.totals.received.items()),
            retries=board.retries.total(),
            rows=rows,
            rest=_counts(board.models.states - Counter(row.state for row in rows)),
            speeds=board.curve.values if board.curve else (),
            step=board.curve.step if board.curve else 1.0,
        )


def _in_order(board: Board, most: int) -> Iterator[tuple[str, Model]]:
    ended = [(path, model) for path, model in board.models.by_path.items() if path not in board.models.unfinished]
    failed = (pair for pair in ended if pair[1].state == "failed")
    well = (pair for pair in ended if pair[1].state != "failed")
    return chain(board.at_work(most), failed, well)


def _bytes(board: Board) -> tuple[int, int | None]:
    wanted = [model for model in board.models.by_path.values() if model.state != "failed"]
    sizes = [model.size for model in wanted if model.size is not None]
    # What no event has named yet has no size here either.
    is_known = len(sizes) == len(wanted) == board.models.states.total() - board.models.states["failed"]
    return sum(model.done for model in wanted), sum(sizes) if is_known else None


def _row(path: str, model: Model) -> Row:
    return Row(path, model.state, model.size, model.done, model.speed, model.owner, model.trouble)


def _counts(states: Counter[State]) -> tuple[tuple[State, int], ...]:
    return tuple((state, states[state]) for state in STATES if states[state] > 0)


def _failures(board: Board) -> Iterator[Failure]:
    told: set[str] = set()
    for when, event in reversed(board.last_failures):
        model = board.models.by_path.get(event.path)
        # One that was mended since, or is being fetched again, is no failure any more.
        if event.path not in told and model is not None and model.state in ("failed", "waiting"):
            told.add(event.path)
            yield Failure(event.path, when, event.message)
