"""Who may look at a run, from where, and how long a connection may take: the HTTP face in this very process."""

from __future__ import annotations

import asyncio
import re
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from prefetch.errors import PrefetchError, UsageError
from prefetch.monitor.access import BASIC, TOKEN, Access
from prefetch.monitor.connections import MOST, Connections
from prefetch.monitor.outlets import Pushgateway, Snapshot, Textfile
from prefetch.monitor.page import add_page
from prefetch.monitor.server import Server, application
from prefetch.monitor.thread import in_thread
from prefetch.monitor.watch import readiness
from prefetch.net.credentials import Secret
from prefetch.report.board import Board
from prefetch.report.events import ModelStarted, RunFinished, RunStarted
from prefetch.report.metrics import registry_of
from prefetch.values import Endpoint, endpoint
from tests.support.origins import ask as loopback

ANY_PORT = Endpoint("127.0.0.1", 0)
LOGIN = Access(token=Secret("t0ken"), basic=Secret("ann:pass:word"))


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "allowed"),
    [
        ("Bearer t0ken", True),
        ("bearer  t0ken ", True),
        (basic("ann:pass:word"), True),
        (basic("anybody:t0ken"), True),
        ("", False),
        ("t0ken", False),
        ("Bearer", False),
        ("Bearer t0ke", False),
        ("Bearer t0kenn", False),
        ("Bearer tökén", False),
        (basic("ann:pass"), False),
        (basic("ann:"), False),
        (basic(":"), False),
        ("Bearer ann:pass:word", False),
        ("Basic t0ken", False),
        ("Basic ////", False),
        ("Digest t0ken", False),
    ],
)
def test_who_may_look(authorization: str, allowed: bool) -> None:
    assert LOGIN.allows(authorization) is allowed
    assert Access().allows(authorization)


def test_an_empty_credential_opens_nothing() -> None:
    assert not Access(token=Secret("x")).allows("Basic " + b64encode(b"a:").decode())
    assert not Access(basic=Secret("a:b")).allows("Bearer ")


def test_credentials_come_from_variables_or_files(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    access = Access.read({BASIC: "ann:pw"}, token_file=file, basic_file=None)
    assert access.allows("Bearer from-file") and access.allows(basic("ann:pw"))
    assert "from-file" not in repr(access) and "pw" not in repr(access)
    assert Access.read({TOKEN: "mine"}, token_file=file, basic_file=None).allows("Bearer mine")
    assert Access.read({TOKEN: " "}, token_file=None, basic_file=None).is_open


@pytest.mark.parametrize(
    ("environ", "content", "message"),
    [
        ({}, None, "cannot be read"),
        ({}, " \n", "is empty"),
        ({TOKEN: "sécret"}, "x", "no header can carry"),
        ({BASIC: "secret"}, "x", "is not a name and a password"),
        ({BASIC: ":secret"}, "x", "is not a name and a password"),
    ],
)
def test_a_credential_of_no_use_is_an_error_that_does_not_show_it(
    tmp_path: Path, environ: dict[str, str], content: str | None, message: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        Access.read(environ, token_file=file, basic_file=None)
    assert "cret" not in str(caught.value).replace("secret,", "")


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464, True),
        ("0.0.0.0:0", "0.0.0.0", 0, False),
        ("[::1]:80", "::1", 80, True),
        ("[::]:80", "::", 80, False),
        ("localhost:1", "localhost", 1, True),
        ("10.0.0.7:65535", "10.0.0.7", 65535, False),
    ],
)
def test_where_to_listen(text: str, host: str, port: int, loopback: bool) -> None:
    read = endpoint("", "", "").read(text)
    assert (read, read.is_loopback, str(read)) == (Endpoint(host, port), loopback, text)


@pytest.mark.parametrize(
    "text", ["9464", ":9464", "host:9464", "127.0.0.1", "127.0.0.1:", "::1:80", "1.2.3.4:65536", ""]
)
def test_no_place_to_listen(text: str) -> None:
    with pytest.raises(ValueError):
        endpoint("", "", "").read(text)


@pytest.mark.parametrize(
    ("address", "url", "job", "grouping"),
    [
        ("http://127.0.0.1:9091", "http://127.0.0.1:9091", "prefetch", {"instance": "pod-7"}),
        ("https://u:p%40@push.example.com/base/", "https://push.example.com/base", "prefetch", {"instance": "pod-7"}),
        ("http://[::1]:9091/metrics/job/models", "http://[::1]:9091", "models", {}),
        ("http://gw/x/metrics/job/a%20b/zone/eu/pod/1/", "http://gw/x", "a b", {"zone": "eu", "pod": "1"}),
    ],
)
def test_the_group_on_a_pushgateway(address: str, url: str, job: str, grouping: dict[str, str]) -> None:
    gateway = Pushgateway.at(address, {"RUNPOD_POD_ID": "pod-7"})
    assert (gateway.url.reveal(), gateway.job, dict(gateway.grouping)) == (url, job, grouping)
    assert gateway.login == (("u", "p@") if "u:p" in address else None)
    assert "p@" not in repr(gateway)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("push.example.com:9091", "http or https address"),
        ("ftp://u:hidden@host", "http or https address"),
        ("https://host/?token=hidden", "more than a host and a path"),
        ("http://u:hidden@push.example.com", "No password is sent to push.example.com"),
        ("https://u:hidden@host/metrics/job/a/b", "pairs of label and value"),
        ("https://host/metrics/job/", "http://|NAME followed|more than|pairs"),
    ],
)
def test_no_pushgateway(address: str, message: str) -> None:
    if address.endswith("/job/"):
        # Without a name behind it, it is a path like any other.
        assert Pushgateway.at(address, {}).job == "prefetch"
        return
    with pytest.raises(UsageError, match=message) as caught:
        Pushgateway.at(address, {})
    assert "hidden" not in str(caught.value)


def test_a_textfile_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    textfile = Textfile(tmp_path / "prefetch.prom")
    textfile.check()
    for _ in range(2):
        textfile.write(Snapshot(registry_of(Board()).collect()), within=1.0)
    assert [file.name for file in tmp_path.iterdir()] == ["prefetch.prom"]
    assert textfile.path.read_text().startswith("# HELP prefetch_build_info")


def test_a_textfile_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "prefetch.prom").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        Textfile(tmp_path / "prefetch.prom").check()
    with pytest.raises(PrefetchError, match="The metrics cannot be written"):
        Textfile(tmp_path / "prefetch.prom").write(Snapshot([]), within=1.0)
    assert len(list(tmp_path.iterdir())) == 1


def test_one_word_on_what_is_wanted() -> None:
    board = Board()
    words = [readiness(board)]
    for event in (RunStarted("/v", 0), RunFinished(True, 0, 1.0, 0, 0, 0), RunStarted("/v", 0)):
        board(event)
        words.append(readiness(board))
    board(RunFinished(False, 1, 1.0, 0, 0, 1))
    assert [*words, readiness(board)] == ["working", "working", "ready", "working", "failed"]


# The server ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(
    access: Access = LOGIN,
    *,
    board: Board | None = None,
    connections: Connections | None = None,
    more: Callable[[web.Application], object] = lambda app: None,
) -> AsyncIterator[int]:
    app = application(registry_of(board or Board()), access=access, readiness=lambda: "working")
    more(app)
    server = Server(app, ANY_PORT, connections=connections)
    try:
        yield (await server.start()).port
    finally:
        await server.stop()


async def ask(port: int, path: str, *lines: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    """Status, headers by lower-case name, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *lines])
    writer.write(f"{head}\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    first, _, rest = answer.partition("\r\n")
    headers, _, body = rest.partition("\r\n\r\n")
    pairs = (line.partition(": ") for line in headers.split("\r\n"))
    return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_what_is_open_and_what_is_not() -> None:
    async def work() -> None:
        async with serving() as port:
            assert (await ask(port, "/healthz"))[::2] == (200, "ok\n")
            assert (await ask(port, "/readyz"))[::2] == (503, "working\n")
            for path in ("/metrics", "/", "/anything", "/healthz/", "//healthz", "/healthz/../metrics"):
                status, headers, body = await ask(port, path)
                assert (status, body) == (401, "unauthorized\n"), path
                assert headers["www-authenticate"].startswith(("Basic realm=", "Bearer"))
            assert (await ask(port, "/metrics", "Authorization: Bearer wrong"))[0] == 401
            for header in ("Bearer t0ken", basic("ann:pass:word"), basic("x:t0ken")):
                status, _, body = await ask(port, "/metrics", f"Authorization: {header}")
                assert status == 200 and "prefetch_build_info{" in body
            assert (await ask(port, "/", "Authorization: Bearer t0ken"))[0] == 404

    run(work())


def test_every_answer_is_hardened() -> None:
    async def work() -> None:
        async with serving(Access()) as port:
            answers = [await ask(port, path) for path in ("/metrics", "/healthz", "/readyz", "/none", "/metrics/..")]
            answers.append(await ask(port, "/metrics", method="POST"))
            assert [status for status, _, _ in answers] == [200, 200, 503, 404, 404, 405]
            for _, headers, _ in answers:
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["cache-control"] == "no-store"
                assert "default-src 'none'" in headers["content-security-policy"]
                assert "server" not in headers

    run(work())


@pytest.mark.parametrize(
    ("accept", "kind", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", "\n"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", "\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", "# EOF\n"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text", "# EOF\n"),
        ("application/openmetrics-text; version=x", "application/openmetrics-text; version=1.0.0", "# EOF\n"),
    ],
)
def test_openmetrics_when_asked_for(accept: str, kind: str, end: str) -> None:
    async def work() -> None:
        async with serving(Access()) as port:
            status, headers, body = await ask(port, "/metrics", f"Accept: {accept}")
            assert status == 200 and headers["content-type"].startswith(kind) and body.endswith(end)
            assert ("# EOF" in body) == (end == "# EOF\n")

    run(work())


def test_a_port_that_is_taken_is_told() -> None:
    async def work() -> None:
        async with serving() as port:
            other = Server(web.Application(), Endpoint("127.0.0.1", port))
            with pytest.raises(UsageError, match=f"--listen 127.0.0.1:{port} cannot be listened on"):
                await other.start()

    run(work())


def test_answers_do_not_wait_for_what_the_process_does_beside() -> None:
    board = Board()
    app = application(registry_of(board), access=Access(), readiness=partial(readiness, board))
    with in_thread(Server(app, ANY_PORT)) as listening:
        # No event loop runs in this thread, as while a call hangs in a dead mount.
        board(RunStarted("/v", 1))
        assert loopback(f"http://{listening}/readyz").body == b"working\n"
        board(RunFinished(True, 0, 1.0, 0, 0, 0))
        assert loopback(f"http://{listening}/readyz").body == b"ready\n"
        assert b"prefetch_runs_total" in loopback(f"http://{listening}/metrics").body
        with pytest.raises(UsageError, match="cannot be listened on"), in_thread(Server(web.Application(), listening)):
            pass
    with pytest.raises(ConnectionError):
        loopback(f"http://{listening}/healthz")


def test_a_board_is_read_between_events_and_never_in_the_midst_of_one() -> None:
    board, over = Board(), threading.Event()
    registry = registry_of(board)

    def tell() -> None:
        for _ in range(300):
            board.expect((f"models/{number}", 5) for number in range(50))
            board(RunStarted("/v", 50))
            for number in range(50):
                board(ModelStarted(f"models/{number}", "hub", 5, 0))
        over.set()

    telling = threading.Thread(target=tell)
    telling.start()
    while not over.is_set():
        text = generate_latest(registry).decode()
        states = [float(count) for count in re.findall(r"^prefetch_models\{.*\} (.*)$", text, re.MULTILINE)]
        assert sum(states) in (0, 50), text
    telling.join()


@pytest.mark.parametrize("sent", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "])
def test_who_sends_no_whole_request_is_closed(sent: bytes) -> None:
    async def work() -> None:
        async with serving(connections=Connections(patience=0.2)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert await reader.read() == b""
            writer.close()

    run(work())


def test_who_takes_no_answer_is_closed() -> None:
    gone = asyncio.Event()

    class Counted(Connections):
        def closed(self, transport: asyncio.BaseTransport) -> None:
            super().closed(transport)
            gone.set()

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=bytes(64 << 20))

    async def work() -> None:
        more = lambda app: app.router.add_get("/large", large)  # noqa: E731
        async with serving(Access(), connections=Counted(patience=0.2), more=more) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(gone.wait(), 20)
            writer.close()

    run(work())


def test_an_answer_may_take_longer_than_a_request() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.6)
        return web.Response(text="at last")

    async def work() -> None:
        more = lambda app: app.router.add_get("/slow", slow)  # noqa: E731
        async with serving(Access(), connections=Connections(patience=0.2), more=more) as port:
            assert (await ask(port, "/slow"))[2] == "at last"

    run(work())


@pytest.mark.parametrize(("most", "silent"), [(2, 2), (MOST, 2 * MOST)])
def test_who_asks_for_nothing_makes_room_for_who_asks(most: int, silent: int) -> None:
    async def work() -> None:
        async with serving(connections=Connections(most=most)) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(silent)]
            assert (await ask(port, "/healthz"))[0] == 200
            assert (await ask(port, "/readyz"))[0] == 503
            assert await held[0][0].read() == b""
            for _, writer in held:
                writer.close()

    run(work())


def test_who_sent_nothing_goes_before_who_was_answered_and_who_waits_for_an_answer_stays() -> None:
    asked, answer = asyncio.Semaphore(0), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        asked.release()
        await answer.wait()
        return web.Response(text="at last")

    async def work() -> None:
        more = lambda app: app.router.add_get("/slow", slow)  # noqa: E731
        async with serving(Access(), connections=Connections(most=2), more=more) as port:
            scraper, silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            await probe(*scraper)
            assert (await ask(port, "/healthz"))[0] == 200
            assert await silent[0].read() == b""
            await probe(*scraper)
            patient = []
            for _ in range(2):
                patient.append(asyncio.create_task(ask(port, "/slow")))
                await asked.acquire()
            assert await scraper[0].read() == b""
            with pytest.raises((ConnectionError, IndexError)):
                await ask(port, "/healthz")
            answer.set()
            assert [(await each)[2] for each in patient] == ["at last", "at last"]
            for _, writer in (scraper, silent):
                writer.close()

    run(work())


async def probe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Have /healthz answer over a connection that stays open."""
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")


def test_no_probe_waits_for_the_page_or_the_metrics() -> None:
    async def work() -> None:
        board = Board()
        async with serving(Access(), board=board, more=lambda app: add_page(app, board)) as port:
            with board.lock:
                drawn = [asyncio.create_task(ask(port, path)) for path in ("/", "/metrics", "/", "/metrics")]
                assert (await ask(port, "/healthz"))[0] == 200
                assert (await ask(port, "/readyz"))[0] == 503
                assert not any(task.done() for task in drawn)
            assert [(await task)[0] for task in drawn] == [200] * 4

    run(work())


@given(
    st.binary(max_size=40).map(lambda sent: sent.decode("utf-8", "surrogateescape")),
    st.sampled_from(["", "Bearer ", "bearer ", "Basic "]),
)
def test_no_header_that_is_no_credential_opens_anything(sent: str, scheme: str) -> None:
    assert not LOGIN.allows(scheme + sent)


@pytest.mark.parametrize(
    "sent",
    [b"Bearer \xff\xfe", b"Basic \xff\xfe", b"\xff", b"Bearer t\xc3\xb6ken", b"Basic //79", b"Bearer \xed\xb2\x80"],
)
def test_a_credential_that_is_not_ascii_is_a_wrong_one(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + sent)
            writer.write(b"\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 401")
            writer.close()

    run(work())
    assert not caplog.records
