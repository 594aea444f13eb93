"""``python -m tests.torture``: kill writers on a local disk and on a real MooseFS, and say what came of it."""

from __future__ import annotations

import argparse
import itertools
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from prefetch.demo.server import running_origin
from prefetch.demo.wire import Link
from tests.support.models import BLOCK, Wanted, repo_of, wanted
from tests.support.parts import PARTS
from tests.torture.arenas import ARENAS, DISK
from tests.torture.battle import Battle, Tally
from tests.torture.checker import sha256sum_of

KILLS = 240
A_VOLUME = 12
"""Kills before the writers of one volume may finish."""
PACE = 2_000_000
"""Bytes a second of each connection: slow enough that most kills meet a transfer."""
NEEDS = {"local": ("mounts",), "moosefs": ("moosefs", "mounts")}


def main() -> None:
    options = _options()
    # So that a terminated torture unwinds, and takes its servers and its file systems with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lacking = [reason for name in options.only for part in NEEDS[name] if (reason := PARTS[part].reason())]
    if lacking:
        sys.exit(f"make torture: {lacking[0]}.")
    seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}")
    began, total = time.monotonic(), Tally()
    try:
        for number, name in enumerate(options.only):
            share = len(options.only)
            seconds = float("inf") if options.seconds is None else began + options.seconds * (number + 1) / share
            _torture(name, kills=-(-options.kills // share), until=seconds, seed=seed, total=total)
    except KeyboardInterrupt:
        sys.exit(130)
    print(_summary(total, time.monotonic() - began))
    sys.exit(1 if total.failures else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"how many in all (default {KILLS})")
    parser.add_argument("--seconds", type=float, help="no kill after so many seconds; without it, all kills are made")
    parser.add_argument("--seed", type=int, help="the choices of an earlier torture: victims, moments, faults, sizes")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(ARENAS), help="local, moosefs")
    options = parser.parse_args()
    if unknown := [name for name in options.only if name not in ARENAS]:
        parser.error(f"{unknown[0]} is none of {', '.join(ARENAS)}")
    return options


def _torture(name: str, *, kills: int, until: float, seed: int, total: Tally) -> None:
    with ARENAS[name]() as arena, tempfile.TemporaryDirectory(prefix="prefetch-torture-", dir=DISK) as work:
        done, began = total.kills, time.monotonic()
        for number in itertools.count(1):
            left = kills - (total.kills - done)
            if left <= 0 or time.monotonic() >= until:
                break
            chance = random.Random(f"{seed} {name} {number}")
            models = _models(chance)
            expected = {model.path: sha256sum_of(model.content.read(0, model.content.size)) for model in models}
            with running_origin(repos=[repo_of(models)], link=Link(pace=PACE)) as origin:
                battle = Battle(
                    arena,
                    f"{name}-{number}",
                    origin,
                    models,
                    expected=expected,
                    work=Path(work),
                    chance=chance,
                    tally=total,
                )
                battle.fight(min(left, A_VOLUME), until)
            print(
                f"{arena.name}: volume {number}, {total.kills - done} kills, {time.monotonic() - began:.0f} s",
                flush=True,
            )


def _models(chance: random.Random) -> Sequence[Wanted]:
    """A few large models, some of one block, many small ones; bytes of the last may come wrong."""
    large = [chance.randrange(2, 10) * BLOCK + chance.choice((0, 1, -1)) for _ in range(5)]
    small = [chance.randrange(20_000, 400_000) for _ in range(20)]
    return wanted(*large, BLOCK, *small, 3 * BLOCK + 5)


def _summary(total: Tally, seconds: float) -> str:
    times = total.fetched / max(total.wanted, 1)
    return (
        f"{total.kills} writers killed while they filled {total.volumes} volumes; {total.faults} faults of the origin\n"
        f"fetched {total.fetched / 1e6:.0f} MB for {total.wanted / 1e6:.0f} MB of models ({times:.3f} times)\n"
        f"{total.checks - len(total.failures)} passed, {len(total.failures)} failed in {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
