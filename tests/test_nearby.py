"""Models that the Hub's cache on this machine, or RunPod's on the volume, holds: copied and checked, not fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.server import DemoServer
from tests.support.commands import Commands
from tests.support.models import BLOCK, REPO, Wanted, assert_whole, wanted
from tests.support.runs import Runs

MODELS = wanted(2 * BLOCK + 9, 40_000)
MODEL, SMALL = MODELS


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path) -> Runs:
    return Runs(commands, origin, tmp_path / "volume", (MODEL,))


def cached(hub: Path, model: Wanted, *, repo: str = "other/models", data: bytes | None = None) -> Path:
    """Put a model into a cache of the Hub's form, as the Hub's own client lays it out."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    blob = folder / "blobs" / model.content.sha256
    blob.parent.mkdir(parents=True)
    blob.write_bytes(model.content.read(0, model.content.size) if data is None else data)
    snapshot = folder / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / model.name).symlink_to(os.path.relpath(blob, snapshot))
    return blob


@pytest.mark.parametrize("place", ["HF_HOME", "HF_HUB_CACHE", "home", "volume"])
def test_a_pinned_model_is_copied_and_nobody_is_asked(
    runs: Runs, origin: DemoServer, tmp_path: Path, commands: Commands, place: str
) -> None:
    hub, env = {
        "HF_HOME": (tmp_path / "hf" / "hub", {"HF_HOME": str(tmp_path / "hf")}),
        "HF_HUB_CACHE": (tmp_path / "cache", {"HF_HUB_CACHE": str(tmp_path / "cache")}),
        "home": (commands.home / ".cache" / "huggingface" / "hub", {}),
        "volume": (runs.volume / "huggingface-cache" / "hub", {}),
    }[place]
    blob = cached(hub, MODEL)
    outcome = runs.run(env=env)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, [MODEL])
    assert (outcome.models[MODEL.path]["status"], outcome.document["bytes_downloaded"]) == ("adopted", 0)
    assert origin.requests == []
    # Whoever writes into the cache later does not write into the model.
    assert blob.stat().st_nlink == 1
    assert runs.run(env=env).models[MODEL.path]["status"] == "present"


@pytest.mark.parametrize("keys", [{"sha256": None, "size": None}, {"size": None}], ids=["unpinned", "no size"])
@pytest.mark.parametrize("model", MODELS, ids=["ranges", "one request"])
def test_a_model_whose_host_tells_the_rest_is_copied(
    runs: Runs, origin: DemoServer, tmp_path: Path, model: Wanted, keys: dict[str, None]
) -> None:
    cached(tmp_path / "hf" / "hub", model)
    outcome = runs.of(model).run(entries=[model.entry(**keys)], env={"HF_HOME": str(tmp_path / "hf")})
    assert outcome.models[model.path]["status"] == "adopted", outcome.stderr
    assert_whole(runs.volume, [model])
    assert [request.server for request in origin.requests] == ["hub"]


def test_a_snapshot_of_plain_files_is_found_by_its_names(runs: Runs, origin: DemoServer, tmp_path: Path) -> None:
    snapshot = runs.volume / "huggingface-cache" / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / MODEL.name).write_bytes(MODEL.content.read(0, MODEL.content.size))
    assert runs.run().models[MODEL.path]["status"] == "adopted"
    assert origin.requests == []


def flipped(model: Wanted) -> bytes:
    data = bytearray(model.content.read(0, model.content.size))
    data[-1] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("model", "data"),
    [(MODEL, b"short"), (MODEL, b""), (MODEL, flipped(MODEL)), (SMALL, flipped(SMALL))],
    ids=["another size", "empty", "a flipped bit", "a flipped bit of a small one"],
)
def test_a_copy_with_other_bytes_is_given_up_for_the_source(
    runs: Runs, origin: DemoServer, model: Wanted, data: bytes
) -> None:
    blob = cached(runs.volume / "huggingface-cache" / "hub", model, data=data)
    outcome = runs.of(model).run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, [model])
    assert outcome.models[model.path]["status"] == "downloaded"
    assert outcome.document["bytes_downloaded"] == model.content.size
    assert blob.read_bytes() == data


def test_what_is_no_file_or_cannot_be_read_is_no_copy(runs: Runs, tmp_path: Path) -> None:
    hub = tmp_path / "hf" / "hub"
    blobs = hub / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    os.mkfifo(blobs / MODEL.content.sha256)
    (hub / "models--c--d").write_text("no directory")
    outcome = runs.run(env={"HF_HOME": str(tmp_path / "hf")})
    assert outcome.models[MODEL.path]["status"] == "downloaded", outcome.stderr


def test_two_paths_of_one_content_are_copied_once_and_linked(runs: Runs, tmp_path: Path) -> None:
    cached(tmp_path / "hf" / "hub", MODEL)
    entries: list[dict[str, Any]] = [MODEL.entry(), MODEL.entry(path="models/again.safetensors")]
    outcome = runs.run(entries=entries, env={"HF_HOME": str(tmp_path / "hf")})
    assert {model["status"] for model in outcome.models.values()} == {"adopted", "linked"}, outcome.stderr
    assert outcome.document["bytes_downloaded"] == 0
