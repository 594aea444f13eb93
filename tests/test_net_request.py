from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from prefetch.errors import AccessError, PrefetchError, SourceError, TransientError, UsageError
from prefetch.net.client import USER_AGENT, open_session, proxy_for
from prefetch.net.credentials import Credential, Secret, headers_for
from prefetch.net.request import get
from prefetch.net.urls import SecretURL
from tests.support.loopback import raw_serving, serving

TRICKY = "/x%2Fy~z+w?X-Amz-Signature=a%2Fb+c~d%7E&p=%20"


def redirect(location: str, status: int = 302) -> web.Response:
    return web.Response(status=status, headers={"Location": location})


async def fetched(url: str, **options: Any) -> tuple[int, bytes, SecretURL]:
    async with open_session(connections=2) as session, get(session, SecretURL(url), headers={}, **options) as answer:
        return answer.response.status, await answer.response.read(), answer.url


def failure(work: Callable[[], Coroutine[Any, Any, object]]) -> PrefetchError:
    with pytest.raises(PrefetchError) as caught:
        asyncio.run(work())
    return caught.value


async def plain(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"here", headers={"Set-Cookie": "a=b"})


def test_what_a_request_says_of_us() -> None:
    async def work() -> None:
        async with serving(plain) as server, open_session(connections=2) as session:
            for _ in range(2):
                async with get(session, SecretURL(server.url + "/a"), headers={"Range": "bytes=0-1"}) as answer:
                    await answer.response.read()
        for request in server.log:
            assert request.headers["User-Agent"] == USER_AGENT
            assert request.headers["Accept-Encoding"] == "identity"
            assert request.headers["Range"] == "bytes=0-1"
            assert not {"Cookie", "Authorization"} & set(request.headers)

    asyncio.run(work())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_signed_location_arrives_byte_for_byte(status: int) -> None:
    async def work() -> None:
        async with (
            serving(plain) as cdn,
            serving(lambda _: asyncio.sleep(0, redirect(cdn.url + TRICKY, status))) as hub,
        ):
            answer = await fetched(hub.url + "/a%2Fb~+?q=%2F")
            assert answer == (200, b"here", SecretURL(cdn.url + TRICKY))
            assert hub.targets == ["/a%2Fb~+?q=%2F"]
            assert cdn.targets == [TRICKY]

    asyncio.run(work())


def test_a_relative_location_is_followed_and_the_body_of_a_redirect_ignored() -> None:
    async def moved(request: web.BaseRequest) -> web.StreamResponse:
        return await plain(request) if request.path == "/new/f" else redirect("../new/f")

    async def work() -> None:
        async with serving(moved) as server:
            assert (await fetched(server.url + "/old/f"))[:2] == (200, b"here")

    asyncio.run(work())


def test_a_redirect_loop_is_named() -> None:
    async def work() -> None:
        async with serving(
            lambda request: asyncio.sleep(0, redirect("/b" if request.path == "/a" else "/a"))
        ) as server:
            await fetched(server.url + "/a")

    error = failure(work)
    assert isinstance(error, SourceError)
    assert "circle" in error.message


def test_too_many_redirects_are_named() -> None:
    async def work() -> None:
        async with serving(lambda request: asyncio.sleep(0, redirect(request.path + "x"))) as server:
            await fetched(server.url + "/a")

    assert "more than 10" in failure(work).message


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://[", "gopher://h/"])
def test_a_location_that_is_no_web_address(location: str) -> None:
    async def work() -> None:
        async with serving(lambda _: asyncio.sleep(0, redirect(location))) as server:
            await fetched(server.url + "/a")

    assert "no web address" in failure(work).message


def test_a_token_never_crosses_an_origin_and_comes_back_to_its_own() -> None:
    async def work() -> None:
        async with AsyncExitStack() as stack:
            home = await stack.enter_async_context(
                serving(lambda r: asyncio.sleep(0, redirect(other.url + "/b") if r.path == "/a" else web.Response()))
            )
            other = await stack.enter_async_context(serving(lambda _: asyncio.sleep(0, redirect(home.url + "/c"))))
            token = Credential(SecretURL(home.url).origin, "Authorization", Secret("Bearer hf_secret"))
            await fetched(home.url + "/a", credentials=[token])
            assert [request.headers.get("Authorization") for request in home.log] == ["Bearer hf_secret"] * 2
            assert [request.headers.get("Authorization") for request in other.log] == [None]
            assert "hf_secret" not in repr(token)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("owner", "asked", "sent"),
    [
        ("https://h/", "https://h/a", True),
        ("https://h/", "https://H:443/a", True),
        ("https://h/", "https://h:444/a", False),
        ("https://h/", "http://h/a", False),
        ("https://h/", "https://a.h/a", False),
        ("http://h/", "http://h/a", False),
        ("http://localhost:8/", "http://localhost:8/a", True),
        ("http://127.0.0.1:8/", "http://localhost:8/a", False),
    ],
)
def test_where_a_credential_goes(owner: str, asked: str, sent: bool) -> None:
    item = Credential(SecretURL(owner).origin, "Authorization", Secret("x"))
    assert headers_for(SecretURL(asked), [item]) == ({"Authorization": "x"} if sent else {})


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return ca


def tls_of(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    return context


def test_ssl_cert_file_is_honoured(authority: trustme.CA) -> None:
    async def work() -> None:
        async with serving(plain, name="localhost", tls=tls_of(authority)) as server:
            assert (await fetched(server.url + "/a"))[1] == b"here"

    asyncio.run(work())


def test_https_never_leads_to_http(authority: trustme.CA) -> None:
    async def work() -> None:
        async with (
            serving(plain) as cdn,
            serving(lambda _: asyncio.sleep(0, redirect(cdn.url + "/f?sig=s3cr3t")), name="localhost", tls=tls) as hub,
        ):
            try:
                await fetched(hub.url + "/a")
            finally:
                assert cdn.log == []

    tls = tls_of(authority)
    error = failure(work)
    assert "not encrypted" in error.message
    assert "s3cr3t" not in str(error)


def test_an_unknown_authority_is_final_and_says_what_to_set() -> None:
    async def work() -> None:
        async with serving(plain, name="localhost", tls=tls_of(trustme.CA())) as server:
            await fetched(server.url + "/a")

    error = failure(work)
    assert isinstance(error, SourceError)
    assert "certificate of localhost" in error.message
    assert "SSL_CERT_FILE" in error.remedy


def test_a_certificate_for_another_name_is_final(authority: trustme.CA) -> None:
    async def work() -> None:
        async with serving(plain, tls=tls_of(authority)) as server:
            await fetched(server.url + "/a")

    assert isinstance(failure(work), SourceError)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("reply", "cause"), [(b"", "reset"), (b"SSH-2.0-OpenSSH\r\n\r\n", "protocol"), (b"HTTP/1.1 200 OK\r\nA", "reset")]
)
def test_an_answer_that_is_none(reply: bytes, cause: str) -> None:
    async def work() -> None:
        async with raw_serving(lambda _: reply) as server:
            await fetched(server.url + "/a?sig=s3cr3t")

    error = failure(work)
    assert isinstance(error, TransientError)
    assert error.cause == cause
    assert "s3cr3t" not in str(error)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://nowhere.invalid/a", "dns"),
        ("http://127.0.0.1:{closed}/a", "connect"),
        ("https://127.0.0.1:{plain}/a", "tls"),
    ],
)
def test_no_connection(url: str, cause: str) -> None:
    async def work() -> None:
        async with serving(plain) as server:
            await fetched(url.format(closed=closed_port(), plain=server.port))

    error = failure(work)
    assert isinstance(error, TransientError)
    assert error.cause == cause


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:10.0.0.1]", "10.0.0.1", "0.0.0.0", "[fe80::1]"])
def test_a_redirect_to_the_inside_is_refused_before_anything_is_sent(host: str) -> None:
    async def work() -> None:
        async with serving(lambda _: asyncio.sleep(0, redirect(f"http://{host}:9/latest/meta-data/"))) as server:
            await fetched(server.url + "/a")

    assert "--allow-private" in failure(work).remedy


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "127.1"])
def test_an_address_in_disguise_is_refused(host: str) -> None:
    async def work() -> None:
        await fetched(f"http://{host}/a")

    assert isinstance(failure(work), SourceError)


def test_a_public_host_does_not_lead_to_this_machine() -> None:
    async def work() -> None:
        async with serving(plain) as server:
            try:
                await fetched(server.url + "/a", began_at="93.184.216.34")
            finally:
                assert server.log == []

    assert "--allow-private" in failure(work).remedy


def test_a_proxy_is_used_with_its_login_and_its_failures_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Proxy-Authorization") != "Basic bWU6cHc=":
            return web.Response(status=407)
        return web.Response(body=b"through", headers={"X-Target": request.raw_path})

    async def work() -> None:
        async with serving(proxy) as server, serving(plain) as near:
            monkeypatch.setenv("http_proxy", f"http://me:pw@127.0.0.1:{server.port}")
            monkeypatch.setenv("no_proxy", f"127.0.0.1:{near.port},other.test")
            assert await fetched("http://model.test/f%2F?a=~") == (
                200,
                b"through",
                SecretURL("http://model.test/f%2F?a=~"),
            )
            assert [request.headers["Host"] for request in server.log] == ["model.test"]

    asyncio.run(work())


def test_an_encrypted_request_through_a_proxy_that_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = {"login.test": 407, "closed.test": 403, "tired.test": 503}

    async def error_for(host: str) -> PrefetchError:
        def reply(head: str) -> bytes:
            assert head.startswith(f"CONNECT {host}:443 ")
            return f"HTTP/1.1 {statuses[host]} No\r\nContent-Length: 0\r\n\r\n".encode()

        async with raw_serving(reply) as server:
            monkeypatch.setenv("https_proxy", f"http://me:hunter2@127.0.0.1:{server.port}")
            with pytest.raises(PrefetchError) as caught:
                await fetched(f"https://{host}/f")
        assert "hunter2" not in str(caught.value)
        return caught.value

    assert isinstance(asyncio.run(error_for("login.test")), AccessError)
    assert type(asyncio.run(error_for("closed.test"))) is SourceError
    assert isinstance(asyncio.run(error_for("tired.test")), TransientError)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({"https_proxy": "http://p:3128"}, "https://h/a", "http://p:3128"),
        ({"https_proxy": "p:3128"}, "https://h/a", "http://p:3128"),
        ({"https_proxy": "http://p:3128"}, "http://h/a", None),
        ({"https_proxy": "http://p:3128", "no_proxy": "h"}, "https://h/a", None),
        ({"https_proxy": "http://p:3128", "no_proxy": "example.org"}, "https://h/a", "http://p:3128"),
        ({}, "https://h/a", None),
    ],
)
def test_which_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, expected: str | None
) -> None:
    for name in ("https_proxy", "http_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(SecretURL(url))
    assert (proxy and proxy.reveal()) == expected


def test_a_proxy_of_another_kind_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:hunter2@p:1080")
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        proxy_for(SecretURL("https://h/a"))
    assert "hunter2" not in str(caught.value)
