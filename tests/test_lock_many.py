"""Locks and runs of many models: how many questions they cost, and that each model still has an error of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import Status, TooMany
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, Outcome
from tests.support.models import write_manifest

REPOS = ("acme/one", "acme/two", "acme/three")


def files(repo: str, count: int) -> dict[str, BytesFile]:
    return {f"f{number}.safetensors": BytesFile(f"{repo} {number}".encode() * 9) for number in range(count)}


def entries(repo: str, names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"path": f"models/{repo}/{name}", "source": f"hf://{repo}/{name}"} for name in names]


def lock(commands: Commands, origin: DemoServer, manifest: Path, **env: str) -> Outcome:
    return commands.run("lock", manifest, "--json", env={"HF_ENDPOINT": origin.endpoint, **env})


def test_a_thousand_models_of_three_repositories_cost_ten_questions_at_most(commands: Commands, tmp_path: Path) -> None:
    held = {repo: files(repo, count) for repo, count in zip(REPOS, (600, 200, 200), strict=True)}
    wanted = [entry for repo, content in held.items() for entry in entries(repo, content)]
    with running_origin(repos=[Repo(id=repo, files=content) for repo, content in held.items()]) as origin:
        outcome = lock(commands, origin, write_manifest(tmp_path / "m.yaml", wanted))
        asked = len(origin.requests)
    assert outcome.returncode == 0, outcome.stderr
    assert asked <= 10
    locked = {model["path"]: model for model in json.loads((tmp_path / "m.lock.json").read_bytes())["models"]}
    assert len(locked) == 1000
    for repo, contents in held.items():
        for name, content in contents.items():
            assert locked[f"models/{repo}/{name}"]["sha256"] == content.sha256


def test_a_run_of_many_asks_first_and_finds_each_one_when_its_turn_comes(commands: Commands, tmp_path: Path) -> None:
    held = {**files("acme/one", 20), "config.json": BytesFile(b"{}")}
    manifest = write_manifest(tmp_path / "m.yaml", entries("acme/one", held))
    with running_origin(repos=[Repo(id="acme/one", files=held)]) as origin:
        env = {"HF_ENDPOINT": origin.endpoint}
        volume = tmp_path / "volume"
        outcome = commands.run("run", manifest, "--volume", volume, "--json", env=env)
        first = [request.path for request in origin.requests[:2]]
    assert outcome.returncode == 0, outcome.stderr
    assert [path.startswith("/api/models/acme/one/") for path in first] == [True, True]
    for name, content in held.items():
        assert (volume / "models/acme/one" / name).read_bytes() == content.read(0, content.size)


def test_a_missing_file_is_the_only_one_that_fails(commands: Commands, tmp_path: Path) -> None:
    held = files("acme/one", 20)
    manifest = write_manifest(tmp_path / "m.yaml", entries("acme/one", [*held, "none.safetensors"]))
    with running_origin(repos=[Repo(id="acme/one", files=held)]) as origin:
        outcome = lock(commands, origin, manifest)
        assert len(origin.requests) == 3
    assert outcome.returncode == 1
    failed = [model for model in outcome.document["models"] if model["status"] == "unresolved"]
    assert [model["path"] for model in failed] == ["models/acme/one/none.safetensors"]
    assert "has no file 'none.safetensors'" in failed[0]["error"]


@pytest.mark.parametrize(
    ("keys", "tokens", "word"),
    [
        ({"gated": True}, {}, "is gated"),
        ({"gated": True, "readers": ()}, {"hf_stranger": "stranger"}, "accept its terms"),
        ({"private": True}, {}, "missing or private"),
    ],
)
def test_a_repository_that_refuses_fails_each_of_its_models_in_a_question_or_three(
    commands: Commands, tmp_path: Path, keys: dict[str, Any], tokens: dict[str, str], word: str
) -> None:
    held, free = files("acme/one", 20), files("acme/two", 1)
    wanted = [*entries("acme/one", held), *entries("acme/two", free)]
    repos = [Repo(id="acme/one", files=held, **keys), Repo(id="acme/two", files=free)]
    with running_origin(repos=repos, tokens=tokens) as origin:
        env = {"HF_TOKEN": next(iter(tokens))} if tokens else {}
        outcome = lock(commands, origin, write_manifest(tmp_path / "m.yaml", wanted), **env)
        assert len(origin.requests) <= 4
    assert outcome.returncode == 3
    failed = [model for model in outcome.document["models"] if model["status"] == "unresolved"]
    assert len(failed) == 20
    assert [model for model in failed if word not in model["error"]] == []


def test_a_gated_repository_opens_to_its_reader(commands: Commands, tmp_path: Path) -> None:
    held = files("acme/one", 20)
    repo = Repo(id="acme/one", files=held, gated=True, readers=frozenset({"hf_reader"}))
    with running_origin(repos=[repo], tokens={"hf_reader": "reader"}) as origin:
        manifest = write_manifest(tmp_path / "m.yaml", entries("acme/one", held))
        outcome = lock(commands, origin, manifest, HF_TOKEN="hf_reader")
        assert len(origin.requests) == 3
    assert outcome.returncode == 0, outcome.stderr


def test_a_renamed_repository_is_followed(commands: Commands, tmp_path: Path) -> None:
    held = files("acme/new", 20)
    with running_origin(repos=[Repo(id="acme/new", files=held, formerly=("acme/old",))]) as origin:
        outcome = lock(commands, origin, write_manifest(tmp_path / "m.yaml", entries("acme/old", held)))
        assert len(origin.requests) <= 5
    assert outcome.returncode == 0, outcome.stderr


def test_a_mirror_without_listings_is_asked_file_by_file(commands: Commands, tmp_path: Path) -> None:
    held = files("acme/one", 20)
    fault = Fault(do=Status(404), server="hub", path="/api/*", method="*", times=None)
    with running_origin(repos=[Repo(id="acme/one", files=held)], faults=[fault]) as origin:
        outcome = lock(commands, origin, write_manifest(tmp_path / "m.yaml", entries("acme/one", held)))
        assert len(origin.requests) == 21
    assert outcome.returncode == 0, outcome.stderr


def test_a_busy_hub_is_asked_again(commands: Commands, tmp_path: Path) -> None:
    held = files("acme/one", 20)
    faults = [Fault(do=TooMany(0), server="hub", path="/api/*", method="GET")]
    with running_origin(repos=[Repo(id="acme/one", files=held)], faults=faults) as origin:
        outcome = lock(commands, origin, write_manifest(tmp_path / "m.yaml", entries("acme/one", held)))
        assert len(origin.requests) == 3
    assert outcome.returncode == 0, outcome.stderr
    assert "429" in outcome.stderr
    assert "asked again in" in outcome.stderr


@pytest.mark.parametrize(
    ("keys", "revision", "word", "code"),
    [({}, "@mian", "has no revision 'mian'", 1), ({"disabled": True}, "", "has disabled", 3)],
)
def test_a_revision_that_is_not_there_fails_every_model_in_a_question(
    commands: Commands, tmp_path: Path, keys: dict[str, Any], revision: str, word: str, code: int
) -> None:
    held = files("acme/one", 200)
    wanted = [{"path": f"models/{name}", "source": f"hf://acme/one{revision}/{name}"} for name in held]
    with running_origin(repos=[Repo(id="acme/one", files=held, **keys)]) as origin:
        outcome = lock(commands, origin, write_manifest(tmp_path / "m.yaml", wanted))
        assert len(origin.requests) == 1
    assert outcome.returncode == code
    assert [model for model in outcome.document["models"] if word not in model["error"]] == []
