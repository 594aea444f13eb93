"""The one HTTP session of a run: connections without hidden limits, TLS always verified, nothing sent unasked."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

import aiohttp

from prefetch import __version__
from prefetch.errors import UsageError
from prefetch.net.addresses import AddressGuard
from prefetch.net.bounds import HostBounds
from prefetch.net.pauses import Pauses
from prefetch.net.urls import OriginKey, SecretURL

__all__ = ["USER_AGENT", "Session", "open_session", "proxy_for"]

USER_AGENT = f"prefetch/{__version__}"

_CONNECT_TIMEOUT = 15.0
_READ_BUFFERS = 16 << 20  # bytes for all connections together
_READ_BUFFER = (64 << 10, 1 << 20)  # the least and the most of them for one
_DNS_CACHE_SECONDS = 60
_USUAL = HostBounds()


@dataclass(frozen=True, slots=True)
class Session:
    """An open aiohttp session, the guard of every address it connects to, and what hosts said of their limits.

    Attributes:
        bounds: what one host may cost.
    """

    http: aiohttp.ClientSession
    guard: AddressGuard
    pauses: Pauses = field(default_factory=Pauses)
    bounds: HostBounds = _USUAL
    _proxies: dict[OriginKey, SecretURL | None] = field(default_factory=dict, repr=False)

    def proxy_for(self, url: SecretURL) -> SecretURL | None:
        """What `proxy_for` says, asked once for each host: it goes through the whole environment."""
        if url.origin not in self._proxies:
            proxy = self._proxies[url.origin] = proxy_for(url)
            if proxy is not None:
                self.guard.trust(proxy.host)
        return self._proxies[url.origin]


@asynccontextmanager
async def open_session(
    *, connections: int, allow_private: bool = False, bounds: HostBounds = _USUAL
) -> AsyncIterator[Session]:
    """A session for the length of a run.

    Bodies arrive as the host sent them (no decompression), there is no total time limit (a stall is the engine's to
    see), no cookie is kept, no redirect followed, no ``.netrc`` read. ``SSL_CERT_FILE`` names other authorities.

    Args:
        connections: how many the caller means to have open at once; it bounds the memory for bytes on their way, not
            the connections themselves, which are the caller's to count.
        allow_private: whether private and link-local addresses may be connected to.
        bounds: what one host may cost.
    """
    guard = AddressGuard(allow_private=allow_private)
    connector = aiohttp.TCPConnector(
        limit=0, resolver=guard, ttl_dns_cache=_DNS_CACHE_SECONDS, ssl=ssl.create_default_context()
    )
    http = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        requote_redirect_url=False,
        read_bufsize=_read_buffer(connections),
        trust_env=False,
    )
    async with http:
        yield Session(http, guard, Pauses(longest=bounds.patience), bounds)


def proxy_for(url: SecretURL) -> SecretURL | None:
    """The proxy that ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` give for ``url``.

    Raises:
        UsageError: it is no http or https proxy.
    """
    proxy = getproxies().get(url.scheme)
    if not proxy or proxy_bypass(url.host):
        return None
    try:
        return SecretURL(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError as error:
        variable = f"{url.scheme.upper()}_PROXY"
        raise UsageError(f"The proxy in {variable} is {error}.", remedy="Write it as http://host:port.") from None


def _read_buffer(connections: int) -> int:
    least, most = _READ_BUFFER
    return max(least, min(most, _READ_BUFFERS // max(1, connections)))
