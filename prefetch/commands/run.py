"""``prefetch run``: the main job."""

from __future__ import annotations

from prefetch.arranging import tell_unseen
from prefetch.job import Job
from prefetch.opening import limits_of, open_volume, wanted_on
from prefetch.pinning import tell_unpinned
from prefetch.report.events import Listener
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.signals import run_until_signal

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> RunResult:
    """Bring the manifests' models onto the volume."""
    volume = open_volume(settings, create=True)
    wanted = wanted_on(volume, settings)
    tell_unpinned(wanted, listener)
    tell_unseen(wanted, settings.layout, listener)
    job = Job(wanted, volume, limits=limits_of(settings), refresh=settings.refresh, listener=listener)
    return run_until_signal(job.run)
