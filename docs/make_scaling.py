"""Writes the table in docs/scaling.md of what the seed set cannot be faster than: ``python docs/make_scaling.py``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from prefetch.manifest.load import load_manifests

__all__ = ["floor", "page"]

TARGET = Path(__file__).with_name("scaling.md")
TABLE = re.compile(r"^\| pods \|.*?(?=^$)", re.MULTILINE | re.DOTALL)
SEED = Path(__file__).parents[1] / "manifests/wan22-i2v-lightning.yaml"
PODS = (1, 2, 3, 4, 8)
CASES = ((72, 300), (150, 300), (150, 150))
"""What a pod and what the volume takes, in MB/s."""


def floor(sizes: Sequence[int], *, pods: int, pod: int, volume: int) -> float:
    """Seconds that no sharing out of whole models can beat.

    Args:
        sizes: of the models, in bytes.
        pod, volume: bytes a second.
    """
    return max(sum(sizes) / min(pods * pod, volume), max(sizes) / min(pod, volume))


def page() -> str:
    """The page with its table made anew."""
    sizes = [entry.model.size for entry in load_manifests([SEED]).entries if entry.model.size is not None]
    heads = " | ".join(f"a pod {pod} MB/s, the volume {volume} MB/s" for pod, volume in CASES)
    rows = [f"| {pods} | {' | '.join(_cells(sizes, pods))} |" for pods in PODS]
    table = "\n".join([f"| pods | {heads} |", "|---" * (len(CASES) + 1) + "|", *rows, ""])
    return TABLE.sub(lambda _: table, TARGET.read_text(encoding="utf-8"), count=1)


def _cells(sizes: Sequence[int], pods: int) -> list[str]:
    return [f"{floor(sizes, pods=pods, pod=pod * 10**6, volume=volume * 10**6):.0f} s" for pod, volume in CASES]


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
