"""What everybody downloads from: a Hub that only answers questions, and nginx behind its redirects for the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from prefetch.demo import wire
from prefetch.demo.content import Content
from prefetch.demo.faults import Script
from prefetch.demo.hub import Hub
from prefetch.demo.log import RequestLog
from prefetch.demo.repo import Repo
from tests.bench.filesets import FileSet
from tests.bench.link import Link
from tests.bench.nginx import Nginx, nginx_serving

__all__ = ["REPO", "Origin", "origin_for"]

REPO = "bench/models"


@dataclass(frozen=True, slots=True)
class Origin:
    """The endpoints: ``hub`` for those who speak its protocol, ``cdn.endpoint`` for plain addresses."""

    hub: str
    cdn: Nginx

    def url(self, path: str) -> str:
        """The plain address of a file of the set."""
        return _url(self.cdn, path)


@contextmanager
def origin_for(files: FileSet, *, work: Path, link: Link) -> Iterator[Origin]:
    """Serve ``files`` as the repository `REPO`; ``work`` is for the servers' own files."""
    sockets = wire.listen(0)
    endpoint = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    work.mkdir(parents=True, exist_ok=True)
    with nginx_serving(files.folder, work=work, link=link) as cdn:
        hub = Hub(endpoint, link=lambda file, content: _signed(cdn, file, content), repos=[_repo(files)])
        distance = wire.Link(delay=link.delay)
        server = wire.Server("hub", hub, sockets, script=Script(), log=RequestLog(), link=distance)
        server.start()
        try:
            yield Origin(endpoint, cdn)
        finally:
            server.stop()


def _repo(files: FileSet) -> Repo:
    return Repo(id=REPO, files={file.path: file.content for file in files.files})


def _signed(cdn: Nginx, file: str, content: Content) -> str:
    """A link of the length and shape that the Hub's CDN has; nginx does not look at the query."""
    signature = f"X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={content.sha256}"
    return f"{_url(cdn, file.removeprefix(REPO + '/'))}?{signature}"


def _url(cdn: Nginx, path: str) -> str:
    return f"{cdn.endpoint}/{quote(path)}"
