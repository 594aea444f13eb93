"""``python -m tests.bench``: run the workloads, print their tables, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.origin import origin_for
from tests.bench.peers import PEERS, Job, Peer
from tests.bench.report import Section, page
from tests.bench.rounds import play
from tests.bench.seedset import make_seed_set
from tests.bench.workloads import WORKLOADS, Workload

PAGE = Path("docs/benchmarks.md")
BUSY = 0.5


def main() -> None:
    options = _options()
    _warn_if_busy()
    peers = [PEERS[name] for name in options.peers]
    sections = []
    for workload in WORKLOADS:
        print(workload.title)
        sections.append(_measured(workload, peers, rounds=options.rounds))
        print(f"\n{sections[-1].table()}\n\n{sections[-1].summary()}\n")
    options.page.write_text(page(sections, command=_command()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one to warm up (default 5)")
    parser.add_argument("--peers", type=_peers, default=list(PEERS), help=f"of {', '.join(PEERS)}; with commas")
    parser.add_argument("--page", type=Path, default=PAGE, help=f"where the result is written (default {PAGE})")
    return parser.parse_args()


def _peers(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PEERS]
    if unknown or "prefetch" not in names:
        raise argparse.ArgumentTypeError(f"name prefetch and others of {', '.join(PEERS)}")
    return names


def _warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"This machine is busy (load {load:.1f}): expect a spread that makes rows worthless.", file=sys.stderr)


def _measured(workload: Workload, peers: list[Peer], *, rounds: int) -> Section:
    with tempfile.TemporaryDirectory(prefix="prefetch-bench-") as scratch:
        work, folder = Path(scratch, "work"), Path(scratch, "seeds")
        work.mkdir()
        seeds = make_seed_set(folder, scale=workload.scale)
        with workload.volume(seeds.size) as target, origin_for(seeds, work=work, pace=workload.pace) as origin:
            turns = play(peers, Job(seeds, origin, target, work), rounds=rounds)
    return Section(workload.title, seeds.size, turns)


def _command() -> str:
    arguments = " ".join(sys.argv[1:])
    return f'make bench ARGS="{arguments}"' if arguments else "make bench"


if __name__ == "__main__":
    main()
