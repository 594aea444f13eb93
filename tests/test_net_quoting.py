"""Nothing that was sent is repeated in a sentence, whatever encoding a host repeats it in."""

from __future__ import annotations

import html
import json
import string
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.net.credentials import Credential, Secret
from prefetch.net.pages import describe
from prefetch.net.quoting import Sent, hide
from prefetch.net.urls import SecretURL

BARE = "SECRETSIG1234567890abcdef"
SIGNED = SecretURL(f"https://h.example/x?sv=2020&sig={BARE}&Policy={BARE}~+/%3D%3D&{BARE}0")


def entities(text: str) -> str:
    return "".join(f"&#x{ord(character):X};" for character in text)


def escapes(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


ENCODINGS: list[Callable[[str], str]] = [
    str,
    str.lower,
    str.upper,
    quote,
    partial(quote, safe=""),
    quote_plus,
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: quote(text, safe="").lower(),
    lambda text: "".join(f"%{ord(character):02x}" for character in text),
    html.escape,
    entities,
    escapes,
    lambda text: text.replace("/", "\\/"),
    lambda text: html.escape(quote(json.dumps(text), safe="")),
    lambda text: entities(quote(text, safe="")),
]
secrets = st.text(string.ascii_letters + string.digits + "+/=~&<>'\"\\%._- :", min_size=8, max_size=30).filter(
    lambda text: len(text.strip()) == len(text) and "  " not in text
)


@given(secrets, st.lists(st.sampled_from(ENCODINGS), max_size=2), st.text(string.ascii_letters + " .:", max_size=20))
def test_a_secret_is_hidden_in_every_encoding(secret: str, encodings: list[Callable[[str], str]], around: str) -> None:
    written = secret
    for encode in encodings:
        written = encode(written)
    shown = hide(f"{around} [{written}] {around}", [secret])
    assert secret.lower() not in shown.lower()
    assert written.lower() not in shown.lower()


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=3))
def test_any_text_with_any_secret_is_shown_or_hidden(text: str, words: list[str]) -> None:
    shown = hide(text, words)
    assert shown == text or "…" in shown


@pytest.mark.parametrize("text", ["50% off &copy; now", "C:\\new\\x41", "a%2Fb is not there", "", "wants Bearer"])
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert hide(text, ["Bearer sesame-street", "basic abc", "no"]) == text


def test_what_is_shown_without_its_escapes_is_harmless() -> None:
    shown = hide(f"%1b[31m {BARE} %0aline \\ud83d &#x202e;", [BARE])
    assert shown.isprintable()
    assert shown.split() == ["[31m", "…", "line"]


@pytest.mark.parametrize("cut", range(6, len(BARE)))
def test_a_secret_that_was_cut_off_is_hidden_too(cut: int) -> None:
    assert hide(f"it was {BARE[:cut]}", [BARE]) == "it was …"
    assert hide(f"it was {quote(BARE[:cut], safe='')}%2", [BARE]) == "it was …"
    assert hide(f"{BARE} and {BARE[:cut]}", [BARE]) == "… and …"


@pytest.mark.parametrize("word", ["YW5uOnNlc2FtZS1zdHJlZXQ=", "ann:sesame-street", "sesame-street", "sesame%2Dstreet"])
def test_a_login_is_hidden_in_clear_and_in_base64(word: str) -> None:
    encoded = b64encode(b"ann:sesame-street").decode()
    origin = SIGNED.origin
    sent = Sent((SIGNED,), (Credential(origin, "Authorization", Secret(f"Basic {encoded}")),))
    assert word not in sent.hide(f"<Login>{word}</Login>")
    proxied = Sent((SIGNED, SecretURL("http://ann:sesame-street@proxy:3128")))
    assert word not in proxied.hide(f"Proxy-Authorization: {word}")


ENCODED: dict[str, Callable[[str], str]] = {
    "Base64": lambda text: b64encode(text.encode()).decode(),
    "Base64 of addresses, without padding": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hexadecimal digits": lambda text: text.encode().hex(),
    "great hexadecimal digits": lambda text: f"0x{text.encode().hex().upper()}",
    "hexadecimal digits apart": lambda text: text.encode().hex(":"),
    "lines of Base64": lambda text: encodebytes(f"{'. ' * 25}{text}".encode()).decode(),
    "reversed": lambda text: text[::-1],
    "the other case": str.swapcase,
    "Base64 of Base64": lambda text: b64encode(b64encode(text.encode())).decode(),
    "Base64 of hexadecimal digits": lambda text: b64encode(text.encode().hex().encode()).decode(),
    "Base64 of an encoded address": lambda text: b64encode(f"?sig={quote(text, safe='')}".encode()).decode(),
    "escaped Base64": lambda text: quote(b64encode(text.encode()).decode(), safe=""),
    "Base64 of JSON": lambda text: b64encode(json.dumps({"key": text}).encode()).decode(),
}


@pytest.mark.parametrize("before", ["", "u", "ab", "user:", "Bearer "])
@pytest.mark.parametrize("encoding", ENCODED)
def test_a_secret_is_hidden_inside_what_is_encoded(encoding: str, before: str) -> None:
    secret = "sesame~street?2026>"
    written = ENCODED[encoding](f"{before}{secret} and more")
    for shown in (hide(f"not allowed: key-{written}.", [secret]), hide(f"{written}", [secret])):
        assert "…" in shown
        assert ENCODED[encoding](f"{before}{secret}").strip("=\n")[:-2] not in shown
        assert "street" not in shown.lower()
        assert "teerts" not in shown.lower()


@given(secrets, st.text(max_size=9), st.text(max_size=9), st.sampled_from([b64encode, urlsafe_b64encode]))
def test_a_secret_is_hidden_at_each_place_in_base64(
    secret: str, before: str, after: str, encode: Callable[[bytes], bytes]
) -> None:
    written = encode(f"{before}{secret}{after}".encode()).decode()
    assert written.rstrip("=") not in hide(f"what is {written}?", [secret])


@pytest.mark.parametrize("cut", range(8, 30))
def test_a_secret_in_base64_that_was_cut_off_is_hidden_too(cut: int) -> None:
    assert hide(f"it was {b64encode(BARE.encode()).decode()[:cut]}", [BARE]) == "it was …"


def test_what_only_looks_encoded_stays_as_it_is() -> None:
    text = f"no such file: {'d2hhdCBpcyB0aGlz'} {'ab12' * 10} some-long-name_of/a+file"
    assert hide(text, [BARE, "sesame-street"]) == text


PAGES = {
    "a relative address": ("text/plain", f"Forbidden: /x?X-Amz-Signature={BARE}&Expires=1"),
    "sig": ("text/plain", f"Forbidden: /x?sv=2020&sig={BARE}"),
    "a policy": ("text/plain", f"Forbidden: /x?Policy={BARE}~%2B%2F%3D%3D&Key-Pair-Id=K"),
    "S3": (
        "application/xml",
        f"<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>{BARE}</SignatureProvided></Error>",
    ),
    "JSON with an address": ("application/json", json.dumps({"error": "denied", "url": f"/x?sig={BARE}"})),
    "JSON with escapes": ("application/json", '{"message": "' + escapes(BARE) + '"}'),
    "JSON with a signature": ("application/json", json.dumps({"message": f"bad {BARE}", "signature": BARE})),
    "JSON that is cut": ("application/json", '{"a": "' + "<b>" * 9 + BARE[:12]),
    "a word": ("text/plain", f"token: {BARE} is not valid"),
    "an encoded address": ("text/plain", quote(f"http://h/x?sig={BARE}", safe="")),
    "bare": ("text/plain", BARE),
    "a bare parameter": ("text/plain", f"what is {BARE}0?"),
    "a title": ("text/html", f"<title>No {entities(BARE)}</title>"),
}


@pytest.mark.parametrize("page", PAGES)
def test_no_page_repeats_what_an_address_carried(page: str) -> None:
    media_type, body = PAGES[page]
    said = describe(media_type, body.encode(), hide=Sent((SIGNED,)).hide)
    assert said
    assert not any(BARE[at : at + 8].lower() in said.lower() for at in range(len(BARE) - 8))
