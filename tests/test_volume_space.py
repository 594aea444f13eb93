"""How much is on a volume, how much fits, and the hashes of what is there."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from prefetch.errors import SpaceError, VolumeError
from prefetch.volume.hashing import block_digest, hash_file
from prefetch.volume.layout import Volume
from prefetch.volume.partial import BLOCK_SIZE, Partial
from prefetch.volume.space import Room, check_space, measure, used_bytes
from tests.support.volumes import block, content, identity_of, write

DATA = content(3 * BLOCK_SIZE)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


def cluster(monkeypatch: pytest.MonkeyPatch, *, total: int, free: int) -> None:
    status = SimpleNamespace(f_frsize=4096, f_blocks=total // 4096, f_bavail=free // 4096, f_bfree=free // 4096)
    monkeypatch.setattr(os, "statvfs", lambda path: status)


def test_a_file_counts_once_and_a_link_only_as_itself(volume: Volume) -> None:
    (volume.root / "a").mkdir()
    (volume.root / "a/x").write_bytes(bytes(1000))
    os.link(volume.root / "a/x", volume.root / "y")
    os.truncate(volume.root / "a/x", 5000)
    (volume.root / "loop").symlink_to(".")
    assert used_bytes(volume) == 5000 + len(".")


def test_a_partial_file_counts_with_what_it_holds(volume: Volume) -> None:
    with closing(Partial.open(volume, identity_of(DATA))) as partial:
        before = used_bytes(volume)
        write(partial, DATA, [1])
        assert 0 < before < 1000
        assert BLOCK_SIZE < used_bytes(volume) - before + 100 < BLOCK_SIZE + 200
        (journal,) = (volume.state / "partial").glob("*.journal")
        journal.write_text("")
        assert used_bytes(volume) == len(DATA) + len("1\n")


def test_a_quota_bounds_what_fits(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    (volume.root / "x").write_bytes(bytes(1000))
    cluster(monkeypatch, total=10**12, free=10**9)
    assert measure(volume, quota=None).free == 10**9 // 4096 * 4096
    assert measure(volume, quota=5000).free == 4000
    assert measure(volume, quota=999).free == 0
    assert measure(volume, quota=999).used == 1000
    assert measure(volume, quota=10**11).free == 10**9 // 4096 * 4096


def test_a_whole_clusters_space_says_nothing(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster(monkeypatch, total=1 << 50, free=1 << 49)
    assert measure(volume, quota=None) == Room(capacity=None, quota=None, used=None, free=None)
    assert measure(volume, quota=5000).free == 5000


def test_a_volume_that_is_gone_is_told(volume: Volume) -> None:
    volume.root.rmdir()
    with pytest.raises(VolumeError, match="asking for the space"):
        measure(volume, quota=None)


@pytest.mark.parametrize(("needed", "room"), [(0, 0), (5, 5), (10**15, None)])
def test_what_fits_is_no_error(needed: int, room: int | None) -> None:
    check_space(needed, room)


def test_what_does_not_fit_is_told_in_figures() -> None:
    with pytest.raises(SpaceError, match=r"37\.2 GB .* 12\.0 GB.* by 25\.2 GB"):
        check_space(37_200_000_000, 12_000_000_000)


@pytest.mark.parametrize("length", [0, 1, BLOCK_SIZE, BLOCK_SIZE + 1, 2 * BLOCK_SIZE])
def test_a_file_is_hashed_whole_and_by_block(tmp_path: Path, length: int) -> None:
    data = DATA[:length]
    (tmp_path / "x").write_bytes(data)
    count = -(-length // BLOCK_SIZE)
    expected = hashlib.sha256(data).hexdigest(), b"".join(block_digest(block(data, index)) for index in range(count))
    assert hash_file(tmp_path / "x") == expected
    with (tmp_path / "x").open("rb") as file:
        assert hash_file(file.fileno()) == expected
        assert not file.closed
        os.fstat(file.fileno())


def test_hashing_tells_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    seen: list[int] = []

    def stop_at_two(done: int) -> None:
        seen.append(done)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hash_file(tmp_path / "x", progress=stop_at_two)
    assert seen == [BLOCK_SIZE, 2 * BLOCK_SIZE]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"reading .*gone"):
        hash_file(tmp_path / "gone")
    with pytest.raises(VolumeError):
        hash_file(tmp_path)
