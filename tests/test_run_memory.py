"""Memory is bounded by the connections, whatever the size of the files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.commands import Commands
from tests.support.models import write_manifest

SIZE = "2G"
LIMIT = 350_000_000


@contextmanager
def zeros(size: str) -> Iterator[dict[str, Any]]:
    """An origin, in a process of its own, with one file of so many zeros; what it says when it is ready."""
    words = [sys.executable, "-m", "prefetch.demo", "--set", f"zeros:{size}", "--follow-stdin"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.timeout(300)
def test_a_large_file_takes_no_more_memory_than_a_small_one(commands: Commands, tmp_path: Path) -> None:
    # Not the temporary folder: that may be a tmpfs, and so itself memory.
    with TemporaryDirectory(dir="/var/tmp") as volume, zeros(SIZE) as origin:
        ((name, facts),) = origin["files"].items()
        entry = {"path": f"models/{name}", "source": f"hf://{origin['repo']}/{name}", **facts}
        manifest = write_manifest(tmp_path / "m.yaml", [entry])
        words = ("run", manifest, "--volume", volume, "--connections", "16", "--json")
        with commands.start(*words, env={"HF_ENDPOINT": origin["endpoint"]}) as process:
            peak = peak_memory(process)
            stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["models"][0]["status"] == "downloaded"
    assert 20_000_000 < peak < LIMIT, f"{peak / 1e6:.0f} MB"


def peak_memory(process: subprocess.Popen[str]) -> int:
    """The largest memory in bytes that the process and all its descendants had together, as long as it runs."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(proportional, session_of(process.pid))))
        time.sleep(0.02)
    return peak


def session_of(leader: int) -> list[int]:
    """The processes of the session that ``leader`` leads: itself and what it started."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader:
            members.append(int(stat.parent.name))
    return members


def proportional(pid: int) -> int:
    """Bytes of a process's memory, with its share of what it has in common with others; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
