"""Several runs on one volume: the work is shared, nobody disturbs another, and the dead are replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.models import BLOCK, assert_whole, journals, repo_of, wanted
from tests.support.runs import Runs, until

MODELS = wanted(12 * BLOCK + 1, 9 * BLOCK, 5 * BLOCK, 3 * BLOCK, 70_000, 50_000)
TOTAL = sum(model.content.size for model in MODELS)
TTL = ("--claim-ttl", "3")


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000)) as server:
        yield server


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    stdout, stderr = process.communicate(timeout=60)
    assert stdout, stderr
    return process.returncode, json.loads(stdout)


def begun(runs: Runs) -> bool:
    return any(map(len, journals(runs.volume).values()))


def test_two_that_start_together_fetch_everything_once(runs: Runs) -> None:
    with runs.start("--connections", "4") as one, runs.start("--connections", "4") as two:
        results = [ended(one), ended(two)]
    assert [code for code, _ in results] == [0, 0], results
    assert_whole(runs.volume, MODELS)
    assert runs.sent() <= 1.02 * TOTAL
    statuses = {model["status"] for _, document in results for model in document["models"]}
    assert statuses <= {"downloaded", "present"}
    assert not (runs.volume / ".prefetch" / "replaced").exists()
    assert sum(document["bytes_downloaded"] for _, document in results) == runs.sent()


@pytest.mark.parametrize("options", [("--no-wait",), ("--wait-timeout", "0.5")])
def test_who_may_not_wait_ends_with_5(runs: Runs, options: tuple[str, ...]) -> None:
    runs = runs.of(MODELS[0])
    with runs.start("--connections", "1") as owner:
        until(lambda: begun(runs), "its first block", owner)
        outcome = runs.run(*options)
        assert outcome.returncode == 5, outcome.stderr
        assert outcome.document["error"]["code"] == "busy"
        assert [model["status"] for model in outcome.document["models"]] == ["waiting"]
        assert f"process {owner.pid} on " in outcome.stderr
        assert f"WAITING {MODELS[0].path}" in outcome.stderr and ": 1 waiting; " in outcome.stderr
        assert "failed" not in outcome.stderr.lower()
        assert ended(owner)[0] == 0
    assert_whole(runs.volume, runs.models)


def test_who_has_a_model_is_told_while_there_is_other_work(runs: Runs) -> None:
    large, other = MODELS[2], MODELS[3]
    with runs.of(large).start("--connections", "1") as owner:
        until(lambda: begun(runs), "its first block", owner)
        # Were it to go on, it might be done first. It is asleep for less than its claim lives.
        owner.send_signal(signal.SIGSTOP)
        with runs.of(large, other).start("--log-format", "json", "--limit-rate", "10M") as second:
            assert second.stderr is not None
            told: list[dict[str, Any]] = []
            for line in second.stderr:
                told.append(json.loads(line))
                if told[-1]["event"] == "model_done":
                    break
            owner.send_signal(signal.SIGCONT)
            assert second.stdout is not None
            assert json.loads(second.stdout.read())["ok"]
    assert told[-1]["path"] == other.path
    waiting = [event for event in told if event["event"] == "waiting"]
    assert [(event["path"], event["pid"]) for event in waiting] == [(large.path, owner.pid)] * len(waiting)
    assert waiting and waiting[0]["size"] == large.content.size


def test_a_dead_owners_work_is_taken_over_with_its_data(runs: Runs) -> None:
    runs = runs.of(MODELS[0])
    with runs.start("--connections", "2") as owner:
        until(lambda: len(journals(runs.volume).get(MODELS[0].path, ())) >= 3, "three blocks", owner)
        with runs.start() as heir:
            time.sleep(0.5)
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            code, document = ended(heir)
    assert code == 0
    assert document["models"][0]["bytes_resumed"] >= 3 * BLOCK
    assert_whole(runs.volume, runs.models)


def test_who_sleeps_too_long_is_outbid_and_harms_nobody(runs: Runs) -> None:
    runs = runs.of(MODELS[0])
    with runs.start(*TTL, "--connections", "1") as sleeper:
        until(lambda: begun(runs), "its first block", sleeper)
        sleeper.send_signal(signal.SIGSTOP)
        outcome = runs.run(*TTL)
        assert outcome.returncode == 0, outcome.stderr
        assert f"process {sleeper.pid} on {os.uname().nodename} gives no sign of life for " in outcome.stderr
        published = (runs.volume / MODELS[0].path).stat()
        sleeper.send_signal(signal.SIGCONT)
        code, document = ended(sleeper)
    assert code == 0, document
    assert document["models"][0]["status"] == "present"
    assert (runs.volume / MODELS[0].path).stat().st_ino == published.st_ino
    assert_whole(runs.volume, runs.models)
    assert not (runs.volume / ".prefetch" / "replaced").exists()
    assert not list((runs.volume / ".prefetch" / "partial").iterdir())


def elsewhere(runs: Runs) -> Runs:
    """The same content at another path, by another manifest."""
    moved = replace(runs.models[0], folder="models/copies")
    return replace(runs, models=(moved,), commands=replace(runs.commands, home=runs.commands.home / "other"))


def test_content_that_another_manifest_brought_is_linked(runs: Runs) -> None:
    first = runs.of(MODELS[2])
    second = elsewhere(first)
    second.commands.home.mkdir()
    assert first.run().returncode == 0
    before = runs.sent()
    planned = second.do("plan")
    assert [model["status"] for model in planned.document["models"]] == ["link"]
    outcome = second.run()
    assert outcome.returncode == 0, outcome.stderr
    assert [model["status"] for model in outcome.document["models"]] == ["linked"]
    assert runs.sent() == before
    assert_whole(runs.volume, [*first.models, *second.models])


def test_one_content_at_two_paths_in_two_manifests_is_fetched_once(runs: Runs) -> None:
    first = runs.of(MODELS[2])
    second = elsewhere(first)
    second.commands.home.mkdir()
    with first.start("--connections", "2") as one, second.start("--connections", "2") as two:
        results = [ended(one), ended(two)]
    assert [code for code, _ in results] == [0, 0], results
    assert sorted(model["status"] for _, document in results for model in document["models"]) == [
        "downloaded",
        "linked",
    ]
    assert runs.sent() == MODELS[2].content.size
    assert_whole(runs.volume, [*first.models, *second.models])
    assert not list((runs.volume / ".prefetch/partial").iterdir())


def test_the_claims_may_be_deleted_in_the_middle(runs: Runs) -> None:
    with runs.start(*TTL, "--connections", "2") as one, runs.start(*TTL, "--connections", "2") as two:
        until(lambda: begun(runs), "the first block", one)
        shutil.rmtree(runs.volume / ".prefetch" / "claims")
        assert [ended(one)[0], ended(two)[0]] == [0, 0]
    assert_whole(runs.volume, MODELS)


def test_a_failed_owner_lets_others_go_on_at_once(runs: Runs) -> None:
    runs = runs.of(MODELS[0])
    with runs.start("--connections", "1") as owner:
        until(lambda: begun(runs), "its first block", owner)
        with runs.start() as heir:
            time.sleep(0.5)
            owner.send_signal(signal.SIGTERM)
            assert ended(owner)[0] == 130
            began = time.monotonic()
            assert ended(heir)[0] == 0
    assert time.monotonic() - began < 30
    assert_whole(runs.volume, runs.models)


def test_status_shows_every_owner(runs: Runs) -> None:
    runs = runs.of(MODELS[0])
    with runs.start(*TTL, "--connections", "1") as owner:
        until(lambda: begun(runs), "its first block", owner)
        shown = runs.commands.run("status", "--volume", runs.volume)
        assert shown.returncode == 0
        (line,) = [line for line in shown.stdout.splitlines() if MODELS[0].path in line]
        assert line.startswith("fetching") and f"process {owner.pid} on " in line
        assert ", alive, " in line
        owner.send_signal(signal.SIGSTOP)
        shown = runs.commands.run("status", "--volume", runs.volume)
        assert "no sign of life in " in shown.stdout
        (told,) = runs.commands.run("status", "--volume", runs.volume, "--json").document["owners"]
        assert (told["path"], told["pid"], told["size"]) == (MODELS[0].path, owner.pid, MODELS[0].content.size)
        assert told["host"] == os.uname().nodename
        assert min(told["done"], told["speed"], told["age"]) >= 0
        assert told["silent"] > 0
    shown = runs.commands.run("status", "--volume", runs.volume)
    assert f"process {owner.pid}" not in shown.stdout
    (line,) = [line for line in shown.stdout.splitlines() if MODELS[0].path in line]
    assert line.startswith("unfinished") and line.endswith(", nobody is at work on it")
    assert runs.commands.run("status", "--volume", runs.volume, "--json").document["owners"] == []
