"""Progress in a real terminal of 80 columns, whose window is made wider while it runs, and what narrowing clears."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from prefetch.report.screen import Screen
from tests.support.models import BLOCK, repo_of, wanted
from tests.support.runs import Runs, until

MODELS = wanted(*(20 * BLOCK + number for number in range(4)))


class Terminal:
    """A window of tmux, with a server of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self._socket, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def lines(self) -> list[str]:
        """Every line that is seen and has been, as it stands, wrapped where the terminal has wrapped it."""
        return [line for line in self.tmux("capture-pane", "-p", "-S", "-").splitlines() if line.strip()]

    def until(self, holds: Callable[[list[str]], bool], what: str) -> list[str]:
        seen: list[str] = []

        def now() -> bool:
            seen[:] = self.lines()
            return holds(seen)

        until(now, what)
        return seen


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=500_000)) as server:
        yield server


@pytest.fixture
def terminal(runs: Runs, tmp_path: Path) -> Iterator[Terminal]:
    """A window of 80 by 30 in which a run goes on."""
    window = Terminal(tmp_path / "tmux")
    words = runs.commands.argv("run", runs.manifest(), "--volume", runs.volume)
    env = {**runs.commands.environment(runs.environment()), "TERM": "screen-256color", "LANG": "C.UTF-8"}
    command = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in env.items()), *words])
    # tmux passes on no environment but the server's own: the command brings all of its own.
    window.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "30", command)
    try:
        yield window
    finally:
        window.tmux("kill-server")


def rows(lines: list[str]) -> list[str]:
    return [line for line in lines if line.lstrip().startswith(("m0.", "m1.", "m2.", "m3.", "0/4 models"))]


def has_all(lines: list[str]) -> bool:
    return len([line for line in rows(lines) if "B/" in line]) == len(MODELS) + 1


def is_drawn_at(width: int, lines: list[str]) -> bool:
    """Whether there is one row a model and the total, none of them longer than the window and none wrapped."""
    found = rows(lines)
    return len(found) == len(MODELS) + 1 and all(line.rstrip()[-1] in "s-" and len(line) < width for line in found)


@pytest.mark.needs("tmux")
def test_bytes_and_states_are_whole_and_nothing_torn_is_left(terminal: Terminal) -> None:
    terminal.until(has_all, "all rows")
    for width in (80, 100, 120):
        terminal.tmux("resize-window", "-x", str(width))
        shown = terminal.until(partial(is_drawn_at, width), f"one row a model at {width} columns")
        assert [line for line in rows(shown) if "B/83.9 MB" in line or "B/335.5 MB" in line] == rows(shown)


def test_what_a_narrower_window_has_wrapped_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    # How a terminal wraps what stands there already is its own; here it is only counted what is cleared.
    main, side = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    size = [100]
    monkeypatch.setattr(os, "get_terminal_size", lambda *number: os.terminal_size((size[0], 30)))
    with os.fdopen(side, "w") as stream:
        screen = Screen(stream, lambda width, height: [[("x" * (width - 1), "name")]] * 3)
        for width, wrapped in ((100, None), (40, 3 * 2), (39, 0), (90, 0), (45, 3 * 1)):
            size[0] = width
            screen.refresh()
            stream.flush()
            told = drained(main)
            if wrapped is not None:
                assert told.count(b"\x1b[1A") == told.count(b"\x1b[2K") - 1 == wrapped + 2, (width, told)
        screen.close()
    os.close(main)


def drained(number: int) -> bytes:
    """All that was written to a terminal so far."""
    os.set_blocking(number, False)
    pieces = []
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(number, 1 << 16):
            pieces.append(piece)
    return b"".join(pieces)
