"""A sidecar put together from the settings, watched like a run."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from prefetch.given import Given, Remote
from prefetch.monitor.asked import Asked
from prefetch.monitor.watch import watched
from prefetch.net.urls import SecretURL
from prefetch.opening import find_manifests, none_given, open_volume
from prefetch.report.board import Board
from prefetch.report.events import Event, Listener
from prefetch.report.result import RunResult
from prefetch.retrieving import Retrieved, retrieve_again
from prefetch.running import room_on
from prefetch.settings import Settings
from prefetch.sidecar.bulletin import Bulletin
from prefetch.sidecar.following import Following
from prefetch.sidecar.herald import Herald
from prefetch.sidecar.loader import Loader
from prefetch.sidecar.memory import Memory, machine_of
from prefetch.sidecar.pages import Pages
from prefetch.sidecar.readiness import Readiness
from prefetch.sidecar.scrub import DAY, Scrub
from prefetch.sidecar.sidecar import Sidecar
from prefetch.sidecar.webhook import Signer, Webhook
from prefetch.volume.history import last_success
from prefetch.volume.layout import Volume

__all__ = ["serve_on"]


def serve_on(
    volume: Volume, settings: Settings, asked: Asked, webhook: tuple[SecretURL, Signer] | None, listener: Listener
) -> RunResult:
    """Serve until a signal; what the last run came to."""
    find = partial(_find, volume, settings)
    board, readiness, memory = (
        Board(),
        Readiness(),
        Memory(find(), volume.root, machine_of(os.environ, socket.gethostname())),
    )
    board.remember_success(last_success(volume))

    def tell(event: Event) -> None:
        board(event)
        readiness(event)
        listener(event)

    async def fetch(remote: Remote, known: Retrieved | None) -> Retrieved:
        return await retrieve_again(remote, known, allow_private=settings.allow_private)

    async def work() -> RunResult:
        hook = None if webhook is None else Webhook(*webhook, tell)
        herald = Herald(_nobody if hook is None else hook.post, str(volume.root))
        bulletin = Bulletin(board, herald, tell)
        loader = Loader(volume, settings, memory, tell)
        following = Following(
            find,
            Pages(fetch, poll=settings.poll, bulletin=bulletin),
            loader.load,
            loader.recall,
            poll=settings.poll,
            bulletin=bulletin,
        )
        sidecar = Sidecar(
            settings,
            partial(open_volume, settings),
            following,
            memory,
            board=board,
            readiness=readiness,
            bulletin=bulletin,
            herald=herald,
            listener=tell,
        )
        others = [] if hook is None else [hook.deliver()]
        if settings.scrub is not None:
            others.append(_scrub(settings, sidecar, board, tell).run())
        return await sidecar.run(*others)

    room = partial(room_on, volume, settings)
    return watched(work, asked=asked, board=board, measure=room, listener=tell, word=readiness.word)


def _find(volume: Volume, settings: Settings) -> Sequence[Given]:
    if given := find_manifests(settings, volume):
        return given
    raise none_given(volume)


def _scrub(settings: Settings, sidecar: Sidecar, board: Board, listener: Listener) -> Scrub:
    return Scrub(
        partial(open_volume, settings),
        period=(settings.scrub or 1.0) * DAY,
        busy=lambda: board.running or board.last_run is None,
        found=sidecar.note_scrub,
        listener=listener,
    )


def _nobody(kind: str, data: Mapping[str, Any]) -> None:
    """Nobody wants messages."""
