"""Failures below HTTP as errors of ours: which another try may mend, and what a person can do about the rest."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import aiohttp

from prefetch.errors import AccessError, PrefetchError, SourceError, TransientError
from prefetch.net.urls import SecretURL, redact

__all__ = ["NETWORK_REMEDY", "certificate_refused", "connection_error", "proxy_out_of_reach", "proxy_wants_login"]

NETWORK_REMEDY = "Check this machine's network and name servers; behind a proxy, set HTTPS_PROXY."

_OUT_OF_REACH = frozenset({"dns", "connect"})

_TRANSIENT: tuple[tuple[type[Exception], str, str], ...] = (
    # The first that fits counts: aiohttp's classes inherit from one another and from OSError.
    (aiohttp.ClientConnectorDNSError, "dns", "The name {host} could not be looked up."),
    (TimeoutError, "timeout", "{host} did not answer in time."),
    (aiohttp.ClientSSLError, "tls", "No encrypted connection to {host} came about."),
    (ssl.SSLError, "tls", "No encrypted connection to {host} came about."),
    (aiohttp.ClientConnectorError, "connect", "{host} could not be reached."),
    (aiohttp.ServerDisconnectedError, "reset", "{host} dropped the connection."),
    (OSError, "reset", "{host} dropped the connection."),
    (aiohttp.ClientPayloadError, "cut", "{host} broke off in the middle of a body."),
)


def connection_error(
    error: Exception, host: str, proxy: SecretURL | None = None, *, hide: Callable[[str], str] = str
) -> PrefetchError:
    """What ``error``, raised by aiohttp on the way to ``host``, means. Its text may quote secrets and is redacted.

    Args:
        host: with its port where that is not the usual one.
        hide: takes out of a text what was sent, which an answer that is no HTTP may repeat.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        return certificate_refused(error, host)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _proxy_refused(error.status, host, proxy)
    if proxy is not None and isinstance(error, aiohttp.ClientConnectorDNSError | aiohttp.ClientProxyConnectionError):
        return proxy_out_of_reach(proxy.host, host, unknown=isinstance(error, aiohttp.ClientConnectorDNSError))
    if isinstance(error, aiohttp.InvalidURL):
        return SourceError(f"An address on {host} cannot be asked for: {hide(_first_line(error))}.")
    for kind, cause, sentence in _TRANSIENT:
        if isinstance(error, kind):
            remedy = NETWORK_REMEDY if cause in _OUT_OF_REACH else ""
            # A name server is asked for no port.
            name = host.partition(":")[0] if cause == "dns" else host
            return TransientError(sentence.format(host=name), cause=cause, remedy=remedy)
    return TransientError(f"{host} did not answer in HTTP: {hide(_first_line(error))}.", cause="protocol")


def certificate_refused(error: BaseException, host: str) -> SourceError:
    """The error for a certificate that no known authority vouches for."""
    inner = getattr(error, "certificate_error", error)
    reason = getattr(inner, "verify_message", "") or _first_line(inner)
    return SourceError(
        f"The certificate of {host} is not trusted: {reason}.",
        remedy="If a company proxy or a private authority stands between, name its certificate file in SSL_CERT_FILE.",
    )


def proxy_wants_login(proxy: str, host: str) -> AccessError:
    """The error for a proxy that wants a login on the way to ``host``."""
    return AccessError(
        f"The proxy {proxy} wants a login for {host}.",
        remedy="Put user:password@ before its host in HTTPS_PROXY.",
    )


def proxy_out_of_reach(proxy: str, host: str, *, unknown: bool) -> TransientError:
    """The error for a proxy on the way to ``host`` that does not answer, or whose name is ``unknown``."""
    remedy = "Check HTTPS_PROXY and HTTP_PROXY; NO_PROXY names hosts that need none."
    if unknown:
        message = f"The name {proxy} of the proxy on the way to {host} could not be looked up."
        return TransientError(message, cause="dns", remedy=remedy)
    return TransientError(
        f"The proxy {proxy} on the way to {host} could not be reached.", cause="connect", remedy=remedy
    )


def _proxy_refused(status: int, host: str, proxy: SecretURL | None) -> PrefetchError:
    name = proxy.host if proxy else "on the way"
    if status == 407:
        return proxy_wants_login(name, host)
    if status in (408, 429) or status >= 500:
        return TransientError(f"The proxy {name} answered {status} for {host}.", cause=f"proxy_{status}")
    return SourceError(f"The proxy {name} refuses {host} (status {status}).", remedy="Check HTTPS_PROXY and NO_PROXY.")


def _first_line(error: BaseException) -> str:
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    lines = text.strip().splitlines() or [type(error).__name__]
    return redact(lines[0][:200]).rstrip(".:")
