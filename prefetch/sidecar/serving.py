"""A sidecar put together from the settings, watched like a run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from prefetch.given import Given, Remote, Written
from prefetch.monitor.asked import Asked
from prefetch.monitor.watch import watched
from prefetch.opening import find_manifests, none_given, open_volume
from prefetch.report.board import Board
from prefetch.report.events import Event, Listener
from prefetch.report.result import RunResult
from prefetch.retrieving import retrieve
from prefetch.running import room_on
from prefetch.settings import Settings
from prefetch.sidecar.bulletin import Bulletin
from prefetch.sidecar.following import Following
from prefetch.sidecar.pages import Pages
from prefetch.sidecar.readiness import Readiness
from prefetch.sidecar.sidecar import Sidecar
from prefetch.sidecar.target import load_target
from prefetch.volume.history import last_success
from prefetch.volume.layout import Volume

__all__ = ["serve_on"]


def serve_on(volume: Volume, settings: Settings, asked: Asked, listener: Listener) -> RunResult:
    """Serve until a signal; what the last run came to."""
    board, readiness = Board(), Readiness()
    board.remember_success(last_success(volume))

    def tell(event: Event) -> None:
        board(event)
        readiness(event)
        listener(event)

    async def work() -> RunResult:
        bulletin = Bulletin(board, tell)
        following = _following(volume, settings, bulletin, tell)
        reopen = partial(open_volume, settings)
        sidecar = Sidecar(settings, reopen, following, board=board, readiness=readiness, listener=tell)
        return await sidecar.run()

    room = partial(room_on, volume, settings)
    return watched(work, asked=asked, board=board, measure=room, listener=tell, word=readiness.word)


def _following(volume: Volume, settings: Settings, bulletin: Bulletin, listener: Listener) -> Following:
    async def fetch(remote: Remote) -> Written:
        return await retrieve(remote, allow_private=settings.allow_private, listener=listener)

    def find() -> Sequence[Given]:
        if given := find_manifests(settings, volume):
            return given
        raise none_given(volume)

    return Following(
        find,
        Pages(fetch, poll=settings.poll, bulletin=bulletin),
        lambda manifests: load_target(manifests, volume, settings, listener),
        poll=settings.poll,
        bulletin=bulletin,
    )
