"""``python -m tests.torture.sharing``: what it takes when several hosts fill one volume whose link is the limit.

Each host has a mount, a name, process numbers and a network of its own; all mounts share one capped link to the volume,
and each host's own link to the origin may be capped too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from prefetch.demo.server import running_origin
from tests.support.cluster import ORIGIN, Pod, cluster
from tests.support.commands import Commands
from tests.support.hosts import on_host
from tests.support.models import Wanted, repo_of, wanted, write_manifest
from tests.support.moosefs import MooseFS, moosefs_volume
from tests.support.parts import PARTS
from tests.torture.checker import missing_from, sha256sum_of, wrong_files

SET = (20_000_000,) * 16
HUGE = sum(SET)
PIECE = 1 << 20
PATIENCE = 400.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn took.

    Attributes:
        seconds: until the last writer ended.
        fetched: bytes of bodies that the writers received.
        size: bytes of the models.
        asked: requests that came to the Hub itself, not to its CDN.
    """

    seconds: float
    fetched: int
    size: int
    asked: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.fetched / self.size:.3f} of the bytes, the Hub asked {self.asked} times"


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds the writers back.

    Attributes:
        volume: the rate of the volume's link, as tc writes it.
        host: that of each host's own link to the origin; None where it is not capped.
        connections: of each host, at most.
    """

    volume: str
    host: str | None
    connections: int


def main() -> None:
    options = _options()
    limits = Limits(options.cap, options.link, options.connections)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if lacking := [reason for part in ("moosefs", "mounts", "namespaces") if (reason := PARTS[part].reason())]:
        sys.exit(f"make sharing: {lacking[0]}.")
    try:
        if options.huge:
            _huge(limits)
        else:
            _writers(options.writers, limits)
    except KeyboardInterrupt:
        sys.exit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make sharing")
    counts = parser.add_argument(
        "--writers", default="1,2,4,8", type=lambda text: [int(each) for each in text.split(",")]
    )
    counts.help = "how many at once, one turn each (default 1,2,4,8)"
    parser.add_argument("--cap", default="40mbit", help="of the volume's link, as tc writes it (default 40mbit)")
    parser.add_argument("--connections", default=16, type=int, help="of each host (default 16)")
    parser.add_argument("--link", help="of each host's own link to the origin; not capped without it")
    parser.add_argument(
        "--huge", action="store_true", help="instead: one huge file, beside two hosts with half of it each"
    )
    return parser.parse_args()


def _writers(counts: Sequence[int], limits: Limits) -> None:
    one: float | None = None
    for count in counts:
        turn = _turn(wanted(*SET), [slice(None)] * count, limits)
        one = turn.seconds if one is None else one
        print(f"{count} writers: {turn}; {turn.seconds / one:.3f} times the first", flush=True)


def _huge(limits: Limits) -> None:
    print(f"one host, one file: {_turn(wanted(HUGE), [slice(None)], limits)}", flush=True)
    halves = wanted(HUGE // 2, HUGE // 2)
    print(f"two hosts, half a file each: {_turn(halves, [slice(0, 1), slice(1, 2)], limits)}", flush=True)
    with moosefs_volume(space=2 * HUGE) as filesystem:
        print(f"bringing one half over: {_join(filesystem, limits.volume):.1f} s", flush=True)


def _turn(models: Sequence[Wanted], shares: Sequence[slice], limits: Limits) -> Turn:
    """All writers start at once on an empty volume; each fetches its share of the models."""
    size = sum(model.content.size for model in models)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prefetch-sharing-")))
        network = stack.enter_context(cluster())
        with network.inside():
            origin = stack.enter_context(running_origin(repos=[repo_of(models)], address=ORIGIN))
        hosts = [network.pod(rate=limits.host) for _ in shares]
        filesystem = stack.enter_context(moosefs_volume(space=2 * size))
        mounts = [filesystem.root, *(filesystem.mount() for _ in shares[1:])]
        filesystem.cap(limits.volume)
        env = {
            "HF_ENDPOINT": origin.endpoint,
            "PREFETCH_ALLOW_PRIVATE": "1",
            "PREFETCH_CONNECTIONS": str(limits.connections),
            "PREFETCH_JSON": "1",
        }
        began = time.monotonic()
        processes = [
            stack.enter_context(_started(host, mount, models[share], work, env))
            for host, mount, share in zip(hosts, mounts, shares, strict=True)
        ]
        codes = [process.wait(PATIENCE) for process in processes]
        seconds = time.monotonic() - began
        filesystem.uncap()
        expected = {model.path: sha256sum_of(model.content.read(0, model.content.size)) for model in models}
        if any(codes) or wrong_files(mounts[0], expected) or missing_from(mounts[0], expected):
            raise RuntimeError(f"The writers ended with {codes}, or not every model is right.")
        asked = sum(request.server == "hub" for request in origin.requests)
        documents = [json.loads((work / f"{host.name}.json").read_text()) for host in hosts]
        return Turn(seconds, sum(document["bytes_downloaded"] for document in documents), size, asked)


def _started(
    host: Pod, mount: Path, models: Sequence[Wanted], work: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    manifest = write_manifest(work / f"{host.name}.yaml", [model.entry() for model in models])
    commands = on_host(Commands(work), host.name)
    with (work / f"{host.name}.log").open("wb") as log, (work / f"{host.name}.json").open("wb") as document:
        return subprocess.Popen(
            [*host.enter, *commands.argv("run", manifest, "--volume", mount)],
            env=commands.environment(env),
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=document,
            stderr=log,
        )


def _join(filesystem: MooseFS, cap: str) -> float:
    """Copy half of a huge file, which another host has written, on the host that publishes it."""
    other = filesystem.mount()
    with (filesystem.root / "half").open("wb") as half:
        for _ in range(HUGE // 2 // PIECE):
            half.write(bytes(PIECE))
    filesystem.cap(cap)
    began = time.monotonic()
    with (other / "half").open("rb") as half, (other / "whole").open("wb") as whole:
        shutil.copyfileobj(half, whole, PIECE)
        whole.flush()
        os.fsync(whole.fileno())
    seconds = time.monotonic() - began
    filesystem.uncap()
    return seconds


if __name__ == "__main__":
    main()
