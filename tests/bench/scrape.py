"""What a scrape costs: ``python -m tests.bench.scrape``. Prints the lines that docs/metrics.md quotes.

Two parts: the CPU time of a scrape with a thousand models under way, and how long a scrape takes while a run with a
thousand models receives as fast as it can, from an origin of this machine onto tmpfs.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from prefetch.monitor.access import Access
from prefetch.monitor.server import Server, application
from prefetch.report.board import Board
from prefetch.report.events import ModelStarted, Progress, RunStarted, Transfer
from prefetch.report.metrics import registry_of
from prefetch.values import Endpoint
from tests.bench.scratch import MEMORY, scratch
from tests.support.commands import Commands

__all__ = ["main"]

MODELS = 1000
SCRAPES = 200
SIZE = "3G"
PAUSE = 0.05
LATE = 0.05
LINK = "200M"
"""What RunPod lets through to a network volume, in bytes a second."""
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def main() -> None:
    """Measure and print."""
    for name, headers in (("text", {}), ("OpenMetrics", OPENMETRICS)):
        print(f"CPU of a scrape, {MODELS} models, {name}: {asyncio.run(_cpu(headers)) * 1000:.1f} ms", flush=True)
    print(f"a run of {SIZE} with {MODELS} models: {_told(_run(scraped=False))}", flush=True)
    for limit in ((), ("--limit-rate", LINK)):
        print(f"the same, scraped {' '.join(limit)}: {_told(_run(*limit, scraped=True))}", flush=True)


def _told(outcome: tuple[dict[str, Any], list[float]]) -> str:
    document, seconds = outcome
    said = f"{document['bytes_downloaded'] / document['seconds'] / 1e6:.0f} MB/s"
    if not seconds:
        return said
    late = sum(each > LATE for each in seconds)
    return (
        f"{said}; {len(seconds)} scrapes, median {median(seconds) * 1000:.1f} ms, "
        f"95 % {quantiles(seconds, n=20)[-1] * 1000:.1f} ms, {late} over {LATE * 1000:.0f} ms"
    )


async def _cpu(headers: dict[str, str]) -> float:
    """Seconds of CPU that one scrape takes of the thread that serves it."""
    server = Server(application(registry_of(_board()), access=Access(), readiness=str), Endpoint("127.0.0.1", 0))
    port = (await server.start()).port
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def scrape() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            for _ in range(SCRAPES):
                _get(connection, headers)
        loop.call_soon_threadsafe(done.set)

    before = time.thread_time()
    threading.Thread(target=scrape).start()
    await done.wait()
    spent = time.thread_time() - before
    await server.stop()
    return spent / SCRAPES


def _board() -> Board:
    paths = [f"models/diffusion_models/a-model-with-a-long-name-{number}.safetensors" for number in range(MODELS)]
    board = Board()
    board.expect((path, 10**9) for path in paths)
    board(RunStarted("/v", MODELS))
    for path in paths[:64]:
        board(ModelStarted(path, "huggingface.co", 10**9, 0))
    board(Progress(tuple(Transfer(path, 10**9, 5, 5, 1, 1.0) for path in paths[:64]), 1, 2, 0, MODELS, 1.0, 16))
    return board


def _run(*options: str, scraped: bool) -> tuple[dict[str, Any], list[float]]:
    """The document of a run, and the seconds of each scrape meanwhile."""
    with scratch(MEMORY) as folder, _origin() as told:
        manifest = folder / "manifest.yaml"
        manifest.write_text(json.dumps({"version": 1, "models": _entries(told)}))
        words: tuple[str | Path, ...] = ("--json", "--listen", "127.0.0.1:0", "--volume", folder / "volume", *options)
        with Commands(folder).start("run", manifest, *words, env={"HF_ENDPOINT": told["endpoint"]}) as process:
            assert process.stderr is not None and process.stdout is not None
            port = next(
                int(found[1]) for line in process.stderr if (found := re.search(r"Listening on .*:(\d+)", line))
            )
            threading.Thread(target=process.stderr.read, daemon=True).start()
            seconds = list(_scrapes(process, port)) if scraped else []
            document: dict[str, Any] = json.loads(process.stdout.read())
            assert process.wait() == 0, document["error"]
            return document, seconds


def _scrapes(process: subprocess.Popen[str], port: int) -> Iterator[float]:
    """Over one connection, as Prometheus does it, until the last byte is there."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        while process.poll() is None:
            began = time.perf_counter()
            try:
                text = _get(connection, {})
            except (OSError, http.client.HTTPException):
                return
            if (speed := re.search(rb"^prefetch_speed_bytes_per_second (.*)$", text, re.MULTILINE)) and float(speed[1]):
                yield time.perf_counter() - began
            time.sleep(PAUSE)


def _entries(told: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """One large model, and the same content at many other paths, which wait for it until the end."""
    ((name, pin),) = told["files"].items()
    entry = {"source": f"hf://{told['repo']}/{name}", **pin}
    return [{"path": f"models/checkpoints/model-{number}.dat", **entry} for number in range(MODELS)]


@contextmanager
def _origin() -> Iterator[dict[str, Any]]:
    words = [sys.executable, "-m", "prefetch.demo", "--set", f"zeros:{SIZE}", "--follow-stdin"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def _get(connection: http.client.HTTPConnection, headers: dict[str, str]) -> bytes:
    connection.request("GET", "/metrics", headers=headers)
    return connection.getresponse().read()


if __name__ == "__main__":
    main()
