"""What one host may cost a run: room on the volume, a pause it asks for, a rate below use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.actions import IgnoreRange, NoLength
from prefetch.demo.content import ZeroFile
from prefetch.demo.faults import Fault
from prefetch.demo.messages import Reply, Request
from prefetch.demo.server import DemoServer, running_origin
from prefetch.volume.layout import Volume
from prefetch.volume.space import used_bytes
from tests.support.commands import Commands
from tests.support.models import BLOCK, assert_whole, journals, repo_of, wanted
from tests.support.runs import Runs

MODELS = wanted(5 * BLOCK, 70_000)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path) -> Runs:
    volume = tmp_path / "volume"
    volume.mkdir()
    return Runs(commands, origin, volume, tuple(MODELS))


# Room ------------------------------------------------------------------------------------------------------------


def chunked(request: Request, reply: Reply) -> Reply:
    """The whole file, with no word on how long it is."""
    return NoLength()(request, IgnoreRange()(request, reply))


def unsized(origin: DemoServer, size: int) -> dict[str, str]:
    """An entry whose host never tells its size."""
    origin.add_faults(Fault(do=chunked, path="*/unsized.dat", times=None))
    content = ZeroFile(size)
    # Its validator: to hash what has no end takes as long.
    content.__dict__["git_sha1"] = "0" * 40
    return {"path": "models/unsized.dat", "source": origin.put_file("unsized.dat", content)}


def test_a_body_without_end_stops_at_the_quota_and_the_others_come(runs: Runs, origin: DemoServer) -> None:
    (runs.volume / "mine.txt").write_bytes(bytes(1000))
    known = sum(model.content.size for model in MODELS)
    entries = [unsized(origin, 1 << 44), *(model.entry() for model in MODELS)]
    quota = known + 4 * BLOCK
    outcome = runs.run("--quota", str(quota), entries=entries)
    assert outcome.returncode == 4, outcome.stderr
    assert outcome.document["error"]["code"] == "space"
    failed = outcome.models["models/unsized.dat"]
    assert failed["status"] == "failed"
    assert "does not tell its size" in failed["error"]
    assert 3 * BLOCK <= failed["bytes_downloaded"] < 50 * BLOCK
    assert_whole(runs.volume, MODELS)
    assert (runs.volume / "mine.txt").stat().st_size == 1000
    assert used_bytes(Volume.open(runs.volume)) < quota
    assert not journals(runs.volume), "what has no end holds no room"


def test_a_model_of_unknown_size_that_fits_exactly_is_there(runs: Runs, origin: DemoServer) -> None:
    entry = unsized(origin, 3 * BLOCK + 5)
    room = 3 * BLOCK + 5
    assert runs.run("--quota", str(room - 1), entries=[entry]).returncode == 4
    used = used_bytes(Volume.open(runs.volume))
    outcome = runs.run("--quota", str(used + room), entries=[entry])
    assert outcome.returncode == 0, outcome.stderr
    assert (runs.volume / "models/unsized.dat").stat().st_size == room
