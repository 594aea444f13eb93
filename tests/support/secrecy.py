"""Secrets planted in every variable that may hold one, and the search for them in all that a command leaves behind."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["MARK", "PLANTED", "assert_no_secret", "command_lines", "run_watched"]

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


def run_watched(
    argv: list[str], env: Mapping[str, str], cwd: Path
) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Run a command to its end; and every command line of its session, looked at again and again meanwhile."""
    seen: set[str] = set()
    with subprocess.Popen(
        argv, env=dict(env), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, seen, stop), daemon=True)
        watcher.start()
        try:
            stdout, stderr = process.communicate(timeout=60)
        finally:
            stop.set()
            watcher.join()
            process.kill()
    return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr), seen


def _watch(session: int, seen: set[str], stop: threading.Event) -> None:
    while not stop.wait(0.05):
        seen |= command_lines(session)


def command_lines(session: int) -> set[str]:
    """The command lines of a session, as any process of this machine can read them now."""
    lines = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            # The name, in brackets, may hold anything; the session is the fourth word behind it.
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                lines.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines
