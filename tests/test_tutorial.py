"""The tutorial's commands, taken from the page and run in their order: on stand-ins of the Hub, Civitai and RunPod."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.content import SyntheticFile
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, Outcome
from tests.support.pods import real_run
from tests.support.runpod import KEY, RunPod
from tests.support.runpod_api import running_runpod

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]

CHECKPOINT = SyntheticFile("v1-5-pruned-emaonly-fp16.safetensors", 6_000_000, "safetensors", 1)
VAE = SyntheticFile("vae-ft-mse-840000-ema-pruned.safetensors", 5_000_000, "safetensors", 2)
REPOS = [
    Repo(id="Comfy-Org/stable-diffusion-v1-5-archive", files={CHECKPOINT.name: CHECKPOINT}),
    Repo(id="stabilityai/sd-vae-ft-mse-original", files={VAE.name: VAE}),
]


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=REPOS) as server:
        yield server


@pytest.fixture
def runpod(tmp_path: Path, commands: Commands, origin: DemoServer) -> Iterator[RunPod]:
    job = real_run(commands, HF_ENDPOINT=origin.endpoint)
    with running_runpod(tmp_path / "volumes", job=job) as account:
        yield account
        assert account.breaches == []


def test_from_a_workflow_to_a_filled_volume(commands: Commands, origin: DemoServer, runpod: RunPod) -> None:
    shutil.copy(DOCS / "tutorial" / "text-to-image.json", commands.home)
    env = {
        "HF_ENDPOINT": origin.endpoint,
        "PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint,
        "PREFETCH_RUNPOD_ENDPOINT": runpod.endpoint,
        "RUNPOD_API_KEY": KEY,
    }
    outcomes: dict[str, Outcome] = {}
    for line in LINES:
        program, *words = shlex.split(line)
        assert program == "prefetch"
        outcomes[line] = commands.run(*words, env=env, cwd=commands.home)
        assert outcomes[line].returncode == 0, line + outcomes[line].stderr
    ((volume_id, volume),) = runpod.volumes.items()
    assert (volume["name"], volume["dataCenter"]) == ("comfy-models", "EU-RO-1")
    for folder, model in (("checkpoints", CHECKPOINT), ("vae", VAE)):
        placed = runpod.folder_of(volume_id) / "models" / folder / model.name
        assert placed.read_bytes() == model.read(0, model.size)
    # The same command twice: once before and once after the change of a model, of which there was none here.
    assert len(runpod.ever) == 2 and not runpod.pods
    shown = next(block for kind, block in BLOCKS if kind == "text")
    assert outcomes["prefetch workflow models text-to-image.json"].stdout == shown
