"""``python -m tests.bench``: run workloads, print their tables, and write them into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tests.bench.page import Page
from tests.bench.peers import PEERS
from tests.bench.report import Section
from tests.bench.rounds import play
from tests.bench.scratch import DISK, scratch
from tests.bench.versions import versions_of
from tests.bench.workloads import WORKLOADS, Workload
from tests.support.parts import PARTS

PAGE = Path("docs/benchmarks.md")
BUSY = 0.5


def main() -> None:
    options = _options()
    # So that a terminated benchmark unwinds, and takes its servers and its file systems with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _check_parts()
        _warn_if_busy()
        _run(options)
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as error:
        sys.exit(f"make bench: {error}")


def _run(options: argparse.Namespace) -> None:
    for key in options.only:
        workload = WORKLOADS[key]
        print(f"({key}) {workload.title}")
        section = _measured(workload, peers=options.peers, rounds=options.rounds)
        print(f"\n{section.table()}\n{section.summary()}\n")
        # After each, so that what follows may fail.
        _write(options.page, section)
    print(_page_at(options.page).goal_table(options.only))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument(
        "--only", type=_some_of(WORKLOADS), default=list(WORKLOADS), help=f"of {', '.join(WORKLOADS)}; with commas"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one to warm up (default 5)")
    parser.add_argument(
        "--peers", type=_some_of(PEERS), default=list(PEERS), help=f"of {', '.join(PEERS)}; with commas"
    )
    parser.add_argument("--page", type=Path, default=PAGE, help=f"where the result is written (default {PAGE})")
    return parser.parse_args()


def _some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return names

    return chosen


def _check_parts() -> None:
    reasons = [reason for part in PARTS.values() if (reason := part.reason())]
    if reasons:
        raise RuntimeError(f"{'; '.join(reasons)}.")


def _warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"This machine is busy (load {load:.1f}): expect a spread that makes rows worthless.", file=sys.stderr)


def _measured(workload: Workload, *, peers: Sequence[str], rounds: int) -> Section:
    with scratch(DISK) as folder, workload.measure.contestants(folder) as everybody:
        taking_part = [each for each in everybody if each.name not in PEERS or each.name in peers]
        turns = play(taking_part, rounds=rounds)
    return Section(workload, turns, _command(), versions_of(turns[0]))


def _page_at(path: Path) -> Page:
    return Page.parse(path.read_text()) if path.exists() else Page()


def _write(path: Path, section: Section) -> None:
    path.write_text(_page_at(path).with_section(section).text(list(WORKLOADS)))


def _command() -> str:
    arguments = " ".join(sys.argv[1:])
    return f'make bench ARGS="{arguments}"' if arguments else "make bench"


if __name__ == "__main__":
    main()
