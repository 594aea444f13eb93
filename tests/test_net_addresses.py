from __future__ import annotations

import asyncio
import socket
import time

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from prefetch.errors import SourceError
from prefetch.net.addresses import AddressGuard, Scope, SystemResolver, scope_of
from prefetch.net.daemon import in_daemon_thread

PUBLIC, LOOPBACK, INTERNAL = Scope.PUBLIC, Scope.LOOPBACK, Scope.INTERNAL


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("93.184.216.34", PUBLIC),
        ("2606:4700::1111", PUBLIC),
        ("127.0.0.1", LOOPBACK),
        ("127.200.0.9", LOOPBACK),
        ("::1", LOOPBACK),
        ("[::1]", LOOPBACK),
        ("::ffff:127.0.0.1", LOOPBACK),
        ("10.1.2.3", INTERNAL),
        ("172.16.0.1", INTERNAL),
        ("192.168.0.1", INTERNAL),
        ("100.64.0.1", INTERNAL),
        ("169.254.169.254", INTERNAL),
        ("::ffff:169.254.169.254", INTERNAL),
        ("64:ff9b::a9fe:a9fe", INTERNAL),
        ("2002:a9fe:a9fe::1", INTERNAL),
        ("64:ff9b::5db8:d822", PUBLIC),
        ("0.0.0.0", INTERNAL),
        ("::", INTERNAL),
        ("fc00::1", INTERNAL),
        ("fd12::1", INTERNAL),
        ("fe80::1", INTERNAL),
        ("fe80::1%eth0", INTERNAL),
        ("224.0.0.1", INTERNAL),
        ("ff0e::1", INTERNAL),
        ("240.0.0.1", INTERNAL),
        ("255.255.255.255", INTERNAL),
    ],
)
def test_scopes(address: str, scope: Scope) -> None:
    assert scope_of(address) is scope


class Names(AbstractResolver):
    """A resolver that knows what it is told."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self.addresses:
            raise OSError("no such name")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses[host]
        ]

    async def close(self) -> None:
        pass


NAMES = {
    "cdn": ["93.184.216.34"],
    "rebound": ["169.254.169.254"],
    "mixed": ["10.0.0.1", "93.184.216.34"],
    "here": ["127.0.0.1", "::1"],
    "intranet": ["10.0.0.9"],
}


def reached(
    host: str, *, began_at: str, allow_private: bool = False, trusted: str = "", doubted: str = ""
) -> list[str]:
    async def ask() -> list[str]:
        guard = AddressGuard(allow_private=allow_private, resolver=Names(**NAMES))
        if trusted:
            guard.trust(trusted)
        if doubted:
            guard.doubt(doubted)
        await guard.admit(host, began_at=began_at)
        try:
            scope_of(host)
        except ValueError:
            return [result["host"] for result in await guard.resolve(host)]
        return [host]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("host", "began_at", "options", "addresses"),
    [
        ("cdn", "cdn", {}, NAMES["cdn"]),
        ("93.184.216.34", "cdn", {}, ["93.184.216.34"]),
        ("mixed", "mixed", {}, ["93.184.216.34"]),
        ("here", "here", {}, NAMES["here"]),
        ("127.0.0.1", "127.0.0.1", {}, ["127.0.0.1"]),
        ("127.0.0.1", "here", {}, ["127.0.0.1"]),
        ("here", "127.0.0.1", {}, NAMES["here"]),
        ("127.0.0.1", "intranet", {"trusted": "intranet"}, ["127.0.0.1"]),
        ("rebound", "rebound", {"allow_private": True}, NAMES["rebound"]),
        ("10.0.0.1", "cdn", {"allow_private": True}, ["10.0.0.1"]),
        ("intranet", "intranet", {"trusted": "INTRANET."}, NAMES["intranet"]),
        ("10.0.0.9", "10.0.0.9", {"trusted": "10.0.0.9"}, ["10.0.0.9"]),
        ("cdn", "cdn", {"doubted": "cdn"}, NAMES["cdn"]),
        ("here", "here", {"doubted": "here", "trusted": "here"}, NAMES["here"]),
        ("here", "here", {"doubted": "here", "allow_private": True}, NAMES["here"]),
        ("here", "here", {"doubted": "elsewhere"}, NAMES["here"]),
    ],
)
def test_what_may_be_reached(host: str, began_at: str, options: dict[str, object], addresses: list[str]) -> None:
    assert reached(host, began_at=began_at, **options) == addresses  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "began_at", "options"),
    [
        ("rebound", "rebound", {}),
        ("169.254.169.254", "169.254.169.254", {}),
        ("10.0.0.1", "127.0.0.1", {}),
        ("::ffff:10.0.0.1", "cdn", {}),
        ("here", "cdn", {}),
        ("127.0.0.1", "cdn", {}),
        ("127.0.0.1", "unknown", {}),
        ("intranet", "cdn", {"trusted": "cdn"}),
        ("here", "here", {"doubted": "HERE."}),
        ("127.0.0.1", "here", {"doubted": "here"}),
    ],
)
def test_what_may_not(host: str, began_at: str, options: dict[str, object]) -> None:
    with pytest.raises(SourceError) as caught:
        reached(host, began_at=began_at, **options)  # type: ignore[arg-type]
    assert "--allow-private" in caught.value.remedy
    assert host in caught.value.message


def test_a_name_that_is_unknown_stays_unknown() -> None:
    with pytest.raises(OSError, match="no such name"):
        reached("nowhere", began_at="nowhere")


def test_the_systems_names() -> None:
    async def ask() -> set[str]:
        return {result["host"] for result in await SystemResolver().resolve("localhost", 80, socket.AF_UNSPEC)}

    assert asyncio.run(ask()) <= {"127.0.0.1", "::1"}


def test_a_name_server_that_is_dead_does_not_hold_up_the_end() -> None:
    async def stuck() -> None:
        async with asyncio.timeout(0.05):
            await in_daemon_thread(lambda: time.sleep(30), name="dns")

    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(stuck())
    assert time.monotonic() - begin < 5
