"""Hosts that do not tell how large a file is: it is judged by what it turns out to be, and never by what has come."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, write_manifest
from tests.support.oddhosts import OddHost, odd_host
from tests.test_content import safetensors

SIZES = pytest.mark.parametrize("size", [50_000, 2 * BLOCK + 77], ids=["small", "larger than a block"])


class Chunked(OddHost):
    """No lengths and no ranges: every answer is the whole file in chunks."""

    def part(self, data: bytes, start: int, stop: int) -> None:
        self.send_chunked(data)

    def whole(self, data: bytes) -> None:
        self.send_chunked(data)


class Starred(OddHost):
    """Ranges of a file whose size is not told; asked for all of it, it sends chunks."""

    def part(self, data: bytes, start: int, stop: int) -> None:
        self.begin(206, {"Content-Range": f"bytes {start}-{stop - 1}/*", "Content-Length": str(stop - start)})
        self.send(data[start:stop])

    def whole(self, data: bytes) -> None:
        self.send_chunked(data)


class Portioned(Starred):
    """The same, and no range is longer than a mebibyte: its end is not the file's."""

    def part(self, data: bytes, start: int, stop: int) -> None:
        super().part(data, start, min(stop, start + (1 << 20)))


def model(ending: str, size: int) -> bytes:
    """A model of some ``size`` bytes."""
    if ending in ("safetensors", "sft"):
        return safetensors(size)
    starts = {"gguf": b"GGUF", "onnx": b"\x08\x07", "bin": b"", "pth": b"PK\x03\x04", "pt": b"PK\x03\x04"}
    return (starts[ending] if ending in starts else pickle.dumps("old", protocol=2)) + bytes(size)


def run(
    commands: Commands, tmp_path: Path, habit: type[OddHost], models: Mapping[str, bytes]
) -> tuple[Outcome, dict[str, bytes | None]]:
    """Fetch models, each by its ending; what stands there then."""
    places = {ending: tmp_path / "volume" / "models" / f"m.{ending}" for ending in models}
    with odd_host(habit, {f"/{ending}": data for ending, data in models.items()}) as (url, _):
        entries = [{"path": f"models/m.{ending}", "source": f"{url}/{ending}"} for ending in models]
        manifest = write_manifest(tmp_path / "m.yaml", entries)
        words = ("run", manifest, "--volume", tmp_path / "volume", "--json", "--allow-unpinned")
        outcome = commands.run(*words)
    return outcome, {ending: place.read_bytes() if place.exists() else None for ending, place in places.items()}


@SIZES
@pytest.mark.parametrize("habit", [Chunked, Starred])
def test_a_model_of_every_format_is_taken(commands: Commands, tmp_path: Path, habit: type[OddHost], size: int) -> None:
    endings = ("safetensors", "sft", "gguf", "pth", "pt", "ckpt", "pkl", "bin", "onnx", "task")
    models = {ending: model(ending, size) for ending in endings}
    outcome, placed = run(commands, tmp_path, habit, models)
    assert outcome.returncode == 0, outcome.stderr
    assert placed == models


def test_the_end_of_an_answer_is_not_taken_for_that_of_the_file(commands: Commands, tmp_path: Path) -> None:
    models = {"bin": model("bin", 2 * BLOCK)}
    outcome, placed = run(commands, tmp_path, Portioned, models)
    assert outcome.returncode == 0, outcome.stderr
    assert placed == models


@SIZES
@pytest.mark.parametrize("by", [-1, 1], ids=["too short", "too long"])
def test_a_header_that_describes_another_size_is_found_out_at_the_end(
    commands: Commands, tmp_path: Path, size: int, by: int
) -> None:
    data = safetensors(size)
    outcome, placed = run(commands, tmp_path, Chunked, {"safetensors": data + b"x" if by > 0 else data[:by]})
    assert outcome.returncode == 1, outcome.stderr
    said = f"its safetensors header describes {len(data)} bytes and the file has {len(data) + by}"
    assert said in outcome.models["models/m.safetensors"]["error"]
    assert placed == {"safetensors": None}
