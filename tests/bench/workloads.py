"""The workloads, and what each is to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prefetch.volume.blocks import BLOCK_SIZE
from tests.bench import filesets
from tests.bench.downloads import EVEN, Download, SlowTenth
from tests.bench.flat import Flat, growth
from tests.bench.goals import (
    PEAK,
    Goal,
    at_least,
    at_most,
    beside_best_peer,
    beside_us,
    cpu_beside,
    fact,
    seconds_of,
    share_of_run,
    speed_share,
    times,
)
from tests.bench.link import Link
from tests.bench.ours import OURS
from tests.bench.resume import CONNECTIONS, RESUMED, Resume
from tests.bench.rounds import Contestant
from tests.bench.standing import MANY, OPENSSL, Idle, Planning, Verification
from tests.bench.volumes import capped_volume, memory_volume, moosefs
from tests.bench.yardsticks import DD, LIMIT

__all__ = ["WORKLOADS", "Measure", "Workload"]

PACED = Link(pace=40_000_000)
FAR = Link(pace=20_000_000, delay=0.08)
FAR_CONNECTIONS = 16
SOME_SLOW = Link(pace=40_000_000, slowed=50)
REFETCHED = CONNECTIONS * BLOCK_SIZE + (16 << 20)
EVERYBODY = ("prefetch", "aria2c", "aria2c checksum=", "hf download", "curl --parallel", "wget", LIMIT, DD)


class Measure(Protocol):
    """How a workload is done."""

    @property
    def size(self) -> int:
        """Bytes that a turn moves; 0 where a turn moves none."""

    def contestants(self, scratch: Path) -> AbstractContextManager[list[Contestant]]:
        """Those who have turns, prefetch first; ``scratch`` is an empty folder on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One section of the report; ``key`` is what it is chosen by."""

    key: str
    title: str
    measure: Measure
    goals: tuple[Goal, ...]


def _workloads() -> Iterator[Workload]:
    yield from _seed_sets()
    yield from _other_sets()
    yield from _other_links()
    yield from _other_commands()


def _seed_sets() -> Iterator[Workload]:
    seeds = filesets.seeds(20)
    yield Workload(
        key="a",
        title="The seed set 1:20 onto MooseFS behind 1.6 Gbit/s, each connection paced to 40 MB/s",
        measure=Download(sizes=seeds, link=PACED, volume=capped_volume, names=EVERYBODY),
        goals=(
            at_most("at most 1.1 times the limit", times(LIMIT), 1.1),
            at_least("at least 2.8 times as fast as the best peer", beside_best_peer, 2.8),
            PEAK,
        ),
    )
    yield Workload(
        key="a2",
        title="The same onto MooseFS on this machine's own loopback, uncapped",
        measure=Download(sizes=seeds, link=PACED, volume=moosefs, names=EVERYBODY),
        goals=(
            at_most("at most 1.25 times the limit", times(LIMIT), 1.25),
            at_least("at least 2.5 times as fast as the best peer", beside_best_peer, 2.5),
            PEAK,
        ),
    )
    yield Workload(
        key="b",
        title="The seed set 1:10 onto tmpfs, connections not paced",
        measure=Download(sizes=filesets.seeds(10), link=Link(), volume=memory_volume, names=EVERYBODY),
        goals=(
            at_least("at least 1.2 times as fast as the best peer", beside_best_peer, 1.2),
            at_most("at most 1.2 times the CPU seconds of aria2c and openssl", cpu_beside("aria2c"), 1.2),
            PEAK,
        ),
    )


def _other_sets() -> Iterator[Workload]:
    yield Workload(
        key="c",
        title="One file of 4 GB onto MooseFS behind 1.6 Gbit/s, each connection paced to 40 MB/s",
        measure=Download(
            sizes=filesets.one(4_000_000_000),
            link=PACED,
            volume=capped_volume,
            names=("prefetch", "aria2c"),
        ),
        goals=(
            at_most("hash known at most 1 s after the last byte", fact("hashed_after"), 1.0, form="{:.2f} s"),
            at_most("published at most 3 % of the run after it", share_of_run("published_after"), 0.03, form="{:.1%}"),
            PEAK,
        ),
    )
    yield Workload(
        key="d",
        title="2,000 files of 100 KB onto MooseFS, each connection paced to 40 MB/s",
        measure=Download(
            sizes=filesets.many(2000, 100_000),
            link=PACED,
            volume=moosefs,
            names=("prefetch", "aria2c", "hf download", "curl --parallel", "wget"),
        ),
        goals=(at_least("at least 1.5 times as fast as aria2c", beside_us("aria2c"), 1.5), PEAK),
    )


def _other_links() -> Iterator[Workload]:
    # Twenty seconds at full speed: what a program needs to begin would count for more than it is in a shorter run.
    far, full_speed = filesets.seeds(6), FAR.pace * FAR_CONNECTIONS
    whole = sum(far.values())
    yield Workload(
        key="e",
        title="The seed set 1:6 from afar (80 ms to the first byte, 16 connections of 20 MB/s) onto tmpfs",
        measure=Download(
            sizes=far,
            link=FAR,
            volume=memory_volume,
            names=("prefetch", "aria2c", LIMIT),
            connections=FAR_CONNECTIONS,
        ),
        goals=(at_least("at least 90 % of 320 MB/s", speed_share(whole, full_speed), 0.9, form="{:.0%}"), PEAK),
    )
    yield Workload(
        key="f",
        title="The seed set 1:9 as in (a), with every tenth connection 50 times slower",
        measure=SlowTenth(
            download=Download(
                sizes=filesets.seeds(9), link=SOME_SLOW, volume=capped_volume, names=("prefetch", "aria2c")
            )
        ),
        goals=(at_most("at most 1.15 times the time with no slow connection", times(EVEN), 1.15), PEAK),
    )


def _other_commands() -> Iterator[Workload]:
    yield Workload(
        key="g",
        title="(a) killed when half of it was written, and begun again",
        measure=Resume(sizes=filesets.seeds(20), link=PACED),
        goals=(
            at_most(
                "fetched again at most a block a connection and 16 MiB",
                fact("fetched_again", of=RESUMED),
                REFETCHED,
                form="{:,.0f} bytes",
            ),
            # One after the other, the download of a half and the reading of all would take half as long again.
            at_most("at most 1.05 of the time for all: the prefix is hashed meanwhile", beside_us(RESUMED), 1.05),
            PEAK,
        ),
    )
    yield Workload(
        key="h",
        title="Nothing to do for 7 models and for 1,000, on MooseFS",
        measure=Idle(few=filesets.seeds(1000), many=filesets.many(1000, 10_000), volume=moosefs),
        goals=(
            at_most("at most 0.35 s for 7 models", seconds_of(OURS), 0.35, form="{:.2f} s"),
            at_most("at most 0.6 s for 1,000 models", seconds_of(MANY), 0.6, form="{:.2f} s"),
            PEAK,
        ),
    )
    yield Workload(
        key="i",
        title="`prefetch verify` of the seed set 1:20 on MooseFS, no page of it cached",
        measure=Verification(sizes=filesets.seeds(20), volume=moosefs),
        goals=(at_least("at least 0.95 of the speed of openssl on all cores", beside_us(OPENSSL), 0.95), PEAK),
    )
    yield Workload(
        key="j",
        title="`prefetch plan` for 10,000 pinned models, none of them there, on MooseFS",
        measure=Planning(entries=10_000, volume=moosefs),
        goals=(PEAK,),
    )
    yield Workload(
        key="k",
        title="One file of 16 GB, and one of 1 GB, of zeros, onto a file system that packs them",
        measure=Flat(large=16),
        goals=(at_most("memory for 16 GB at most 1.1 times that for 1 GB", growth, 1.1), PEAK),
    )


WORKLOADS = {workload.key: workload for workload in _workloads()}
