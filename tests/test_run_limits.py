"""Hosts that limit their requests, and links that live for seconds: waited for once, renewed ahead, never a failure."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pytest

from prefetch.demo.actions import TooMany
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault
from prefetch.demo.messages import Reply, Request
from prefetch.demo.repo import Repo
from prefetch.demo.server import running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.models import BLOCK, assert_whole, repo_of, wanted, write_manifest

AT_ONCE = 16


@dataclass
class Busy:
    """Refuses everything for ``seconds`` from its first request on, and says so."""

    seconds: int
    refused: int = 0
    _since: float | None = None
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, reply: Reply) -> Reply:
        with self._lock:
            now = time.monotonic()
            self._since = self._since or now
            if now >= self._since + self.seconds:
                return reply
            self.refused += 1
        return TooMany(self.seconds)(request, reply)


def test_many_questions_wait_once_for_a_busy_hub(commands: Commands, tmp_path: Path) -> None:
    repos = [Repo(id=f"acme/r{number}", files={"f.bin": BytesFile(b"x" * 99)}) for number in range(60)]
    manifest = write_manifest(
        tmp_path / "m.yaml", [{"path": f"models/{n}.bin", "source": f"hf://acme/r{n}/f.bin"} for n in range(60)]
    )
    busy = Busy(2)
    fault = Fault(do=busy, server="hub", method="*", times=None)
    with running_origin(repos=repos, faults=[fault]) as origin:
        outcome = commands.run("lock", manifest, "--json", env={"HF_ENDPOINT": origin.endpoint})
        asked = len(origin.requests)
    assert outcome.returncode == 0, outcome.stderr
    assert 1 <= busy.refused <= AT_ONCE
    assert asked == 60 + busy.refused


def test_many_connections_wait_once_for_a_busy_cdn(commands: Commands, tmp_path: Path) -> None:
    models = wanted(*[3 * BLOCK] * 12)
    manifest = write_manifest(tmp_path / "m.yaml", [model.entry() for model in models])
    busy = Busy(2)
    with running_origin(repos=[repo_of(models)], faults=[Fault(do=busy, server="cdn", times=None)]) as origin:
        env = {"HF_ENDPOINT": origin.endpoint}
        outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", "--json", env=env)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", models)
    assert 1 <= busy.refused <= AT_ONCE


@pytest.mark.parametrize("connections", ["1", "8"])
def test_links_that_live_three_seconds_are_renewed_unseen(commands: Commands, tmp_path: Path, connections: str) -> None:
    """What takes six seconds at the cap, in ranges of two blocks each."""
    model = wanted(12 * BLOCK)[0]
    manifest = write_manifest(tmp_path / "m.yaml", [model.entry()])
    with running_origin(repos=[repo_of([model])], lifetime=3, link=Link()) as origin:
        options = ("--connections", connections, "--limit-rate", "8M", "--range-size", "8Mi")
        env = {"HF_ENDPOINT": origin.endpoint}
        outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", "--json", *options, env=env)
        found = [request for request in origin.requests if request.server == "hub" and "resolve" in request.path]
        read = [request for request in origin.requests if request.server == "cdn" and request.status == 206]
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", [model])
    assert "retry" not in outcome.stderr
    assert "refuses" not in outcome.stderr
    assert len(found) >= (2 if connections == "1" else 1), "the link was renewed"
    assert len(read) >= len(found), "and never for each request anew"
