"""The files that are downloaded: made once, written to disk, each one that a loader would open."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from prefetch.demo.content import PIECE, Content, SyntheticFile, kind_of

__all__ = ["SEEDS", "FileSet", "ModelFile", "Pin", "many", "one", "seeds", "write_files"]

SEEDS = {
    "models/vae/wan_2.1_vae.safetensors": 253_815_318,
    "models/text_encoders/umt5-xxl-encoder-Q5_K_M.gguf": 4_145_878_880,
    "models/diffusion_models/Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf": 15_406_608_896,
    "models/diffusion_models/Wan2.2-I2V-A14B-LowNoise-Q8_0.gguf": 15_406_608_896,
    "models/loras/Wan22_A14B_T2V_HIGH_Lightning_4steps_lora_250928_rank128_fp16.safetensors": 1_230_000_000,
    "models/loras/Wan22_A14B_T2V_LOW_Lightning_4steps_lora_250928_rank64_fp16.safetensors": 614_000_000,
    "models/vfi/rife/rife47.pth": 21_344_827,
}
"""Bytes by path. The two LoRAs' sizes are known to three digits only."""


class Pin(NamedTuple):
    """What a manifest may say of a model beforehand."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a set; ``path`` is relative, the same at the origin and on the volume."""

    path: str
    content: Content


@dataclass(frozen=True, slots=True)
class FileSet:
    """The files, below ``folder``."""

    folder: Path
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.content.size for file in self.files)

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 by path."""
        return {file.path: file.content.sha256 for file in self.files}

    @property
    def pins(self) -> dict[str, Pin]:
        """What a manifest says of each, by path."""
        return {file.path: Pin(file.content.sha256, file.content.size) for file in self.files}

    @property
    def largest_first(self) -> list[str]:
        """The paths, the longest work first."""
        return [file.path for file in sorted(self.files, key=lambda file: -file.content.size)]


def seeds(scale: int) -> dict[str, int]:
    """The seven models of the seed image, each size divided by ``scale``."""
    return {path: size // scale for path, size in SEEDS.items()}


def one(size: int) -> dict[str, int]:
    """One model of ``size`` bytes."""
    return {"models/diffusion_models/one.safetensors": size}


def many(count: int, size: int) -> dict[str, int]:
    """So many models of ``size`` bytes each."""
    return {f"models/loras/lora-{number:05}.safetensors": size for number in range(count)}


def write_files(folder: Path, sizes: Mapping[str, int]) -> FileSet:
    """Write files of these sizes by path below ``folder``.

    Raises:
        RuntimeError: the disk has no room for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(folder).free, sum(sizes.values())
    if free < 1.1 * needed:
        raise RuntimeError(f"The files to serve take {needed} bytes below {folder}, where {free} are free.")
    files = [
        ModelFile(path, _written(folder / path, SyntheticFile(path, size, kind_of(path), seed)))
        for seed, (path, size) in enumerate(sizes.items())
    ]
    return FileSet(folder, tuple(files))


class _Stored(Content):
    """A file on this machine, its hash known."""

    def __init__(self, path: Path, size: int, sha256: str) -> None:
        self.size = size
        self.sha256 = sha256
        self._path = path

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        with self._path.open("rb") as file:
            file.seek(start)
            for at in range(start, stop, PIECE):
                yield memoryview(file.read(min(PIECE, stop - at)))


def _written(path: Path, content: Content) -> Content:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for view in content.views(0, content.size):
            digest.update(view)
            file.write(view)
    # The generator holds 2 MiB of noise a file; thousands of them must not stay.
    return _Stored(path, content.size, digest.hexdigest())
