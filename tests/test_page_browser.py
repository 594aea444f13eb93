"""The page in a real Chromium: live, cut off and back, without JavaScript, small, dark, by keyboard, behind nginx."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from prefetch.demo.server import DemoServer, running_origin
from prefetch.monitor.feed import Feed
from prefetch.report.board import Board
from prefetch.report.events import (
    RunFinished,
)
from tests.support.boards import full_board, serving
from tests.support.browser import chromium, proxied
from tests.support.models import BLOCK, repo_of, wanted
from tests.support.runs import Runs, until

pytestmark = pytest.mark.needs("chromium")

LARGE, SMALL = MODELS = wanted(3 * BLOCK + 7, 50_000)
HOSTILE = "models/<img src=x onerror=alert(1)><script>alert(1)</script>'\"&amp;.safetensors"
PATIENCE = 20_000.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@contextmanager
def opened(browser: Browser, url: str = "", *, init: str = "", **look: Any) -> Iterator[Page]:
    """A page in a browser that remembers nothing; whatever it complains of fails the test."""
    complaints: list[str] = []
    context = browser.new_context(**look)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        if init:
            page.add_init_script(init)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("console", lambda said: complaints.append(said.text))
        if url:
            page.goto(url)
        yield page
    finally:
        context.close()
    # What is not there, because a test has taken it away, is no fault of the page.
    assert not [complaint for complaint in complaints if not complaint.startswith("Failed to load resource")]


def share(page: Page, row: str) -> float:
    """How far the bar of the one row with this text is."""
    position: float = page.locator("tbody tr", has_text=row).locator("progress").evaluate("bar => bar.position")
    return position


def test_a_run_is_seen_from_its_first_bytes_to_its_end(browser: Browser, runs: Runs) -> None:
    lost = SMALL.entry(path=HOSTILE, source="hf://acme/models/lost.safetensors", sha256=None, size=None)
    entries = [*(model.entry() for model in MODELS), lost]
    asked: list[str] = []
    options = ("--listen", "127.0.0.1:0", "--linger", "600", "--limit-rate", "2M")
    # The browser is there before the run is, so that a slow machine sees its middle too.
    with opened(browser) as page, runs.start(*options, entries=entries) as process:
        assert process.stderr is not None
        url = next(found[1] for line in process.stderr if (found := re.search(r"on (http://\S+)", line)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        expect(page.locator("#live")).to_have_text("live")
        bar = page.locator("tbody tr", has_text=LARGE.name).locator("progress")
        first = share(page, LARGE.name)
        # Without another request than those of the beginning.
        expect(bar).not_to_have_js_property("position", first)
        expect(page.locator("#headline")).to_have_text("Not done: 2 of 3 models there")
        assert share(page, LARGE.name) == 1.0
        assert page.title() == "Not done: 2 of 3 models there · prefetch"
        # A stranger's path is text, and its failure says what to do.
        expect(page.locator("#failures")).to_contain_text(HOSTILE)
        expect(page.locator("#failures")).to_contain_text("no file 'lost.safetensors'")
        expect(page.locator("tbody tr")).to_have_count(3)
        assert page.locator("#curve polyline").count() == 1
        assert sorted(asked) == sorted(f"{url}/{name}" for name in ("", "events", "icon.svg", "page.css", "page.js"))
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 1


def test_it_comes_back_when_the_server_does(browser: Browser) -> None:
    with ExitStack() as first:
        url = first.enter_context(serving(Board()))
        with opened(browser, url) as page:
            expect(page.locator("#live")).to_have_text("live")
            expect(page.locator("#headline")).to_have_text("Nothing has run yet")
            page.evaluate("window.sameAsBefore = true")
            first.close()
            expect(page.locator("#live")).to_have_text("not connected, trying again")
            board = full_board()
            with serving(board, port=int(url.rpartition(":")[2])):
                expect(page.locator("#live")).to_have_text("live")
                expect(page.locator("tbody tr")).to_have_count(8)
                board(RunFinished(False, 3, 9.0, 10**9, 0, 1))
                expect(page.locator("#headline")).to_have_text("Not done: 2 of 8 models there")
            # What the server says last is there before it is gone.
            assert page.evaluate("window.sameAsBefore")


IMPATIENT = """
    Math.random = () => 0.5;
    window.waits = [];
    const wait = setTimeout;
    window.setTimeout = (what, long) => long > 35000 ? wait(what, long) : (waits.push(long), wait(what, 0));
"""


def test_it_asks_ever_more_seldom_where_there_is_no_room(browser: Browser) -> None:
    board = Board()
    with serving(board, feed=Feed(board, most=0)) as url, opened(browser, url, init=IMPATIENT) as page:
        expect(page.locator("#live")).to_have_text("not connected, trying again")
        until(lambda: len(page.evaluate("window.waits")) > 7, "the eighth try")
        assert page.evaluate("window.waits")[:8] == [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]


def test_without_javascript_it_is_a_table_that_is_drawn_anew(browser: Browser) -> None:
    board = full_board()
    with serving(board) as url, opened(browser, url, java_script_enabled=False) as page:
        expect(page.locator("#live")).to_have_text("drawn anew every 5 seconds", use_inner_text=True)
        expect(page.locator("tbody tr")).to_have_count(8)
        expect(page.locator("#failures")).to_contain_text("Set HF_TOKEN")
        expect(page.locator("#headline")).to_have_text("Fetching: 2 of 8 models there")
        board(RunFinished(False, 3, 9.0, 10**9, 0, 1))
        expect(page.locator("#headline")).to_have_text("Not done: 2 of 8 models there")


LOOKS = [
    {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    {"color_scheme": "dark", "viewport": {"width": 760, "height": 800}},
    {"color_scheme": "light", "viewport": {"width": 320, "height": 640}, "is_mobile": True},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "is_mobile": True},
]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look['color_scheme']}-{look['viewport']['width']}")
def test_everybody_can_read_it_in_every_look(browser: Browser, look: dict[str, Any]) -> None:
    with serving(full_board()) as url, opened(browser, url, **look) as page:
        expect(page.locator("#live")).to_have_text("live")
        expect(page.locator("#curve polyline")).to_have_count(1)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
        assert found.violations_count == 0, found.generate_report()
        width = look["viewport"]["width"]
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        red, green, blue = map(
            int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
        )
        assert (red + green + blue < 200) is (look["color_scheme"] == "dark")
        # On a phone each model is a card: its cells stand below each other.
        assert page.locator("thead").is_visible() is (width > 700)


def test_the_keyboard_reaches_what_can_be_reached_and_shows_where_it_is(browser: Browser) -> None:
    with serving(full_board()) as url, opened(browser, url) as page:
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        expect(focused).to_have_text("metrics")
        assert focused.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url("**/metrics")


@pytest.mark.needs("nginx")
def test_behind_a_proxy_below_a_path_it_is_live_and_outlives_every_cut(browser: Browser, tmp_path: Path) -> None:
    board = full_board()
    streams: list[str] = []
    # Nothing is said for a minute, and this proxy is less patient than others.
    with (
        serving(board, feed=Feed(board, every=60.0)) as url,
        proxied(url, tmp_path, prefix="/pod-7/", limit=2) as outside,
        opened(browser) as page,
    ):
        page.on("request", lambda request: streams.append(request.url))
        page.goto(outside)
        expect(page.locator("#live")).to_have_text("live")
        expect(page.locator("tbody tr")).to_have_count(8)
        expect(page.locator("#live")).to_have_text("not connected, trying again")
        expect(page.locator("#live")).to_have_text("live")
        assert streams.count(f"{outside}events") >= 2 and all(url.startswith(outside) for url in streams)
        assert page.locator("footer a").evaluate("link => link.href") == f"{outside}metrics"
