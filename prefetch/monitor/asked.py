"""What the settings ask for: which ways out of a run there are. Imports none of them until one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefetch.errors import UsageError
from prefetch.settings import Settings
from prefetch.values import Endpoint

if TYPE_CHECKING:
    from prefetch.monitor.access import Access
    from prefetch.monitor.outlets import Outlet

__all__ = ["Asked", "Listening", "asked_of"]


@dataclass(frozen=True, slots=True)
class Listening:
    """Where requests are answered, and whose."""

    endpoint: Endpoint
    access: Access


@dataclass(frozen=True, slots=True)
class Asked:
    """The ways out.

    Attributes:
        linger: seconds to go on listening after the run.
    """

    listening: Listening | None
    outlets: tuple[Outlet, ...]
    linger: float


def asked_of(settings: Settings, environ: Mapping[str, str]) -> Asked | None:
    """The ways out that are asked for; None where there is none.

    Raises:
        UsageError: one of them cannot be used as it is.
    """
    if settings.linger and settings.listen is None:
        raise UsageError(
            "--linger goes on listening after the run, and there is no --listen.",
            remedy="Add for example --listen 127.0.0.1:9464, or leave out --linger and PREFETCH_LINGER.",
        )
    listening, outlets = _listening(settings, environ), _outlets(settings, environ)
    if listening is None and not outlets:
        return None
    return Asked(listening, outlets, settings.linger)


def _listening(settings: Settings, environ: Mapping[str, str]) -> Listening | None:
    if settings.listen is None:
        return None
    from prefetch.monitor.access import BASIC, TOKEN, Access

    access = Access.read(environ, token_file=settings.listen_token_file, basic_file=settings.listen_basic_file)
    if access.is_open and not settings.insecure_listen and not settings.listen.is_loopback:
        raise UsageError(
            f"--listen {settings.listen} lets everybody in who reaches this machine.",
            remedy=f"Set {TOKEN} or {BASIC}, listen on 127.0.0.1, or pass --insecure-listen.",
        )
    return Listening(settings.listen, access)


def _outlets(settings: Settings, environ: Mapping[str, str]) -> tuple[Outlet, ...]:
    if settings.textfile is None and settings.pushgateway is None:
        return ()
    from prefetch.monitor.outlets import Pushgateway, Textfile

    found: list[Outlet] = []
    if settings.textfile is not None:
        textfile = Textfile(settings.textfile)
        textfile.check()
        found.append(textfile)
    if settings.pushgateway is not None:
        found.append(Pushgateway.at(settings.pushgateway, environ))
    return tuple(found)
