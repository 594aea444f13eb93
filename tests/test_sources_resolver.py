from __future__ import annotations

import asyncio
import hashlib
import math
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import trustme
from aiohttp import web

from prefetch.errors import (
    AccessError,
    ContentError,
    PrefetchError,
    RevisionError,
    SourceError,
    TransientError,
    UsageError,
)
from prefetch.net.client import open_session
from prefetch.net.credentials import Secret, Token
from prefetch.net.pauses import Pauses
from prefetch.net.retry import FullJitter
from prefetch.net.urls import SecretURL
from prefetch.sources.access import Access
from prefetch.sources.refs.source import parse_source
from prefetch.sources.remote import RemoteFile
from prefetch.sources.resolver import Resolver
from tests.support.loopback import Server, serving

DATA = b"weights" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
GIT_SHA1 = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA, usedforsecurity=False).hexdigest()
COMMIT = "c" * 40
TOKEN = "hf_sesame"
SOURCE = "hf://o/r/d/model v2.safetensors"
SIGNED = "/x%2Fbridge/~f+?X-Amz-Signature=s3cr3t%2F+~&X-Amz-Date=20200101T000000Z&X-Amz-Expires=3600"


def ranged(request: web.BaseRequest, **headers: str) -> web.Response:
    value = request.headers.get("Range", "bytes=0-").removeprefix("bytes=")
    start, _, last = value.partition("-")
    stop = min(int(last or len(DATA) - 1) + 1, len(DATA))
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(DATA)}"
    return web.Response(status=206, body=DATA[int(start) : stop], headers=headers)


@dataclass
class Hub:
    """A Hub in one page: what it answers to HEAD, and a CDN beside it."""

    status: int = 302
    headers: dict[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    cdn: str = ""
    moved: bool = False

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.startswith("/old/"):
            return web.Response(status=307, headers={"Location": request.raw_path.replace("/old/", "/o/")})
        if self.status != 302:
            return web.Response(status=self.status, headers=self.headers)
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{SHA256}"',
            "X-Linked-Size": str(len(DATA)),
            "ETag": '"not-this-one"',
            "Location": self.cdn + SIGNED,
            **self.headers,
        }
        return web.Response(status=302, headers={k: v for k, v in headers.items() if k not in self.drop})


@asynccontextmanager
async def resolver(
    endpoint: str = "https://huggingface.co", *, token: str | None = None, slept: list[float] | None = None
) -> AsyncIterator[Resolver]:
    async def sleep(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)

    access = Access(SecretURL(endpoint), Token(Secret(token), "HF_TOKEN") if token else None, hf_login=False)
    async with open_session(connections=4) as session:
        # The pauses that all share have tests of their own; here nobody is to wait for real.
        session = replace(session, pauses=Pauses(clock=lambda: math.inf))
        yield Resolver(session, access, wait=FullJitter(uniform=lambda: 0.0), sleep=sleep)


@asynccontextmanager
async def hub_and_cdn(hub: Hub) -> AsyncIterator[tuple[Server, Server]]:
    async def cdn(request: web.BaseRequest) -> web.StreamResponse:
        return ranged(request)

    async with serving(cdn, host="127.0.0.2") as far, serving(hub) as near:
        hub.cdn = hub.cdn or far.url
        yield near, far


async def resolved(hub: Hub, source: str = SOURCE, token: str | None = None, **pinned: Any) -> RemoteFile:
    async with hub_and_cdn(hub) as (near, _), resolver(near.url, token=token) as resolving:
        return await resolving.resolve(parse_source(source), source=source, **pinned)


async def body_of(remote: RemoteFile, start: int, stop: int | None) -> bytes:
    async with remote.origin.open(start, stop) as body:
        buffer = memoryview(bytearray(1 << 20))
        return bytes(buffer[: await body.fill(buffer)])


def failure(work: Coroutine[Any, Any, object]) -> PrefetchError:
    with pytest.raises(PrefetchError) as caught:
        asyncio.run(work)
    assert TOKEN not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    return caught.value


def test_a_hub_file_is_pinned_and_read_from_its_signed_address() -> None:
    async def work() -> None:
        async with hub_and_cdn(Hub()) as (hub, cdn), resolver(hub.url, token=TOKEN) as resolving:
            remote = await resolving.resolve(parse_source(SOURCE), source=SOURCE)
            assert await body_of(remote, 7, 21) == DATA[7:21]
            assert await body_of(remote, 0, 7) == DATA[:7]
        assert (remote.size, remote.sha256, remote.git_sha1, remote.commit) == (len(DATA), SHA256, None, COMMIT)
        assert remote.url == f"https://huggingface.co/o/r/resolve/{COMMIT}/d/model%20v2.safetensors"
        assert remote.source == SOURCE
        assert remote.origin.host == "127.0.0.1"
        assert [(r.method, r.raw_path) for r in hub.log] == [("HEAD", "/o/r/resolve/main/d/model%20v2.safetensors")]
        assert [request.headers.get("Authorization") for request in hub.log] == [f"Bearer {TOKEN}"]
        assert cdn.targets == [SIGNED, SIGNED]
        assert all("Authorization" not in request.headers for request in cdn.log)

    asyncio.run(work())


def test_revisions_and_kinds_stand_encoded_in_what_is_asked() -> None:
    async def work() -> None:
        async with hub_and_cdn(Hub()) as (hub, _), resolver(hub.url) as resolving:
            for source in ("hf://datasets/o/r@refs%2Fpr%2F1/f", "https://huggingface.co/spaces/o/r/blob/v1/f"):
                await resolving.resolve(parse_source(source), source=source)
        assert hub.targets == ["/datasets/o/r/resolve/refs%2Fpr%2F1/f", "/spaces/o/r/resolve/v1/f"]
        assert all("Authorization" not in request.headers for request in hub.log)

    asyncio.run(work())


def test_a_renamed_repository_is_followed() -> None:
    remote = asyncio.run(resolved(Hub(), "hf://old/r/f"))
    assert remote.commit == COMMIT


def test_a_small_file_kept_in_git_comes_from_the_hub_itself() -> None:
    async def small(request: web.BaseRequest) -> web.StreamResponse:
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{GIT_SHA1}"'}
        return web.Response(body=DATA, headers=headers) if request.method == "HEAD" else ranged(request, **headers)

    async def work() -> None:
        async with serving(small) as hub, resolver(hub.url, token=TOKEN) as resolving:
            remote = await resolving.resolve(parse_source("hf://o/r/f.json"), source="hf://o/r/f.json")
            assert (remote.size, remote.sha256, remote.git_sha1) == (len(DATA), None, GIT_SHA1)
            assert await body_of(remote, 0, len(DATA)) == DATA
            assert [request.headers.get("Authorization") for request in hub.log] == [f"Bearer {TOKEN}"] * 2

    asyncio.run(work())


def test_a_mirror_that_drops_headers_works_with_a_pinned_hash() -> None:
    async def work() -> None:
        hub = Hub(drop=("X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size"))
        async with hub_and_cdn(hub) as (near, _), resolver(near.url) as resolving:
            remote = await resolving.resolve(parse_source(SOURCE), source=SOURCE, sha256=SHA256, size=len(DATA))
            assert (remote.commit, remote.sha256, remote.size) == (None, SHA256, len(DATA))
            assert await body_of(remote, 0, 7) == DATA[:7]
            with pytest.raises(SourceError, match="tells neither commit nor hash"):
                await resolving.resolve(parse_source(SOURCE), source=SOURCE)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("pinned", "words"),
    [
        ({"sha256": "0" * 64}, [SHA256, "0" * 64, "pin the revision"]),
        ({"sha256": SHA256, "size": 1}, [f"{len(DATA)} bytes", "1 are expected"]),
    ],
)
def test_a_host_that_contradicts_the_manifest(pinned: dict[str, Any], words: list[str]) -> None:
    error = failure(resolved(Hub(), **pinned))
    assert isinstance(error, ContentError)
    assert [word for word in words if word not in str(error)] == []


GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model o/r is restricted"}
FINE_GRAINED = {
    "X-Error-Message": "Please enable access to public gated repositories in your fine-grained token settings"
}
INVALID = {"X-Error-Message": "Invalid credentials in Authorization header"}


@pytest.mark.parametrize(
    ("status", "headers", "token", "kind", "words"),
    [
        (401, GATED, None, AccessError, ["gated", "https://huggingface.co/o/r", "HF_TOKEN"]),
        (403, GATED, TOKEN, AccessError, ["gated", "https://huggingface.co/o/r", "account the token sent (HF_TOKEN)"]),
        (403, GATED | FINE_GRAINED, TOKEN, AccessError, ["gated", "settings/tokens", "allow it to read"]),
        (401, {}, None, AccessError, ["missing or private", "Set HF_TOKEN"]),
        (401, {"X-Error-Code": "RepoNotFound"}, None, AccessError, ["missing or private", "Set HF_TOKEN"]),
        (404, {"X-Error-Code": "RepoNotFound"}, TOKEN, AccessError, ["missing or private", "has no access"]),
        (401, INVALID, TOKEN, AccessError, ["HF_TOKEN is not accepted", "settings/tokens"]),
        (403, {"X-Error-Message": "Forbidden"}, TOKEN, AccessError, ["refuses o/r (403: Forbidden)"]),
        (451, {}, None, AccessError, ["451"]),
        (403, {"X-Error-Message": "Access to this resource is disabled."}, None, AccessError, ["disabled o/r"]),
        (404, {"X-Error-Code": "RevisionNotFound"}, None, RevisionError, ["no revision 'main'"]),
        (404, {"X-Error-Code": "EntryNotFound"}, None, SourceError, ["no file 'd/model v2.safetensors'"]),
        (404, {}, None, SourceError, ["no file"]),
        (410, {}, None, SourceError, ["no file"]),
        (400, {}, None, SourceError, ["answered 400"]),
        (418, {}, None, SourceError, ["answered 418"]),
    ],
)
def test_what_the_hub_refuses(
    status: int, headers: dict[str, str], token: str | None, kind: type[PrefetchError], words: list[str]
) -> None:
    error = failure(resolved(Hub(status, headers), token=token))
    assert type(error) is kind
    assert [word for word in words if word not in str(error)] == []


@pytest.mark.parametrize(
    ("code", "source", "link"),
    [
        ("EntryNotFound", "hf://o/r/d/f.bin", "/o/r/tree/main for what it has."),
        ("RevisionNotFound", "hf://datasets/o/r@v7/f.bin", "/datasets/o/r/tree/main for its branches and tags."),
    ],
)
def test_what_a_hub_lacks_is_to_be_looked_up_where_it_was_asked_for(code: str, source: str, link: str) -> None:
    async def work() -> None:
        async with hub_and_cdn(Hub(404, {"X-Error-Code": code})) as (hub, _), resolver(hub.url) as resolving:
            with pytest.raises(SourceError) as caught:
                await resolving.resolve(parse_source(source), source=source)
        assert f"See {hub.url}{link}" in str(caught.value)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("status", "headers", "floor"),
    [(429, {"RateLimit": '"resolvers";r=0;t=123'}, 123), (503, {"Retry-After": "7"}, 7), (500, {}, 0)],
)
def test_a_busy_hub_is_asked_again_no_sooner_than_it_says(status: int, headers: dict[str, str], floor: float) -> None:
    async def work() -> None:
        told: list[tuple[str, int, float]] = []
        slept: list[float] = []

        def on_retry(error: TransientError, attempt: int, delay: float) -> None:
            told.append((error.cause, attempt, delay))
            hub.status = 302

        hub = Hub(status, headers)
        async with hub_and_cdn(hub) as (near, _), resolver(near.url, slept=slept) as resolving:
            remote = await resolving.resolve(parse_source(SOURCE), source=SOURCE, on_retry=on_retry)
        assert remote.sha256 == SHA256
        assert slept == [floor]
        assert told == [(f"status_{status}", 1, floor)]

    asyncio.run(work())


def test_a_hub_that_stays_busy_is_given_up() -> None:
    error = failure(resolved(Hub(503)))
    assert isinstance(error, TransientError)
    assert error.cause == "status_503"


@pytest.mark.parametrize(("endpoint", "cause"), [("http://nowhere.invalid", "dns"), ("http://127.0.0.1:1", "connect")])
def test_a_hub_out_of_reach(endpoint: str, cause: str) -> None:
    async def work() -> None:
        async with resolver(endpoint) as resolving:
            await resolving.resolve(parse_source(SOURCE), source=SOURCE)

    error = failure(work())
    assert isinstance(error, TransientError)
    assert error.cause == cause


def test_no_token_over_plain_http_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with serving(Hub(401)) as proxy, resolver("http://mirror.test", token=TOKEN) as resolving:
            monkeypatch.setenv("http_proxy", proxy.url)
            try:
                await resolving.resolve(parse_source(SOURCE), source=SOURCE)
            finally:
                assert [request.headers["Host"] for request in proxy.log] == ["mirror.test"]
                assert "Authorization" not in proxy.log[0].headers

    assert "No token is sent to http://mirror.test" in failure(work()).remedy


def test_the_token_stays_with_the_mirror_when_it_points_to_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub follows such a redirect and would take the token along."""

    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "https://huggingface.co/o/r/resolve/main/f"})

    async def work() -> None:
        import huggingface_hub

        async with serving(elsewhere) as mirror, resolver(mirror.url, token=TOKEN) as resolving:
            with pytest.raises(TransientError):
                await resolving.resolve(parse_source(SOURCE), source=SOURCE)
            client = huggingface_hub.get_session()
            for url, kept in ((mirror.url + "/f", True), ("https://huggingface.co/f", False)):
                request = client.build_request("HEAD", url, headers={"authorization": TOKEN})
                for hook in client.event_hooks["request"]:
                    hook(request)
                assert ("authorization" in request.headers) is kept

    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    asyncio.run(work())


def test_a_hub_over_tls_with_an_authority_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def work() -> RemoteFile:
        hub = Hub(cdn="https://localhost:1")
        async with serving(hub, name="localhost", tls=tls) as near, resolver(near.url) as resolving:
            return await resolving.resolve(parse_source(SOURCE), source=SOURCE)

    ca = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    error = failure(work())
    assert isinstance(error, SourceError)
    assert "certificate of localhost" in error.message
    assert "SSL_CERT_FILE" in error.remedy
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert asyncio.run(work()).sha256 == SHA256


def test_an_https_hub_that_points_to_plain_http(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def work() -> None:
        hub = Hub(cdn="http://localhost:1")
        async with serving(hub, name="localhost", tls=tls) as near, resolver(near.url) as resolving:
            await resolving.resolve(parse_source(SOURCE), source=SOURCE)

    ca = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert "not encrypted" in failure(work()).message


def test_resolving_leaves_nothing_below_the_home_and_says_nothing(tmp_path: Path) -> None:
    """In a process of its own: huggingface_hub reads its settings at import."""

    async def work() -> tuple[bytes, bytes]:
        async with hub_and_cdn(Hub(headers={"X-HF-Warning": "x; y"})) as (hub, _):
            env = {**os.environ, "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.url}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", SCRIPT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            out = await process.communicate()
            assert {request.method for request in hub.log} == {"HEAD"}
            return out

    out, err = asyncio.run(work())
    assert (out.decode().strip(), err.decode()) == (SHA256, "")
    assert list(tmp_path.rglob("*")) == []


SCRIPT = f"""
import asyncio, sys
from prefetch.net.client import open_session
from prefetch.sources.refs.source import parse_source
from prefetch.sources.resolver import Resolver

async def main():
    async with open_session(connections=1) as session:
        resolver = Resolver.from_environment(session)
        assert "huggingface_hub" not in sys.modules
        print((await resolver.resolve(parse_source("{SOURCE}"), source="{SOURCE}")).sha256)

asyncio.run(main())
"""


async def plain(request: web.BaseRequest) -> web.StreamResponse:
    return ranged(request, ETag='"v1"')


def test_an_address_tells_size_ranges_and_validator_by_one_byte() -> None:
    async def work() -> None:
        async with serving(plain) as server, resolver() as resolving:
            source = server.url + "/f.bin?v=2"
            remote = await resolving.resolve(parse_source(source), source=source, sha256=SHA256)
            assert (remote.size, remote.sha256, remote.etag, remote.url) == (len(DATA), SHA256, "v1", source)
            assert remote.origin.ranges is True
            assert [(r.method, r.headers["Range"]) for r in server.log] == [("GET", "bytes=0-0")]
            assert await body_of(remote, 3, 9) == DATA[3:9]

    asyncio.run(work())


def test_a_release_is_read_from_where_it_redirects_to() -> None:
    async def work() -> None:
        async def release(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": store.url + SIGNED})

        async with serving(plain, host="127.0.0.2") as store, serving(release) as server, resolver() as resolving:
            remote = await resolving.resolve(parse_source(server.url + "/f.bin"), source=server.url + "/f.bin")
            assert await body_of(remote, 0, None) == DATA
            assert server.targets == ["/f.bin"]
            assert store.targets == [SIGNED, SIGNED]
            assert remote.url == server.url + "/f.bin"

    asyncio.run(work())


def test_a_signed_address_is_not_shown_as_the_files_own() -> None:
    async def work() -> None:
        async with serving(plain) as server, resolver() as resolving:
            source = server.url + SIGNED
            remote = await resolving.resolve(parse_source(source), source="given")
            assert "s3cr3t" not in repr(remote)
            assert remote.url == f"{server.url}/x%2Fbridge/~f+?…"

    asyncio.run(work())


def test_an_address_with_other_bytes_than_pinned() -> None:
    async def work() -> None:
        async with serving(plain) as server, resolver() as resolving:
            await resolving.resolve(parse_source(server.url + "/f"), source="s", size=1)

    assert f"{len(DATA)} bytes" in failure(work()).message


def test_an_address_without_ranges() -> None:
    async def work() -> None:
        async with (
            serving(lambda _: asyncio.sleep(0, web.Response(body=DATA))) as server,
            resolver() as resolving,
        ):
            remote = await resolving.resolve(parse_source(server.url + "/f"), source="s")
            assert remote.size == len(DATA)
            assert remote.origin.ranges is False
            assert await body_of(remote, 0, 5) == DATA

    asyncio.run(work())


@pytest.mark.parametrize(
    ("response", "kind", "words"),
    [
        ({"status": 404}, SourceError, "has no f.bin (404)"),
        ({"status": 403}, AccessError, "set PREFETCH_TOKENS to http://127.0.0.1:"),
        ({"status": 200, "text": "<title>Sign in</title>", "content_type": "text/html"}, ContentError, "'Sign in'"),
        ({"status": 416, "headers": {"Content-Range": "bytes */0"}}, ContentError, "no bytes"),
    ],
)
def test_what_an_address_refuses(response: dict[str, Any], kind: type[PrefetchError], words: str) -> None:
    async def work() -> None:
        async with (
            serving(lambda _: asyncio.sleep(0, web.Response(**response))) as server,
            resolver() as resolving,
        ):
            await resolving.resolve(parse_source(server.url + "/f.bin"), source="s")

    error = failure(work())
    assert type(error) is kind
    assert words in str(error)


def test_no_more_than_sixteen_are_asked_at_once() -> None:
    async def work() -> None:
        busy, most = 0, 0

        async def slow(request: web.BaseRequest) -> web.StreamResponse:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0.02)
            busy -= 1
            return ranged(request)

        async with serving(slow) as server, resolver() as resolving:
            refs = [parse_source(f"{server.url}/{n}") for n in range(40)]
            await asyncio.gather(*(resolving.resolve(ref, source="s") for ref in refs))
        assert most == 16

    asyncio.run(work())


def local(path: Path | str) -> Coroutine[Any, Any, RemoteFile]:
    async def work() -> RemoteFile:
        async with resolver() as resolving:
            source = Path(path).as_uri()
            return await resolving.resolve(parse_source(source), source=source)

    return work()


def test_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "m p.bin"
    path.write_bytes(DATA)

    async def work() -> None:
        remote = await local(path)
        assert (remote.size, remote.sha256, unquote(remote.url)) == (len(DATA), None, f"file://{path}")
        assert (remote.origin.host, remote.origin.ranges) == ("file", True)
        assert await body_of(remote, 3, 17) == DATA[3:17]
        assert await body_of(remote, 3, None) == DATA[3:]
        path.write_bytes(b"short")
        with pytest.raises(ContentError, match="became shorter"):
            await body_of(remote, 0, None)

    asyncio.run(work())


def test_what_is_no_local_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "No such file" in failure(local(tmp_path / "missing")).message
    assert "no regular file" in failure(local(tmp_path / "fifo")).message
    assert "no regular file" in failure(local(tmp_path)).message


def test_what_the_environment_says() -> None:
    assert Access.from_environment({}) == Access()
    assert Access().hf_endpoint.reveal() == "https://huggingface.co"
    given = {"HF_ENDPOINT": "https://mirror/hub/", "HF_TOKEN": f" {TOKEN}\n", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    access = Access.from_environment(given)
    assert (access.hf_endpoint.reveal(), access.hf_login) == ("https://mirror/hub", False)
    assert access.hf_token == Token(Secret(TOKEN), "HF_TOKEN")
    assert Access.from_environment({"HUGGING_FACE_HUB_TOKEN": TOKEN, "HF_TOKEN": ""}).hf_token is not None
    assert TOKEN not in repr(access)


@pytest.mark.parametrize(
    "environ",
    [
        {"HF_ENDPOINT": "huggingface.co"},
        {"HF_ENDPOINT": f"https://{TOKEN}@h"},
        {"HF_ENDPOINT": f"https://h?a={TOKEN}"},
        {"HF_TOKEN": f"{TOKEN} {TOKEN}"},
        {"HF_TOKEN": f"{TOKEN}\x00"},
    ],
)
def test_an_environment_that_cannot_be_used(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        Access.from_environment(environ)
    assert next(iter(environ)) in caught.value.message
    assert TOKEN not in str(caught.value)


def test_offline_mode_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    error = failure(resolved(Hub()))
    assert isinstance(error, UsageError)
    assert "HF_HUB_OFFLINE" in error.message
