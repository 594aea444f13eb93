"""Manifests, files and checks for tests of the main job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefetch.demo.content import Content, SyntheticFile
from prefetch.demo.log import LogEntry
from prefetch.demo.repo import Repo

__all__ = ["BLOCK", "Wanted", "asked_blocks", "assert_whole", "flip", "journals", "repo_of", "sha256_of", "wanted"]

BLOCK = 4 << 20
REPO = "acme/models"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One model of a test: its name at the origin, its content, the folder where it shall stand."""

    name: str
    content: Content
    folder: str = "models"

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"

    @property
    def source(self) -> str:
        return f"hf://{REPO}/{self.name}"

    def entry(self, **keys: Any) -> dict[str, Any]:
        """The manifest's entry, pinned unless ``keys`` say otherwise; a key set to None is left out."""
        known = {"path": self.path, "source": self.source, "sha256": self.content.sha256, "size": self.content.size}
        return {key: value for key, value in {**known, **keys}.items() if value is not None}


def wanted(*sizes: int, kind: str = "safetensors") -> list[Wanted]:
    """Synthetic models of these sizes in bytes, no two alike."""
    names = (f"m{number}.{kind}" for number in range(len(sizes)))
    return [
        Wanted(name, SyntheticFile(name, size, kind, seed))  # type: ignore[arg-type]
        for seed, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]


def repo_of(models: Iterable[Wanted], **keys: Any) -> Repo:
    """The Hub repository that holds them."""
    return Repo(id=REPO, files={model.name: model.content for model in models}, **keys)


def write_manifest(path: Path, entries: Iterable[Mapping[str, Any]]) -> Path:
    """A manifest file with these entries: JSON is YAML."""
    path.write_text(json.dumps({"version": 1, "models": list(entries)}))
    return path


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flip(file: Path, offset: int) -> None:
    """Invert the byte at ``offset``."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        byte = opened.read(1)[0]
        opened.seek(offset)
        opened.write(bytes([byte ^ 0xFF]))


def assert_whole(volume: Path, models: Iterable[Wanted]) -> None:
    """Every model stands under its final name with the right bytes."""
    for model in models:
        assert sha256_of(volume / model.path) == model.content.sha256, model.path


def assert_never_wrong(volume: Path, models: Iterable[Wanted]) -> None:
    """No final name holds a wrong byte; it may hold none at all."""
    assert_whole(volume, [model for model in models if (volume / model.path).exists()])


def journals(volume: Path) -> dict[str, set[int]]:
    """The finished blocks by model path, as the journals on the volume list them right now."""
    listed: dict[str, set[int]] = {}
    for journal in (volume / ".prefetch" / "partial").glob("*.journal"):
        try:
            header, *lines = journal.read_text().split("\n")[:-1]
        except (FileNotFoundError, ValueError):
            # A run is at work and has just deleted it, or not written its first line yet.
            continue
        blocks = listed.setdefault(json.loads(header)["path"], set())
        for line in lines:
            index, length, _ = [*line.split(), "", "", ""][:3]
            if index.isdigit() and length != "0":
                blocks.add(int(index))
            elif index.isdigit():
                blocks.discard(int(index))
    return listed


def asked_blocks(requests: Iterable[LogEntry], model: Wanted) -> set[int]:
    """The blocks of a model of which the CDN was asked for a byte."""
    asked: set[int] = set()
    for request in requests:
        if request.server == "cdn" and request.method == "GET" and request.file.endswith(model.name):
            asked.update(range(request.start // BLOCK, -(-request.stop // BLOCK)))
    return asked


def sent_bytes(requests: Iterable[LogEntry]) -> int:
    """Bytes of bodies that the CDN sent."""
    return sum(request.sent for request in requests if request.server == "cdn")
