"""A secret and the one origin it may be sent to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from prefetch.net.urls import OriginKey, SecretURL, is_loopback_host

__all__ = ["Credential", "headers_for", "may_carry_secrets"]


@dataclass(frozen=True, slots=True)
class Credential:
    """A header with a secret in it, and the origin (scheme, host, port) it belongs to."""

    origin: OriginKey
    header: str
    value: str = field(repr=False)


def may_carry_secrets(url: SecretURL) -> bool:
    """Whether a request to ``url`` may hold a secret at all: over https, or over http within this machine."""
    return url.scheme == "https" or is_loopback_host(url.host)


def headers_for(url: SecretURL, credentials: Iterable[Credential]) -> dict[str, str]:
    """The headers of those ``credentials`` that belong to the origin of ``url``."""
    if not may_carry_secrets(url):
        return {}
    return {item.header: item.value for item in credentials if item.origin == url.origin}
