"""The CDN stand-in, the log and the origin as a process: signed links, ranges, what a client may not send."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from prefetch.demo.__main__ import main
from prefetch.demo.content import SyntheticFile, ZeroFile
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.origins import ask

TOKEN = "hf_reader"
UNET = SyntheticFile("unet.gguf", 300_000, "gguf", 2)
WHOLE = UNET.read(0, UNET.size)
TOTAL = len(WHOLE)
OTHER = SyntheticFile("unet.gguf", 100_000, "gguf", 3)


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(tokens={TOKEN: "reader"}) as running:
        yield running


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "body"),
    [
        ("bytes=0-99", 206, f"bytes 0-99/{TOTAL}", WHOLE[:100]),
        ("bytes=100-", 206, f"bytes 100-{TOTAL - 1}/{TOTAL}", WHOLE[100:]),
        ("bytes=-100", 206, f"bytes {TOTAL - 100}-{TOTAL - 1}/{TOTAL}", WHOLE[-100:]),
        (f"bytes={TOTAL - 1}-{TOTAL + 100}", 206, f"bytes {TOTAL - 1}-{TOTAL - 1}/{TOTAL}", WHOLE[-1:]),
        (f"bytes={TOTAL}-", 416, f"bytes */{TOTAL}", None),
        ("bytes=0-1,5-6", 200, None, WHOLE),
        ("bytes=9-1", 200, None, WHOLE),
        ("bytes=-", 200, None, WHOLE),
        ("pages=1-2", 200, None, WHOLE),
    ],
)
def test_ranges(origin: DemoServer, asked: str, status: int, content_range: str | None, body: bytes | None) -> None:
    answer = ask(origin.signed_link("acme/wan/unet.gguf", UNET), Range=asked)
    assert (answer.status, answer.headers["Content-Range"], answer.whole) == (status, content_range, True)
    assert body is None or answer.body == body
    assert {"ETag", "Last-Modified"}.isdisjoint(answer.headers.keys())


def test_plain_files_honour_if_range_by_their_etag(origin: DemoServer) -> None:
    url = origin.put_file("vfi.pth", OTHER)
    etag = ask(url, method="HEAD").headers["ETag"]
    same, changed = ask(url, span=(5, 9), If_Range=etag), ask(url, span=(5, 9), If_Range='"another"')
    assert (same.status, same.body) == (206, OTHER.read(5, 9))
    assert (changed.status, len(changed.body)) == (200, OTHER.size)
    assert ask(f"{origin.endpoint}/files/nothing").status == 404


def test_links_expire_by_the_clock_and_on_request() -> None:
    now = [1_800_000_000.0]
    with running_origin(lifetime=60, clock=lambda: now[0]) as origin:
        first = origin.signed_link("a/b/m.gguf", UNET)
        statuses = [ask(first, span=(0, 1)).status]
        now[0] += 61
        statuses.append(ask(first, span=(0, 1)).status)
        second = origin.signed_link("a/b/m.gguf", UNET)
        statuses.append(ask(second, span=(0, 1)).status)
        origin.expire_links()
        statuses.append(ask(second, span=(0, 1)).status)
    assert statuses == [206, 403, 206, 403]
    assert "X-Amz-Date=20270115T080000Z&X-Amz-Expires=60&" in first


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda url: url, 200),
        (lambda url: url.replace("%27%27", "''"), 403),
        (lambda url: url.replace("X-Amz-Expires=3600", "X-Amz-Expires=9999"), 403),
        (lambda url: url.partition("?")[0], 403),
        (lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"), 403),
    ],
)
def test_a_link_is_good_only_as_it_was_signed(origin: DemoServer, change: Callable[[str], str], status: int) -> None:
    assert ask(change(origin.signed_link("acme/wan/unet.gguf", UNET)), span=None, method="HEAD").status == status


def test_the_cdn_refuses_and_records_a_token(origin: DemoServer) -> None:
    answer = ask(origin.signed_link("acme/wan/unet.gguf", UNET), Authorization=f"Bearer {TOKEN}")
    entry = origin.requests[-1]
    assert (answer.status, entry.server, entry.authorized) == (400, "cdn", True)
    assert "X-Amz" not in repr(entry)
    assert TOKEN not in repr(entry)


def test_a_connection_takes_many_requests_and_is_numbered(origin: DemoServer, tmp_path: Path) -> None:
    url = f"{origin.endpoint}/files/none"
    subprocess.run(["curl", "-s", url, url, url], check=True, capture_output=True)
    numbers = [entry.connection for entry in origin.requests[-3:]]
    assert len(set(numbers)) == 1


def _start(*options: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "prefetch.demo", "--follow-stdin", *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_as_a_process_it_announces_logs_and_ends_with_its_parent(tmp_path: Path) -> None:
    log, ready_file = tmp_path / "log", tmp_path / "ready"
    with _start("--set", "zeros:2M", "--log", log, "--ready-file", ready_file, "--pace", "100M") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        url = f"{ready['endpoint']}/{ready['repo']}/resolve/main/zeros.dat"
        fetched = subprocess.run(["curl", "-sL", url], check=True, capture_output=True).stdout
        process.stdin.close()
        assert process.wait(10) == 0
    assert fetched == bytes(2_000_000)
    assert ready["files"] == {"zeros.dat": {"size": 2_000_000, "sha256": ZeroFile(2_000_000).sha256}}
    assert json.loads(ready_file.read_text()) == ready
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["server"], entry["status"], entry["sent"]) for entry in entries][1] == ("cdn", 200, 2_000_000)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "zeros:8iG"], "is no size such as"),
        (["--set", "everything"], "is neither seed"),
        (["--tls", "/nowhere/cert", "/nowhere/key"], "cannot serve"),
    ],
)
def test_as_a_process_it_says_what_it_cannot_do(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(options)
    assert (raised.value.code, words in capsys.readouterr().err) == (2, True)


def test_tls_with_pace_and_a_client_that_never_shakes_hands(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with running_origin(link=Link(tls=context, pace=1_000_000)) as origin:
        url = origin.signed_link("acme/wan/unet.gguf", UNET)
        with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)):
            start = time.monotonic()
            command = ["curl", "-s", "--cacert", str(tmp_path / "ca.pem"), url]
            fetched = subprocess.run(command, check=True, capture_output=True).stdout
            seconds = time.monotonic() - start
    assert (fetched, url.startswith("https://localhost:")) == (WHOLE, True)
    assert 0.15 < seconds < 3
