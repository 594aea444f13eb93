from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from prefetch.net.headers import (
    LONGEST_GUESS,
    ContentRange,
    content_length,
    etag,
    git_sha1_of_etag,
    rate_limit_reset,
    rate_limit_wait,
    retry_after,
    sha256_of_etag,
    signed_expiry,
    strong_etag,
    unsatisfied_size,
)

SHA256 = "2fc39d31359a4b0a64f55876d8ff7fa8d780956ae2cb13463b0223e15148976b"
SHA1 = "a" * 40


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-499/1234", ContentRange(0, 500, 1234)),
        ("bytes 500-1233/1234", ContentRange(500, 1234, 1234)),
        ("BYTES 0-0/*", ContentRange(0, 1, None)),
        ("bytes 0-499/499", None),
        ("bytes 5-4/10", None),
        ("bytes */1234", None),
        ("bytes 0-499", None),
        ("bytes=0-499/1234", None),
        ("items 0-1/2", None),
        ("bytes 0-4/10, bytes 5-9/10", None),
        ("bytes ٠-4/10", None),
        ("bytes -1-4/10", None),
        ("", None),
        (None, None),
    ],
)
def test_content_range(value: str | None, expected: ContentRange | None) -> None:
    assert ContentRange.parse(value) == expected


@given(st.integers(0, 10**15), st.integers(1, 10**12), st.integers(0, 10**12))
def test_content_range_round_trip(start: int, length: int, rest: int) -> None:
    stop, total = start + length, start + length + rest
    assert ContentRange.parse(f"bytes {start}-{stop - 1}/{total}") == ContentRange(start, stop, total)


@pytest.mark.parametrize(("value", "size"), [("bytes */0", 0), ("bytes */12", 12), ("bytes 0-1/2", None), (None, None)])
def test_unsatisfied_size(value: str | None, size: int | None) -> None:
    assert unsatisfied_size(value) == size


@pytest.mark.parametrize(
    ("value", "length"),
    [("0", 0), (" 12 ", 12), ("-1", None), ("+1", None), ("1, 1", None), ("1e3", None), (None, None)],
)
def test_content_length(value: str | None, length: int | None) -> None:
    assert content_length(value) == length


NOW = 1445412480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30),
        ("Wed, 21 Oct 2015 07:28:30 -0000", 30),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ('"resolvers";r=0;t=123', 123),
        ('"resolvers"; r=0; t=7', 7),
        ('"resolvers";r=12;t=123', None),
        ('"api";r=0;t=5, "resolvers";r=0;t=9, "pages";r=1;t=99', 9),
        ('"api";t=5;pk=:cHNk:;r=0', 5),
        ("default;r=0;t=5", 5),
        ('"a, b;r=1";r=0;t=5', 5),
        ('"api";r=0', None),
        ('"api";r=0.5;t=3', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_rate_limit(value: str, seconds: float | None) -> None:
    assert rate_limit_reset(CIMultiDict({"ratelimit": value})) == seconds


HUB = '"fixed window";"resolvers";q=5000;w=300'


@pytest.mark.parametrize(
    ("limit", "policy", "reset", "wait"),
    [
        ("", "", None, None),
        ('"resolvers";r=0;t=12', HUB, 12, 12),
        ('"resolvers";r=0', HUB, 300, 300),
        ('"resolvers";r=4', HUB, None, 300),
        ("", HUB, None, 300),
        ("", '"day";q=9;w=86400', None, LONGEST_GUESS),
        ("", '"minute";q=9;w=60, "day";q=9000;w=86400', None, 60),
        ('"day";r=0', '"minute";q=9;w=60, "day";q=9000;w=86400', 86400, 86400),
        ('"other";r=0', '"minute";q=9;w=60, "day";q=9000;w=86400', None, 60),
        ('"other";r=0', '"minute";q=9;w=60', 60, 60),
        ("", '"concurrent";q=9;qu="concurrent-requests"', None, None),
    ],
)
def test_a_policy_tells_how_long_its_window_is(
    limit: str, policy: str, reset: float | None, wait: float | None
) -> None:
    headers = {"RateLimit": limit, "RateLimit-Policy": policy}
    assert (rate_limit_reset(headers), rate_limit_wait(headers)) == (reset, wait)


@pytest.mark.parametrize(
    ("value", "plain", "strong"),
    [
        ('"abc"', "abc", "abc"),
        ('W/"abc"', "abc", None),
        ("abc", "abc", "abc"),
        ('""', None, None),
        ("", None, None),
        ('"a b"', None, None),
        (None, None, None),
    ],
)
def test_etags(value: str | None, plain: str | None, strong: str | None) -> None:
    assert (etag(value), strong_etag(value)) == (plain, strong)


def test_hashes_in_etags() -> None:
    assert sha256_of_etag(f'W/"{SHA256.upper()}"') == SHA256
    assert git_sha1_of_etag(f'"{SHA1}"') == SHA1
    assert sha256_of_etag(f'"{SHA1}"') is git_sha1_of_etag(f'"{SHA256}"') is sha256_of_etag("*" * 64) is None


def policy(end: object) -> str:
    text = json.dumps({"Statement": [{"Condition": {"DateLessThan": {"AWS:EpochTime": end}}}]})
    return base64.b64encode(text.encode()).decode().replace("+", "-").replace("=", "_").replace("/", "~")


@pytest.mark.parametrize(
    ("query", "moment"),
    [
        ("X-Amz-Date=20151021T072800Z&X-Amz-Expires=3600", NOW + 3600),
        ("X-Goog-Date=20151021T072800Z&X-Goog-Expires=60", NOW + 60),
        ("Expires=1445412490&Signature=x", 1445412490),
        (f"Policy={policy(1445412500)}", 1445412500),
        ("X-Amz-Date=20151021T072800Z&X-Amz-Expires=3600&Expires=1445412481", 1445412481),
        ("X-Amz-Date=20151021T072800Z", None),
        ("X-Amz-Date=yesterday&X-Amz-Expires=3600", None),
        ("Expires=Wed", None),
        (f"Policy={policy([])}", None),
        ("Policy=%00", None),
        ("a=b", None),
        ("", None),
    ],
)
def test_signed_expiry(query: str, moment: float | None) -> None:
    assert signed_expiry("https://cdn.example/f?" + query) == moment


@given(st.text(max_size=50) | st.from_regex(r"[ -~]{0,50}", fullmatch=True))
def test_no_header_breaks_a_parser(value: str) -> None:
    ContentRange.parse(value)
    unsatisfied_size(value)
    content_length(value)
    strong_etag(value)
    sha256_of_etag(value)
    rate_limit_wait({"RateLimit": value, "RateLimit-Policy": value})
    assert (retry_after(value, now=NOW) or 0) >= 0


@given(st.text(st.characters(codec="ascii", exclude_characters="#[]"), max_size=60), st.binary(max_size=40))
def test_no_query_breaks_the_expiry(query: str, blob: bytes) -> None:
    signed_expiry(f"https://h/f?{query}&Policy={base64.b64encode(blob).decode()}")
