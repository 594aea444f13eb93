from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.net.urls import SecretURL, is_loopback_host, redact, same_origin

SIGNED = "https://cdn.example:8443/a%2Fb/~x+y?X-Amz-Signature=s3cr3t%2F+~&Expires=1"


def test_what_is_shown_has_no_secret_and_what_is_sent_is_untouched() -> None:
    url = SecretURL("https://user:pw@cdn.example/a%2Fb?sig=s3cr3t#f")
    assert str(url) == "https://cdn.example/a%2Fb?…"
    assert repr(url) == "SecretURL('https://cdn.example/a%2Fb?…')"
    assert f"{url} {url!r} {[url]}".count("s3cr3t") == 0
    assert SecretURL(SIGNED).reveal() == SIGNED
    assert str(SecretURL(SIGNED).yarl) == SIGNED
    assert SecretURL(SIGNED).yarl.raw_path_qs == "/a%2Fb/~x+y?X-Amz-Signature=s3cr3t%2F+~&Expires=1"


@pytest.mark.parametrize(
    ("base", "location", "joined"),
    [
        ("https://h/a/b", SIGNED, SIGNED),
        ("https://h/a/b", "/c%2Fd?x=%7E~+", "https://h/c%2Fd?x=%7E~+"),
        ("https://h/a/b?old=1", "c", "https://h/a/c"),
        ("https://h/a/b", "//other:1/c", "https://other:1/c"),
        ("https://h/a/b", "?x=1", "https://h/a/b?x=1"),
        ("https://h/a", "HTTPS://H2/a", "HTTPS://H2/a"),
        ("https://h/a", "https://h/s p\u00e9?\udce9", "https://h/s%20p%C3%A9?%E9"),
    ],
)
def test_where_a_location_leads(base: str, location: str, joined: str) -> None:
    assert SecretURL(base).join(location).reveal() == joined


@pytest.mark.parametrize(
    "text",
    ["", "h/a", "ftp://h/a", "https://", "https://h:x/", "https://[::1/", "https://é/", "\ud800", "https://[::1", "http://[",
     "https://[::1]x/a", "https://[v1.x]/", "https://[1:2]/", "https://[::1%25eth0]/", "https://[::1]@h/", "https://../a",
     "https://a|b/", "https://a..b/", "https://.a/",
     f"https://{'a' * 64}.b/", f"https://{'a.' * 127}b/", "https://a\\b/", "https://h:99999999/"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an http or https address with a plain host name$"):
        SecretURL(text)


@given(st.text("[]:.@%x1-_/?#\\| é", max_size=12))
def test_an_address_that_is_taken_is_one_to_everybody(text: str) -> None:
    try:
        url = SecretURL(f"https://{text}")
    except ValueError:
        return
    scheme, host, port = url.origin
    assert (url.yarl.scheme, (url.yarl.raw_host or "").rstrip("."), url.yarl.port or 443) == (scheme, host, port or 443)
    assert host and str(url).startswith("https://")


@pytest.mark.parametrize("location", ["javascript:alert(1)", "file:///etc/passwd", "data:,x"])
def test_a_location_that_leaves_http_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match="not an http or https address"):
        SecretURL("https://h/a").join(location)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("https://h/a", "https://H:443/b?c", True),
        ("https://h./a", "https://h/a", True),
        ("https://h/", "http://h/", False),
        ("https://h/", "https://h:8443/", False),
        ("https://h/", "https://a.h/", False),
        ("https://u@h/", "https://h/", True),
    ],
)
def test_same_origin(a: str, b: str, same: bool) -> None:
    assert same_origin(SecretURL(a), SecretURL(b)) is same


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("example", False),
    ],
)
def test_loopback_names(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("GET https://u:p@h/a?sig=abc failed", "GET https://h/a failed"),
        ("url='http://h/a?b=c'", "url='http://h/a'"),
        ("token hf_abcdefGHIJ12 used", "token hf_… used"),
        ("Authorization: Bearer abcdef.123", "Authorization: Bearer …"),
        ("/path?X-Amz-Signature=abc&x=1", "/path?X-Amz-Signature=…&x=1"),
        ("proxy http://me:pw@proxy:3128/", "proxy http://proxy:3128/"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_redaction_of_foreign_text(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@given(st.text(max_size=80))
def test_an_address_made_of_anything_never_shows_its_query(tail: str) -> None:
    url = SecretURL("https://h/a?sig=s3cr3t&" + tail)
    assert "s3cr3t" not in str(url)
    assert "s3cr3t" not in redact(url.reveal())
    assert url.reveal().isascii()
    assert " " not in url.reveal()
