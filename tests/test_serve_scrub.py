"""The volume read again: how evenly, from where after a restart, by how many, and what becomes of a turned bit."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import PrefetchError
from prefetch.sidecar.scrub import FASTEST, Read, Scrub, pace
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.hashing import hash_file
from prefetch.volume.inventory import Inventory, Record, modified
from prefetch.volume.layout import Volume
from prefetch.volume.scrubbing import Round, read_round, write_round

PERIOD = 7 * 86_400.0
SIZES = {
    "models/a.safetensors": 3 * BLOCK_SIZE + 5,
    "models/b.safetensors": 1000,
    "models/c.safetensors": BLOCK_SIZE + 1,
}
TOTAL = sum(SIZES.values())


@given(
    total=st.integers(1, 10**14),
    share=st.floats(0, 1),
    left=st.floats(-1e6, 1e6),
    period=st.floats(1, 1e8),
)
def test_the_pace_is_even_and_makes_up_for_lost_time_within_bounds(
    total: int, share: float, left: float, period: float
) -> None:
    done, even = int(total * share), total / period
    found = pace(total, done, left=left, period=period)
    assert even <= found <= FASTEST * even
    if left > 0 and found < FASTEST * even:
        assert found * left >= (total - done) * 0.999


@dataclass
class Disk:
    """A volume with recorded models, and a clock that goes on while somebody waits."""

    volume: Volume
    now: float = 1_000_000.0
    times: list[tuple[float, int]] = field(default_factory=list)

    def scrub(self, **options: float) -> Scrub:
        def listen(event: object) -> None:
            """Nobody listens."""

        return Scrub(
            lambda: Volume.open(self.volume.root),
            period=options.get("period", PERIOD),
            busy=lambda: False,
            found=lambda read: None,
            listener=listen,
            clock=lambda: self.now,
        )

    def step(self, scrub: Scrub) -> Read:
        """One step, and then the clock is where the next one is due."""
        read = scrub.step()
        if read.bytes:
            self.times.append((self.now, read.bytes))
        self.now += read.pause
        return read

    def read(self, *scrubs: Scrub) -> list[Read]:
        """Steps of all in turn, until a round is over."""
        reads: list[Read] = []
        while not reads or reads[-1].round is None:
            reads += [self.step(scrub) for scrub in scrubs]
        return reads

    def put(self, path: str, content: bytes, *, digests: bool = True) -> Record:
        file = self.volume.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        sha256, blocks = hash_file(file)
        record = Record(
            path=path,
            size=len(content),
            mtime=modified(file.stat()),
            sha256=sha256,
            source=f"hf://acme/models/{file.name}",
            url=None,
            commit=None,
            pinned=True,
            placed=True,
            node_path=None,
            groups=(),
        )
        Inventory(self.volume).put(record, blocks if digests else None)
        return record

    def turn(self, path: str, offset: int) -> None:
        """A bit turns, and nobody has written."""
        file = self.volume.root / path
        times = file.stat()
        with file.open("r+b") as opened:
            opened.seek(offset)
            byte = opened.read(1)[0]
            opened.seek(offset)
            opened.write(bytes([byte ^ 1]))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    volume = Volume.open(tmp_path / "volume", create=True)
    disk = Disk(volume)
    for path, size in SIZES.items():
        disk.put(path, os.urandom(size), digests=size > BLOCK_SIZE)
    return disk


def test_a_round_reads_every_byte_once_and_evenly(disk: Disk) -> None:
    began = disk.now
    reads = disk.read(disk.scrub())
    assert sum(read.bytes for read in reads) == TOTAL
    assert [read.damaged for read in reads if read.damaged] == []
    assert reads[-1].round == (3, TOTAL)
    done = 0
    for moment, count in disk.times:
        # Never more than one step ahead of the even pace or behind it.
        assert abs(done - TOTAL * (moment - began) / PERIOD) <= 2 * BLOCK_SIZE
        done += count
    assert disk.now == pytest.approx(began + PERIOD, rel=1e-6)
    assert disk.step(disk.scrub()).bytes > 0


def test_a_restart_goes_on_where_it_was(disk: Disk) -> None:
    reads = [disk.step(disk.scrub())]
    while reads[-1].round is None:
        reads.append(disk.step(disk.scrub()))
    assert sum(read.bytes for read in reads) == TOTAL


def test_several_readers_read_it_once_together(disk: Disk) -> None:
    scrubs = [disk.scrub() for _ in range(3)]
    wakes = dict.fromkeys(range(len(scrubs)), disk.now)
    reads: list[Read] = []
    while not any(read.round for read in reads):
        turn = min(wakes, key=wakes.__getitem__)
        disk.now = wakes[turn]
        reads.append(scrubs[turn].step())
        wakes[turn] += reads[-1].pause
    assert sum(read.bytes for read in reads) == TOTAL
    assert disk.now == pytest.approx(1_000_000.0 + PERIOD, rel=1e-6)


def test_time_in_which_nobody_read_is_made_up_for_gently(disk: Disk) -> None:
    disk.step(disk.scrub())
    disk.now += PERIOD
    late = disk.now
    disk.read(disk.scrub())
    assert disk.now - late >= PERIOD / FASTEST / 2


@pytest.mark.parametrize("path", SIZES)
@pytest.mark.parametrize("place", [0, -1])
def test_a_turned_bit_is_found_and_noted(disk: Disk, path: str, place: int) -> None:
    disk.turn(path, place % SIZES[path])
    (verdict,) = [verdict for read in disk.read(disk.scrub()) for verdict in read.damaged]
    assert (verdict.path, verdict.status) == (path, "corrupt")
    record = Inventory(disk.volume).get(path)
    assert record is not None and record.suspect
    # It is known now, and not read again until it is mended.
    assert [read.damaged for read in disk.read(disk.scrub()) if read.damaged] == []


def test_a_large_model_whose_digests_are_lost_is_read_whole(disk: Disk) -> None:
    path = "models/c.safetensors"
    disk.put(path, os.urandom(SIZES[path]), digests=False)
    assert not [read for read in disk.read(disk.scrub(period=0.01)) if read.damaged]
    disk.turn(path, 7)
    assert [read for read in disk.read(disk.scrub(period=0.01)) if read.damaged]


def test_what_is_not_the_recorded_file_is_left_alone(disk: Disk) -> None:
    (disk.volume.root / "models/a.safetensors").write_bytes(b"the user's own")
    (disk.volume.root / "models/b.safetensors").unlink()
    reads = disk.read(disk.scrub())
    assert not [read for read in reads if read.damaged]
    assert sum(read.bytes for read in reads) == SIZES["models/c.safetensors"]


@pytest.mark.parametrize(
    "state",
    [
        Round(10**15, 10**15),
        Round(1_000_000_000, 10**15),
        Round(0, 0, "models/nothing.safetensors", 10**9),
        Round(1_000_000_000, 0, "models/a.safetensors", 4),
    ],
)
def test_whatever_stands_there_reading_goes_on(disk: Disk, state: Round) -> None:
    write_round(disk.volume, state)
    reads = disk.read(disk.scrub())
    assert reads[-1].round is not None
    assert sum(read.bytes for read in disk.read(disk.scrub())) == TOTAL


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', '{"version": 1, "began_ms": -1}', '{"version": 2}'])
def test_what_is_no_state_is_none(disk: Disk, text: str) -> None:
    write_round(disk.volume, Round(1, 1))
    (disk.volume.state / "scrub" / "round.json").write_text(text)
    assert read_round(disk.volume) is None


def test_an_empty_volume_has_nothing_to_read(tmp_path: Path) -> None:
    disk = Disk(Volume.open(tmp_path / "empty", create=True))
    assert disk.scrub().step().bytes == 0


def test_a_volume_that_is_away_is_said_once_and_waited_for(disk: Disk) -> None:
    said: list[object] = []

    def away() -> Volume:
        raise PrefetchError("It is away.")

    async def work() -> None:
        scrub = Scrub(away, period=PERIOD, busy=lambda: False, found=said.append, listener=said.append)
        await scrub._read()
        await scrub._read()

    asyncio.run(work())
    assert len(said) == 1
