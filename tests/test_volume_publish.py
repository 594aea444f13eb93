"""A final name holds the old file or the whole new one, whenever the work is cut off, and no user's file is lost."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prefetch.errors import HashMismatch, PrefetchError, VolumeError
from prefetch.volume.hashing import hash_file
from prefetch.volume.inventory import Inventory, Record, modified
from prefetch.volume.layout import Volume
from prefetch.volume.partial import BLOCK_SIZE, Partial
from prefetch.volume.publish import Published, link, publish
from tests.support.volumes import KILLED, content, dying_at, identity_of, in_child, names, read_all, write

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

NEW = content(BLOCK_SIZE + 1000)
SMALL = NEW[:1000]
OLD = b"what the user had there"
PATH = "models/vae/x.safetensors"
IDENTITY = identity_of(NEW, PATH)
SHA256 = hashlib.sha256(NEW).hexdigest()


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path / "volume", create=True)


@pytest.fixture
def target(volume: Volume) -> Path:
    (volume.root / PATH).parent.mkdir(parents=True)
    return volume.root / PATH


def finished(volume: Volume, data: bytes = NEW) -> Partial:
    partial = Partial.open(volume, identity_of(data, PATH))
    read_all(partial)
    write(partial, data, set(range(partial.block_count)) - set(partial.claimed))
    return partial


def place(volume: Volume, data: bytes = NEW, *, ours: Record | None = None) -> Published:
    return publish(volume, finished(volume, data), PATH, ours=ours)


def record_of(path: Path, *, placed: bool = True) -> Record:
    stat = path.lstat()
    return Record(
        path=PATH,
        size=stat.st_size,
        mtime=modified(stat),
        sha256=SHA256,
        source="https://host.test/x",
        url="https://host.test/x",
        commit=None,
        pinned=True,
        placed=placed,
        node_path=None,
        groups=(),
    )


def files_below(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def failing(code: int) -> Callable[..., Any]:
    def call(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def test_a_model_appears_under_its_name(volume: Volume) -> None:
    published = place(volume)
    target = volume.root / PATH
    assert target.read_bytes() == NEW
    assert published.kept_at is None
    assert published.stat.st_ino == target.stat().st_ino
    assert sorted(files_below(volume.root)) == [".prefetch/FORMAT", PATH]


def test_it_may_be_read_by_others_as_the_umask_says(volume: Volume) -> None:
    before = os.umask(0o026)
    try:
        place(volume)
    finally:
        os.umask(before)
    assert (volume.root / PATH).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("blocks", [[], [0]])
def test_what_is_not_whole_gets_no_name(volume: Volume, blocks: list[int]) -> None:
    partial = Partial.open(volume, IDENTITY)
    write(partial, NEW, blocks)
    with pytest.raises(VolumeError, match="is not whole"):
        publish(volume, partial, PATH, ours=None)
    assert not (volume.root / "models").exists()


def test_blocks_that_were_never_copied_get_no_name(volume: Volume) -> None:
    (volume.root / "y").write_bytes(NEW)
    partial = Partial.open(volume, IDENTITY)
    partial.seed_from("y", hash_file(volume.root / "y")[1])
    with pytest.raises(VolumeError, match="0 of 2 blocks"):
        publish(volume, partial, PATH, ours=None)


def test_a_users_file_is_kept(volume: Volume, target: Path) -> None:
    target.write_bytes(OLD)
    published = place(volume)
    assert published.kept_at == f".prefetch/replaced/1/{PATH}"
    assert (volume.root / published.kept_at).read_bytes() == OLD
    assert target.read_bytes() == NEW


def test_every_users_file_is_kept(volume: Volume, target: Path) -> None:
    kept = []
    for content_ in (b"one", b"two"):
        target.unlink(missing_ok=True)
        target.write_bytes(content_)
        kept.append(place(volume).kept_at)
    assert kept == [f".prefetch/replaced/{number}/{PATH}" for number in (1, 2)]
    assert [(volume.root / str(path)).read_bytes() for path in kept] == [b"one", b"two"]


def test_a_kept_file_can_be_in_the_way_of_another(volume: Volume, target: Path) -> None:
    (volume.state / "replaced/1").mkdir(parents=True)
    (volume.state / "replaced/1/models").touch()
    (volume.state / "replaced/2").symlink_to("/tmp")
    target.write_bytes(OLD)
    assert place(volume).kept_at == f".prefetch/replaced/3/{PATH}"


def test_a_users_link_is_kept_as_a_link(volume: Volume, target: Path) -> None:
    (target.parent / "real").write_bytes(OLD)
    target.symlink_to("real")
    kept = volume.root / str(place(volume).kept_at)
    assert kept.is_symlink()
    assert kept.readlink() == Path("real")
    assert (target.parent / "real").read_bytes() == OLD
    assert target.read_bytes() == NEW
    assert not target.is_symlink()


def test_our_own_file_is_replaced_without_a_trace(volume: Volume, target: Path) -> None:
    target.write_bytes(OLD)
    assert place(volume, ours=record_of(target)).kept_at is None
    assert target.read_bytes() == NEW
    assert not (volume.state / "replaced").exists()


@pytest.mark.parametrize("changed", ["adopted", "size", "time", "link"])
def test_what_is_not_as_we_placed_it_is_the_users(volume: Volume, target: Path, changed: str) -> None:
    target.write_bytes(OLD)
    record = record_of(target, placed=changed != "adopted")
    if changed == "size":
        target.write_bytes(OLD + b"!")
        os.utime(target, (record.mtime, record.mtime))
    elif changed == "time":
        os.utime(target, (record.mtime + 1, record.mtime + 1))
    elif changed == "link":
        target.rename(target.parent / "real")
        target.symlink_to("real")
    assert place(volume, ours=record).kept_at


def test_a_link_is_never_ours(volume: Volume, target: Path) -> None:
    (target.parent / "real").write_bytes(OLD)
    target.symlink_to("real")
    assert place(volume, ours=record_of(target)).kept_at


def test_where_files_cannot_have_two_names_they_are_moved(
    volume: Volume, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.write_bytes(OLD)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    kept_at = place(volume).kept_at
    assert (volume.root / str(kept_at)).read_bytes() == OLD
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("obstacle", ["directory", "link that leaves", "way that leaves", "file on the way"])
def test_what_came_in_the_way_meanwhile_is_named(volume: Volume, tmp_path: Path, obstacle: str) -> None:
    partial = finished(volume)
    target = volume.root / PATH
    if obstacle == "directory":
        target.mkdir(parents=True)
    elif obstacle == "link that leaves":
        target.parent.mkdir(parents=True)
        target.symlink_to(tmp_path / "elsewhere")
    elif obstacle == "way that leaves":
        (volume.root / "models").symlink_to(tmp_path)
    else:
        (volume.root / "models").touch()
    with pytest.raises(VolumeError, match="models"):
        publish(volume, partial, PATH, ours=None)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["volume"]
    with closing(Partial.open(volume, identity_of(NEW, "models.gguf"))) as again:
        assert again.resumed_bytes == len(NEW)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failure_keeps_the_old_file_and_the_state(
    volume: Volume, target: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    target.write_bytes(OLD)
    partial = finished(volume)
    partial.sync()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.EIO))
        with pytest.raises(VolumeError):
            publish(volume, partial, PATH, ours=None)
    assert target.read_bytes() == OLD
    with closing(Partial.open(volume, IDENTITY)) as again:
        assert again.resumed_bytes == len(NEW)


def test_an_error_of_close_counts(volume: Volume, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target.write_bytes(OLD)
    partial = finished(volume)
    with partial._data.use() as number:
        data = number
    close = os.close

    def close_and_tell(number: int) -> None:
        close(number)
        if number == data:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", close_and_tell)
        with pytest.raises(PrefetchError, match="quota"):
            publish(volume, partial, PATH, ours=None)
    assert target.read_bytes() == OLD


def test_the_order_of_the_steps(volume: Volume, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target.write_bytes(OLD)
    partial = finished(volume)
    steps: list[str] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **options: Any) -> Any:
            where = Path(f"/proc/self/fd/{args[0]}").readlink().name if isinstance(args[0], int) else args[0]
            result = call(*args, **options)
            steps.append(f"{name} {where.removeprefix(IDENTITY.key)}")
            return result

        return noted

    for name in ("fsync", "close", "link", "rename", "unlink"):
        monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
    publish(volume, partial, PATH, ours=None)
    wanted = ["fsync .1.data", "close .1.data", f"link {target.name}", "fsync vae", "rename .1.data", "fsync vae"]
    assert [step for step in steps if step in wanted] == wanted
    assert steps.index("unlink .1.journal") > steps.index("rename .1.data")


@pytest.mark.parametrize("old", [None, OLD], ids=["nothing there", "a user's file there"])
def test_cut_off_at_any_step_it_is_the_old_or_the_new(tmp_path: Path, old: bytes | None) -> None:
    for step in range(1000):
        volume = Volume.open(tmp_path / str(step), create=True)
        target = volume.root / PATH
        if old is not None:
            target.parent.mkdir(parents=True)
            target.write_bytes(old)
        code = in_child(dying_at(step, lambda volume=volume: place(volume, SMALL)))  # type: ignore[misc]
        assert code in (0, KILLED)
        assert (target.read_bytes() if target.exists() else None) in (old, SMALL)
        again(volume, target)
        kept = files_below(volume.state / "replaced")
        assert kept == ({} if old is None else {f"1/{PATH}": old})
        assert not [name for name in names(volume.state / "partial") if name.endswith(".data")]
        if code == 0:
            break
    assert step > 10


def again(volume: Volume, target: Path) -> None:
    """What the next run does: nothing where the right file stands, else all of it once more."""
    if not target.exists() or target.read_bytes() != SMALL:
        place(volume, SMALL)
    else:
        Partial.open(volume, identity_of(SMALL, PATH)).discard()
    assert target.read_bytes() == SMALL


# The same bytes at a second path ------------------------------------------------------------------------------------


def test_a_second_name_is_a_hard_link(volume: Volume) -> None:
    first = place(volume)
    second = link(volume, PATH, "loras/y", sha256=SHA256, ours=None)
    assert second.stat.st_ino == first.stat.st_ino
    assert second.kept_at is None
    assert (volume.root / "loras/y").read_bytes() == NEW
    assert names(volume.state / "tmp") == []


def test_a_second_name_keeps_what_stood_there(volume: Volume) -> None:
    place(volume)
    (volume.root / "y").write_bytes(OLD)
    kept_at = link(volume, PATH, "y", sha256=SHA256, ours=None).kept_at
    assert (volume.root / str(kept_at)).read_bytes() == OLD
    assert (volume.root / "y").read_bytes() == NEW


@pytest.mark.parametrize("how", ["hard link", "symbolic link"])
def test_a_name_that_leads_there_already_is_left_alone(volume: Volume, how: str) -> None:
    place(volume)
    if how == "hard link":
        os.link(volume.root / PATH, volume.root / "y")
    else:
        (volume.root / "y").symlink_to(PATH)
    before = (volume.root / "y").lstat()
    assert link(volume, PATH, "y", sha256=SHA256, ours=None).kept_at is None
    assert (volume.root / "y").lstat() == before
    assert not (volume.state / "replaced").exists()


def test_the_model_may_stand_behind_a_link(volume: Volume) -> None:
    place(volume)
    (volume.root / "x").symlink_to(PATH)
    assert link(volume, "x", "y", sha256=SHA256, ours=None).stat.st_ino == (volume.root / PATH).stat().st_ino


def test_where_files_cannot_have_two_names_there_are_two_files(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    first = place(volume)
    monkeypatch.setattr(os, "link", failing(errno.ENOTSUP))
    second = link(volume, PATH, "y", sha256=SHA256, ours=None)
    assert second.stat.st_ino != first.stat.st_ino
    assert (volume.root / "y").read_bytes() == NEW
    assert names(volume.state / "partial") == []


def test_a_copy_is_verified(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    place(volume)
    with (volume.root / PATH).open("r+b") as file:
        file.write(b"damage")
    monkeypatch.setattr(os, "link", failing(errno.ENOTSUP))
    with pytest.raises(HashMismatch, match=SHA256):
        link(volume, PATH, "y", sha256=SHA256, ours=None)
    assert not (volume.root / "y").exists()
    assert names(volume.state / "partial") == []


def test_a_second_name_that_cannot_be_given_leaves_nothing(volume: Volume) -> None:
    place(volume)
    (volume.root / "y").mkdir()
    with pytest.raises(VolumeError, match="y is a directory"):
        link(volume, PATH, "y", sha256=SHA256, ours=None)
    assert names(volume.state / "tmp") == []


def test_a_model_that_is_gone_has_no_second_name(volume: Volume) -> None:
    with pytest.raises(VolumeError, match="linking x to y"):
        link(volume, "x", "y", sha256=SHA256, ours=None)


def test_what_is_recorded_matches_what_was_published(volume: Volume) -> None:
    place(volume)
    inventory = Inventory(volume)
    inventory.put(record_of(volume.root / PATH), None)
    found = inventory.get(PATH)
    assert found is not None
    assert place(volume, ours=found).kept_at is None
