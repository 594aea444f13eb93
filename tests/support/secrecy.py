"""Secrets planted in every variable that may hold one, and the search for them in all that a command leaves behind."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["MARK", "PLANTED", "CommandLines", "assert_no_secret", "watching_command_lines"]

MARK = "planted0secret"
"""What every planted secret holds, and nothing else."""

PLANTED: Mapping[str, str] = {
    "CIVITAI_API_TOKEN": f"{MARK}0civitai",
    "RUNPOD_API_KEY": f"{MARK}0runpod",
    "CORP_TOKEN": f"{MARK}0corp0token",
    "CORP_KEY": f"{MARK}0corp0key",
    "PREFETCH_TOKENS": "https://models.example=CORP_TOKEN",
    "PREFETCH_HEADERS": '{"https://keys.example": {"X-Api-Key": "${CORP_KEY}"}}',
}
"""Secrets for hosts that a test need not have to do with."""

_SIGNATURE = "X-Amz-Signature="


def assert_no_secret(*texts: str, volume: Path) -> None:
    """No planted secret and no signature is in the texts, nor in the name or the bytes of any file on the volume."""
    files = [file for file in volume.rglob("*") if file.is_file()]
    for text in (*texts, *map(str, files)):
        assert MARK not in text, text
        assert _SIGNATURE not in text, text
    for file in files:
        data = file.read_bytes()
        assert MARK.encode() not in data, file
        assert _SIGNATURE.encode() not in data, file


@dataclass(slots=True)
class CommandLines:
    """The command lines of all processes of this machine that were seen, and the environments of our children."""

    seen: set[str] = field(default_factory=set)

    def look(self, entries: Iterable[os.DirEntry[str]]) -> None:
        """Add what is running now."""
        for entry in entries:
            if entry.name.isdigit():
                try:
                    line = Path(entry.path, "cmdline").read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                self.seen.add(line.replace(b"\0", b" ").decode(errors="replace"))


@contextmanager
def watching_command_lines() -> Iterator[CommandLines]:
    """Look at the command lines of all processes, again and again, while the block runs."""
    lines, stop = CommandLines(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            with os.scandir("/proc") as entries:
                lines.look(entries)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        stop.set()
        thread.join()


def run_watched(
    argv: list[str], env: Mapping[str, str], cwd: Path
) -> tuple[subprocess.CompletedProcess[str], CommandLines]:
    """Run a command to its end, and what was seen of command lines meanwhile."""
    with watching_command_lines() as lines:
        done = subprocess.run(argv, env=dict(env), cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done, lines
