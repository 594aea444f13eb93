from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from prefetch.errors import AccessError, ContentError, PrefetchError, SourceError, TransientError
from prefetch.net.client import open_session
from prefetch.net.credentials import Credential, Secret
from prefetch.net.http import HttpOrigin
from prefetch.net.locations import MOST_REFUSED, Location, LocationCache, refresh_time
from prefetch.net.origin import Body, RangesUnsupported
from prefetch.net.retry import FullJitter
from prefetch.net.urls import OriginKey, SecretURL
from tests.support.loopback import Server, raw_serving, serving

DATA = bytes(range(256)) * 4096  # 1 MiB


class Locator:
    """Answers for a file at ``home`` with whatever addresses it is given, one after the other, the last for ever."""

    name = "model.safetensors"
    access_remedy = "Set MODEL_TOKEN."

    def __init__(self, home: str, *urls: str, expires_at: float | None = None) -> None:
        self.home = SecretURL(home)
        self.urls = list(urls or (home,))
        self.expires_at = expires_at
        self.asked = 0

    @property
    def origin(self) -> OriginKey:
        return self.home.origin

    async def locate(self) -> Location:
        self.asked += 1
        await asyncio.sleep(0)
        url = self.urls.pop(0) if len(self.urls) > 1 else self.urls[0]
        token = Credential(self.origin, "Authorization", Secret("Bearer hf_secret"))
        return Location(SecretURL(url), self.home.host, (token,), self.expires_at)


def sent(request: web.BaseRequest, data: bytes = DATA, **headers: str) -> web.Response:
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if not match:
        return web.Response(body=data, headers=headers)
    start, stop = int(match[1]), int(match[2] or len(data) - 1) + 1
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
    return web.Response(status=206, body=data[start:stop], headers=headers)


async def good(request: web.BaseRequest) -> web.StreamResponse:
    return sent(request)


@asynccontextmanager
async def origin_of(locator: Locator, **known: Any) -> AsyncIterator[HttpOrigin]:
    async with open_session(connections=4) as session:
        yield HttpOrigin(session, locator, **known)


async def drained(body: Body) -> bytes:
    data, buffer = bytearray(), memoryview(bytearray(70_000))
    while count := await body.fill(buffer):
        data += buffer[:count]
    assert body.received == len(data)
    return bytes(data)


async def read(origin: HttpOrigin, start: int, stop: int | None) -> tuple[bytes, int | None, bool]:
    async with origin.open(start, stop) as body:
        return await drained(body), body.total, body.ranged


def outcome(work: Coroutine[Any, Any, object]) -> PrefetchError:
    with pytest.raises(PrefetchError) as caught:
        asyncio.run(work)
    return caught.value


def failure(handler: Callable[[web.BaseRequest], web.StreamResponse]) -> PrefetchError:
    async def work() -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return handler(request)

        async with serving(handle) as server, origin_of(Locator(server.url + "/f")) as origin:
            await read(origin, 0, 10)

    return outcome(work())


@pytest.mark.parametrize("span", [(0, 1), (0, len(DATA)), (777, 99_999), (len(DATA) - 1, len(DATA))])
def test_a_range_is_those_bytes_and_no_others(span: tuple[int, int]) -> None:
    async def work() -> None:
        async with serving(good) as server, origin_of(Locator(server.url + "/f"), size=len(DATA)) as origin:
            assert await read(origin, *span) == (DATA[slice(*span)], len(DATA), True)
            assert origin.ranges is True
            assert origin.host == "127.0.0.1"

    asyncio.run(work())


def test_a_file_of_unknown_size_is_read_to_its_end_and_its_size_learned() -> None:
    async def work() -> None:
        async with serving(good) as server, origin_of(Locator(server.url + "/f")) as origin:
            assert await read(origin, 0, None) == (DATA, len(DATA), False)
            assert "Range" not in server.log[0].headers, "the end of a range need not be the file's"
            assert origin.ranges is None, "nobody asked"
            assert await read(origin, 1000, None) == (DATA[1000:], len(DATA), True)

    asyncio.run(work())


def test_a_host_without_ranges_gives_the_whole_file_from_its_start_only() -> None:
    async def work() -> None:
        async with (
            serving(lambda _: asyncio.sleep(0, web.Response(body=DATA))) as server,
            origin_of(Locator(server.url + "/f"), size=len(DATA)) as origin,
        ):
            assert await read(origin, 0, 10) == (DATA, len(DATA), False)
            assert origin.ranges is False
            with pytest.raises(RangesUnsupported):
                await read(origin, 10, 20)

    asyncio.run(work())


async def chunked(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for offset in range(0, len(DATA), 100_000):
        await response.write(DATA[offset : offset + 100_000])
    return response


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_a_chunked_body_ends_where_it_says(size: int | None) -> None:
    async def work() -> None:
        async with serving(chunked) as server, origin_of(Locator(server.url + "/f"), size=size) as origin:
            assert await read(origin, 0, size) == (DATA, size, False)

    asyncio.run(work())


HEAD = "HTTP/1.1 {} X\r\nContent-Type: application/octet-stream\r\n{}\r\n"


def head(status: int, **headers: object) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return HEAD.format(status, lines).encode()


@pytest.mark.parametrize(
    ("reply", "known", "data"),
    [
        # more than the range, without a length: the reading stops at the range's end
        (head(206, Content_Range="bytes 0-9/1048576") + DATA[:500], {}, DATA[:10]),
        # no length and no chunks: the known size tells the end
        (head(200) + DATA[:300], {"size": 300}, DATA[:300]),
        # no length and no chunks: the known hash will tell
        (head(200) + DATA[:300], {"verified": True}, DATA[:300]),
    ],
)
def test_bodies_without_a_length(reply: bytes, known: dict[str, Any], data: bytes) -> None:
    async def work() -> None:
        async with raw_serving(lambda _: reply) as server, origin_of(Locator(server.url + "/f"), **known) as origin:
            assert (await read(origin, 0, 10))[0] == data

    asyncio.run(work())


@pytest.mark.parametrize(
    ("reply", "known", "kind", "words"),
    [
        (head(200) + DATA[:10], {}, ContentError, "does not say where model.safetensors ends"),
        (head(200) + DATA[:300], {"size": 299}, ContentError, "more than the 299 bytes"),
        (head(200) + DATA[:300], {"size": 301}, TransientError, "1 bytes before its end"),
        (head(200, Content_Length=300) + DATA[:299], {}, TransientError, ""),
        (head(206, Content_Range="bytes 0-9/99", Content_Length=10) + DATA[:9], {}, TransientError, ""),
        (head(206, Content_Range="bytes 0-9/99") + DATA[:9], {}, TransientError, "1 bytes before its end"),
        (head(200, Transfer_Encoding="chunked") + b"5\r\nabcde\r\n", {}, TransientError, ""),
        (head(200, Transfer_Encoding="chunked") + b"zz\r\n", {}, TransientError, ""),
    ],
)
def test_bodies_that_are_cut_or_too_long(
    reply: bytes, known: dict[str, Any], kind: type[PrefetchError], words: str
) -> None:
    async def work() -> None:
        async with raw_serving(lambda _: reply) as server, origin_of(Locator(server.url + "/f"), **known) as origin:
            await read(origin, 0, 10)

    error = outcome(work())
    assert type(error) is kind
    assert words in error.message
    assert not isinstance(error, TransientError) or error.cause in ("cut", "reset", "protocol")


@pytest.mark.parametrize(
    ("response", "kind", "words"),
    [
        ({"status": 403, "text": '{"error":"early access"}', "content_type": "application/json"}, AccessError, "early"),
        ({"status": 401}, AccessError, "Set MODEL_TOKEN."),
        ({"status": 404, "text": "<title>Nope</title>", "content_type": "text/html"}, SourceError, "titled 'Nope'"),
        (
            {"status": 200, "text": "<title>Log in</title>", "content_type": "text/html"},
            ContentError,
            "titled 'Log in'",
        ),
        ({"status": 200, "text": '{"error":"no"}', "content_type": "application/json"}, ContentError, "says 'no'"),
        ({"status": 503, "headers": {"Retry-After": "7"}}, TransientError, "answered 503"),
    ],
)
def test_refusals_of_the_files_own_host_are_quoted(
    response: dict[str, Any], kind: type[PrefetchError], words: str
) -> None:
    error = failure(lambda _: web.Response(**response))
    assert isinstance(error, kind)
    assert words in str(error)
    assert "127.0.0.1" in str(error)
    assert not isinstance(error, TransientError) or error.floor == 7


def test_a_long_page_is_read_no_further_than_its_start() -> None:
    error = failure(lambda _: web.Response(body=b"<title>" + b"x" * 5_000_000, content_type="text/html"))
    assert "an HTML page instead" in error.message


@pytest.mark.parametrize(
    ("known", "changed"), [({"etag": "a"}, True), ({"etag": "a", "verified": True}, False), ({}, False)]
)
def test_a_validator_counts_only_where_no_hash_is_known(known: dict[str, Any], changed: bool) -> None:
    async def work() -> None:
        async with (
            serving(lambda r: asyncio.sleep(0, sent(r, ETag='"b"'))) as server,
            origin_of(Locator(server.url + "/f"), **known) as origin,
        ):
            await read(origin, 0, 10)

    if changed:
        assert "changed on 127.0.0.1" in outcome(work()).message
    else:
        asyncio.run(work())


def test_leaving_a_body_early_leaves_its_connection_unused_and_the_session_well() -> None:
    async def work() -> None:
        async with serving(good) as server, origin_of(Locator(server.url + "/f"), size=len(DATA)) as origin:
            async with origin.open(0, len(DATA)) as body:
                assert await body.fill(memoryview(bytearray(100))) == 100
            assert (await read(origin, 5, 15))[0] == DATA[5:15]

    asyncio.run(work())


@asynccontextmanager
async def hub_and_cdn(live: Callable[[web.BaseRequest], bool]) -> AsyncIterator[tuple[Server, Server]]:
    async def cdn_answer(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        return sent(request) if live(request) else web.Response(status=403, text="expired")

    async with serving(good) as hub, serving(cdn_answer) as cdn:
        yield hub, cdn


def test_sixteen_refusals_by_the_cdn_cost_one_question() -> None:
    async def work() -> None:
        async with hub_and_cdn(lambda request: "sig=new" in request.raw_path) as (hub, cdn):
            locator = Locator(hub.url + "/f", cdn.url + "/f?sig=old", cdn.url + "/f?sig=new")
            async with origin_of(locator, size=len(DATA)) as origin:
                tries = [read(origin, n * 10, n * 10 + 10) for n in range(16)]
                errors = await asyncio.gather(*tries, return_exceptions=True)
                assert [(type(e), getattr(e, "cause", None)) for e in errors] == [(TransientError, "cdn_403")] * 16
                assert not any("sig=" in str(error) for error in errors)
                again = await asyncio.gather(*(read(origin, n * 10, n * 10 + 10) for n in range(16)))
                assert [data for data, _, _ in again] == [DATA[n * 10 : n * 10 + 10] for n in range(16)]
            assert locator.asked == 2
            assert all("Authorization" not in request.headers for request in cdn.log)
            assert hub.log == []

    asyncio.run(work())


NO_WAIT = FullJitter(base=0.0)


async def read_patiently(origin: HttpOrigin, start: int) -> bytes:
    """As the engine does: no request while the origin wants none, and another try after a refusal."""
    while True:
        if pause := origin.pause:
            await asyncio.sleep(pause / 10)
            continue
        with suppress(TransientError):
            return (await read(origin, start, start + 10))[0]


def test_a_file_that_its_cdn_always_refuses_costs_a_handful_of_requests() -> None:
    async def work() -> None:
        async with hub_and_cdn(lambda _: False) as (hub, cdn):
            locator = Locator(hub.url + "/f", cdn.url + "/f?sig=secret")
            async with origin_of(locator, size=len(DATA), wait=NO_WAIT) as origin:
                with pytest.raises(ExceptionGroup) as caught:
                    # The first to know ends them all, as in a download.
                    async with asyncio.TaskGroup() as readers:
                        for n in range(16):
                            readers.create_task(read_patiently(origin, n * 10))
            (error,) = caught.value.exceptions
            assert isinstance(error, SourceError)
            assert "at each of 8 addresses" in str(error)
            assert "sig=" not in str(error)
            assert locator.asked <= 2 * MOST_REFUSED
            # All sixteen are on their way when the first refusal comes; from then on one tries for all.
            assert len(cdn.log) <= 16 + 2 * MOST_REFUSED

    asyncio.run(work())


def test_a_cdn_that_refuses_for_a_while_is_tried_by_one_for_all() -> None:
    refused = 0

    def live(request: web.BaseRequest) -> bool:
        nonlocal refused
        refused += 1
        return refused > 16 + 3

    async def work() -> None:
        async with hub_and_cdn(live) as (hub, cdn):
            locator = Locator(hub.url + "/f", cdn.url + "/f")
            async with origin_of(locator, size=len(DATA), wait=NO_WAIT) as origin:
                data = await asyncio.gather(*(read_patiently(origin, n * 10) for n in range(16)))
            assert data == [DATA[n * 10 : n * 10 + 10] for n in range(16)]
            assert len(cdn.log) == 16 + 3 + 16

    asyncio.run(work())


@pytest.mark.parametrize("once", [False, True], ids=["a link that ran out", "links good for one request"])
def test_after_a_refusal_requests_find_the_way_by_themselves(once: bool) -> None:
    used = set()

    def live(request: web.BaseRequest) -> bool:
        fresh = request.raw_path not in used
        used.add(request.raw_path)
        return "sig=old" not in request.raw_path and (fresh or not once)

    async def work() -> None:
        async with hub_and_cdn(live) as (_, cdn):

            async def redirecting(request: web.BaseRequest) -> web.StreamResponse:
                return web.Response(status=302, headers={"Location": f"{cdn.url}/f?sig={len(hub.log)}"})

            async with serving(redirecting) as hub:
                locator = Locator(hub.url + "/f")
                old = Location(SecretURL(cdn.url + "/f?sig=old"), locator.home.host)
                way_in = Location(locator.home, locator.home.host, is_way_in=True)
                async with origin_of(locator, size=len(DATA), location=old, way_in=way_in, wait=NO_WAIT) as origin:
                    data = await asyncio.gather(*(read_patiently(origin, n * 10) for n in range(16)))
                assert data == [DATA[n * 10 : n * 10 + 10] for n in range(16)]
                assert locator.asked == 0, "no question spends a link"
                # One finds the way for all; or each for itself, once one link turned out to be used up.
                assert len(hub.log) == (16 if once else 1)

    asyncio.run(work())


def test_refused_locations_are_tried_ever_more_seldom() -> None:
    async def work() -> list[float]:
        now, waits = 0.0, []
        cache = LocationCache(
            Locator("https://hub/f"), wait=FullJitter(uniform=lambda: 1.0), monotonic=lambda: now, clock=lambda: 0.0
        )
        error = TransientError("x", cause="cdn_404")
        for number in range(1, MOST_REFUSED + 1):
            location = await cache.current()
            assert cache.refused(location, error) is (number == MOST_REFUSED)
            # The others that were on their way to the same one say nothing new.
            cache.refused(location, error)
            waits.append(cache.pause)
            now += cache.pause
        return waits

    assert asyncio.run(work()) == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


def test_bytes_that_came_begin_the_count_of_refusals_anew() -> None:
    async def work() -> None:
        cache = LocationCache(Locator("https://hub/f"), wait=NO_WAIT)
        error = TransientError("x", cause="cdn_403")
        for _ in range(2 * MOST_REFUSED):
            assert not cache.refused(await cache.current(), error)
            cache.accepted()

    asyncio.run(work())


def test_a_late_refusal_does_not_throw_away_the_new_location() -> None:
    async def work() -> None:
        locator = Locator("https://hub/f", "https://cdn/old", "https://cdn/new")
        cache = LocationCache(locator)
        old = await cache.current()
        cache.discard(old)
        new = await cache.current()
        cache.discard(old)
        assert await cache.current() is new
        assert locator.asked == 2

    asyncio.run(work())


def test_one_who_stops_waiting_does_not_stop_the_question() -> None:
    async def work() -> None:
        locator = Locator("https://hub/f")
        cache = LocationCache(locator)
        impatient, patient = asyncio.create_task(cache.current()), asyncio.create_task(cache.current())
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).url == locator.home
        assert locator.asked == 1

    asyncio.run(work())


def test_a_question_that_fails_is_asked_again_next_time() -> None:
    class Failing(Locator):
        async def locate(self) -> Location:
            location = await super().locate()
            if self.asked == 1:
                raise TransientError("x", cause="dns")
            return location

    async def work() -> None:
        cache = LocationCache(Failing("https://hub/f"))
        results = await asyncio.gather(*(cache.current() for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [TransientError] * 3
        assert (await cache.current()).url.host == "hub"

    asyncio.run(work())


@pytest.mark.parametrize(
    ("expires_at", "refresh"),
    [(None, float("inf")), (500.0, float("inf")), (1000.0, float("inf")), (1100.0, 1080.0), (4600.0, 4300.0)],
)
def test_when_a_location_is_asked_for_anew(expires_at: float | None, refresh: float) -> None:
    assert refresh_time(Location(SecretURL("https://h/f"), "h", (), expires_at), now=1000.0) == refresh


def test_a_location_is_renewed_ahead_of_its_end() -> None:
    async def work() -> None:
        now = 1000.0
        locator = Locator("https://hub/f", expires_at=1100.0)
        cache = LocationCache(locator, clock=lambda: now)
        first = await cache.current()
        now = 1079.0
        assert await cache.current() is first
        now, locator.expires_at = 1081.0, 2000.0
        assert await cache.current() is not first
        assert locator.asked == 2

    asyncio.run(work())


def test_an_expired_address_is_called_so() -> None:
    now = 1000.0

    def too_late(request: web.BaseRequest) -> bool:
        nonlocal now
        now = 1001.0
        return False

    async def work() -> None:
        async with hub_and_cdn(too_late) as (hub, cdn):
            locator = Locator(hub.url + "/f", cdn.url + "/f", expires_at=1000.5)
            async with origin_of(locator, clock=lambda: now) as origin:
                await read(origin, 0, 10)

    error = outcome(work())
    assert isinstance(error, TransientError)
    assert error.cause == "expired"


def test_a_token_goes_to_the_files_own_host_only() -> None:
    async def work() -> None:
        async with hub_and_cdn(lambda _: True) as (hub, cdn):
            locator = Locator(hub.url + "/f", hub.url + "/f", cdn.url + "/f")
            async with origin_of(locator) as origin:
                await read(origin, 0, 10)
            async with origin_of(locator) as origin:
                await read(origin, 0, 10)
            assert [request.headers.get("Authorization") for request in hub.log] == ["Bearer hf_secret"]
            assert [request.headers.get("Authorization") for request in cdn.log] == [None]

    asyncio.run(work())


def test_an_empty_range_of_an_empty_file() -> None:
    async def work() -> None:
        async with serving(lambda r: asyncio.sleep(0, web.Response(body=b""))) as server:
            async with origin_of(Locator(server.url + "/f"), size=0) as origin:
                assert await read(origin, 0, 0) == (b"", 0, False)
            assert "Range" not in server.log[0].headers

    asyncio.run(work())
