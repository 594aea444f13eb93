"""Each call that changes a volume fails once, in turn: the run ends in an error of ours, and leaves no wrong file."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.job import Job
from prefetch.manifest import load_manifests
from prefetch.opening import limits_of
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.volume.layout import Volume
from tests.support.faultfs import FaultFS, Rule
from tests.support.models import BLOCK, assert_never_wrong, assert_whole, repo_of, sent_bytes, wanted, write_manifest

pytestmark = pytest.mark.needs("faultfs")

MODELS = LARGE, SMALL = wanted(BLOCK + 1000, 50_000)
SECOND = "models/second.safetensors"
TOTAL = sum(model.content.size for model in MODELS)
USERS = b"what the user had there before"
CALLS = [
    ("write", "ENOSPC"),
    ("create", "EDQUOT"),
    ("fsync", "EIO"),
    ("fsyncdir", "EIO"),
    ("rename", "EIO"),
    ("mkdir", "EACCES"),
    ("link", "EDQUOT"),
    ("unlink", "EACCES"),
    ("truncate", "EDQUOT"),
    ("close", "EIO"),
]


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


def run(manifest: Path, root: Path) -> RunResult:
    job = Job(
        load_manifests([manifest]),
        Volume.open(root),
        limits=limits_of(Settings()),
        refresh=False,
        listener=lambda event: None,
    )
    return asyncio.run(job.run())


def prepare(root: Path) -> None:
    (root / LARGE.path).parent.mkdir(parents=True)
    (root / LARGE.path).write_bytes(USERS)


def kept(root: Path) -> list[bytes]:
    return [file.read_bytes() for file in (root / ".prefetch/replaced").rglob("*") if file.is_file()]


@pytest.mark.parametrize(("call", "error"), CALLS, ids=[call for call, _ in CALLS])
def test_each_call_fails_once(
    faultfs: FaultFS, origin: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", origin.endpoint)
    manifest = write_manifest(tmp_path / "m.yaml", [*(model.entry() for model in MODELS), LARGE.entry(path=SECOND)])
    codes: list[int] = []
    while len(codes) < 3 or any(codes[-3:]):
        root = faultfs.root / str(len(codes))
        prepare(root)
        faultfs.fail(Rule(call, f"/{root.name}/*", error, 1 + len(codes), 1))
        before = len(origin.requests)
        result = run(manifest, root)
        faultfs.behave()
        codes.append(result.exit_code)
        assert result.exit_code in (0, {"ENOSPC": 4, "EDQUOT": 4}.get(error, 1)), result.to_json()
        if (root / LARGE.path).read_bytes() != USERS:
            assert_never_wrong(root, MODELS)
        assert run(manifest, root).exit_code == 0
        assert_whole(root, MODELS)
        assert (root / SECOND).read_bytes() == (root / LARGE.path).read_bytes()
        assert kept(root) == [USERS]
        assert sent_bytes(origin.requests[before:]) <= 2 * TOTAL
        shutil.rmtree(root)
    # What cannot be deleted is only in the way of nothing.
    assert any(codes) == (call != "unlink")
