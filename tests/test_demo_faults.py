"""Each scripted fault does to a reply what it says, and strikes when it should."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import pytest

from prefetch.demo.actions import (
    Action,
    Cut,
    Delay,
    Expired,
    Hide,
    HtmlPage,
    IgnoreRange,
    JsonError,
    LfsPointer,
    Long,
    NoLength,
    Redirect,
    RedirectLoop,
    Short,
    Stall,
    Status,
    TooMany,
    Trickle,
    WrongRange,
)
from prefetch.demo.content import SyntheticFile
from prefetch.demo.faults import Fault, corrupt, covers
from prefetch.demo.server import DemoServer, running_origin
from tests.support.origins import ask

SIZE = 300_000
MODEL = SyntheticFile("m.raw", SIZE, "raw", 5)
WHOLE = MODEL.read(0, SIZE)
ASKED = (1000, 51_000)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin() as running:
        yield running


@pytest.fixture
def url(origin: DemoServer) -> str:
    return origin.signed_link("o/n/m.raw", MODEL)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_cut(origin: DemoServer, url: str, how: str) -> None:
    origin.add_faults(Fault(do=Cut(20_000, how)))  # type: ignore[arg-type]
    answer = ask(url, span=ASKED)
    assert not answer.whole
    assert answer.headers["Content-Length"] == "50000"
    assert WHOLE[1000:21_000].startswith(answer.body)
    assert how == "reset" or len(answer.body) == 20_000
    assert origin.requests[-1].sent == 20_000
    assert ask(url, span=ASKED).body == WHOLE[1000:51_000]


def test_stall_lasts_until_the_client_leaves(origin: DemoServer, url: str) -> None:
    origin.add_faults(Fault(do=Stall(500)))
    with pytest.raises(TimeoutError):
        ask(url, span=ASKED, patience=0.2)
    entry = origin.requests[-1]
    _wait_for(lambda: entry.seconds is not None)
    assert (entry.sent, entry.seconds and entry.seconds >= 0.2) == (500, True)


def test_a_stalled_connection_does_not_keep_the_origin_from_stopping() -> None:
    with running_origin(faults=[Fault(do=Stall(0)), Fault(do=Delay(60), skip=1)]) as origin:
        url = origin.signed_link("o/n/m.raw", MODEL)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                ask(url, patience=0.1)
        start = time.monotonic()
    assert time.monotonic() - start < 2


def test_trickle(origin: DemoServer, url: str) -> None:
    origin.add_faults(Fault(do=Trickle(100_000)))
    start = time.monotonic()
    assert ask(url, span=(0, 30_000)).body == WHOLE[:30_000]
    assert 0.25 < time.monotonic() - start < 2


def test_delay(origin: DemoServer, url: str) -> None:
    origin.add_faults(Fault(do=Delay(0.1)))
    start = time.monotonic()
    assert ask(url).status == 200
    assert time.monotonic() - start >= 0.1


def test_too_many_tells_the_wait_in_each_way(origin: DemoServer, url: str) -> None:
    origin.add_faults(
        Fault(do=TooMany(7, "seconds")),
        Fault(do=TooMany(7, "date"), skip=1),
        Fault(do=TooMany(7, "ratelimit"), skip=2),
        Fault(do=TooMany(7, "nothing"), skip=3),
    )
    seconds, date, ratelimit, nothing = (ask(url) for _ in range(4))
    assert {answer.status for answer in (seconds, date, ratelimit, nothing)} == {429}
    assert seconds.headers["Retry-After"] == "7"
    assert 4 < parsedate_to_datetime(date.headers["Retry-After"]).timestamp() - time.time() <= 7
    assert (ratelimit.headers["RateLimit"], ratelimit.headers["Retry-After"]) == ('"resolvers";r=0;t=7', None)
    assert ratelimit.headers["RateLimit-Policy"].endswith("w=300")
    assert {"Retry-After", "RateLimit"}.isdisjoint(nothing.headers.keys())


def test_bodies_that_are_not_the_file(origin: DemoServer, url: str) -> None:
    table: dict[Action, tuple[str, bytes]] = {
        HtmlPage(): ("text/html", b"<!doctype html>"),
        JsonError(): ("application/json", b'{"error": "Unauthorized"}'),
        LfsPointer(): ("text/plain", f"oid sha256:{MODEL.sha256}\nsize {SIZE}\n".encode()),
    }
    for action, (content_type, part) in table.items():
        origin.clear_faults()
        origin.add_faults(Fault(do=action))
        answer = ask(url, span=ASKED)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(content_type)
        assert part in answer.body


def test_statuses(origin: DemoServer, url: str) -> None:
    origin.add_faults(Fault(do=Status(503)), Fault(do=Expired(), skip=1))
    assert [ask(url).status for _ in range(3)] == [503, 403, 200]


def test_ranges_that_are_not_the_asked_one(origin: DemoServer, url: str) -> None:
    origin.add_faults(
        Fault(do=IgnoreRange()),
        Fault(do=WrongRange(shift=10), skip=1),
        Fault(do=WrongRange(total=SIZE + 1), skip=2),
        Fault(do=Short(100), skip=3),
        Fault(do=Long(100), skip=4),
    )
    whole, shifted, other_total, short, long = (ask(url, span=ASKED) for _ in range(5))
    assert (whole.status, whole.body, whole.headers["Content-Range"]) == (200, WHOLE, None)
    assert (shifted.headers["Content-Range"], shifted.body) == (f"bytes 1010-51009/{SIZE}", WHOLE[1000:51_000])
    assert other_total.headers["Content-Range"] == f"bytes 1000-50999/{SIZE + 1}"
    for answer, length in ((short, 49_900), (long, 50_100)):
        assert (answer.whole, len(answer.body)) == (True, length)
        assert answer.headers["Content-Range"] == f"bytes 1000-50999/{SIZE}"


def test_long_goes_past_the_end_of_the_file(origin: DemoServer, url: str) -> None:
    origin.add_faults(Fault(do=Long(100)))
    assert ask(url).body == WHOLE + bytes(100)


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_no_length(origin: DemoServer, url: str, framing: str) -> None:
    origin.add_faults(Fault(do=NoLength(framing)))  # type: ignore[arg-type]
    answer = ask(url)
    assert (answer.body, answer.headers["Content-Length"]) == (WHOLE, None)
    assert (answer.headers["Transfer-Encoding"] == "chunked") == (framing == "chunked")


def test_redirects(origin: DemoServer, url: str) -> None:
    origin.add_faults(Fault(do=RedirectLoop()), Fault(do=Redirect("http://elsewhere.invalid/x", 307), skip=1))
    loop, away = ask(url), ask(url)
    assert (loop.status, url.endswith(loop.headers["Location"])) == (302, True)
    assert (away.status, away.headers["Location"]) == (307, "http://elsewhere.invalid/x")


def test_hide(origin: DemoServer, url: str) -> None:
    origin.add_faults(Fault(do=Hide(("accept-ranges",))))
    assert (ask(url).headers["Accept-Ranges"], ask(url).headers["Accept-Ranges"]) == (None, "bytes")


def test_corrupt_once_strikes_the_first_reply_that_carries_the_byte(origin: DemoServer, url: str) -> None:
    origin.add_faults(corrupt("o/n/*", 2000))
    outside, first, second = ask(url, span=(0, 2000)), ask(url, span=ASKED), ask(url, span=ASKED)
    assert (outside.body, second.body) == (WHOLE[:2000], WHOLE[1000:51_000])
    assert [at for at in range(50_000) if first.body[at] != second.body[at]] == [1000]


def test_corrupt_always(origin: DemoServer, url: str) -> None:
    origin.add_faults(corrupt("*", 2000, times=None))
    assert {ask(url, span=ASKED).body[1000] for _ in range(3)} == {WHOLE[2000] ^ 0xFF}


def test_faults_compose_in_order_and_are_logged(origin: DemoServer, url: str) -> None:
    origin.add_faults(corrupt("*", 1005), Fault(do=Cut(10)))
    answer = ask(url, span=ASKED)
    assert answer.body == WHOLE[1000:1005] + bytes([WHOLE[1005] ^ 0xFF]) + WHOLE[1006:1010]
    assert origin.requests[-1].faults == ("Flip", "Cut")


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        (Fault(do=Status(503)), [0]),
        (Fault(do=Status(503), times=None), [0, 1, 2, 3]),
        (Fault(do=Status(503), skip=1, times=2), [1, 2]),
        (Fault(do=Status(503), range=covers(0)), [0]),
        (Fault(do=Status(503), range=covers(250_000), times=None), [3]),
        (Fault(do=Status(503), path="o/*.raw"), [0]),
        (Fault(do=Status(503), path="/xet-bridge-demo/*"), [0]),
        (Fault(do=Status(503), path="*.gguf"), []),
        (Fault(do=Status(503), method="HEAD"), []),
        (Fault(do=Status(503), server="hub"), []),
        (Fault(do=Status(503), server="cdn"), [0]),
    ],
)
def test_which_requests_are_struck(origin: DemoServer, url: str, fault: Fault, struck: list[int]) -> None:
    origin.add_faults(fault)
    statuses = [ask(url, span=(at, at + 100_000)).status for at in (0, 50_000, 100_000, 200_000)]
    assert [index for index, status in enumerate(statuses) if status == 503] == struck


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
