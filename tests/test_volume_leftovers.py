"""What killed processes left is cleared away, and nothing that anyone may still need."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from prefetch.volume.inventory import Inventory, Record, modified
from prefetch.volume.layout import Volume
from prefetch.volume.leftovers import OLD, clear_leftovers
from prefetch.volume.owner import Owner
from prefetch.volume.partial import BLOCK_SIZE, Partial
from prefetch.volume.publish import publish
from tests.support.volumes import content, dying_at, identity_of, in_child, names, write

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

DATA = content(BLOCK_SIZE + 1000)
IDENTITY = identity_of(DATA)


def later() -> float:
    return time.time() + OLD + 60


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


def left(volume: Volume) -> list[str]:
    return [name.rpartition(".")[2] for name in names(volume.state / "partial")]


def killed_after(volume: Volume, blocks: list[int]) -> None:
    def work() -> None:
        write(Partial.open(volume, IDENTITY), DATA, blocks)
        os._exit(0)

    in_child(work)


def test_an_empty_volume_stays_empty(volume: Volume) -> None:
    clear_leftovers(volume, clock=later)
    assert names(volume.root) == []


def test_a_dead_process_s_journal_without_data_goes(volume: Volume) -> None:
    killed_after(volume, [0])
    next((volume.state / "partial").glob("*.data")).unlink()
    clear_leftovers(volume)
    assert left(volume) == []


def test_what_can_be_resumed_stays(volume: Volume) -> None:
    killed_after(volume, [0])
    clear_leftovers(volume, clock=later)
    assert left(volume) == ["data", "journal"]
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.resumed_bytes == BLOCK_SIZE


def test_a_living_process_s_journal_stays(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)):
        next((volume.state / "partial").glob("*.data")).unlink()
        clear_leftovers(volume)
        assert left(volume) == ["journal"]


@pytest.mark.parametrize("kind", ["data", "journal"])
def test_what_nobody_can_be_asked_about_goes_when_it_is_old(volume: Volume, kind: str) -> None:
    killed_after(volume, [0])
    for file in (volume.state / "partial").iterdir():
        file.write_bytes(b"") if file.suffix == f".{kind}" else file.unlink()
    clear_leftovers(volume)
    assert left(volume) == [kind]
    clear_leftovers(volume, clock=later)
    assert left(volume) == []


def publish_here(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
        digests = partial.digests()
        placed = publish(volume, partial, IDENTITY.path, ours=None)
    assert IDENTITY.sha256 is not None
    record = Record(
        path=IDENTITY.path,
        size=len(DATA),
        mtime=modified(placed.stat),
        sha256=IDENTITY.sha256,
        source=IDENTITY.url,
        url=IDENTITY.url,
        commit=None,
        pinned=True,
        placed=True,
        node_path=None,
        groups=(),
    )
    Inventory(volume).put(record, digests)


def begun_on(volume: Volume, boot: str) -> None:
    """Blocks that a process had fetched, in the ``boot`` of a machine, when another one published the model."""
    killed_after(volume, [0])
    for file in (volume.state / "partial").iterdir():
        file.rename(volume.root / file.name)
    publish_here(volume)
    for file in volume.root.glob("*.[dj]*"):
        text = file.read_bytes()
        file.write_bytes(text.replace(Owner.current().boot_id.encode(), boot.encode()))
        file.rename(volume.state / "partial" / file.name)


def test_what_a_dead_process_had_of_a_model_that_stands_goes(volume: Volume) -> None:
    begun_on(volume, Owner.current().boot_id)
    assert left(volume) == ["data", "journal"]
    clear_leftovers(volume)
    assert left(volume) == []
    assert (volume.root / IDENTITY.path).read_bytes() == DATA


def test_what_another_machine_had_of_a_model_that_stands_goes_when_it_is_old(volume: Volume) -> None:
    begun_on(volume, "another")
    clear_leftovers(volume)
    assert left(volume) == ["data", "journal"]
    clear_leftovers(volume, clock=later)
    assert left(volume) == []


def test_what_a_dead_process_had_stays_while_the_model_is_not_as_recorded(volume: Volume) -> None:
    begun_on(volume, Owner.current().boot_id)
    os.truncate(volume.root / IDENTITY.path, 5)
    clear_leftovers(volume, clock=later)
    assert left(volume) == ["data", "journal"]


def test_drafts_go_when_they_are_old(volume: Volume) -> None:
    with volume.writing("tmp"):
        (volume.state / "tmp" / "draft").write_bytes(b"x")
        os.utime(volume.state / "tmp" / "draft", (0, 0))
    clear_leftovers(volume)
    assert names(volume.state / "tmp") == ["draft"]
    clear_leftovers(volume, clock=later)
    assert names(volume.state / "tmp") == []


def test_wherever_it_is_cut_off_nothing_is_lost(volume: Volume) -> None:
    """The journal of a dead process that had just begun to take over from another one is all that may go."""
    killed_after(volume, [0])
    for journal in (volume.state / "partial").glob("*.journal"):
        journal.with_name(journal.name.replace(".1.", ".2.")).write_bytes(journal.read_bytes())
    step = 0
    while in_child(dying_at(step, lambda: clear_leftovers(volume))):
        step += 1
        with_data = {name.split(".")[1] for name in names(volume.state / "partial") if name.endswith(".data")}
        assert with_data == {"1"}
    assert step > 2
    clear_leftovers(volume, clock=later)
    assert left(volume) == ["data", "journal"]
