"""What a host wrote, for a sentence: without what it was sent, which an error page may repeat, in clear or encoded."""

from __future__ import annotations

import binascii
import html
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from prefetch.net.credentials import Credential, headers_for
from prefetch.net.urls import SecretURL

__all__ = ["Sent", "hide"]

_SHORTEST_HIDDEN = 6  # characters: what is shorter is a word of any sentence, or a number
_SCHEMES = frozenset({"basic", "bearer", "digest", "negotiate", "token"})
_MOST_LAYERS = 6  # encodings around one another that are taken off
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([/\"'\\]))")
_ENCODED = re.compile(r"[0-9A-Za-z+/_-]{8,}")  # what may be Base64, of either alphabet, or hexadecimal digits
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{12,}")
_BETWEEN = re.compile(r"[\s:,;.\"'-]+")  # what may stand between the lines or the digits of one encoded text
_MOST_NESTED = 3  # encodings of that kind within one another that are read
_CUT_ESCAPE = re.compile(r"(?:%[0-9a-fA-F]?|&#?\w{0,8}|\\(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)?)$")


@dataclass(frozen=True, slots=True)
class Sent:
    """What the requests that led to an answer carried.

    Attributes:
        urls: the addresses that were asked, one after the other.
        credentials: each went to its own origin.
        headers: values of other headers with secrets.
    """

    urls: Sequence[SecretURL] = ()
    credentials: Sequence[Credential] = ()
    headers: Sequence[str] = ()

    def hide(self, text: str) -> str:
        """``text``, which a host wrote, without the values of the queries and headers that were sent."""
        return hide(text, self._values())

    def _values(self) -> Iterator[str]:
        yield from self.headers
        for url in self.urls:
            yield from headers_for(url, self.credentials).values()
            yield from _values_in(url.query)
            yield from _logins(unquote(url.userinfo))


def hide(text: str, secrets: Iterable[str]) -> str:
    """``text``, which a host wrote, without ``secrets``: in clear, escaped, reversed, in Base64 or hexadecimal digits.

    Of what is encoded, the whole word goes, or the whole text where the word is spread over it. Where a text holds a
    secret, the rest is shown without its escapes, too. A host may have been cut off in the middle of one.
    """
    plain = hidden = _plain(text)
    forms = {_plain(form).lower() for secret in secrets for form in _forms(secret)}
    forms |= {form[::-1] for form in forms}
    words = sorted((form for form in forms if len(form) >= _SHORTEST_HIDDEN), key=len, reverse=True)
    for word in words:
        if word in hidden.lower():
            hidden = re.sub(re.escape(word), "…", hidden, flags=re.IGNORECASE)
    end = _CUT_ESCAPE.sub("", hidden)
    begun = max((_begun_at_end(word, end.lower()) for word in words), default=0)
    if begun:
        hidden = end[: len(end) - begun] + "…"
    hidden = _without_encoded(hidden, words)
    return text if hidden == plain else _harmless(hidden)


def _without_encoded(text: str, words: Sequence[str]) -> str:
    if not words:
        return text
    rest = _ENCODED.sub(lambda run: "…" if _says(run, words) else run[0], text)
    joined = _BETWEEN.sub("", rest)
    return "…" if any(_says(run, words) for run in _ENCODED.finditer(joined)) else rest


def _says(run: re.Match[str], words: Sequence[str], nested: int = _MOST_NESTED) -> bool:
    """Whether a run of characters encodes any of ``words``, or at the end of its text the beginning of one."""
    for reading in _readings(run[0]):
        plain = _plain(reading)
        lower = plain.lower()
        if any(word in lower for word in words):
            return True
        if run.end() == len(run.string) and any(_begun_at_end(word, lower) for word in words):
            return True
        if nested > 1 and any(_says(inner, words, nested - 1) for inner in _ENCODED.finditer(plain)):
            return True
    return False


def _readings(run: str) -> Iterator[str]:
    """What a run of characters may say in Base64 and in hexadecimal digits, wherever in it the encoded text begins."""
    standard = run.replace("-", "+").replace("_", "/")
    for first in range(4):
        digits = standard[first:]
        # One digit alone is less than a byte.
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]
        yield b64decode(digits + "=" * (-len(digits) % 4)).decode(errors="replace")
    for number in _HEXADECIMAL.findall(run):
        for first in range(2):
            even = number[first : first + (len(number) - first) // 2 * 2]
            yield bytes.fromhex(even).decode(errors="replace")


def _harmless(text: str) -> str:
    """``text``, from which escapes were taken, without what would move a cursor or break a line."""
    return "".join(character if character.isprintable() else " " for character in text)


def _forms(secret: str) -> Iterator[str]:
    """A secret as it was sent, its words behind a header's scheme, and what they say in clear."""
    scheme, _, rest = secret.partition(" ")
    bare = rest if scheme.lower() in _SCHEMES else secret
    for word in (bare, *bare.split()):
        yield from (word, unquote(word), unquote_plus(word))
        login = _decoded(word)
        yield from (login, login.partition(":")[2])


def _values_in(query: str) -> Iterator[str]:
    for part in query.split("&"):
        name, mark, value = part.partition("=")
        yield value if mark else name


def _logins(login: str) -> Iterator[str]:
    yield from (login, login.partition(":")[2], b64encode(login.encode()).decode())


def _decoded(word: str) -> str:
    """The name and the password that a word in Base64 says; empty where it says none."""
    try:
        text = b64decode(word.encode("ascii"), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return text if ":" in text and text.isprintable() else ""


def _plain(text: str) -> str:
    """``text`` without the escapes of addresses, XML and JSON, however often they were laid over one another."""
    for _ in range(_MOST_LAYERS):
        barer = _JSON_ESCAPE.sub(_character, html.unescape(unquote(text)))
        if barer == text:
            break
        text = barer
    return text


def _character(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else match[3]


def _begun_at_end(word: str, text: str) -> int:
    """How many characters at the end of ``text`` are the beginning of ``word``; 0 for too few to tell."""
    lengths = range(min(len(word) - 1, len(text)), _SHORTEST_HIDDEN - 1, -1)
    return next((length for length in lengths if text.endswith(word[:length])), 0)
