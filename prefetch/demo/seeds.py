"""What the demo serves: synthetic files of the seven seed names, and one trouble of each common kind on their way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from prefetch.demo.actions import Cut, Expired, IgnoreRange, Stall, Status, TooMany, Trickle
from prefetch.demo.content import SyntheticFile, kind_of
from prefetch.demo.faults import Fault, corrupt
from prefetch.demo.repo import Repo

__all__ = ["REPO", "TOKEN", "Seed", "common_faults", "manifest", "seed_repo", "seed_set"]

REPO = "prefetch-demo/wan22-i2v-lightning"
"""A name of its own: nothing here may pass for the real repositories' bytes."""
TOKEN = "hf_demo"  # noqa: S105 - known to everybody, good for nothing
"""The one token that the demo's Hub accepts."""

_GRAIN = 4096
_PROPORTIONS = {
    "vae/wan_2.1_vae.safetensors": 253_815_318,
    "text_encoders/umt5-xxl-encoder-Q5_K_M.gguf": 4_145_878_880,
    "diffusion_models/Wan2.2-I2V-A14B-HighNoise-Q8_0.gguf": 15_406_608_896,
    "diffusion_models/Wan2.2-I2V-A14B-LowNoise-Q8_0.gguf": 15_406_608_896,
    # The two LoRAs' real sizes are not published to the byte; these only shape the set.
    "loras/Wan22_A14B_T2V_HIGH_Lightning_4steps_lora_250928_rank128_fp16.safetensors": 1_230_000_000,
    "loras/Wan22_A14B_T2V_LOW_Lightning_4steps_lora_250928_rank64_fp16.safetensors": 614_000_000,
    "vfi/rife/rife47.pth": 21_344_827,
}
"""Path below ComfyUI's models folder, and the weight of the file in the set."""


@dataclass(frozen=True, slots=True)
class Seed:
    """One synthetic model: ``path`` is where it belongs below ``models/``, and where it lies in the repository."""

    path: str
    content: SyntheticFile


def seed_set(total: int = 200_000_000) -> list[Seed]:
    """The seven files in the real ones' proportions, ``total`` bytes in all to within some KiB a file."""
    whole = sum(_PROPORTIONS.values())
    seeds = []
    for number, (path, weight) in enumerate(_PROPORTIONS.items()):
        name = PurePosixPath(path).name
        size = max(weight * total // whole // _GRAIN, 1) * _GRAIN
        seeds.append(Seed(path, SyntheticFile(name, size, kind_of(name), seed=number)))
    return seeds


def seed_repo(seeds: Iterable[Seed]) -> Repo:
    """The repository that holds them."""
    return Repo(id=REPO, files={seed.path: seed.content for seed in seeds})


def common_faults() -> list[Fault]:
    """One of each: a client that doubts every reply gets past them all within seconds."""
    return [
        Fault(do=TooMany(0), server="hub", method="*", path="*/wan_2.1_vae.safetensors"),
        Fault(do=TooMany(1), server="hub", method="*", path="*/umt5-*"),
        Fault(do=Status(503), server="hub", method="*", path="*/rife47.pth"),
        Fault(do=Expired(), server="cdn", path="*/umt5-*"),
        Fault(do=Cut(3_000_000, "reset"), server="cdn", path="*-HighNoise-*"),
        Fault(do=Trickle(100_000), server="cdn", path="*-HighNoise-*", skip=1),
        Fault(do=Stall(2_000_000), server="cdn", path="*-LowNoise-*"),
        Fault(do=Status(503), server="cdn", path="*-LowNoise-*", skip=1),
        Fault(do=IgnoreRange(), server="cdn", path="*/wan_2.1_vae.safetensors"),
        corrupt("*_HIGH_Lightning_*", 1_000_000),
    ]


def manifest(seeds: Iterable[Seed]) -> str:
    """The demo's manifest, as YAML."""
    lines = [
        "# Synthetic stand-ins with the seed models' names, made by `prefetch demo`: they load and mean nothing.",
        "version: 1",
        "models:",
    ]
    for seed in seeds:
        lines += [
            f"  - path: models/{seed.path}",
            f"    source: hf://{REPO}@main/{seed.path}",
            f"    sha256: {seed.content.sha256}",
            f"    size: {seed.content.size}",
        ]
    return "\n".join([*lines, ""])
