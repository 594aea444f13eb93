"""Which addresses a request may reach, enforced on the very address that is connected to, so that DNS cannot lie."""

from __future__ import annotations

import enum
import socket
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from prefetch.errors import SourceError
from prefetch.net.daemon import in_daemon_thread

__all__ = ["AddressGuard", "Scope", "SystemResolver", "scope_of"]

_NAT64 = IPv6Network("64:ff9b::/96")


class Scope(enum.Enum):
    """How far an address is from us."""

    PUBLIC = enum.auto()
    LOOPBACK = enum.auto()
    INTERNAL = enum.auto()  # private, link-local (cloud metadata services), shared, multicast, reserved, unspecified


@lru_cache(maxsize=1024)
def scope_of(address: str) -> Scope:
    """The scope of a literal IP address; an IPv6 address that carries an IPv4 one has the scope of that.

    Raises:
        ValueError: ``address`` is a name.
    """
    ip = _carried(ip_address(address.strip("[]")))
    if ip.is_loopback:
        return Scope.LOOPBACK
    return Scope.PUBLIC if ip.is_global and not ip.is_multicast else Scope.INTERNAL


class AddressGuard(AbstractResolver):
    """Lets a request connect to public addresses; to this machine if it began here; elsewhere only where told to.

    As aiohttp's resolver it judges every name at connect time. Literal addresses never reach a resolver, so `admit`
    judges those before each request; it also remembers on which host the requests to a name began, which decides
    whether that name may mean this machine: a stand-in on loopback may redirect to loopback, a public host may not, and
    no host may that only a stranger named.

    Args:
        allow_private: whether internal addresses are as good as public ones.
        resolver: looks names up; the system's by default.
    """

    def __init__(self, *, allow_private: bool, resolver: AbstractResolver | None = None) -> None:
        self._allow_private = allow_private
        self._resolver = resolver or SystemResolver()
        self._trusted: set[str] = set()
        self._strange: set[str] = set()
        self._began_at: dict[str, set[str]] = {}

    def trust(self, host: str) -> None:
        """Exempt a host that the user's own settings name (the Hub's endpoint, a proxy), whatever its address."""
        self._trusted.add(_key(host))

    def doubt(self, host: str) -> None:
        """A text that others wrote names ``host``: neither it nor where it leads may be this machine."""
        self._strange.add(_key(host))

    async def admit(self, host: str, *, began_at: str) -> None:
        """Judge ``host`` before a request that began at the host ``began_at`` (itself, unless redirected).

        Raises:
            SourceError: a literal address that may not be reached.
        """
        self._began_at.setdefault(_key(host), set()).add(_key(began_at))
        try:
            scope = scope_of(host)
        except ValueError:
            return
        if not await self._allows(_key(host), scope):
            raise _refusal(host, host)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of ``host`` that may be connected to.

        Raises:
            SourceError: it has addresses and none may be.
            OSError: it has none.
        """
        found = await self._resolver.resolve(host, port, family)
        allowed = [result for result in found if await self._allows(_key(host), scope_of(result["host"]))]
        if found and not allowed:
            raise _refusal(host, found[0]["host"])
        return allowed

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._resolver.close()

    async def _allows(self, host: str, scope: Scope) -> bool:
        if scope is Scope.PUBLIC or self._allow_private or host in self._trusted:
            return True
        began_at = self._began_at.get(host, set()) - self._strange
        return scope is Scope.LOOPBACK and (host in began_at or await self._any_is_local(began_at))

    async def _any_is_local(self, hosts: set[str]) -> bool:
        for host in tuple(hosts):
            if await self._scopes(host) <= {Scope.LOOPBACK, Scope.INTERNAL}:
                return True
        return False

    async def _scopes(self, host: str) -> set[Scope]:
        try:
            return {scope_of(host)}
        except ValueError:
            pass
        try:
            return {scope_of(result["host"]) for result in await self._resolver.resolve(host, 0, socket.AF_UNSPEC)}
        except OSError:
            return {Scope.PUBLIC}


class SystemResolver(AbstractResolver):
    """The system's own resolver. A dead name server blocks it for long, which must not hold up the end of a run."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of ``host``; OSError where it has none."""
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=found, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for found, _, proto, _, address in await in_daemon_thread(ask, name="dns")
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


def _key(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _carried(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _refusal(host: str, address: str) -> SourceError:
    where = address if host.strip("[]") == address else f"{host} ({address})"
    return SourceError(
        f"{where} is inside a private network or on this machine, and nothing there is fetched unasked.",
        remedy="If that is meant, run with --allow-private.",
    )
