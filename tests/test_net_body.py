"""Bodies put into the reader's own buffers: every byte once, over TLS and without, cut, cancelled, and in turns."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trustme

from prefetch.demo.actions import Action, Cut, NoLength, Stall
from prefetch.demo.content import Noise
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from prefetch.errors import TransientError
from prefetch.net.client import open_session
from prefetch.net.http import HttpOrigin
from prefetch.net.origin import Body, Origin
from prefetch.sources.access import Access
from prefetch.sources.refs.source import parse_source
from prefetch.sources.resolver import Resolver

CONTENT = Noise(9_000_001, seed=5)
DATA = CONTENT.read(0, CONTENT.size)


@pytest.fixture(scope="module", params=["plain", "tls"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    """An origin with the file ``f.dat``; over TLS its authority is trusted by SSL_CERT_FILE."""
    if request.param == "plain":
        with running_origin(files={"f.dat": CONTENT}) as running:
            yield running
        return
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    bundle = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    with pytest.MonkeyPatch.context() as patch, running_origin(files={"f.dat": CONTENT}, link=Link(tls=context)) as run:
        patch.setenv("SSL_CERT_FILE", str(bundle))
        yield run


@pytest.fixture(autouse=True)
def well_behaved(server: DemoServer) -> Iterator[None]:
    yield
    server.clear_faults()


@asynccontextmanager
async def opened(server: DemoServer) -> AsyncIterator[Origin]:
    source = f"{server.endpoint}/files/f.dat"
    async with open_session(connections=2) as session:
        remote = await Resolver(session, Access()).resolve(parse_source(source), source=source)
        assert isinstance(remote.origin, HttpOrigin)
        yield remote.origin


async def drain(body: Body, step: int) -> bytes:
    """Everything a body has, through a buffer of ``step`` bytes that is filled whole but for the last time."""
    data, buffer = bytearray(), memoryview(bytearray(step))
    while count := await body.fill(buffer):
        data += buffer[:count]
        assert body.received == len(data)
        if count < step:
            assert await body.fill(buffer) == 0
    return bytes(data)


async def one_turn() -> None:
    """Let the event loop do once what it has to do."""
    await asyncio.sleep(0)


@pytest.mark.parametrize("step", [4_096, 100_003, 1 << 20, 4 << 20, 16 << 20])
def test_every_byte_arrives_once_through_buffers_of_any_size(server: DemoServer, step: int) -> None:
    async def work() -> None:
        async with opened(server) as origin, origin.open(0, len(DATA)) as body:
            assert await drain(body, step) == DATA

    asyncio.run(work())


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 70_000), (1_000_000, 5_000_001), (8_999_999, 9_000_001)])
def test_a_range_is_just_that_range(server: DemoServer, start: int, stop: int) -> None:
    async def work() -> None:
        async with opened(server) as origin, origin.open(start, stop) as body:
            assert await drain(body, 1 << 20) == DATA[start:stop]

    asyncio.run(work())


def test_ranges_one_after_another_share_a_connection(server: DemoServer) -> None:
    async def work() -> None:
        async with opened(server) as origin:
            before = len(server.requests)
            for start in range(0, 8_000_000, 1_000_000):
                async with origin.open(start, start + 1_000_000) as body:
                    assert await drain(body, 300_000) == DATA[start : start + 1_000_000]
            assert len({request.connection for request in server.requests[before:]}) == 1

    asyncio.run(work())


def test_two_bodies_at_once_do_not_mix(server: DemoServer) -> None:
    async def work() -> None:
        async with opened(server) as origin:

            async def one(start: int) -> None:
                async with origin.open(start, start + 3_000_000) as body:
                    assert await drain(body, 65_536) == DATA[start : start + 3_000_000]

            await asyncio.gather(*map(one, (0, 3_000_000, 6_000_000)))

    asyncio.run(work())


def test_what_comes_while_nobody_waits_is_kept(server: DemoServer) -> None:
    async def work() -> None:
        async with opened(server) as origin, origin.open(0, len(DATA)) as body:
            start, inside = bytearray(1_000_000), vars(body)
            await body.fill(memoryview(start))
            # As aiohttp does when it has caught up with what it had held back.
            inside["_transport"].resume_reading()
            while not inside["_early"]:
                await one_turn()
            rest = bytearray(len(DATA) - len(start))
            await body.fill(memoryview(rest))
            assert start + rest == DATA

    asyncio.run(work())


@pytest.mark.parametrize("fault", [Cut(2_000_000), Cut(2_000_000, "reset"), Cut(0)], ids=str)
def test_what_came_before_a_cut_is_counted_and_right(server: DemoServer, fault: Action) -> None:
    async def work() -> None:
        async with opened(server) as origin:
            server.add_faults(Fault(do=fault, path="*f.dat"))
            buffer = bytearray(len(DATA))
            with pytest.raises(TransientError) as caught:
                async with origin.open(0, len(DATA)) as body:
                    await body.fill(memoryview(buffer))
            assert caught.value.cause in ("cut", "reset")
            if fault != Cut(0):
                assert buffer[: body.received] == DATA[: body.received]
            async with origin.open(0, len(DATA)) as again:
                assert await drain(again, 1 << 20) == DATA

    asyncio.run(work())


def test_a_reader_that_gives_up_gets_nothing_more_into_its_buffer(server: DemoServer) -> None:
    async def work() -> None:
        async with opened(server) as origin:
            server.add_faults(Fault(do=Stall(1_500_000), path="*f.dat"))
            buffer = bytearray(len(DATA))
            async with origin.open(0, len(DATA)) as body:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await body.fill(memoryview(buffer))
                received, before = body.received, bytes(buffer)
                assert 0 < received <= 1_500_000
                assert before[:received] == DATA[:received]
                await asyncio.sleep(0)
            assert bytes(buffer) == before

    asyncio.run(work())


def test_a_body_in_chunks_arrives_all_the_same(server: DemoServer) -> None:
    async def work() -> None:
        async with opened(server) as origin:
            server.add_faults(Fault(do=NoLength(), path="*f.dat"))
            async with origin.open(0, len(DATA)) as body:
                assert await drain(body, 1 << 20) == DATA

    asyncio.run(work())


def test_a_slow_reader_holds_the_sender_back(server: DemoServer) -> None:
    """Between two fills there is no memory to receive into, so nothing may be received, and nothing be lost."""

    async def work() -> None:
        async with opened(server) as origin, origin.open(0, len(DATA)) as body:
            buffer = memoryview(bytearray(len(DATA)))
            assert await body.fill(buffer[:100_000]) == 100_000
            for _ in range(50):
                await asyncio.sleep(0)
            assert body.received == 100_000
            assert await body.fill(buffer[100_000:]) == len(DATA) - 100_000
            assert buffer == DATA

    asyncio.run(work())
