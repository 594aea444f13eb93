"""Memory beside the size of a file: one of 1 GB and a large one, onto a file system that packs their zeros away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.ours import OURS, document_of
from tests.bench.rounds import Contestant, Turn
from tests.bench.scratch import scratch as scratch_folder
from tests.bench.usage import Usage, run_measured
from tests.support.btrfs import btrfs_volume
from tests.support.commands import Commands
from tests.support.models import write_manifest

__all__ = ["SMALL", "Flat", "growth"]

SMALL = f"{OURS}, 1 GB"
DEMO = [sys.executable, "-m", "prefetch.demo", "--follow-stdin", "--set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """``prefetch run`` of a file of ``large`` GB, and of one of 1 GB; every byte is fetched, hashed and written."""

    large: int
    size: int = 0

    @contextmanager
    def contestants(self, scratch: Path) -> Iterator[list[Contestant]]:
        """Both, as long as their origins are up."""
        with ExitStack() as stack:
            turns = {OURS: self.large, SMALL: 1}
            yield [
                Contestant(name, partial(_fetched, stack.enter_context(_zeros(size)), size, scratch))
                for name, size in turns.items()
            ]


def growth(turns: Sequence[Turn]) -> float:
    """The large file's peak over the small one's, the worst of all rounds."""
    return max(turn[OURS].peak_bytes / turn[SMALL].peak_bytes for turn in turns)


@contextmanager
def _zeros(size: int) -> Iterator[dict[str, Any]]:
    """An origin of one file of zeros; what it says when it is ready."""
    with subprocess.Popen([*DEMO, f"zeros:{size}G"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def _fetched(origin: dict[str, Any], size: int, base: Path) -> Usage:
    ((name, facts),) = origin["files"].items()
    commands = Commands(base)
    manifest = write_manifest(
        base / "zeros.yaml", [{"path": f"models/{name}", "source": f"hf://{origin['repo']}/{name}", **facts}]
    )
    output = base / "fetch.log"
    # Packed, zeros take a thirtieth of it on the disk; but there must seem to be room.
    room = (size + 4) * 1_000_000_000
    with scratch_folder(base) as folder, btrfs_volume(folder, room) as volume:
        command = commands.argv("run", manifest, "--volume", volume, "--json")
        usage = run_measured(command, env=commands.environment({"HF_ENDPOINT": origin["endpoint"]}), output=output)
    if [model["status"] for model in document_of(output)["models"]] != ["downloaded"]:
        raise RuntimeError("The file of zeros was not downloaded.")
    return usage
