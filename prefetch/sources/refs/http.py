"""Files at plain addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from prefetch.net.urls import SecretURL, is_loopback_host
from prefetch.sources.refs.shown import shown

__all__ = ["HttpRef", "parse_address", "parse_http"]

_CREDENTIALS = frozenset({"token", "access_token", "api_key", "apikey", "auth", "authorization", "password"})


@dataclass(frozen=True, slots=True)
class HttpRef:
    """One file at an address."""

    url: SecretURL

    @property
    def needs_sha256(self) -> bool:
        """Whether the file is only acceptable with a known hash: it travels unencrypted through a network."""
        return self.url.scheme == "http" and not is_loopback_host(self.url.host)

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(unquote(self.url.path)).name or self.url.host

    def __str__(self) -> str:
        return self.url.reveal()


def parse_address(text: str) -> SecretURL:
    """The address that ``text`` is, of whatever host; ValueError where it is none, or carries a credential."""
    try:
        url = SecretURL(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)} is {error}; write https://host/path/to/file.") from None
    if url.has_userinfo or _CREDENTIALS & {key.lower() for key, _ in parse_qsl(urlsplit(url.reveal()).query)}:
        raise ValueError(f"{url} carries a credential; take it out of the manifest and put it in the environment.")
    return url


def parse_http(url: SecretURL) -> HttpRef:
    """The file at ``url``, on a host of which nothing is known; ValueError says what to write instead."""
    if url.path.endswith("/") or not url.path:
        raise ValueError(f"{url} is a directory; name one file.")
    return HttpRef(url)
