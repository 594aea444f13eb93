"""The page at /: what it says of a board, what is sent of it to whom, and that a manifest's text stays text."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from base64 import b64encode
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.monitor.access import Access
from prefetch.monitor.chart import ceiling, chart
from prefetch.monitor.feed import Feed
from prefetch.monitor.frames import BEAT, Picture
from prefetch.monitor.parts import parts_of, title_of
from prefetch.monitor.rows import html_of
from prefetch.net.credentials import Secret
from prefetch.report.board import Board
from prefetch.report.curve import MOST_STEPS, Curve
from prefetch.report.events import (
    Claims,
    Event,
    HostBytes,
    ModelFailed,
    ModelStarted,
    Progress,
    Retried,
    RunStarted,
    Space,
    Traffic,
    Transfer,
    Verifying,
    Waiting,
)
from prefetch.report.view import MOST_ROWS, view_of
from prefetch.values import Endpoint
from tests.support.boards import board_of, done, finished, moving, serving
from tests.support.origins import ask
from tests.support.runs import until

HOSTILE = "models/<script>alert(1)</script>/\"'><img src=x onerror=alert(1)>&amp;\u202e\x1b[2J.pth"
ANY_PORT = Endpoint("127.0.0.1", 0)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def parsed(html: str) -> _Text:
    parser = _Text()
    parser.feed(html)
    return parser


def text(html: str) -> str:
    return " ".join(" ".join(parsed(html).said).split())


# What it says -----------------------------------------------------------------------------------------------------

AB = {"a": 100, "b": 100}
A = "models/a.gguf"


@pytest.mark.parametrize(
    ("events", "expected", "headline", "title"),
    [
        ((), {}, "Nothing has run yet", "Nothing has run yet · prefetch"),
        ((RunStarted("/v", 2),), AB, "Looking: 0 of 2 models there", "0.0% · prefetch"),
        (
            (RunStarted("/v", 2), done("a"), ModelStarted("b", "hub", 100, 0), moving("b")),
            AB,
            "Fetching: 1 of 2 models there",
            "70.0% · prefetch",
        ),
        ((RunStarted("/v", 2), done("a"), Verifying("b", 5)), AB, "Hashing: 1 of 2 models there", "95.2% · prefetch"),
        (
            (RunStarted("/v", 2), done("a"), Waiting("b", "h", 7, 100, 50, 1.0)),
            AB,
            "Waiting for another process: 1 of 2 models there",
            "75.0% · prefetch",
        ),
        ((RunStarted("/v", 1), done("a"), finished()), {}, "All there and verified: 1 model", None),
        ((RunStarted("/v", 2), done("a"), finished(130)), AB, "Stopped: 1 of 2 models there; the same command", None),
        ((RunStarted("/v", 2), done("a"), finished(4)), AB, "Not done: 1 of 2 models there", None),
    ],
)
def test_where_a_run_stands_in_one_line(
    events: tuple[Event, ...], expected: dict[str, int | None], headline: str, title: str | None
) -> None:
    view = view_of(board_of(*events, expected=expected))
    assert text(parts_of(view)["headline"]).startswith(headline)
    assert title is None or title_of(view) == title


@pytest.mark.parametrize(
    ("expected", "total"),
    [
        (AB | {"c": 50}, "60.0% 150 B of 250 B"),
        # As long as a size is unknown, the transfer's own sum says most.
        (AB | {"c": None}, "40.0% 40 B of 100 B"),
    ],
)
def test_the_total_counts_what_is_there_and_what_others_fetch(expected: dict[str, int | None], total: str) -> None:
    events = (done("a"), ModelStarted("b", "hub", 100, 0), Waiting("c", "h", 7, expected["c"], 10, 1.0), moving("b"))
    board = board_of(RunStarted("/v", 3), *events, expected=expected)
    assert text(parts_of(view_of(board))["total"]) == total


def test_no_full_bar_stands_beside_what_is_not_done() -> None:
    board = board_of(RunStarted("/v", 2), done("a"), ModelFailed("b", "source", "Gone."), finished(1), expected=AB)
    parts = parts_of(view_of(board))
    assert "Not done: 1 of 2 models there" in parts["headline"]
    assert 'max="2" value="1"' in parts["total"] and "<b>50.0%</b> 1 of 2 models" in parts["total"]


def test_the_figures_of_a_run_under_way() -> None:
    board = board_of(
        RunStarted("/v", 2),
        ModelStarted("a", "hub", 100, 0),
        moving("a"),
        Traffic((HostBytes("hub<b>", 40),), 40, 1.0, 40, 1.0),
        Claims(1, 1),
        Space(None, 1000, 910),
        Retried("a", "hub", "status_503", "Busy.", 1, 0.0),
        expected=AB,
    )
    figures = text(parts_of(view_of(board))["figures"])
    for said in ("Speed 5 B/s", "Connections 2", "Time left 12s", "910 B of 1.0 kB", "Held by others 1 model"):
        assert said in figures
    assert "Tried again 1 request" in figures and "From hub<b> 40 B" in figures
    assert 'class="tight"' in parts_of(view_of(board))["figures"]


def test_the_time_left_is_that_of_the_slowest_also_where_it_is_another() -> None:
    waiting = Waiting("a", "h", 7, 100, 50, 2.0)
    board = board_of(RunStarted("/v", 2), moving("x"), waiting, expected=AB)
    figures = text(parts_of(view_of(board))["figures"])
    assert "Time left 25s" in figures and "Connections" not in figures
    board(ModelStarted("b", "hub", 100, 0))
    for speed, left in ((5.0, "25s"), (1.0, "1m00s"), (0.0, "-")):
        board(moving("b", speed=speed))
        assert f"Connections 2 Time left {left} Running" in text(parts_of(view_of(board))["figures"])


def test_the_figures_of_a_run_that_ended() -> None:
    figures = text(parts_of(view_of(board_of(RunStarted("/v", 0), finished())))["figures"])
    assert figures == "Took 7.5s Downloaded 750 B On average 100 B/s Resumed 30 B"


def test_a_failure_is_told_with_its_remedy_until_it_is_mended() -> None:
    lost = ModelFailed("a", "source", "It is gone. Look at <b>its</b> page.")
    board = board_of(
        RunStarted("/v", 2), lost, lost, ModelFailed("b", "busy", "Another has it.", "waiting"), finished(1)
    )
    said = text(parts_of(view_of(board))["failures"])
    assert said.count("It is gone. Look at <b>its</b> page.") == 1 and "00:16:40 UTC" in said
    assert said.index("Another has it.") < said.index("It is gone.")
    board(RunStarted("/v", 2))
    board(done("a"))
    assert "gone" not in parts_of(view_of(board))["failures"]


def test_what_is_wrong_for_longer_is_told() -> None:
    board = board_of()
    board.warn("manifest", "Line 3 is <no> YAML; the last good one is kept.")
    assert text(parts_of(view_of(board))["warnings"]) == "Line 3 is <no> YAML; the last good one is kept."
    board.settle("manifest")
    assert parts_of(view_of(board))["warnings"] == ""


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((), "a.gguf models queued 0.0% 100 B"),
        ((ModelStarted(A, "hub", 100, 0), moving(A)), "fetching 40.0% 40 B of 100 B 5 B/s 12s"),
        ((Waiting(A, "pod-7", 12, 100, 50, 1.0),), "process 12 on pod-7 has it 50.0% 50 B of 100 B 1 B/s 50s"),
        ((Waiting(A, None, None, None, 0, 0.0),), "another process has it 100 B"),
        ((Retried(A, "hub", "status_503", "Busy.", 1, 0.0),), "HTTP 503, trying again 0.0% 100 B"),
        ((Verifying(A, 100),), "hashing 100 B"),
        ((done(A),), "downloaded 100% 100 B"),
        ((ModelFailed(A, "source", "Gone."),), "failed 100 B"),
    ],
)
def test_a_model_in_one_row(events: tuple[Event, ...], said: str) -> None:
    (row,) = view_of(board_of(RunStarted("/v", 1), *events, expected={A: 100})).rows
    assert text(html_of(row)).endswith(said)


def test_trouble_is_over_when_bytes_move() -> None:
    board = board_of(
        RunStarted("/v", 1), ModelStarted("a", "hub", 100, 0), Retried("a", "hub", "stall", "It stalls.", 1, 0.0)
    )
    assert view_of(board).rows[0].trouble == "stall"
    board(moving("a", speed=0.0))
    assert view_of(board).rows[0].trouble == "stall"
    board(moving("a"))
    assert view_of(board).rows[0].trouble is None


def test_of_very_many_models_the_first_are_shown_and_the_others_counted() -> None:
    expected: dict[str, int | None] = {f"models/{number}": 100 for number in range(10_000)}
    paths = list(expected)
    events: list[Event] = [
        *map(done, paths[:100]),
        ModelFailed(paths[100], "source", "Gone."),
        moving(*paths[9000:9008]),
    ]
    view = view_of(board_of(RunStarted("/v", len(paths)), *events, expected=expected))
    assert len(view.rows) == MOST_ROWS
    assert [row.path for row in view.rows[:9]] == [*paths[9000:9008], paths[101]]
    assert text(parts_of(view)["rest"]) == "and 9,800 more models: 9,699 queued, 100 downloaded, 1 failed"


def test_a_failed_model_stands_above_those_that_are_there() -> None:
    board = board_of(
        RunStarted("/v", 3), done("a"), ModelFailed("b", "source", "Gone."), expected={"a": 1, "b": 1, "c": 1}
    )
    assert [row.path for row in view_of(board).rows] == ["c", "b", "a"]


# The curve --------------------------------------------------------------------------------------------------------


def test_a_curve_of_any_length_is_short() -> None:
    curve = Curve(0.0)
    for second in range(2000):
        curve.add(float(second), 10.0 if second < 1000 else 30.0)
    assert len(curve.values) <= MOST_STEPS and curve.step == 32.0
    assert set(curve.values[: 1000 // 32]) == {10.0} and set(curve.values[-30:]) == {30.0}


def test_a_pause_is_a_gap_only_when_it_is_long() -> None:
    curve = Curve(0.0)
    for when in (0.0, 3.0, 20.0):
        curve.add(when, 7.0)
    assert curve.values == (7.0, 7.0, 7.0, 7.0, *[0.0] * 16, 7.0)


@given(st.lists(st.tuples(st.floats(-1e6, 1e9), st.floats(0, 1e12)), min_size=1, max_size=50))
def test_a_curve_stands_any_clock(told: list[tuple[float, float]]) -> None:
    curve = Curve(told[0][0])
    for when, speed in told:
        curve.add(when, speed)
    assert 1 <= len(curve.values) <= MOST_STEPS
    assert max(curve.values) <= max(speed for _, speed in told) * (1 + 1e-9)
    assert chart(curve.values, curve.step) == "" or "<polyline" in chart(curve.values, curve.step)


@pytest.mark.parametrize(("speed", "top"), [(0, 1), (1, 1), (3.5, 4), (51e6, 60e6), (200e6, 200e6), (999e6, 1e9)])
def test_the_curve_has_a_round_top(speed: float, top: float) -> None:
    assert ceiling(speed) == top


def test_a_new_run_draws_anew_once_bytes_move() -> None:
    board = board_of(RunStarted("/v", 1), moving("a"), finished(), RunStarted("/v", 1))
    assert view_of(board).speeds == (5.0,)
    board(moving("a", speed=9.0))
    assert view_of(board).speeds == (9.0,)


# Strangers' text --------------------------------------------------------------------------------------------------

OURS = {"tr", "th", "td", "b", "span", "wbr", "progress", "p", "h2", "ul", "li", "time", "br", "div", "dt", "dd"}
PERILOUS = {"style", "onerror", "onload", "src", "href"}


def test_nothing_of_a_manifest_becomes_html() -> None:
    board = board_of(
        RunStarted("/v", 2),
        ModelFailed(HOSTILE, "source", HOSTILE),
        Waiting("b", HOSTILE, 7, 100, 50, 1.0),
        Traffic((HostBytes(HOSTILE, 40),), 40, 1.0, 40, 1.0),
        expected={HOSTILE: None, "b": 100},
    )
    board.warn("manifest", HOSTILE)
    picture = Picture.of(view_of(board))
    html = "".join(picture.parts.values()) + picture.table()
    assert set(parsed(html).tags) <= OURS and not PERILOUS & set(parsed(html).attributes)
    assert "alert(1)" in text(html) and "\u202e" not in html and "\x1b" not in html
    (data,) = picture.whole().decode().splitlines()[1:2]
    assert json.loads(data.removeprefix("data: "))["parts"] == picture.parts


@given(st.text())
def test_a_frame_is_one_line_whatever_a_path_holds(path: str) -> None:
    picture = Picture.of(view_of(board_of(RunStarted("/v", 1), expected={path: 5})))
    event, data, *end = picture.whole().decode().split("\n")
    assert (event, end) == ("event: frame", ["", ""])
    assert len(json.loads(data.removeprefix("data: "))["rows"]) == 1


# The stream -------------------------------------------------------------------------------------------------------


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def read(frame: bytes) -> dict[str, Any]:
    kind, data, *_ = frame.decode().split("\n")
    assert kind == "event: frame", frame
    told: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return told


def test_first_all_then_what_is_new() -> None:
    async def work() -> None:
        board = board_of(RunStarted("/v", 3), ModelStarted("b", "hub", 100, 0), expected={"a": 100, "b": 100, "c": 100})
        async with aclosing(Feed(board, every=0.01, beats_after=2).frames()) as frames:
            whole = read(await anext(frames))
            assert len(whole["rows"]) == len(whole["order"]) == 3 and "curve" in whole["parts"]
            board(moving("b"))
            news = read(await anext(frames))
            # The one that moves has come to the top.
            (moved,) = news["rows"]
            assert news["order"] == [moved, *(row for row in whole["order"] if row != moved)]
            assert set(news["parts"]) == {"total", "figures"}
            board(done("b"))
            news = read(await anext(frames))
            assert list(news["rows"]) == [moved] and news["order"][-1] == moved
            assert "1 of 3 models there" in news["parts"]["headline"] and "warnings" not in news["parts"]
            assert await anext(frames) == BEAT

    run(work())


def test_a_hundred_watchers_cost_one_look_each_time_and_none_costs_none() -> None:
    async def work() -> None:
        board = board_of(RunStarted("/v", 1), expected={"a": 100})
        feed = Feed(board, every=0.01, beats_after=1, most=100)
        watching = [feed.frames() for _ in range(100)]
        for number in range(6):
            board(moving("a", speed=float(number)))
            frames = await asyncio.gather(*map(anext, watching))
            # The very same bytes, not equal ones.
            assert len(set(map(id, frames))) == 1
        assert feed.is_full
        for each in watching:
            await each.aclose()
        looked = feed.looks
        assert looked < 100
        await asyncio.sleep(0.1)
        assert feed.looks == looked and not feed.is_full

    run(work())


def test_who_comes_late_for_a_frame_gets_all_that_is_now() -> None:
    async def work() -> None:
        board = board_of(RunStarted("/v", 2), expected=AB)
        feed = Feed(board, every=0.01)
        async with aclosing(feed.frames()) as late, aclosing(feed.frames()) as prompt:
            await anext(late), await anext(prompt)
            for path in AB:
                board(done(path))
                assert len(read(await anext(prompt))["rows"]) == 1
            assert len(read(await anext(late))["rows"]) == 2
            board(finished())
            assert len(read(await anext(late))["rows"]) == 0

    run(work())


def test_the_last_frame_tells_the_end() -> None:
    async def work() -> None:
        board = board_of(RunStarted("/v", 1))
        feed = Feed(board, every=60)
        frames: AsyncGenerator[bytes] = feed.frames()
        await anext(frames)
        board(done("a"))
        board(finished())
        await feed.close()
        assert "All there and verified" in read(await anext(frames))["parts"]["headline"]
        with pytest.raises(StopAsyncIteration):
            await anext(frames)

    run(work())


# The server -------------------------------------------------------------------------------------------------------


@contextmanager
def watching(url: str) -> Iterator[Watcher]:
    """One who asks for the stream and reads only when told to."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        with connection.makefile("rb") as file:
            yield Watcher(file)


@dataclass(frozen=True, slots=True)
class Watcher:
    file: BinaryIO

    def status(self) -> int:
        return int(self.file.readline().split()[1])

    def frames(self) -> Iterator[dict[str, Any]]:
        for line in self.file:
            if line.startswith(b"data: {"):
                yield json.loads(line.removeprefix(b"data: "))


def test_the_page_and_all_it_loads_are_for_those_who_may_look() -> None:
    with serving(Board(), access=Access(basic=Secret("ann:word"))) as url:
        for path in ("/", "/events", "/page.js", "/page.css", "/icon.svg"):
            assert ask(url + path).status == 401
        login = "Basic " + b64encode(b"ann:word").decode()
        for path in ("/", "/page.js", "/page.css", "/icon.svg"):
            assert ask(url + path, Authorization=login).status == 200


def test_the_page_is_bound_to_its_own_files_by_names_that_work_below_any_path() -> None:
    with serving(board_of(RunStarted("/v", 1), expected={HOSTILE: 5})) as url:
        answer = ask(url + "/")
        html = answer.body.decode()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        named = re.findall(r'(?:src|href)="([^"]*)"', html)
        assert sorted(named) == ["icon.svg", "metrics", "page.css", "page.js"]
        assert not [name for name in parsed(html).attributes if name == "style" or name.startswith("on")]
        kinds = [ask(f"{url}/{name}").headers["Content-Type"].partition(";")[0] for name in named]
        assert kinds == ["image/svg+xml", "text/css", "text/javascript", "text/plain"]
        assert "://" not in ask(url + "/page.js").body.decode() + ask(url + "/page.css").body.decode()
        assert ask(url + "/assets/").status == ask(url + "/page.html").status == 404


def test_the_page_is_whole_without_its_script() -> None:
    board = board_of(RunStarted("/v", 2), done("a"), ModelFailed("b", "source", "It is gone. Look."), expected=AB)
    with serving(board) as url:
        html = ask(url + "/").body.decode()
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html
    for said in ("Looking: 1 of 2 models there", "It is gone. Look.", "downloaded", "failed"):
        assert said in text(html)


def test_the_stream_is_for_so_many_and_no_more() -> None:
    board = board_of(RunStarted("/v", 1))
    with serving(board, feed=Feed(board, every=0.01, beats_after=1, most=2)) as url, watching(url) as one:
        assert one.status() == 200
        with watching(url) as two, watching(url) as three:
            assert two.status() == 200
            assert three.status() == 503
        # The two that have left make room once that is seen.
        until(lambda: _is_let_in(url), "room for another")
        assert ask(url + "/healthz").status == 200


def _is_let_in(url: str) -> bool:
    with watching(url) as watcher:
        return watcher.status() == 200


def test_who_does_not_read_is_closed_and_holds_up_nobody() -> None:
    paths = [f"models/{number}" for number in range(200)]
    board = board_of(RunStarted("/v", 200), expected=dict.fromkeys(paths, 10**9))
    over = threading.Event()

    def tell() -> None:
        done = 0
        while not over.wait(0.002):
            done += 1
            board(Progress(tuple(Transfer(path, 10**9, done, done, 1, 1.0) for path in paths), done, 1, 0, 1, 1.0, 1))

    telling = threading.Thread(target=tell)
    telling.start()
    feed = Feed(board, every=0.05, most=2)
    try:
        with serving(board, feed=feed, patience=1.5) as url, watching(url), watching(url) as prompt:
            assert prompt.status() == 200
            frames = prompt.frames()
            # It has its news while the other one is waited for, and after that one is gone.
            until(lambda: len(next(frames)["rows"]) > 0 and _is_let_in(url), "the end of the one who does not read")
    finally:
        over.set()
        telling.join()
