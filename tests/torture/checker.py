"""Whether every file under a final name is right, as coreutils sees it: nothing here is shared with the program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["missing_from", "sha256sum_of", "wrong_files"]


def sha256sum_of(data: bytes) -> str:
    """What coreutils says of these bytes: 64 hex digits."""
    return subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout.decode()[:64]


def wrong_files(volume: Path, expected: Mapping[str, str]) -> list[str]:
    """What stands below ``volume`` outside the state directory and is not one of the models, whole and right.

    Args:
        expected: 64 hex digits by path below the volume.
    """
    standing = _final_names(volume)
    sums = _sums(volume, standing)
    return [
        f"{path} has {sums.get(path)}" for path in standing if sums.get(path) != expected.get(path, "no such model")
    ]


def missing_from(volume: Path, expected: Mapping[str, str]) -> list[str]:
    """The models that do not stand there."""
    return sorted(expected.keys() - set(_final_names(volume)))


def _final_names(volume: Path) -> list[str]:
    found: list[str] = []
    for folder, folders, names in os.walk(volume):
        if Path(folder) == volume:
            folders[:] = [name for name in folders if name != ".prefetch"]
        found += (os.path.relpath(os.path.join(folder, name), volume) for name in names)
    return sorted(found)


def _sums(volume: Path, paths: list[str]) -> dict[str, str]:
    if not paths:
        return {}
    done = subprocess.run(["sha256sum", "--", *paths], cwd=volume, capture_output=True, text=True, check=False)
    lines = (line.split("  ", 1) for line in done.stdout.splitlines())
    return {path: digest for digest, path in lines}
