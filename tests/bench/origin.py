"""What everybody downloads from: a Hub that only answers questions, and nginx behind its redirects for the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from prefetch.demo.content import Content
from prefetch.demo.faults import Script
from prefetch.demo.hub import Hub
from prefetch.demo.log import RequestLog
from prefetch.demo.repo import Repo
from prefetch.demo.wire import Link, Server, listen
from tests.bench.nginx import Nginx, nginx_serving
from tests.bench.seedset import SeedSet

__all__ = ["REPO", "Origin", "origin_for"]

REPO = "bench/seed"


@dataclass(frozen=True, slots=True)
class Origin:
    """The endpoints: ``hub`` for those who speak its protocol, ``cdn.endpoint`` for plain addresses."""

    hub: str
    cdn: Nginx

    def url(self, path: str) -> str:
        """The plain address of a file of the set."""
        return _url(self.cdn, path)


@contextmanager
def origin_for(seeds: SeedSet, *, work: Path, pace: int) -> Iterator[Origin]:
    """Serve ``seeds`` as the repository `REPO`, connections paced to ``pace`` bytes a second (0: not)."""
    sockets = listen(0)
    endpoint = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    with nginx_serving(seeds.folder, work=work, pace=pace) as cdn:
        hub = Hub(endpoint, link=lambda file, content: _signed(cdn, file, content), repos=[_repo(seeds)])
        server = Server("hub", hub, sockets, script=Script(), log=RequestLog(), link=Link())
        server.start()
        try:
            yield Origin(endpoint, cdn)
        finally:
            server.stop()


def _repo(seeds: SeedSet) -> Repo:
    return Repo(id=REPO, files={file.path: file.content for file in seeds.files})


def _signed(cdn: Nginx, file: str, content: Content) -> str:
    """A link of the length and shape that the Hub's CDN has; nginx does not look at the query."""
    signature = f"X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={content.sha256}"
    return f"{_url(cdn, file.removeprefix(REPO + '/'))}?{signature}"


def _url(cdn: Nginx, path: str) -> str:
    return f"{cdn.endpoint}/{quote(path)}"
