"""The whole origin: the Hub on 127.0.0.1, its CDN on localhost, one script of faults and one log over both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial

from prefetch.demo.cdn import Cdn
from prefetch.demo.civitai import Civitai, CivitaiVersion
from prefetch.demo.content import Content
from prefetch.demo.faults import Fault, Script
from prefetch.demo.hub import Hub
from prefetch.demo.log import LogEntry, RequestLog
from prefetch.demo.repo import Files, Repo
from prefetch.demo.wire import LOOPBACK, Link, Server

__all__ = ["DemoServer", "running_origin"]


class DemoServer:
    """A running Hub stand-in; `running_origin` makes one.

    Attributes:
        endpoint: the Hub's address, for HF_ENDPOINT.
        cdn_endpoint: the CDN's address: another host name and port.
        civitai_endpoint: Civitai's address, for PREFETCH_CIVITAI_ENDPOINT.
    """

    def __init__(self, hub: Hub, cdn: Cdn, civitai: Civitai, script: Script, log: RequestLog) -> None:
        self.endpoint = hub.endpoint
        self.cdn_endpoint = cdn.endpoint
        self.civitai_endpoint = civitai.endpoint
        self._civitai = civitai
        self._hub = hub
        self._cdn = cdn
        self._script = script
        self._log = log

    @property
    def requests(self) -> list[LogEntry]:
        """Every request so far, in the order they came."""
        return self._log.entries

    def add_faults(self, *faults: Fault) -> None:
        """Append to the script."""
        self._script.add(*faults)

    def clear_faults(self) -> None:
        """Behave from now on."""
        self._script.clear()

    def expire_links(self) -> None:
        """From now on every signed link given out so far is answered with 403."""
        self._cdn.expire_links()

    def put(self, repo: Repo) -> dict[str, str]:
        """Add a repository or move its branches; the commit of each of its named revisions."""
        return self._hub.put(repo)

    def put_file(self, name: str, content: Content, *, needs: tuple[str, str] | None = None) -> str:
        """Add or replace a plain file, for all or for those who send a header with a value; its address."""
        self._hub.files[name] = content
        if needs is not None:
            self._hub.guarded[name] = needs
        return f"{self.endpoint}/files/{name}"

    def put_version(self, version: CivitaiVersion) -> None:
        """Publish one more version of a model on Civitai."""
        self._civitai.put(version)

    def signed_link(self, file: str, content: Content) -> str:
        """A signed CDN link to ``content``, named ``file`` in the log and for faults."""
        return self._cdn.link(file, content)


@contextmanager
def running_origin(
    *,
    repos: Iterable[Repo] = (),
    files: Files | None = None,
    versions: Iterable[CivitaiVersion] = (),
    faults: Iterable[Fault] = (),
    tokens: Mapping[str, str] | None = None,
    port: int = 0,
    cdn_port: int = 0,
    address: str = LOOPBACK,
    link: Link | None = None,
    lifetime: int = 3600,
    page_size: int = 1000,
    log: RequestLog | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[DemoServer]:
    """An origin that serves from threads of this process until the block is left.

    `Hub` and `Civitai` tell of what they hold, `Cdn` of how its links end, `Link` of the connections. Beside these:

    Args:
        faults: the script's beginning.
        port, cdn_port: 0 for any free ones.
        address: where it listens; the CDN has another name on loopback.
        log: where to enter the requests; in memory only by default.
    """
    log, script = log or RequestLog(), Script(faults)
    at = partial(Server, address=address, script=script, log=log, link=link or Link())
    at_hub, at_civitai = at("hub", port), at("civitai", 0)
    at_cdn = at("cdn", cdn_port, host="localhost" if address == LOOPBACK else None)
    cdn = Cdn(at_cdn.endpoint, lifetime=lifetime, clock=clock)
    hub = Hub(at_hub.endpoint, link=cdn.link, repos=repos, files=files, tokens=tokens, page_size=page_size)
    civitai = Civitai(at_civitai.endpoint, link=cdn.link, versions=versions, tokens=tokens)
    with closing(log), at_hub.serving(hub), at_cdn.serving(cdn), at_civitai.serving(civitai):
        yield DemoServer(hub, cdn, civitai, script, log)
