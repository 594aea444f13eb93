"""Models of one block: drafts without a journal, and records that share a document."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from prefetch.errors import VolumeError
from prefetch.volume.batches import FULL, SPARE
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.draft import Draft
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import Inventory, Record
from prefetch.volume.layout import Volume
from prefetch.volume.publish import Published
from prefetch.volume.together import publish_together


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


def draft(size: int, path: str = "models/m.bin") -> Draft:
    return Draft(Identity(path, size, None, "https://host/m.bin", None))


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


def filled(data: bytes, path: str = "models/m.bin") -> Draft:
    incoming = draft(len(data), path)
    if data:
        incoming.write(0, data)
    return incoming


def drafts_on(volume: Volume) -> list[Path]:
    return list((volume.state / "tmp").iterdir())


def test_drafts_become_models(volume: Volume) -> None:
    contents = {f"models/{place}/m{size}.bin": os.urandom(size) for place in "ab" for size in (0, 1, BLOCK_SIZE)}
    published = publish_together(volume, [(filled(data, path), None) for path, data in contents.items()])
    assert all(isinstance(each, Published) and each.kept_at is None for each in published)
    assert {path: (volume.root / path).read_bytes() for path in contents} == contents
    assert drafts_on(volume) == []


def test_what_stood_there_is_kept_unless_it_was_ours(volume: Volume) -> None:
    (volume.root / "models").mkdir()
    for name in ("users.bin", "ours.bin"):
        (volume.root / "models" / name).write_bytes(b"old")
    status = (volume.root / "models/ours.bin").stat()
    ours = record("models/ours.bin", size=3, mtime=int(status.st_mtime))
    wanted = [(filled(b"new", "models/users.bin"), None), (filled(b"new", "models/ours.bin"), ours)]
    users, own = publish_together(volume, wanted)
    assert isinstance(users, Published)
    assert isinstance(own, Published)
    assert own.kept_at is None
    assert users.kept_at is not None
    assert (volume.root / users.kept_at).read_bytes() == b"old"


def test_one_that_cannot_be_placed_does_not_hold_up_the_others(volume: Volume, tmp_path: Path) -> None:
    (volume.root / "models/taken.bin").mkdir(parents=True)
    (volume.root / "file").write_bytes(b"")
    (tmp_path.parent / "elsewhere").mkdir(exist_ok=True)
    (volume.root / "away").symlink_to(tmp_path.parent / "elsewhere")
    paths = ("models/taken.bin", "file/m.bin", "away/m.bin", "models/unfilled.bin", "models/fine.bin")
    wanted = [(draft(3, path) if "unfilled" in path else filled(b"abc", path), None) for path in paths]
    *failed, fine = publish_together(volume, wanted)
    assert [isinstance(error, VolumeError) for error in failed] == [True] * 4
    assert isinstance(fine, Published)
    assert (volume.root / "models/fine.bin").read_bytes() == b"abc"
    assert list((tmp_path.parent / "elsewhere").iterdir()) == []
    assert drafts_on(volume) == []


def test_a_draft_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="one block of 10 bytes"):
        draft(10).write(0, b"012345678")


def test_small_records_share_a_document(volume: Volume) -> None:
    inventory = Inventory(volume)
    for number in range(FULL + 5):
        inventory.put_small([record(f"models/{number}.bin")])
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
        inventory.put_small([record("models/m.bin", mtime=mtime)])
        inventory.flush()
    assert Inventory(volume).get("models/m.bin") == record("models/m.bin", mtime=3)


def test_records_take_no_more_documents_however_often_models_change(volume: Volume) -> None:
    newer = volume.state / "inventory" / "batch.000000000001.0123456789abcdef.json"
    for number in range(100):
        inventory = Inventory(volume)
        inventory.put_small([record(f"models/{number % 10}.bin", size=number)])
        inventory.flush()
        assert len(list((volume.state / "inventory").iterdir())) <= SPARE + 2
        newer.write_text('{"version": 1000000, "records": []}')
    assert sorted(each.size for each in Inventory(volume).all()) == list(range(90, 100))
    assert newer.exists()


def test_a_model_that_became_small_is_not_told_by_its_old_record(volume: Volume) -> None:
    inventory = Inventory(volume)
    inventory.put(record("models/m.bin", mtime=1), None)
    inventory.put_small([record("models/m.bin", mtime=2)])
    inventory.flush()
    assert Inventory(volume).get("models/m.bin") == record("models/m.bin", mtime=2)
    inventory.put(record("models/m.bin", mtime=3), b"")
    assert Inventory(volume).get("models/m.bin") == record("models/m.bin", mtime=3)
    assert [known.mtime for known in Inventory(volume).all()] == [3]


def test_one_of_many_can_be_forgotten(volume: Volume) -> None:
    inventory = Inventory(volume)
    for number in range(3):
        inventory.put_small([record(f"models/{number}.bin")])
    inventory.flush()
    Inventory(volume).remove("models/1.bin")
    assert {known.path for known in Inventory(volume).all()} == {"models/0.bin", "models/2.bin"}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"records": 5}', '{"records": [5, {"path": 5}, {"path": "models/m.bin"}]}', "[" * 10_000]
)
def test_a_batch_of_nonsense_is_no_record(volume: Volume, text: str) -> None:
    inventory = Inventory(volume)
    inventory.put_small([record("models/m.bin")])
    inventory.flush()
    (batch,) = (volume.state / "inventory").iterdir()
    batch.write_text(text)
    assert Inventory(volume).get("models/m.bin") is None
    assert list(Inventory(volume).all()) == []


def test_a_batch_cannot_name_a_place_outside(volume: Volume) -> None:
    inventory = Inventory(volume)
    inventory.put_small([record("models/m.bin")])
    inventory.flush()
    (batch,) = (volume.state / "inventory").iterdir()
    document = json.loads(batch.read_text())
    document["records"][0]["path"] = "../outside"
    batch.write_text(json.dumps(document))
    assert list(Inventory(volume).all()) == []
