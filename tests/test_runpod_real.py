"""Pods that run the real job: prefetch itself, as another process, with what populate gave the pod."""

from __future__ import annotations

import json
import random
import subprocess

import pytest

from prefetch.demo.content import BytesFile
from prefetch.demo.server import DemoServer
from tests.support.models import assert_whole, wanted
from tests.support.pods import real_run
from tests.support.populates import IMAGE, Populates
from tests.support.runs import until

MODELS = wanted(6_000_000, 5_000_000, 70_000)
OPTIONS = ("--data-center", "EU-RO-1", "--create", "comfy", "--size", "20")


@pytest.fixture
def populates(populates: Populates, origin: DemoServer) -> Populates:
    populates.runpod.job = real_run(populates.commands, HF_ENDPOINT=origin.endpoint)
    return populates


def test_killed_at_random_moments_while_real_pods_fill_the_volume(populates: Populates) -> None:
    runpod, dice = populates.runpod, random.Random(9)
    for _ in range(5):
        with populates.start(*OPTIONS) as process:
            until(lambda: bool(runpod.calls) or process.poll() is not None, "its first call")
            try:
                process.wait(timeout=dice.uniform(0.2, 2.5))
            except subprocess.TimeoutExpired:
                process.kill()
    again = populates.run(*OPTIONS)
    assert again.returncode == 0, again.stderr
    ((volume, _),) = runpod.volumes.items()
    assert_whole(runpod.folder_of(volume), MODELS)
    until(lambda: runpod.pods == {}, "the end of all pods")
    assert runpod.most_at_once == 1


def test_a_manifest_at_an_address_is_named_and_not_sent(populates: Populates, origin: DemoServer) -> None:
    entries = [{**MODELS[0].entry(), "groups": ["small"]}, MODELS[1].entry()]
    text = json.dumps({"version": 1, "models": entries}).encode()
    address = origin.put_file("models.yaml", BytesFile(text)) + "?signature=1"
    volume = populates.volume()
    words = ["runpod", "populate", "--image", IMAGE, "--volume-id", volume, "--group", "small", "--yes", "--json"]
    env = populates.environment({"PREFETCH_MANIFEST_URL": address})
    done = populates.commands.run(*words, env=env)
    assert done.returncode == 0, done.stderr
    assert "warning: PREFETCH_MANIFEST_URL: in the pod in clear text" in done.stderr
    (pod,) = populates.runpod.ever
    assert pod.env["PREFETCH_MANIFEST_URL"] == address
    assert "PREFETCH_MANIFEST_INLINE" not in pod.env
    assert_whole(populates.runpod.folder_of(volume), MODELS[:1])
    assert not (populates.runpod.folder_of(volume) / MODELS[1].path).exists()
