"""Boards that have heard of a run, made of short events, and their page on a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from prefetch.monitor.access import Access
from prefetch.monitor.page import add_page
from prefetch.monitor.server import Server, application
from prefetch.monitor.thread import in_thread
from prefetch.report.board import Board
from prefetch.report.events import (
    Claims,
    DoneStatus,
    Event,
    HostBytes,
    ModelDone,
    ModelFailed,
    ModelStarted,
    Progress,
    Retried,
    RunFinished,
    RunStarted,
    Space,
    Traffic,
    Transfer,
    Verifying,
    Waiting,
)
from prefetch.report.metrics import registry_of
from prefetch.values import Endpoint

__all__ = ["LONG", "board_of", "done", "finished", "full_board", "moving", "serving"]

LONG = "models/loras/Wan22_A14B_T2V_HIGH_Lightning_4steps_lora_250928_rank128_fp16" + "x" * 60 + ".safetensors"


def board_of(*events: Event, expected: Mapping[str, int | None] | None = None, now: float = 1000.0) -> Board:
    """A board that has heard these events, all at once; ``expected`` are paths with their sizes."""
    board = Board(clock=lambda: now)
    if expected:
        board.expect(expected.items())
    for event in events:
        board(event)
    return board


def done(path: str, status: DoneStatus = "downloaded", *, pinned: bool = True, size: int = 100) -> ModelDone:
    """A model at its end."""
    return ModelDone(path, status, size, "ab" * 32, pinned, 1.0)


def moving(*paths: str, speed: float = 5.0) -> Progress:
    """Models that come at this speed, 40 of 100 bytes of each."""
    return Progress(tuple(Transfer(path, 100, 40, 30, 2, speed) for path in paths), 40, 100, 0, 1, speed, 2)


def finished(code: int = 0) -> RunFinished:
    """The end of a run with this exit code."""
    return RunFinished(code == 0, code, 7.5, 750, 30, 0)


def full_board() -> Board:
    """One model in every state, a failure, a warning, a volume that is nearly full, and a curve."""
    paths = ["models/vae/wan_2.1_vae.safetensors", LONG, *(f"models/unet/model-{number}.gguf" for number in range(6))]
    seconds = count(1_800_000_000)
    board = Board(clock=lambda: float(next(seconds)))
    board.expect((path, 10**9) for path in paths)
    board(RunStarted("/v", len(paths)))
    board(ModelStarted(LONG, "hub", 10**9, 0))
    for _ in range(4):
        moving = (Transfer(LONG, 10**9, 4 * 10**8, 10**8, 4, 2e8), Transfer(paths[2], 10**9, 10**9, 10**9, 0, 0.0))
        board(Progress(moving, 4 * 10**8, 8 * 10**9, 1, 8, 2e8, 12))
    board(ModelStarted(paths[2], "hub", 10**9, 0))
    board(Retried(paths[2], "hub", "status_503", "Busy.", 1, 2.0))
    board(Waiting(paths[3], "pod-b", 12, 10**9, 5 * 10**8, 1e8))
    board(Verifying(paths[4], 10**9))
    board(ModelDone(paths[0], "downloaded", 10**9, "ab" * 32, True, 3.0))
    board(ModelDone(paths[5], "present", 10**9, "ab" * 32, True, 3.0))
    board(ModelFailed(paths[6], "access", "The host wants a token. Set HF_TOKEN and accept the licence on its page."))
    board(Traffic((HostBytes("cdn.example.com", 10**9),), 10**9, 1.0, 10**9, 1.0))
    board(Space(None, 10**11, 95 * 10**9))
    board(Claims(2, 1))
    board.warn("manifest", "models.yaml, line 3: there is no such key. What was wanted before is kept.")
    return board


@contextmanager
def serving(board: Board, *, port: int = 0, access: Access | None = None, **options: Any) -> Iterator[str]:
    """The page of a board at this address."""
    app = application(registry_of(board), access=access or Access(), readiness=lambda: "working")
    add_page(app, board, **options)
    with in_thread(Server(app, Endpoint("127.0.0.1", port))) as endpoint:
        yield f"http://{endpoint}"
