"""A run that has something to do, with whatever watches it. Its imports take half a second."""

from __future__ import annotations

from functools import partial

from prefetch.expansion import remember
from prefetch.job import Job
from prefetch.manifest import Wanted
from prefetch.monitor.asked import Asked
from prefetch.opening import limits_of, wanted_on
from prefetch.report.events import Event, Listener, Space
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.signals import run_until_signal
from prefetch.telling import tell_of
from prefetch.volume.history import last_success
from prefetch.volume.layout import Volume

__all__ = ["run_on"]


def run_on(volume: Volume, settings: Settings, asked: Asked | None, listener: Listener) -> RunResult:
    """Bring what the manifests want onto the volume."""
    wanted = wanted_on(volume, settings, listener, learned=partial(remember, volume))
    models = [entry.model for entry in wanted.entries]
    unpinned = [model.path for model in models if model.sha256 is None]
    tell_of([model.path for model in models], unpinned, layout=settings.layout, listener=listener)
    if asked is None:
        return run_until_signal(_job(wanted, volume, settings, listener).run)
    return _watched(asked, wanted, volume, settings, listener)


def _job(wanted: Wanted, volume: Volume, settings: Settings, listener: Listener) -> Job:
    return Job(wanted, volume, limits=limits_of(settings), refresh=settings.refresh, listener=listener)


def _watched(asked: Asked, wanted: Wanted, volume: Volume, settings: Settings, listener: Listener) -> RunResult:
    # Who asks for no metrics need not wait for what makes them.
    from prefetch.monitor.watch import watched
    from prefetch.report.board import Board
    from prefetch.volume.space import measure

    board = Board()
    board.expect((entry.model.path, entry.model.size) for entry in wanted.entries)
    board.remember_success(last_success(volume))

    def tell(event: Event) -> None:
        board(event)
        listener(event)

    def look() -> Space:
        room = measure(volume, quota=settings.quota)
        return Space(room.capacity, room.quota, room.used)

    job = _job(wanted, volume, settings, tell)
    return watched(job.run, asked=asked, board=board, measure=look, listener=tell)
