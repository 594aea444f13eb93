"""Addresses that may carry a secret: shown without their query, sent byte for byte as they came."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urljoin, urlsplit

if TYPE_CHECKING:
    import yarl

__all__ = [
    "OriginKey",
    "SecretURL",
    "is_loopback_host",
    "is_secret_name",
    "is_signing_name",
    "origin_text",
    "redact",
    "same_origin",
    "without_tokens",
]

OriginKey = tuple[str, str, int]
"""Scheme, lower-case host and port: what a credential belongs to."""

_PORTS = {"http": 80, "https": 443}

_NAME = r"(?=[^:]{1,254}(?::|$))[\w-]{1,63}(?:\.[\w-]{1,63})*\.?"
_AUTHORITY = re.compile(rf"(?:[^\[\]\\]*@)?(?:{_NAME}|\[([0-9A-Fa-f:.]+)\])(?::[0-9]*)?", re.ASCII)
"""A user, then a name or an IPv6 address in brackets, then a port. On anything else the parsers disagree."""

# A bearer of any of these may read what its owner may: tokens of every kind, and what signs an address at S3, Google,
# Azure (sig) and CloudFront (Signature, Policy).
_SENSITIVE = (
    r"(?:[\w.-]*(?:token|signature|secret|password|passwd|api[_-]?key|access[_-]?key|credentials?)_*"
    r"|sig|policy|auth|authorization|jwt)"
)
_IS_SENSITIVE = re.compile(_SENSITIVE, re.IGNORECASE)
_SIGNING = frozenset({"sig", "signature", "policy"}) | {
    f"x-{cloud}-{part}" for cloud in ("amz", "goog") for part in ("signature", "credential", "security-token")
}
_SECRETS = (
    (re.compile(r"(?i)\b([a-z][a-z\d+.-]*://)(?:[^\s/@'\"<>]+@)?([^\s?#'\"<>]*)(?:[?#][^\s'\"<>]*)?"), r"\1\2"),
    (re.compile(r"\b(hf_)\w{4,}"), r"\1…"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{4,}"), r"\1 …"),
    (re.compile(rf"(?i)(?<![\w.-])({_SENSITIVE}=)[^\s&;,'\"<>]+"), r"\1…"),
)


@dataclass(frozen=True, slots=True)
class SecretURL:
    """An absolute http or https address, already percent-encoded; ``str()`` and ``repr()`` leave out its secrets.

    Characters that may not stand in a request line (spaces, non-ASCII) are percent-encoded; every other one is kept,
    since a signature covers the very bytes.

    Raises:
        ValueError: not an absolute http(s) address with an ASCII host name; the text is not echoed.
    """

    _text: str = field(repr=False)

    def __post_init__(self) -> None:
        text = _request_line_form(self._text.strip())
        if not _is_web_address(text):
            raise ValueError("not an http or https address with a plain host name")
        object.__setattr__(self, "_text", text)

    def reveal(self) -> str:
        """The whole address, secrets and all, for the request itself."""
        return self._text

    @property
    def yarl(self) -> yarl.URL:
        """The address for aiohttp, never quoted a second time."""
        from yarl import URL

        return URL(self._text, encoded=True)

    @property
    def origin(self) -> OriginKey:
        """What a credential may belong to: scheme, host, port."""
        parts = urlsplit(self._text)
        return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS[parts.scheme]

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return self.origin[0]

    @property
    def host(self) -> str:
        """The host name, as shown to people and in metrics."""
        return self.origin[1]

    @property
    def site(self) -> str:
        """The host, and the port where it is not the usual one: another port is another site."""
        return origin_text(self.origin).partition("://")[2]

    @property
    def path(self) -> str:
        """The encoded path."""
        return urlsplit(self._text).path

    @property
    def query(self) -> str:
        """The encoded query; it may hold secrets."""
        return urlsplit(self._text).query

    @property
    def userinfo(self) -> str:
        """What stands before the host, encoded; empty where nothing does."""
        return urlsplit(self._text).netloc.rpartition("@")[0]

    @property
    def has_userinfo(self) -> bool:
        """Whether a user name or a password stands before the host."""
        return "@" in urlsplit(self._text).netloc

    def join(self, location: str) -> SecretURL:
        """Where a redirect's ``Location`` leads from here; an absolute one is taken as it is.

        Raises:
            ValueError: it leads to something that is not http or https.
        """
        if re.match(r"(?i)https?://", location.strip()):
            return SecretURL(location)
        return SecretURL(urljoin(self._text, location.strip()))

    def __str__(self) -> str:
        parts = urlsplit(self._text)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}"

    def __repr__(self) -> str:
        return f"SecretURL({str(self)!r})"


def origin_text(origin: OriginKey) -> str:
    """An origin as people write it: ``https://host``, with the port where it is not the usual one."""
    scheme, host, port = origin
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port == _PORTS[scheme] else f"{scheme}://{name}:{port}"


def same_origin(a: SecretURL, b: SecretURL) -> bool:
    """Whether two addresses share scheme, host and port."""
    return a.origin == b.origin


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine by its very name: ``localhost``, ``*.localhost``, 127.0.0.0/8, ::1."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    from ipaddress import ip_address

    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_secret_name(name: str) -> bool:
    """Whether the value of a query's parameter of this name is a secret."""
    return _IS_SENSITIVE.fullmatch(name) is not None


def is_signing_name(name: str) -> bool:
    """Whether such a parameter is a part of the address's own signature, without which it leads nowhere."""
    return name.lower() in _SIGNING


def without_tokens(address: str) -> str:
    """An address that somebody else wrote down, without their tokens; every other parameter is kept as it is."""
    bare, mark, query = address.partition("?")
    names = ((part, unquote_plus(part.partition("=")[0])) for part in query.split("&"))
    kept = [part for part, name in names if is_signing_name(name) or not is_secret_name(name)]
    return bare + mark + "&".join(kept) if any(kept) else bare


def redact(text: str) -> str:
    """A third party's message without the queries of addresses, tokens and signatures that it may quote."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _request_line_form(text: str) -> str:
    try:
        return quote(text, safe=string.punctuation, errors="surrogateescape")
    except UnicodeEncodeError:
        return ""


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    named = _AUTHORITY.fullmatch(parts.netloc)
    return parts.scheme in _PORTS and bool(host) and named is not None and (not named[1] or _is_ipv6(named[1]))


def _is_ipv6(text: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
