"""Models of one block: drafts without a journal, and records that share a document."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from prefetch.errors import VolumeError
from prefetch.volume.batches import FULL
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.draft import Draft
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import Inventory, Record
from prefetch.volume.layout import Volume
from prefetch.volume.publish import publish


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


def draft(volume: Volume, size: int, path: str = "models/m.bin") -> Draft:
    return Draft(volume, Identity(path, size, None, "https://host/m.bin", None))


def record(path: str, **keys: object) -> Record:
    known = Record(
        path=path,
        size=3,
        mtime=1,
        sha256="a" * 64,
        source=f"https://host/{path}",
        url=None,
        commit=None,
        pinned=True,
        placed=True,
        node_path=None,
        groups=(),
    )
    return replace(known, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 100_000, BLOCK_SIZE])
def test_a_draft_becomes_the_model(volume: Volume, size: int) -> None:
    data = os.urandom(size)
    incoming = draft(volume, size)
    if size:
        incoming.write(0, data)
        assert incoming.matches(0, data)
        view = incoming.read(0, memoryview(bytearray(BLOCK_SIZE)))
        assert view is not None
        assert bytes(view) == data
    publish(volume, incoming, "models/m.bin", ours=None)
    assert (volume.root / "models/m.bin").read_bytes() == data
    assert list((volume.state / "tmp").iterdir()) == []


def test_a_draft_that_is_given_up_leaves_nothing(volume: Volume) -> None:
    incoming = draft(volume, 10)
    incoming.write(0, b"0123456789")
    incoming.close()
    assert list((volume.state / "tmp").iterdir()) == []


def test_a_draft_whose_host_never_answered_was_never_a_file(volume: Volume) -> None:
    draft(volume, 10).close()
    assert not volume.state.exists()


def test_a_draft_that_is_not_whole_is_not_published(volume: Volume) -> None:
    with pytest.raises(VolumeError, match="not whole"):
        publish(volume, draft(volume, 10), "models/m.bin", ours=None)
    assert not (volume.root / "models/m.bin").exists()


def test_what_the_volume_gives_back_wrong_is_not_the_block(volume: Volume) -> None:
    incoming = draft(volume, 10)
    incoming.write(0, b"0123456789")
    (file,) = (volume.state / "tmp").iterdir()
    file.write_bytes(b"0123456780")
    assert incoming.read(0, memoryview(bytearray(BLOCK_SIZE))) is None
    assert not incoming.claimed


def test_small_records_share_a_document(volume: Volume) -> None:
    inventory = Inventory(volume)
    for number in range(FULL + 5):
        inventory.put_small(record(f"models/{number}.bin"))
    for number in (3, FULL + 3):
        path = f"models/{number}.bin"
        assert inventory.get(path) == record(path), "written or not, it is known at once"
    assert len(list((volume.state / "inventory").iterdir())) == 1
    inventory.flush()
    assert len(list((volume.state / "inventory").iterdir())) == 2
    again = Inventory(volume)
    assert {known.path for known in again.all()} == {f"models/{number}.bin" for number in range(FULL + 5)}


def test_the_newest_record_of_a_small_model_counts(volume: Volume) -> None:
    for mtime in (1, 2, 3):
        inventory = Inventory(volume)
        inventory.put_small(record("models/m.bin", mtime=mtime))
        inventory.flush()
    assert Inventory(volume).get("models/m.bin") == record("models/m.bin", mtime=3)


def test_a_model_that_became_small_is_not_told_by_its_old_record(volume: Volume) -> None:
    inventory = Inventory(volume)
    inventory.put(record("models/m.bin", mtime=1), None)
    inventory.put_small(record("models/m.bin", mtime=2))
    inventory.flush()
    assert Inventory(volume).get("models/m.bin") == record("models/m.bin", mtime=2)
    inventory.put(record("models/m.bin", mtime=3), b"")
    assert Inventory(volume).get("models/m.bin") == record("models/m.bin", mtime=3)
    assert [known.mtime for known in Inventory(volume).all()] == [3]


def test_one_of_many_can_be_forgotten(volume: Volume) -> None:
    inventory = Inventory(volume)
    for number in range(3):
        inventory.put_small(record(f"models/{number}.bin"))
    inventory.flush()
    Inventory(volume).remove("models/1.bin")
    assert {known.path for known in Inventory(volume).all()} == {"models/0.bin", "models/2.bin"}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"records": 5}', '{"records": [5, {"path": 5}, {"path": "models/m.bin"}]}', "[" * 10_000]
)
def test_a_batch_of_nonsense_is_no_record(volume: Volume, text: str) -> None:
    inventory = Inventory(volume)
    inventory.put_small(record("models/m.bin"))
    inventory.flush()
    (batch,) = (volume.state / "inventory").iterdir()
    batch.write_text(text)
    assert Inventory(volume).get("models/m.bin") is None
    assert list(Inventory(volume).all()) == []


def test_a_batch_cannot_name_a_place_outside(volume: Volume) -> None:
    inventory = Inventory(volume)
    inventory.put_small(record("models/m.bin"))
    inventory.flush()
    (batch,) = (volume.state / "inventory").iterdir()
    document = json.loads(batch.read_text())
    document["records"][0]["path"] = "../outside"
    batch.write_text(json.dumps(document))
    assert list(Inventory(volume).all()) == []
