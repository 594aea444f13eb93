"""Records are read back as they were written, and nothing else on the volume passes for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from prefetch.errors import VolumeError
from prefetch.inputs import Included
from prefetch.volume.applied import Applied, read_applied, write_applied
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.inventory import Inventory, Record, matches, modified
from prefetch.volume.layout import Volume
from tests.support.volumes import names

RECORD = Record(
    path="models/vae/x.safetensors",
    size=BLOCK_SIZE + 1,
    mtime=1_700_000_000,
    sha256="ab" * 32,
    source="hf://o/r/x.safetensors",
    url="https://hub.test/o/r/resolve/main/x.safetensors",
    commit="c" * 40,
    pinned=True,
    placed=True,
    node_path="custom_nodes/n/x.safetensors",
    groups=("i2v", "ä"),
)
DIGESTS = bytes(range(32))


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


@pytest.fixture
def inventory(volume: Volume) -> Inventory:
    return Inventory(volume)


def document(volume: Volume) -> Path:
    (found,) = (volume.state / "inventory").glob("*.json")
    return found


def test_nothing_is_known_of_an_empty_volume(volume: Volume, inventory: Inventory) -> None:
    assert inventory.get("x") is None
    assert inventory.digests("x") is None
    assert list(inventory.all()) == []
    inventory.remove("x")
    assert not volume.state.exists()


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, commit=None, url=None, node_path=None, groups=(), pinned=False, placed=False, suspect=True),
        replace(RECORD, path="a" * 255, source="\udcff\n"),
    ],
)
def test_a_record_is_read_as_it_was_written(volume: Volume, inventory: Inventory, record: Record) -> None:
    inventory.put(record, None)
    expected = None if record.source.startswith("\udcff") else record
    assert Inventory(volume).get(record.path) == expected
    assert len(document(volume).stem) == 32


def test_a_record_is_replaced_and_forgotten(volume: Volume, inventory: Inventory) -> None:
    inventory.put(RECORD, DIGESTS)
    inventory.put(replace(RECORD, suspect=True), DIGESTS)
    inventory.put(replace(RECORD, path="y"), None)
    assert sorted(record.path for record in inventory.all()) == [RECORD.path, "y"]
    inventory.remove(RECORD.path)
    assert [record.path for record in inventory.all()] == ["y"]
    assert len(names(volume.state / "inventory")) == 1
    assert names(volume.state / "tmp") == []


def test_digests_stand_beside_the_record(inventory: Inventory) -> None:
    inventory.put(RECORD, DIGESTS)
    assert inventory.digests(RECORD.path) == DIGESTS
    inventory.put(RECORD, None)
    assert inventory.digests(RECORD.path) is None


@pytest.mark.parametrize("digests", [b"", DIGESTS[:-1], DIGESTS + b"x", DIGESTS * 2])
def test_digests_of_another_number_of_blocks_are_none(inventory: Inventory, digests: bytes) -> None:
    inventory.put(RECORD, digests)
    assert inventory.digests(RECORD.path) is None


def test_digests_of_other_blocks_are_none(inventory: Inventory) -> None:
    inventory.put(replace(RECORD, block_size=1 << 20), DIGESTS)
    assert inventory.digests(RECORD.path) is None


BAD: list[dict[str, Any]] = [
    {"path": "../x"},
    {"path": "y"},
    {"path": 1},
    {"size": "1"},
    {"size": -1},
    {"size": True},
    {"size": 1.0},
    {"mtime": None},
    {"sha256": None},
    {"pinned": 1},
    {"groups": "i2v"},
    {"groups": [1]},
    {"node_path": "/etc/passwd"},
    {"url": 1},
]


@pytest.mark.parametrize("change", BAD, ids=str)
def test_a_record_that_lies_is_none(volume: Volume, inventory: Inventory, change: dict[str, Any]) -> None:
    inventory.put(RECORD, DIGESTS)
    document(volume).write_text(json.dumps(json.loads(document(volume).read_text()) | change))
    assert Inventory(volume).get(RECORD.path) is None
    assert list(inventory.all()) == []
    assert Inventory(volume).digests(RECORD.path) is None


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.binary(max_size=60) | st.sampled_from([b"[" * 10_000, b"9" * 5000, b'{"path":' * 2000]))
def test_garbage_is_no_record(volume: Volume, inventory: Inventory, data: bytes) -> None:
    inventory.put(RECORD, None)
    document(volume).write_bytes(data)
    assert Inventory(volume).get(RECORD.path) is None
    assert list(inventory.all()) == []


def test_a_record_that_is_no_file_is_none(volume: Volume, inventory: Inventory) -> None:
    inventory.put(RECORD, None)
    path = document(volume)
    others: list[Callable[[], None]] = [lambda: path.symlink_to("/etc/passwd"), lambda: os.mkfifo(path), path.mkdir]
    for make in others:
        path.unlink()
        make()
        assert Inventory(volume).get(RECORD.path) is None
        assert list(inventory.all()) == []


def test_a_volume_that_refuses_is_told(volume: Volume, inventory: Inventory) -> None:
    volume.prepare()
    (volume.state / "inventory").touch()
    with pytest.raises(VolumeError, match="recording models/vae/x"):
        inventory.put(RECORD, None)
    with pytest.raises(VolumeError, match="reading"):
        inventory.get(RECORD.path)


@pytest.mark.parametrize("nanoseconds", [0, 1, 999_999_999])
def test_times_are_compared_in_whole_seconds(tmp_path: Path, nanoseconds: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    os.utime(path, ns=(0, 1_700_000_000 * 10**9 + nanoseconds))
    record = replace(RECORD, size=5)
    assert modified(path.stat()) == 1_700_000_000
    assert matches(record, path.stat())
    assert not matches(replace(record, size=6), path.stat())
    assert not matches(replace(record, mtime=record.mtime + 1), path.stat())


# What was applied ---------------------------------------------------------------------------------------------------


APPLIED = RECORD.to_applied(pinned=True, node_path=None, groups=())
DOCUMENT: dict[str, Any] = {"version": 2, "includes": [], "locked": False, "models": [APPLIED]}


def test_what_was_applied_is_read(volume: Volume) -> None:
    assert read_applied(volume, "key") is None
    assert not volume.state.exists()
    other = replace(RECORD, path="y", commit=None, url=None).to_applied(pinned=False, node_path="x/y", groups=["g"])
    written = Applied((Included(0, "sub/x.yaml", "0" * 64),), True, [APPLIED, other])
    write_applied(volume, "key", written)
    assert read_applied(volume, "key") == written
    assert read_applied(volume, "other") is None
    document = json.loads((volume.state / "applied/key.json").read_text())
    assert document["version"] == 2
    assert set(document["models"][0]) == {
        "path", "source", "url", "commit", "size", "sha256", "mtime", "pinned", "told", "node_path", "groups",
    }  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        DOCUMENT | {"version": 1},
        DOCUMENT | {"version": 3},
        {"version": 2},
        DOCUMENT | {"locked": 1},
        DOCUMENT | {"models": [1]},
        DOCUMENT | {"models": [{}]},
        DOCUMENT | {"models": [{**APPLIED, "path": "/x"}]},
        DOCUMENT | {"models": [{**APPLIED, "node_path": "../x"}]},
        DOCUMENT | {"models": [{**APPLIED, "groups": [None]}]},
        DOCUMENT | {"includes": [{}]},
        DOCUMENT | {"includes": [{"root": 0, "name": "../x", "sha256": ""}]},
        DOCUMENT | {"includes": [{"root": -1, "name": "x", "sha256": ""}]},
        [],
    ],
)
def test_what_was_not_applied_is_not_read(volume: Volume, document: object) -> None:
    with volume.writing("applied"):
        (volume.state / "applied/key.json").write_text(json.dumps(DOCUMENT))
    assert read_applied(volume, "key") == Applied((), False, [APPLIED])
    (volume.state / "applied/key.json").write_text(json.dumps(document))
    assert read_applied(volume, "key") is None


@pytest.mark.parametrize("key", ["", "../x", "a/b", "a.b", "a" * 129, "a\n"])
def test_a_key_names_a_file_and_no_path(volume: Volume, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        write_applied(volume, key, Applied((), False, []))


def test_the_oldest_of_many_are_dropped(volume: Volume) -> None:
    for number in range(64):
        write_applied(volume, f"key{number}", Applied((), False, []))
        os.utime(volume.state / f"applied/key{number}.json", (number, number))
    write_applied(volume, "new", Applied((), False, []))
    assert {path.stem for path in (volume.state / "applied").iterdir()} == {"new", *(f"key{n}" for n in range(1, 64))}


def test_reading_what_was_applied_costs_no_import() -> None:
    code = "import prefetch.volume.applied, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = set(done.stdout.split()) - sys.stdlib_module_names - {"prefetch", "__main__"}
    assert not {name for name in foreign if not name.startswith(("_", "sitecustomize", "site"))}
    assert "asyncio" not in done.stdout.split()
