"""What ``prefetch hook`` costs a container that has nothing to fetch: ``python -m tests.bench.start``.

Seven small models stand on a volume. A bare interpreter, and the hook in both modes, become ``/bin/true`` in turns, so
that whatever else the machine does falls on all alike. The time is that of the whole process, in milliseconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from prefetch.demo.server import running_origin
from tests.support.commands import Commands
from tests.support.models import repo_of, wanted, write_manifest

ROUNDS = 100
BARE = "a bare interpreter"
PREFETCH = Path(sys.executable).with_name("prefetch")
EXEC = "import os; os.execv('/bin/true', ['true'])"


def main() -> None:
    """Fill the volume, take the times, print them."""
    with tempfile.TemporaryDirectory() as folder:
        env, commands = _standing(Path(folder))
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, words in commands.items():
                times[name].append(_milliseconds(words, env))
    bare = statistics.median(times[BARE])
    for name, taken in times.items():
        middle, least = statistics.median(taken), min(taken)
        print(f"{name:20} median {middle:6.1f}  least {least:6.1f}  over a bare interpreter {middle - bare:6.1f}")


def _standing(home: Path) -> tuple[Mapping[str, str], Mapping[str, Sequence[str | Path]]]:
    models, volume = wanted(*range(50_000, 50_007)), home / "volume"
    write_manifest(home / "m.yaml", [model.entry() for model in models])
    commands = Commands(home, env={"PREFETCH_MANIFEST": str(home / "m.yaml")})
    with running_origin(repos=[repo_of(models)]) as origin:
        filled = commands.run("run", "--volume", volume, env={"HF_ENDPOINT": origin.endpoint})
    assert filled.returncode == 0, filled.stderr
    hooks = {
        f"hook --mode {mode}": [PREFETCH, "hook", "--volume", volume, "--mode", mode, "--", "/bin/true"]
        for mode in ("ensure", "verify")
    }
    return commands.environment(), {BARE: [sys.executable, "-c", EXEC], **hooks}


def _milliseconds(words: Sequence[str | Path], env: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
