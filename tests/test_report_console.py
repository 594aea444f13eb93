"""What is drawn on a terminal: the rows as text, and a real pseudo-terminal read through a small emulator."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.report.events import (
    Event,
    Filling,
    ModelDone,
    ModelFailed,
    ModelStarted,
    Progress,
    Retried,
    Transfer,
    Verifying,
)
from prefetch.report.labels import labels_of
from prefetch.report.picture import Picture
from prefetch.report.rows import Row, model_row

HIGH = "models/unet/Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf"

DRIVER = """
import os, sys
from types import SimpleNamespace
from prefetch.report.console import Console
from prefetch.report.events import *
from prefetch.report.listener import listener_for

with listener_for(SimpleNamespace(log_format="text"), sys.stderr) as listener:
    listener(RunStarted("/workspace", 3))
    listener(ModelDone("models/present.bin", "present", 5, "ab", True, 0.0))
    if "drawn" in sys.argv:
        listener(ModelStarted("models/a.gguf", "huggingface.co", 1000, 0))
        for step in range(200):
            active = (Transfer("models/a.gguf", 1000, step * 5, 0, 4, 50.0),)
            listener(Progress(active, step * 5, 2000, 1, 3, 50.0, 4))
        listener(ModelFailed("models/b.gguf", "access", "It is gated. Open its page."))
        listener(ModelDone("models/a.gguf", "downloaded", 1000, "cd", True, 1.0))
    listener(RunFinished("drawn" not in sys.argv, 0, 2.0, 1000, 0, "drawn" in sys.argv))
print("rich" in sys.modules)
"""


def text_of(row: Row) -> str:
    return "".join(text for text, _ in row)


def draw(events: list[Event], width: int = 80, height: int = 24) -> list[str]:
    picture = Picture()
    for event in events:
        picture.note(event)
    return [text_of(row).rstrip() for row in picture.rows(width, height)]


def moving(done: int, size: int | None = 15_406_608_896, speed: float = 120e6) -> Progress:
    return Progress((Transfer(HIGH, size, done, 0, 4, speed),), done, 37_000_000_000, 1, 7, speed, 16)


def test_a_row_a_model_and_a_total() -> None:
    events: list[Event] = [ModelStarted("models/vae/v.safetensors", "huggingface.co", 9_000, 0), moving(5_000_000_000)]
    assert draw(events) == [
        "Wan2.2-I2V-A14…Noise-Q8_0.gguf  32.5%     5.0 GB/15.4 GB  120.0 MB/s   1m27s",
        "v.safetensors                   asking huggingface.co, 9.0 kB",
        "1/7 models, 16 connections      13.5%     5.0 GB/37.0 GB  120.0 MB/s   4m27s",
    ]
    assert draw(events, width=100)[0] == (
        "Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf   ━━━─────────  32.5%     5.0 GB/15.4 GB  120.0 MB/s   1m27s"
    )


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ([moving(0, speed=0)], "15.4 GB     waiting       -"),
        ([Retried(HIGH, "cdn", "reset", "Reset.", 2, 0.5), moving(5, speed=0)], "15.4 GB       reset       -"),
        (
            [Retried(HIGH, "cdn", "reset", "Reset.", 2, 0.5), moving(5, speed=1), moving(5, speed=0)],
            "15.4 GB     waiting       -",
        ),
        ([Retried(HIGH, "cdn", "cdn_403", "No.", 1, 0.5), moving(5, speed=0)], "15.4 GB    HTTP 403       -"),
        ([moving(5, speed=1)], "15.4 GB       1 B/s       -"),
        ([moving(15_406_608_896)], "15.4 GB   verifying       -"),
        ([moving(5, size=None)], "5 B/?  120.0 MB/s       -"),
        ([Verifying("models/old.pth", 5_000_000)], "hashing, 5.0 MB"),
        ([Retried("models/a", "hub", "dns", "No name.", 1, 0.5)], "asking hub again, unknown size"),
    ],
)
def test_states(events: list[Event], ends: str) -> None:
    assert draw(events)[0].endswith(ends)


def test_what_has_ended_is_gone_at_once() -> None:
    started = ModelStarted("models/b", "h", 5, 0)
    ended: list[Event] = [ModelDone(HIGH, "downloaded", 5, "ab", True, 1.0), ModelFailed("models/b", "source", "Gone.")]
    begun: list[Event] = [started, moving(5)]
    assert len(draw(begun)) == 3
    assert [line.split(",")[0] for line in draw([*begun, *ended])] == ["1/7 models"]


@pytest.mark.parametrize("width", [20, 40, 49, 50, 64, 80, 119, 120, 140, 300])
def test_rows_fit_any_terminal(width: int) -> None:
    rows = draw([moving(10**10), ModelStarted("models/" + "x" * 200, "h" * 200, None, 0)], width=width)
    assert max(map(len, rows)) <= max(width - 4, 24)
    assert rows[0].startswith("Wan2") and "64.9%" in rows[0] and "120.0 MB/s" in rows[0]


ALIKE = [
    ["Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf", "Wan2.2-I2V-A14B-LowNoise-Q8_0.gguf"],
    ["wan2.2_i2v_high_noise_14B_fp16.safetensors", "wan2.2_i2v_low_noise_14B_fp16.safetensors"],
    ["a/model-00001-of-00002.safetensors", "b/model-00001-of-00002.safetensors"],
    [f"a-model-of-a-long-name-{n:05}-of-00003-with-a-long-end.safetensors" for n in range(3)],
    ["x" * 60 + "a" + "y" * 60, "x" * 60 + "b" + "y" * 60, "x" * 60 + "b" + "y" * 30 + "z" + "y" * 29],
]


@pytest.mark.parametrize("paths", ALIKE, ids=[paths[0][:20] for paths in ALIKE])
@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_names_that_differ_look_different(paths: list[str], width: int) -> None:
    rows = draw([Verifying(f"models/{path}", 5_000_000) for path in paths], width=width)
    names = [row.partition("  ")[0] for row in rows]
    assert len(set(names)) == len(paths), names


@given(st.lists(st.text("ab-", min_size=1, max_size=40), unique=True, max_size=6), st.integers(8, 50))
def test_names_keep_to_their_width(names: list[str], width: int) -> None:
    shown = labels_of([f"models/{name}" for name in names], width)
    assert len(shown) == len(names)
    assert all(len(label) <= width for label in shown.values())


@pytest.mark.parametrize("height", [1, 5, 24])
def test_a_thousand_models_leave_the_total_in_sight(height: int) -> None:
    active = tuple(Transfer(f"models/{n}", 10, 5, 0, 1, 1.0) for n in range(1000))
    rows = draw([Progress(active, 5000, 10_000, 0, 1000, 1000.0, 64)], height=height)
    assert len(rows) <= max(height - 2, 2)
    assert rows[-2] == f"and {1000 - (len(rows) - 2)} more"
    assert rows[-1].startswith("0/1,000 models, 64 connections")


def test_each_data_center_has_a_row() -> None:
    rows = draw(
        [
            Filling("EU-RO-1", "asking for a pod", 0, None, 0.0),
            Filling("US-KS-2", "fetching", 5_000_000, 10_000_000, 2e6),
            Filling("EU-RO-1", "pod is starting: pulling\x1b[2J", 0, None, 0.0),
        ]
    )
    assert [row.split()[0] for row in rows] == ["EU-RO-1", "US-KS-2"]
    assert rows[0].isprintable() and "pod is starting: pulling" in rows[0]
    assert "50.0%" in rows[1] and "2.0 MB/s" in rows[1]


def test_a_name_cannot_move_the_cursor() -> None:
    row = text_of(model_row("\x1b[2J\rx", Transfer("models/x", 5, 1, 0, 1, 1.0), width=100))
    assert row.isprintable() and "\\x1b[2J\\rx" in row


def on_terminal(mode: str, width: int = 80, *, within: Sequence[str] = (), **environ: str) -> tuple[str, str]:
    """What the driver, ``within`` some other program, sends to a terminal, and its standard output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    kept = {
        key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")
    }
    process = subprocess.Popen(
        [*within, sys.executable, "-c", DRIVER, mode],
        stderr=theirs,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environ},
        text=True,
    )
    os.close(theirs)
    sent = b""
    while piece := _read(ours):
        sent += piece
    os.close(ours)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, sent.decode()
    return sent.decode(), output.strip()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def screen_of(sent: str) -> list[str]:
    """The lines on a terminal that obeys the few controls a live area needs."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", sent):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token.endswith("A") and token.startswith("\x1b"):
            row -= int(token[2:-1])
        elif token == "\x1b[2K":
            lines[row] = ""
        elif not token.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in lines if line.strip()]


ENDED = [
    "3 models wanted on /workspace",
    "FAILED models/b.gguf: It is gated. Open its page.",
    "downloaded models/a.gguf: 1.0 kB in 1.0s, SHA-256 as expected",
    "NOT DONE: 1 downloaded, 1 present, 1 failed; 1.0 kB downloaded in 2.0s, 500 B/s on average",
    "FAILED models/b.gguf: It is gated. Open its page.",
]


@pytest.mark.parametrize("width", [100, 300])
def test_a_terminal_is_drawn_on_and_left_clean(width: int) -> None:
    sent, _ = on_terminal("drawn", width)
    assert "━" in sent and "\x1b[32m" in sent
    assert sent.count("\x1b[?25l") == sent.count("\x1b[?25h") == 1
    assert screen_of(sent) == ENDED
    frames = len(re.findall(r"1/3 models", sent))
    assert 1 <= frames < 30, "200 events in an instant are not 200 frames"


def test_no_color() -> None:
    sent, _ = on_terminal("drawn", 100, NO_COLOR="1")
    assert screen_of(sent) == ENDED
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", sent)


def test_nothing_to_draw_means_no_drawing_library() -> None:
    sent, output = on_terminal("nothing")
    assert output == "False"
    assert "\x1b" not in sent
    assert screen_of(sent)[-1].startswith("done: 1 present")


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "latin-1"}])
def test_a_terminal_that_cannot_be_drawn_on_gets_plain_lines(environ: dict[str, str]) -> None:
    sent, output = on_terminal("drawn", 100, **environ)
    assert output == "False"
    assert "\x1b" not in sent and "progress: 1/3 models" in sent


FIRST_PROCESS = ("unshare", "--pid", "--fork", "--mount-proc")
"""What makes a program the first process of its container, and its terminal the container's log."""


@pytest.mark.needs("mounts")
def test_the_log_of_a_pod_is_plain_though_it_is_a_terminal() -> None:
    sent, _ = on_terminal("drawn", 100, within=FIRST_PROCESS, RUNPOD_POD_ID="abc123")
    assert "\x1b" not in sent and not re.search(r"\r(?!\n)", sent)
    assert "downloaded models/a.gguf" in sent and "progress: " in sent


@pytest.mark.needs("mounts")
@pytest.mark.parametrize(("within", "environ"), [(FIRST_PROCESS, {}), ((), {"RUNPOD_POD_ID": "abc123"})])
def test_a_person_at_a_terminal_has_bars(within: Sequence[str], environ: dict[str, str]) -> None:
    """Another container's first process, as with ``docker run -it``; a shell in a pod, by SSH."""
    sent, _ = on_terminal("drawn", 100, within=within, **environ)
    assert "\x1b[" in sent
