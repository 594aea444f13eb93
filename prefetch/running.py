"""A run that has something to do, with whatever watches it. Its imports take half a second."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from prefetch.blocklists import blocks_beside
from prefetch.errors import Interrupted
from prefetch.expansion import remember
from prefetch.job import Job
from prefetch.linking import link_nodes
from prefetch.manifest import Wanted
from prefetch.monitor.asked import Asked
from prefetch.opening import find_manifests, limits_of, wanted_on
from prefetch.report.events import Event, Listener, Space
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.signals import missed_deadline, run_until_signal
from prefetch.telling import tell_of
from prefetch.volume.history import last_success
from prefetch.volume.layout import Volume

__all__ = ["job_of", "link_wanted", "room_on", "run_on", "tell_of_wanted"]


def run_on(volume: Volume, settings: Settings, asked: Asked | None, listener: Listener) -> RunResult:
    """Bring what the manifests want onto the volume; its error is a DeadlineError where `within` ended the work.

    Raises:
        DeadlineError: that was over before anybody knew what is wanted.
    """
    wanted = _wanted(volume, settings, listener)
    if asked is None:
        result = run_until_signal(job_of(wanted, volume, settings, listener).run)
    else:
        result = _watched(asked, wanted, volume, settings, listener)
    link_wanted(wanted, volume, settings, listener)
    late = missed_deadline()
    if late is None or result.exit_code != Interrupted.exit_code:
        return result
    return replace(result, exit_code=late.exit_code, error=late)


def link_wanted(wanted: Wanted, volume: Volume, settings: Settings, listener: Listener) -> None:
    """Link the models that a custom node insists on, as far as they stand."""
    pairs = ((entry.model.path, entry.model.node_path) for entry in wanted.entries)
    link_nodes(pairs, comfyui=settings.comfyui, volume=volume, listener=listener)


def _wanted(volume: Volume, settings: Settings, listener: Listener) -> Wanted:
    wanted = wanted_on(volume, settings, listener, learned=partial(remember, volume))
    tell_of_wanted(wanted, settings, listener)
    return wanted


def tell_of_wanted(wanted: Wanted, settings: Settings, listener: Listener) -> None:
    """What a person should know of these models before anything is fetched."""
    models = [entry.model for entry in wanted.entries]
    unpinned = [model.path for model in models if model.sha256 is None]
    tell_of([model.path for model in models], unpinned, layout=settings.layout, listener=listener)


def job_of(wanted: Wanted, volume: Volume, settings: Settings, listener: Listener) -> Job:
    """The job that brings what is wanted onto the volume, within the settings' bounds."""
    return Job(
        wanted,
        volume,
        limits=limits_of(settings),
        refresh=settings.refresh,
        listener=listener,
        blocks=partial(blocks_beside, _files(settings, volume), wanted, listener),
    )


def _files(settings: Settings, volume: Volume) -> list[Path]:
    return [manifest for manifest in find_manifests(settings, volume) if isinstance(manifest, Path)]


def _watched(asked: Asked, wanted: Wanted, volume: Volume, settings: Settings, listener: Listener) -> RunResult:
    # Who asks for no metrics need not wait for what makes them.
    from prefetch.monitor.watch import watched
    from prefetch.report.board import Board

    board = Board()
    board.expect((entry.model.path, entry.model.size) for entry in wanted.entries)
    board.remember_success(last_success(volume))

    def tell(event: Event) -> None:
        board(event)
        listener(event)

    return watched(
        job_of(wanted, volume, settings, tell).run,
        asked=asked,
        board=board,
        measure=partial(room_on, volume, settings),
        listener=tell,
    )


def room_on(volume: Volume, settings: Settings) -> Space:
    """What the volume holds and may hold, looked at now."""
    from prefetch.volume.space import measure

    room = measure(volume, quota=settings.quota)
    return Space(room.capacity, room.quota, room.used)
