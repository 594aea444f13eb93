"""Volumes that an earlier version left, filled or half filled, are taken up: no finished block is fetched again.

The documents in ``tests/volumes`` were made by d02ad4f (0.1.0): ``filled`` by a run that ended, beside a user's file it
replaced; ``killed`` by one that got SIGKILL; ``claimed`` is a moment of one that was at work. Made anew with
``python -m tests.support.frozen VOLUME``, they would hold what the present version writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.server import DemoServer, running_origin
from tests.support.frozen import MODELS, thaw
from tests.support.models import asked_blocks, assert_whole, journals, repo_of
from tests.support.runs import Runs

VOLUMES = Path(__file__).parent / "volumes"
ENTRIES = [*(model.entry() for model in MODELS[:3]), MODELS[3].entry(sha256=None, size=None)]
HALF_FILLED = ("killed", "claimed")


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture
def left(runs: Runs) -> Callable[[str], Runs]:
    """Makes a volume as it was left, and gives runs of its models on it."""

    def make(name: str) -> Runs:
        thaw(json.loads((VOLUMES / f"{name}.json").read_text()), runs.volume)
        return runs.of(*MODELS)

    return make


def statuses(document: dict[str, Any]) -> list[str]:
    return [model["status"] for model in document["models"]]


def test_a_filled_volume_has_nothing_to_do(left: Callable[[str], Runs], origin: DemoServer) -> None:
    runs = left("filled")
    outcome = runs.run(entries=ENTRIES)
    assert outcome.returncode == 0, outcome.stderr
    assert statuses(outcome.document) == ["present"] * len(MODELS)
    assert origin.requests == []
    assert (runs.volume / ".prefetch/replaced/1" / MODELS[2].path).read_text() == "mine"


@pytest.mark.parametrize("command", [("verify",), ("verify", "--quick"), ("status",)])
def test_every_command_reads_a_filled_volume(left: Callable[[str], Runs], command: tuple[str, ...]) -> None:
    runs = left("filled")
    name, *options = command
    outcome = runs.commands.run(name, "--volume", runs.volume, "--json", *options)
    assert outcome.returncode == 0, outcome.stderr
    assert sorted(outcome.models) == sorted(model.path for model in MODELS)


@pytest.mark.parametrize("name", HALF_FILLED)
def test_a_half_filled_volume_is_finished_without_its_finished_blocks(
    left: Callable[[str], Runs], origin: DemoServer, name: str
) -> None:
    runs = left(name)
    finished = journals(runs.volume)
    assert sum(map(len, finished.values())) >= 3
    placed = [model for model in MODELS if (runs.volume / model.path).exists()]
    outcome = runs.run("--claim-ttl", "2", entries=ENTRIES)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)
    for model in MODELS:
        assert not asked_blocks(origin.requests, model) & finished.get(model.path, set()), model.path
    assert not [model.path for model in placed if asked_blocks(origin.requests, model)]


@pytest.mark.parametrize("name", HALF_FILLED)
def test_the_claims_of_an_earlier_version_are_respected(left: Callable[[str], Runs], name: str) -> None:
    runs = left(name)
    outcome = runs.run("--no-wait", entries=ENTRIES[:2])
    assert outcome.returncode == 5, outcome.stderr
    assert statuses(outcome.document) == ["waiting"] * 2
    assert "on an-older-pod" in outcome.stderr
