"""A secret and the one origin it may be sent to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from prefetch.net.urls import OriginKey, SecretURL, is_loopback_host

__all__ = ["Credential", "Secret", "Token", "headers_for", "may_carry_secrets"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no ``str()``, ``repr()`` or f-string shows; only `reveal`, for the request itself, does."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __str__(self) -> str:
        return "…"

    def __format__(self, specification: str) -> str:
        return "…"


@dataclass(frozen=True, slots=True)
class Token:
    """A secret, and where the user put it, as a sentence names it: ``HF_TOKEN``, ``HF_TOKEN_FILE``."""

    secret: Secret
    found_in: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A header with a secret in it, and the origin (scheme, host, port) it belongs to.

    ``found_in`` is the variable that gave it, for sentences; empty where that is told elsewhere.
    """

    origin: OriginKey
    header: str
    value: Secret
    found_in: str = ""

    @classmethod
    def bearer(cls, origin: OriginKey, token: Secret, *, found_in: str = "") -> Credential:
        """The header that carries a token."""
        return cls(origin, "Authorization", Secret(f"Bearer {token.reveal()}"), found_in)


def may_carry_secrets(url: SecretURL) -> bool:
    """Whether a request to ``url`` may hold a secret at all: over https, or over http within this machine."""
    return url.scheme == "https" or is_loopback_host(url.host)


def headers_for(url: SecretURL, credentials: Iterable[Credential]) -> dict[str, str]:
    """The headers of those ``credentials`` that belong to the origin of ``url``; of two for one header, the last."""
    if not may_carry_secrets(url):
        return {}
    chosen = {item.header.lower(): item for item in credentials if item.origin == url.origin}
    return {item.header: item.value.reveal() for item in chosen.values()}
