"""Before the first byte every host is asked about every model, and all that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.content import BytesFile
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, assert_whole, repo_of, sent_bytes, wanted, write_manifest

MODELS = LARGE, SMALL = wanted(2 * BLOCK, 70_000)
SECRET = {"f.safetensors": BytesFile(b"x" * 99)}
PROBLEMS = {
    "models/gated.safetensors": ("hf://acme/gated/f.safetensors", "https://huggingface.co/acme/gated"),
    "models/private.safetensors": ("hf://acme/private/f.safetensors", "missing or private"),
    "models/missing.safetensors": ("hf://acme/models/none.safetensors", "has no file 'none.safetensors'"),
    "models/revision.safetensors": ("hf://acme/models@mian/m0.safetensors", "has no revision 'mian'"),
}
ENTRIES = [
    *(model.entry() for model in MODELS),
    SMALL.entry(path="models/twice.safetensors"),
    *({"path": path, "source": source} for path, (source, _) in PROBLEMS.items()),
]


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    repos = [
        repo_of(MODELS),
        Repo(id="acme/gated", files=SECRET, gated=True),
        Repo(id="acme/private", files=SECRET, private=True),
    ]
    with running_origin(repos=repos) as server:
        yield server


def run(commands: Commands, origin: DemoServer, folder: Path, *options: str) -> Outcome:
    manifest = write_manifest(folder / "m.yaml", ENTRIES)
    env = {"HF_ENDPOINT": origin.endpoint}
    return commands.run("run", manifest, "--volume", folder / "volume", "--json", *options, env=env)


def assert_all_told(outcome: Outcome) -> None:
    for path, (_, told) in PROBLEMS.items():
        assert told in outcome.models[path]["error"]
        assert f"FAILED {path}: {outcome.models[path]['error']}" in outcome.stderr


def test_all_problems_are_told_and_the_rest_goes_on(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    outcome = run(commands, origin, tmp_path)
    assert outcome.returncode == 1, "the problems share no class"
    assert_all_told(outcome)
    assert_whole(tmp_path / "volume", MODELS)
    asked = [request.server for request in origin.requests]
    first_byte = asked.index("cdn")
    assert asked[:first_byte].count("hub") >= len(ENTRIES) - 1, "every host was asked before the first byte"


def test_fail_fast_tells_all_problems_too_and_begins_nothing(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    outcome = run(commands, origin, tmp_path, "--fail-fast")
    assert outcome.returncode == 1
    assert_all_told(outcome)
    assert sent_bytes(origin.requests) == 0
    left = {path: model["error"] for path, model in outcome.models.items() if path not in PROBLEMS}
    assert left.keys() == {LARGE.path, SMALL.path, "models/twice.safetensors"}
    assert [error for error in left.values() if "--fail-fast" not in error] == []


def test_what_does_not_fit_is_told_with_the_other_problems(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    outcome = run(commands, origin, tmp_path, "--quota", "1M")
    assert outcome.returncode == 4
    assert_all_told(outcome)
    assert "the volume has room for 1.0 MB" in outcome.document["error"]["message"]
    assert sent_bytes(origin.requests) == 0
