"""What a scrape costs, and a page that is watched: ``python -m tests.bench.scrape``. docs/metrics.md quotes its lines.

Two parts: the CPU time of a scrape and of a frame of the page with a thousand models under way, and how long a scrape
takes while a run with a thousand models receives as fast as it can, from an origin of this machine onto tmpfs.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from prefetch.monitor.access import Access
from prefetch.monitor.frames import Picture
from prefetch.monitor.server import Server, application
from prefetch.report.board import Board
from prefetch.report.events import ModelStarted, Progress, RunStarted, Transfer
from prefetch.report.metrics import registry_of
from prefetch.report.view import view_of
from prefetch.values import Endpoint
from tests.bench.scratch import MEMORY, scratch
from tests.support.commands import Commands

__all__ = ["main"]

Meanwhile = Callable[[subprocess.Popen[str], int], tuple[list[float], list[float]]]
"""Does something to a run that listens on a port, until its end; the seconds of scrapes and of looks at /healthz."""

MODELS = 1000
SCRAPES = 200
SIZE = "3G"
PAUSE = 0.05
LATE = 0.05
LINK = "200M"
"""What RunPod lets through to a network volume, in bytes a second."""
WATCHERS = 50
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run: its document, and the seconds of each scrape and of each look at /healthz meanwhile."""

    document: dict[str, Any]
    scrapes: Sequence[float] = ()
    probes: Sequence[float] = ()

    def told(self) -> str:
        """In words."""
        said = f"{self.document['bytes_downloaded'] / self.document['seconds'] / 1e6:.0f} MB/s"
        pairs = (("/metrics", self.scrapes), ("/healthz", self.probes))
        return "; ".join([said, *(f"{name} {_spread(seconds)}" for name, seconds in pairs if seconds)])


def main() -> None:
    """Measure and print."""
    for name, headers in (("text", {}), ("OpenMetrics", OPENMETRICS)):
        print(f"CPU of a scrape, {MODELS} models, {name}: {asyncio.run(_cpu(headers)) * 1000:.1f} ms", flush=True)
    print(f"CPU of a look for the page, {MODELS} models: {_cpu_of_a_look() * 1000:.1f} ms", flush=True)
    print(f"a run of {SIZE} with {MODELS} models: {_run(_nothing).told()}", flush=True)
    print(f"the same, its page watched by {WATCHERS}: {_run(_watched).told()}", flush=True)
    for limit in ((), ("--limit-rate", LINK)):
        print(f"the same, scraped {' '.join(limit)}: {_run(_scraped, *limit).told()}", flush=True)


def _spread(seconds: Sequence[float]) -> str:
    late = sum(each > LATE for each in seconds)
    return (
        f"{len(seconds)} times, median {median(seconds) * 1000:.1f} ms, "
        f"95 % {quantiles(seconds, n=20)[-1] * 1000:.1f} ms, {late} over {LATE * 1000:.0f} ms"
    )


def _cpu_of_a_look() -> float:
    """Seconds of CPU for a frame in which every row that moves has changed, however many then get it."""
    board = _board()
    before = Picture.of(view_of(board))
    spent = 0.0
    for number in range(SCRAPES):
        board(_moving(list(board.models.by_path)[:64], done=number))
        began = time.thread_time()
        picture = Picture.of(view_of(board))
        picture.since(before)
        spent += time.thread_time() - began
        before = picture
    return spent / SCRAPES


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
    board(_moving(paths[:64], done=5))
    return board


def _moving(paths: Sequence[str], *, done: int) -> Progress:
    return Progress(tuple(Transfer(path, 10**9, done, 5, 1, 1.0) for path in paths), 1, 2, 0, MODELS, 1.0, 16)


def _run(meanwhile: Meanwhile, *options: str) -> Outcome:
    """A run, and what is done to it meanwhile."""
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
            scrapes, probes = meanwhile(process, port)
            document: dict[str, Any] = json.loads(process.stdout.read())
            assert process.wait() == 0, document["error"]
            return Outcome(document, scrapes, probes)


def _nothing(process: subprocess.Popen[str], port: int) -> tuple[list[float], list[float]]:
    return [], []


def _scraped(process: subprocess.Popen[str], port: int) -> tuple[list[float], list[float]]:
    """Over one connection, as Prometheus does it, until the last byte is there.

    What /healthz takes, whose answer is one word, is due to the machine.
    """
    scrapes: list[float] = []
    probes: list[float] = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        while process.poll() is None:
            try:
                began = time.perf_counter()
                text = _get(connection, {})
                scraped = time.perf_counter() - began
                time.sleep(PAUSE)
                began = time.perf_counter()
                _get(connection, {}, path="/healthz")
                probed = time.perf_counter() - began
            except (OSError, http.client.HTTPException):
                break
            if (speed := re.search(rb"^prefetch_speed_bytes_per_second (.*)$", text, re.MULTILINE)) and float(speed[1]):
                scrapes.append(scraped)
                probes.append(probed)
            time.sleep(PAUSE)
    return scrapes, probes


def _watched(process: subprocess.Popen[str], port: int) -> tuple[list[float], list[float]]:
    """By many who read, and one who does not, until the run is over."""

    async def open_stream() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64)
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        return reader, writer

    async def watch() -> None:
        reader, writer = await open_stream()
        while await reader.read(1 << 16):
            pass
        writer.close()

    async def watch_all() -> None:
        _, idle = await open_stream()
        await asyncio.gather(*(watch() for _ in range(WATCHERS)), return_exceptions=True)
        idle.close()

    asyncio.run(watch_all())
    return [], []


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


def _get(connection: http.client.HTTPConnection, headers: dict[str, str], *, path: str = "/metrics") -> bytes:
    connection.request("GET", path, headers=headers)
    return connection.getresponse().read()


if __name__ == "__main__":
    main()
