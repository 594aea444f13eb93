"""The seven models of the seed image, made smaller by one factor, as files on disk that a loader would open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefetch.demo.content import Content, SyntheticFile, kind_of

__all__ = ["SEEDS", "SeedFile", "SeedSet", "make_seed_set"]

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


@dataclass(frozen=True, slots=True)
class SeedFile:
    """One file of the set; ``path`` is relative, the same at the origin and on the volume."""

    path: str
    content: Content


@dataclass(frozen=True, slots=True)
class SeedSet:
    """The files, below ``folder``."""

    folder: Path
    files: tuple[SeedFile, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.content.size for file in self.files)

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 by path."""
        return {file.path: file.content.sha256 for file in self.files}


def make_seed_set(folder: Path, *, scale: int) -> SeedSet:
    """Write the set below ``folder``, each size divided by ``scale``."""
    files = [
        SeedFile(path, SyntheticFile(path, size // scale, kind_of(path), seed))
        for seed, (path, size) in enumerate(SEEDS.items())
    ]
    for file in files:
        _write(folder / file.path, file.content)
    return SeedSet(folder, tuple(files))


def _write(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(content.views(0, content.size))
