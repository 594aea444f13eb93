"""``prefetch demo``: the main job against the built-in origin, offline, with troubles on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from prefetch.demo.seeds import TOKEN, manifest, seed_set
from prefetch.errors import PrefetchError, from_os_error

__all__ = ["MANIFEST", "PACE", "demo"]

MANIFEST = "demo.yaml"
"""The manifest's name on the volume."""

PACE = "8M"
"""Bytes a second on each connection: a stalled one is told by its siblings, so they must move for some seconds."""

T = TypeVar("T")


def demo(volume: Path, run: Callable[[Path, Mapping[str, str]], T]) -> T:
    """Write ``volume/demo.yaml``, serve its seven models from a child process, and return what the main job does.

    Args:
        run: the main job; told the manifest's path and the variables to set over the environment.

    What the manifest names stays on the volume, so that a second run of it needs no origin.

    Raises:
        PrefetchError: the volume cannot be written, or the origin did not start.
    """
    path = volume / MANIFEST
    try:
        volume.mkdir(parents=True, exist_ok=True)
        path.write_text(manifest(seed_set()), encoding="utf-8")
    except OSError as error:
        raise from_os_error(error, what=f"writing {path}") from error
    with _origin() as endpoint:
        return run(path, _environment(endpoint))


def _environment(endpoint: str) -> dict[str, str]:
    # A user's own token is no business of the demo's, and a proxy cannot reach this machine's loopback.
    return {"HF_ENDPOINT": endpoint, "HF_TOKEN": TOKEN, "NO_PROXY": "127.0.0.1,localhost,::1"}


@contextmanager
def _origin() -> Iterator[str]:
    """The origin's address while it runs, in a process of its own: it must not slow the client it serves."""
    options = ["--faults", "default", "--follow-stdin", "--pace", PACE]
    # A session of its own keeps Ctrl-C from the origin; it ends with its standard input, and so with us.
    with subprocess.Popen(
        [sys.executable, "-m", "prefetch.demo", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield _ready(process)
        finally:
            # It holds no state, so there is nothing to end gently.
            process.kill()


def _ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise PrefetchError(
            "The demo's origin did not start.", remedy="Run `python -m prefetch.demo` to see why it cannot."
        )
    return str(json.loads(line)["endpoint"])
