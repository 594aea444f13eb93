from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from prefetch.errors import AccessError, ContentError, PrefetchError, SourceError, TransientError
from prefetch.net.checks import Accepted, Asked, check_response
from prefetch.net.origin import RangesUnsupported
from prefetch.net.pages import describe


def asked(start: int = 0, stop: int | None = 10, **known: Any) -> Asked:
    return Asked("model.safetensors", "cdn.example", start, stop, access_remedy="Set HF_TOKEN.", **known)


def verdict(status: int, headers: dict[str, str], ask: Asked, **more: Any) -> Accepted:
    return check_response(status, CIMultiDict(headers), ask, **more)


def ranged(text: str, **more: str) -> dict[str, str]:
    return {"Content-Range": text, **more}


@pytest.mark.parametrize(
    ("status", "headers", "ask", "accepted"),
    [
        (206, ranged("bytes 0-9/100"), asked(), Accepted(True, 100, 10)),
        (206, ranged("bytes 0-9/100"), asked(size=100), Accepted(True, 100, 10)),
        (206, ranged("bytes 5-9/10", **{"Content-Length": "5"}), asked(5, 10, size=10), Accepted(True, 10, 5)),
        (206, ranged("bytes 5-9/*"), asked(5, 10, size=10), Accepted(True, 10, 5)),
        (206, ranged("bytes 5-9/*"), asked(5, 10), Accepted(True, None, 5)),
        (206, ranged("bytes 4-99/100"), asked(4, None), Accepted(True, 100, 96)),
        (206, ranged("bytes 0-9/100", ETag='"b"'), asked(etag=None), Accepted(True, 100, 10)),
        (206, ranged("bytes 0-9/100", ETag='W/"b"'), asked(etag="a"), Accepted(True, 100, 10)),
        (206, ranged("bytes 0-9/100", **{"Content-Encoding": "identity"}), asked(), Accepted(True, 100, 10)),
        (200, {"Content-Length": "100"}, asked(), Accepted(False, 100, 100)),
        (200, {"Content-Length": "100"}, asked(size=100), Accepted(False, 100, 100)),
        (200, {"Transfer-Encoding": "chunked"}, asked(), Accepted(False, None, None)),
        (200, {"Transfer-Encoding": "chunked"}, asked(size=100), Accepted(False, 100, 100)),
        (200, {}, asked(size=100), Accepted(False, 100, 100)),
        (200, {}, asked(verified=True), Accepted(False, None, None)),
    ],
)
def test_what_is_accepted(status: int, headers: dict[str, str], ask: Asked, accepted: Accepted) -> None:
    assert verdict(status, headers, ask) == accepted


@pytest.mark.parametrize(
    ("headers", "ask"),
    [
        ({}, asked()),
        (ranged("nonsense"), asked()),
        (ranged("bytes 1-10/100"), asked()),
        (ranged("bytes 0-8/100"), asked()),
        (ranged("bytes 0-10/100"), asked()),
        (ranged("bytes 0-98/100"), asked(0, None)),
        (ranged("bytes 0-9/100", **{"Content-Length": "9"}), asked()),
    ],
)
def test_another_range_is_worth_another_try(headers: dict[str, str], ask: Asked) -> None:
    with pytest.raises(TransientError, match="another range") as caught:
        verdict(206, headers, ask)
    assert caught.value.cause == "bad_range"


@pytest.mark.parametrize(
    ("status", "headers", "ask", "kind", "words"),
    [
        (206, ranged("bytes 0-9/99"), asked(size=100), ContentError, "99 bytes on cdn.example where 100"),
        (200, {"Content-Length": "99"}, asked(size=100), ContentError, "99 bytes on cdn.example where 100"),
        (416, ranged("bytes */99"), asked(size=100), ContentError, "99 bytes on cdn.example where 100"),
        (416, {}, asked(5, 10), ContentError, "no bytes from 5 on"),
        (416, ranged("bytes */100"), asked(size=100), TransientError, "a range of model.safetensors that it has"),
        (200, {}, asked(), ContentError, "does not say where model.safetensors ends"),
        (206, ranged("bytes 0-9/9", **{"Content-Encoding": "gzip"}), asked(), ContentError, "compressed (gzip)"),
        (206, {"Content-Type": "multipart/byteranges; boundary=x"}, asked(), ContentError, "several parts"),
        (206, ranged("bytes 0-9/100", ETag='"b"'), asked(etag="a"), ContentError, "changed on cdn.example"),
        (200, {"Content-Type": "text/html; charset=utf-8"}, asked(), ContentError, "text/html instead of model"),
        (200, {"Content-Type": "application/json"}, asked(), ContentError, "application/json instead of model"),
        (401, {}, asked(), AccessError, "Set HF_TOKEN."),
        (403, {}, asked(), AccessError, "cdn.example refuses model.safetensors (403)"),
        (451, {}, asked(), AccessError, "(451)"),
        (404, {}, asked(), SourceError, "cdn.example has no model.safetensors (404)"),
        (410, {}, asked(), SourceError, "(410)"),
        (302, {}, asked(), SourceError, "answered 302"),
        (204, {}, asked(), SourceError, "answered 204"),
        (400, {}, asked(), SourceError, "answered 400"),
        (503, {}, asked(), TransientError, "answered 503"),
    ],
)
def test_what_is_refused(
    status: int, headers: dict[str, str], ask: Asked, kind: type[PrefetchError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        verdict(status, headers, ask)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "floor"),
    [
        (408, {}, 0),
        (429, {}, 0),
        (429, {"Retry-After": "7"}, 7),
        (429, {"RateLimit": '"resolvers";r=0;t=123'}, 123),
        (429, {"RateLimit": '"resolvers";r=0;t=123', "Retry-After": "200"}, 200),
        (500, {"RateLimit": '"resolvers";r=0;t=123'}, 0),
        (503, {"Retry-After": "Thu, 01 Jan 1970 00:01:00 GMT"}, 50),
        (599, {}, 0),
    ],
)
def test_the_wait_a_host_asks_for(status: int, headers: dict[str, str], floor: float) -> None:
    with pytest.raises(TransientError) as caught:
        verdict(status, headers, asked(), now=10.0)
    assert (caught.value.cause, caught.value.floor) == (f"status_{status}", floor)


def test_a_whole_file_for_a_part_in_its_middle() -> None:
    with pytest.raises(RangesUnsupported):
        verdict(200, {"Content-Length": "100"}, asked(5, 10))


def test_a_page_is_quoted() -> None:
    with pytest.raises(ContentError, match="sent an HTML page titled 'Log in' instead"):
        verdict(200, {"Content-Type": "text/html"}, asked(), received="an HTML page titled 'Log in'")


@pytest.mark.parametrize("name", ["index.html", "config.json"])
def test_pages_and_json_that_were_asked_for_are_fine(name: str) -> None:
    headers = {"Content-Type": "text/html" if name.endswith("html") else "application/json", "Content-Length": "5"}
    assert verdict(200, headers, Asked(name, "h", 0, None)).length == 5


@pytest.mark.parametrize(
    ("media_type", "start", "words"),
    [
        ("text/html", b"<html><TITLE>\n Log &amp; in </TITLE>", "an HTML page titled 'Log & in'"),
        ("text/html", b"<p>", "an HTML page"),
        ("application/json", b'{"error":"Unauthorized hf_secret123"}', "JSON that says 'Unauthorized hf_…'"),
        ("application/json", b'{"error":{"a":1}}', 'JSON that says \'{"error":{"a":1}}\''),
        ("application/json", b"[" * 2048, "JSON that says '" + "[" * 79 + "…'"),
        ("application/xml", b"<Error><Code>AccessDenied</Code><Message>No</Message>", "'AccessDenied No'"),
        ("text/plain", b"see https://h/a?sig=s3cr3t", "'see https://h/a'"),
        ("text/plain", b"", ""),
        ("application/octet-stream", b"\x00\x01", ""),
    ],
)
def test_what_a_page_says(media_type: str, start: bytes, words: str) -> None:
    assert describe(media_type, start) == words


names = st.sampled_from(
    ["Content-Range", "Content-Length", "Content-Type", "ETag", "Transfer-Encoding", "Retry-After", "RateLimit"]
)
texts = st.text(max_size=20) | st.sampled_from(["bytes 0-9/100", "bytes 0-9/*", "bytes */5", "9", "chunked", '"a"'])


@given(st.integers(100, 999), st.dictionaries(names, texts), st.integers(0, 5), st.none() | st.integers(6, 20))
def test_any_response_is_accepted_or_refused_with_a_sentence(
    status: int, headers: dict[str, str], start: int, stop: int | None
) -> None:
    try:
        accepted = verdict(status, headers, asked(start, stop))
    except RangesUnsupported:
        assert status == 200
    except PrefetchError as error:
        assert error.message
    else:
        assert accepted.ranged is (status == 206)
        assert not (accepted.ranged and stop and accepted.length != stop - start)
