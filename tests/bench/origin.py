"""What everybody downloads from: a Hub that only answers questions, and nginx for its redirects and the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
from tests.bench.nginx import Nginx, free_port, nginx_serving
from tests.bench.redirects import configuration

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
    work.mkdir(parents=True, exist_ok=True)
    port, repo = free_port(), _repo(files)
    endpoint = f"http://127.0.0.1:{port}"
    hub = Hub(endpoint, link=_no_link, repos=[repo])
    stand_in = wire.Server("hub", 0, script=Script(), log=RequestLog(), link=wire.Link())
    redirects = partial(
        configuration,
        repo.files,
        repo=REPO,
        commit=repo.snapshots()["main"].commit,
        port=port,
        stand_in=stand_in.port,
    )
    with (
        stand_in.serving(hub),
        nginx_serving(files.folder, work=work, link=link, hub=lambda cdn: redirects(cdn=cdn)) as nginx,
    ):
        yield Origin(endpoint, nginx)


def _repo(files: FileSet) -> Repo:
    return Repo(id=REPO, files={file.path: file.content for file in files.files})


def _no_link(file: str, content: Content) -> str:
    raise AssertionError(f"nginx redirects for {file}")


def _url(cdn: Nginx, path: str) -> str:
    return f"{cdn.endpoint}/{quote(path)}"
