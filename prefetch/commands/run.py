"""``prefetch run``: the main job."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from prefetch.comfyui.nodes import check_comfyui
from prefetch.errors import Interrupted, PrefetchError
from prefetch.linking import link_nodes
from prefetch.monitor.asked import Asked, asked_of
from prefetch.opening import find_manifests, open_or_make_volume, open_volume
from prefetch.report.events import Listener, RunStarted
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.telling import tell_of
from prefetch.unchanged import find_applied, still_stands
from prefetch.volume.applied import AppliedModel
from prefetch.volume.layout import Volume

__all__ = ["failure_left", "main"]


def main(settings: Settings, listener: Listener) -> RunResult:
    """Bring the manifests' models onto the volume."""
    asked = asked_of(settings, os.environ)
    with failure_left(asked, settings, listener):
        return _run(settings, asked, listener)


@contextmanager
def failure_left(asked: Asked | None, settings: Settings, listener: Listener) -> Iterator[None]:
    """Leave behind with whatever watches that the work of the block could not begin."""
    try:
        yield
    except Interrupted:
        raise
    except PrefetchError as error:
        if asked is not None:
            from prefetch.monitor.watch import leave_failure

            leave_failure(asked, error, last_success=_last_success(settings), listener=listener)
        raise


def _run(settings: Settings, asked: Asked | None, listener: Listener) -> RunResult:
    check_comfyui(settings.comfyui)
    volume = open_or_make_volume(settings, listener)
    if asked is None and (models := _unchanged(settings, volume)) is not None:
        return _nothing_to_do(models, volume, settings, listener)
    from prefetch.running import run_on

    return run_on(volume, settings, asked, listener)


def _last_success(settings: Settings) -> float | None:
    """When a run last ended well, as far as the volume can be had and tells it."""
    from prefetch.volume.history import last_success

    with suppress(PrefetchError):
        return last_success(open_volume(settings))
    return None


def _unchanged(settings: Settings, volume: Volume) -> list[AppliedModel] | None:
    """The models of a run that has nothing to do; None for any other run."""
    if settings.refresh:
        return None
    manifests = find_manifests(settings, volume)
    models = find_applied(volume, manifests, groups=settings.group, layout=settings.layout, locked=settings.locked)
    if models is None or any(model["told"] is None for model in models):
        # An earlier version wrote it: a look at the records tells the rest.
        return None
    return models if still_stands(volume, models) else None


def _nothing_to_do(models: Sequence[AppliedModel], volume: Volume, settings: Settings, listener: Listener) -> RunResult:
    from prefetch.scores import Scores
    from prefetch.volume.inventory import Record
    from prefetch.volume.leftovers import clear_leftovers

    scores = Scores(listener)
    unpinned = [model["path"] for model in models if not model["pinned"]]
    tell_of([model["path"] for model in models], unpinned, layout=settings.layout, listener=listener)
    listener(RunStarted(str(volume.root), len(models)))
    with suppress(PrefetchError):
        clear_leftovers(volume)
    volume.confirm()
    nodes = ((model["path"], model["node_path"]) for model in models)
    link_nodes(nodes, comfyui=settings.comfyui, volume=volume, listener=listener)
    for model in models:
        scores.done("present", Record.from_applied(model))
    return scores.finish(str(volume.root), None)
