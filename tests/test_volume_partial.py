"""A partial file keeps what was written to it, believes nothing it did not check, and belongs to one process."""

from __future__ import annotations

import errno
import json
import os
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefetch.errors import ContentError, SpaceError, VolumeError
from prefetch.volume import files
from prefetch.volume.hashing import block_digest, hash_file
from prefetch.volume.layout import Volume
from prefetch.volume.loans import Loans
from prefetch.volume.partial import BLOCK_SIZE, Identity, Partial
from tests.support.volumes import (
    KILLED,
    block,
    content,
    dying_at,
    identity_of,
    in_child,
    names,
    open_descriptors,
    read_all,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

DATA = content(2 * BLOCK_SIZE + 1000)
IDENTITY = identity_of(DATA)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


def pairs(volume: Volume) -> dict[int, set[str]]:
    """The generations in the directory of partial files, and which of the two files each has."""
    found: dict[int, set[str]] = {}
    for name in names(volume.state / "partial"):
        _, number, kind = name.split(".")
        found.setdefault(int(number), set()).add(kind)
    return found


def path_of(volume: Volume, number: int, kind: str, identity: Identity = IDENTITY) -> Path:
    return volume.state / "partial" / f"{identity.key}.{number}.{kind}"


def left_by_another(volume: Volume, blocks: list[int], **owner: Any) -> None:
    """Generation 1 with some blocks, as if its writer had been another one."""
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, blocks)
    journal = path_of(volume, 1, "journal")
    header, *lines = journal.read_bytes().splitlines(keepends=True)
    document = json.loads(header)
    document["owner"] |= owner
    journal.write_bytes(json.dumps(document).encode() + b"\n" + b"".join(lines))


def whole(partial: Partial) -> bytes:
    return b"".join(data or b"" for data in read_all(partial).values())


@contextmanager
def longest_file(length: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_written_is_read(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert (partial.size, partial.block_count, partial.resumed_bytes) == (len(DATA), 3, 0)
        assert [partial.block_length(index) for index in range(4)] == [BLOCK_SIZE, BLOCK_SIZE, 1000, 0]
        digests = [partial.write(index, memoryview(block(DATA, index))) for index in (2, 0, 1)]
        assert digests == [block_digest(block(DATA, index)) for index in (2, 0, 1)]
        assert whole(partial) == DATA
        assert partial.digests() == digests[1] + digests[2] + digests[0]
        partial.check_whole()


def test_partial_data_looks_like_no_model_and_has_its_length_at_once(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [2])
        assert path_of(volume, 1, "data").stat().st_size == len(DATA)
        assert {path.suffix for path in volume.root.rglob("*") if path.is_file()} == {"", ".data", ".journal"}
        assert path_of(volume, 1, "data").stat().st_blocks * 512 < BLOCK_SIZE


def test_blocks_are_written_from_many_threads(volume: Volume) -> None:
    data = content(12 * BLOCK_SIZE - 7)
    with closing(Partial.open(volume, identity_of(data))) as partial, ThreadPoolExecutor(6) as pool:
        buffers = threading.local()

        def there_and_back(index: int) -> bool:
            if not hasattr(buffers, "mine"):
                buffers.mine = memoryview(bytearray(BLOCK_SIZE))
            partial.write(index, block(data, index))
            view = partial.read(index, buffers.mine)
            return view is not None and bytes(view) == block(data, index)

        assert all(pool.map(there_and_back, range(12)))
        assert partial.unsynced_bytes == len(data)
        partial.sync()
        assert partial.unsynced_bytes == 0
        partial.check_whole()
        assert hash_file(path_of(volume, 1, "data", partial.identity))[0] == partial.identity.sha256


@pytest.mark.parametrize(("index", "length"), [(0, 5), (2, BLOCK_SIZE), (2, 999), (3, 1), (3, 0)])
def test_a_block_of_another_length_is_refused(volume: Volume, index: int, length: int) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        with pytest.raises(ValueError, match=f"block {index}"):
            partial.write(index, bytes(length))
        assert partial.claimed == {}


def test_a_file_with_missing_blocks_is_not_whole(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0, 2])
        with pytest.raises(VolumeError, match="2 of 3 blocks"):
            partial.check_whole()
        with pytest.raises(KeyError):
            partial.digests()


def test_a_file_of_another_length_is_not_whole(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
        os.truncate(path_of(volume, 1, "data"), len(DATA) + 1)
        with pytest.raises(VolumeError, match=f"in {len(DATA) + 1} bytes"):
            partial.check_whole()


def test_an_empty_file_is_whole_from_the_start(volume: Volume) -> None:
    with closing(Partial.open(volume, identity_of(b""))) as partial:
        partial.check_whole()
        assert partial.digests() == b""


# Resuming ---------------------------------------------------------------------------------------------------------


def test_a_dead_process_leaves_its_file_to_the_next(volume: Volume) -> None:
    def killed() -> None:
        write(Partial.open(volume, IDENTITY), DATA, [0, 2])
        os._exit(KILLED)

    assert in_child(killed) == KILLED
    inode = path_of(volume, 1, "data").stat().st_ino
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.resumed_bytes == BLOCK_SIZE + 1000
        assert pairs(volume) == {2: {"data", "journal"}}
        assert path_of(volume, 2, "data").stat().st_ino == inode
        assert read_all(partial) == {0: block(DATA, 0), 2: block(DATA, 2)}
        partial.write(1, block(DATA, 1))
        partial.check_whole()


def test_a_closed_file_is_taken_over_by_the_same_process(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [1])
    inode = path_of(volume, 1, "data").stat().st_ino
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert path_of(volume, 2, "data").stat().st_ino == inode
        assert list(partial.claimed) == [1]


@pytest.mark.parametrize(
    "owner", [{"host": "elsewhere"}, {"boot_id": "another"}, {"pid_namespace": 1}], ids=lambda owner: next(iter(owner))
)
def test_the_file_of_another_host_is_copied_and_never_written(volume: Volume, owner: dict[str, Any]) -> None:
    left_by_another(volume, [0, 2], **owner)
    theirs = path_of(volume, 1, "data")
    before = theirs.stat()
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.resumed_bytes == BLOCK_SIZE + 1000
        assert path_of(volume, 2, "data").stat().st_ino != before.st_ino
        with pytest.raises(VolumeError, match="0 of 3 blocks"):
            partial.check_whole()
        assert read_all(partial) == {0: block(DATA, 0), 2: block(DATA, 2)}
        partial.write(1, block(DATA, 1))
        theirs.write_bytes(b"the other host wakes up")
        assert whole(partial) == DATA
        partial.check_whole()
    assert pairs(volume) == {1: {"data", "journal"}, 2: {"data", "journal"}}


def test_what_was_copied_is_kept_when_the_copier_dies(volume: Volume) -> None:
    left_by_another(volume, [0, 2], host="elsewhere")

    def killed() -> None:
        read_all(Partial.open(volume, IDENTITY))
        os._exit(KILLED)

    assert in_child(killed) == KILLED
    path_of(volume, 1, "data").unlink()
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert read_all(partial) == {0: block(DATA, 0), 2: block(DATA, 2)}


def test_a_file_that_is_being_written_is_copied(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as first, closing(Partial.open(volume, IDENTITY)) as early:
        assert early.resumed_bytes == 0
        write(first, DATA, [0])
        with closing(Partial.open(volume, IDENTITY)) as late:
            assert late.resumed_bytes == BLOCK_SIZE
            assert whole(late) == block(DATA, 0)
        assert len({path_of(volume, number, "data").stat().st_ino for number in (1, 2, 3)}) == 3


def test_another_hosts_file_may_vanish_meanwhile(volume: Volume) -> None:
    left_by_another(volume, [0, 2], host="elsewhere")
    with closing(Partial.open(volume, IDENTITY)) as partial:
        os.truncate(path_of(volume, 1, "data"), 0)
        assert read_all(partial) == {0: None, 2: None}
        write(partial, DATA)
        partial.check_whole()


def dies_with(volume: Volume, blocks: list[int]) -> None:
    """A generation with these blocks and no others, whose writer is gone."""

    def work() -> None:
        partial = Partial.open(volume, IDENTITY)
        partial.restart()
        write(partial, DATA, blocks)
        os._exit(KILLED)

    assert in_child(work) == KILLED


def test_what_several_have_is_brought_together(volume: Volume) -> None:
    left_by_another(volume, [0, 2], host="elsewhere")
    dies_with(volume, [1])

    def killed() -> None:
        partial = Partial.open(volume, IDENTITY)
        assert sorted(partial.claimed) == [0, 1, 2]
        assert partial.read(0, memoryview(bytearray(BLOCK_SIZE))) is not None
        os._exit(KILLED)

    assert in_child(killed) == KILLED
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.resumed_bytes == len(DATA)
        assert whole(partial) == DATA
        partial.check_whole()


def test_our_dead_ones_go_once_nothing_is_borrowed_of_them(volume: Volume) -> None:
    left_by_another(volume, [0, 2], host="elsewhere")
    dies_with(volume, [1])
    dies_with(volume, [2])
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert pairs(volume).keys() == {1, 2, 4}
        assert whole(partial) == DATA
    with closing(Partial.open(volume, IDENTITY)):
        assert pairs(volume).keys() == {1, 5}
    dies_with(volume, [1])
    last = Partial.open(volume, IDENTITY)
    last.discard()
    assert pairs(volume).keys() == {1}


def test_a_borrowed_block_that_never_comes_is_not_waited_for(tmp_path: Path) -> None:
    pipe, hangs = tmp_path / "pipe", tmp_path / "hangs"
    os.mkfifo(pipe)
    hangs.write_bytes(b"x" * 4)
    loans = Loans(patience=0.05)
    read = files.read_into

    def stuck(number: int, view: memoryview, offset: int) -> bool:
        with pipe.open("rb"):
            return read(number, view, offset)

    loans.borrow(os.open(hangs, os.O_RDONLY), [0, 1])
    view = memoryview(bytearray(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "read_into", stuck)
        assert not loans.read(0, view)
    assert not loans.read(1, view), "its file does not answer"
    loans.close()
    with pipe.open("wb"):
        assert bytes(view) == bytes(4), "it is not to come after all"


@given(st.data())
@settings(max_examples=60)
def test_a_journal_cut_at_any_byte_costs_what_it_no_longer_tells(tmp_path_factory: Any, drawn: st.DataObject) -> None:
    """Whatever is left of it, no block is believed that is not there, and none is lost that it still lists."""
    volume = Volume.open(tmp_path_factory.mktemp("cut"))
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [2, 0, 1])
    journal = path_of(volume, 1, "journal")
    text = journal.read_bytes()
    length = drawn.draw(st.integers(0, len(text)))
    journal.write_bytes(text[:length])
    _, *lines = text[:length].split(b"\n")[:-1] or [b""]
    listed = {int(line.split()[0]) for line in lines if line != b"released"}
    with closing(Partial.open(volume, IDENTITY)) as again:
        assert read_all(again) == {index: block(DATA, index) for index in listed}
        write(again, DATA, set(range(3)) - listed)
        again.check_whole()
        assert whole(again) == DATA


@pytest.mark.parametrize("damage", ["block", "journal digest", "short data", "torn line"])
def test_damage_costs_its_block_and_no_other(volume: Volume, damage: str) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
    data, journal = path_of(volume, 1, "data"), path_of(volume, 1, "journal")
    if damage == "block":
        with data.open("r+b") as file:
            file.seek(len(DATA) - 1)
            file.write(bytes([DATA[-1] ^ 1]))
    elif damage == "journal digest":
        journal.write_bytes(journal.read_bytes() + b"2 1000 " + b"0" * 32 + b"\n")
    elif damage == "short data":
        os.truncate(data, len(DATA) - 1)
    else:
        journal.write_bytes(journal.read_bytes().replace(b"\n2 1000 ", b"\n2 10"))
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert (2 in partial.claimed) is (damage in ("block", "journal digest"))
        found = read_all(partial)
        assert {index: data for index, data in found.items() if data} == {0: block(DATA, 0), 1: block(DATA, 1)}
        assert sorted(partial.claimed) == [0, 1]
        partial.write(2, block(DATA, 2))
        assert whole(partial) == DATA
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert whole(partial) == DATA


def test_a_block_found_damaged_stays_forgotten(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
        with path_of(volume, 1, "data").open("r+b") as file:
            file.write(b"damage")
        assert read_all(partial)[0] is None
        assert partial.read(0, memoryview(bytearray(BLOCK_SIZE))) is None
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert sorted(partial.claimed) == [1, 2]


def test_a_block_written_anew_while_its_old_bytes_were_read_stays(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0])
        with path_of(volume, 1, "data").open("r+b") as file:
            file.write(b"damage")
        preadv = os.preadv

        def read_then_written(number: int, views: list[memoryview], offset: int) -> int:
            count = preadv(number, views, offset)
            partial.write(0, block(DATA, 1))
            return count

        monkeypatch.setattr(os, "preadv", read_then_written)
        assert read_all(partial) == {0: None}
        monkeypatch.undo()
        assert read_all(partial) == {0: block(DATA, 1)}


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, size=len(DATA) + 1),
        replace(IDENTITY, sha256="0" * 64),
        replace(IDENTITY, sha256=None),
    ],
    ids=["size", "hash", "no hash"],
)
def test_another_file_starts_from_nothing(volume: Volume, other: Identity) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
    with closing(Partial.open(volume, other)) as partial:
        assert partial.resumed_bytes == 0
        assert partial.claimed == {}


def test_without_a_validator_nothing_is_kept(volume: Volume) -> None:
    unknown = Identity("models/x", len(DATA), None, "https://host.test/x", None)
    with closing(Partial.open(volume, unknown)) as partial:
        write(partial, DATA)
    with closing(Partial.open(volume, unknown)) as partial:
        assert partial.claimed == {}
    assert len(names(volume.state / "partial")) == 2


@pytest.mark.parametrize("text", [b"", b"{}\n", os.urandom(1000)])
def test_a_journal_that_cannot_be_read_is_nobodys_business(volume: Volume, text: bytes) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
    path_of(volume, 1, "journal").write_bytes(text)
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.claimed == {}
    assert pairs(volume).keys() == {1, 2}


def test_things_that_are_no_files_are_not_opened(volume: Volume) -> None:
    volume.prepare()
    (volume.state / "partial").mkdir()
    os.mkfifo(path_of(volume, 1, "journal"))
    path_of(volume, 2, "journal").symlink_to("/etc/passwd")
    path_of(volume, 3, "journal").mkdir()
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
    assert path_of(volume, 4, "data").stat().st_size == len(DATA)


@pytest.mark.parametrize("number", [10**9 - 2, 10**9 - 1, 10**9, 10**18 - 1, int("9" * 182)])
def test_a_number_that_nobody_counts_to_costs_nothing(volume: Volume, number: int) -> None:
    volume.prepare()
    (volume.state / "partial").mkdir()
    path_of(volume, number, "journal").touch()
    for _ in range(3):
        with closing(Partial.open(volume, IDENTITY)) as partial:
            write(partial, DATA)
            partial.check_whole()


@pytest.mark.parametrize("kind", ["data", "journal"])
def test_a_directory_with_the_last_number_gives_way(volume: Volume, kind: str) -> None:
    path_of(volume, 10**9 - 1, kind).mkdir(parents=True)
    (path_of(volume, 10**9 - 1, kind) / "x").touch()
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
    assert path_of(volume, 1, "data").stat().st_size == len(DATA)


def test_a_link_for_data_is_not_followed(volume: Volume, tmp_path: Path) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
    victim = tmp_path / "victim"
    path_of(volume, 1, "data").rename(victim)
    path_of(volume, 1, "data").symlink_to(victim)
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.claimed == {}
    assert victim.read_bytes() == DATA


def test_an_obstacle_is_named_before_anything_is_fetched(volume: Volume) -> None:
    (volume.root / IDENTITY.path).mkdir(parents=True)
    with pytest.raises(VolumeError, match="is a directory"):
        Partial.open(volume, IDENTITY)
    assert not volume.state.exists()


# One process, one file --------------------------------------------------------------------------------------------


def hold(volume: Volume, report: int, until: int) -> None:
    partial = Partial.open(volume, IDENTITY)
    resumed = partial.resumed_bytes
    with partial._data.use() as number:
        os.write(report, b"%d %d\n" % (os.fstat(number).st_ino, resumed))
    os.read(until, 1)


@pytest.mark.parametrize("attempt", range(4))
def test_processes_that_open_at_once_share_no_file(volume: Volume, attempt: int) -> None:
    def killed() -> None:
        write(Partial.open(volume, IDENTITY), DATA, [0])
        os._exit(KILLED)

    assert in_child(killed) == KILLED
    reports, report = os.pipe()
    until, done = os.pipe()
    children = []
    for _ in range(6):
        child = os.fork()
        if child == 0:
            os.close(done)
            try:
                hold(volume, report, until)
            except BaseException as error:
                os.write(report, f"{type(error).__name__} 0\n".encode())
            finally:
                os._exit(0)
        children.append(child)
    os.close(report)
    lines = b""
    while lines.count(b"\n") < 6 and (more := os.read(reports, 1000)):
        lines += more
    os.close(done)
    for child in children:
        os.waitpid(child, 0)
    os.close(reports)
    os.close(until)
    inodes = [line.split()[0] for line in lines.splitlines()]
    assert all(inode.isdigit() for inode in inodes), lines
    assert len(inodes) == len(set(inodes)) == 6
    assert lines.count(b" %d\n" % BLOCK_SIZE) >= 1


def test_a_number_below_a_newer_one_is_given_up(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    open_ = os.open

    def overtaken(name: Any, flags: int, *args: Any, **options: Any) -> int:
        number = open_(name, flags, *args, **options)
        if name == path_of(volume, 1, "journal").name and flags & os.O_EXCL:
            path_of(volume, 5, "journal").touch()
        return number

    monkeypatch.setattr(os, "open", overtaken)
    Partial.open(volume, IDENTITY).close()
    assert pairs(volume) == {5: {"journal"}, 6: {"data", "journal"}}


def test_who_is_too_late_to_take_over_starts_from_nothing(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0])
    rename = os.rename

    def too_late(source: str, target: str, **options: Any) -> None:
        if source.endswith(".data"):
            rename(path_of(volume, 1, "data"), volume.root / "taken")
        rename(source, target, **options)

    monkeypatch.setattr(os, "rename", too_late)
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert (partial.claimed, partial.resumed_bytes) == ({}, 0)
        write(partial, DATA, [1])
    monkeypatch.undo()
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert read_all(partial) == {1: block(DATA, 1)}
    assert (volume.root / "taken").read_bytes()[:BLOCK_SIZE] == block(DATA, 0)


def test_a_link_for_a_journal_is_not_followed(volume: Volume, tmp_path: Path) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
    path_of(volume, 1, "journal").rename(tmp_path / "journal")
    path_of(volume, 1, "journal").symlink_to(tmp_path / "journal")
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.claimed == {}


def steps_until_done(work: Callable[[], object], before: Callable[[], object], after: Callable[[], object]) -> int:
    """Kill ``work`` before each of its steps in turn, with ``before`` and ``after`` around; returns their number."""
    for step in range(1000):
        before()
        code = in_child(dying_at(step, work))
        assert code in (0, KILLED)
        after()
        if code == 0:
            return step
    raise AssertionError("it never ends")


def test_a_take_over_that_is_cut_off_loses_nothing(volume: Volume) -> None:
    def leave() -> None:
        def killed() -> None:
            write(Partial.open(volume, IDENTITY), DATA, [0, 2])
            os._exit(KILLED)

        assert in_child(killed) == KILLED

    def check() -> None:
        partial = Partial.open(volume, IDENTITY)
        assert read_all(partial) == {0: block(DATA, 0), 2: block(DATA, 2)}
        assert sum("data" in kinds for kinds in pairs(volume).values()) == 1
        partial.discard()
        for name in names(volume.state / "partial"):
            # A process killed in the very moment between making its journal and its first line.
            assert (volume.state / "partial" / name).stat().st_size == 0

    assert steps_until_done(lambda: Partial.open(volume, IDENTITY), leave, check) > 5


# Unknown size, starting over, copies of damaged files ---------------------------------------------------------------


def test_a_file_of_unknown_size_learns_it_at_its_end(volume: Volume) -> None:
    with closing(Partial.open(volume, replace(IDENTITY, size=None))) as partial:
        assert (partial.size, partial.block_count, partial.block_length(9)) == (None, 0, BLOCK_SIZE)
        write(partial, DATA, [0, 1, 2])
        assert partial.block_length(2) == 1000
        assert whole(partial) == DATA
        with pytest.raises(VolumeError):
            partial.check_whole()
        with pytest.raises(ContentError):
            partial.learn_size(len(DATA) - 1)
        partial.learn_size(len(DATA))
        partial.learn_size(len(DATA))
        assert (partial.size, partial.block_count) == (len(DATA), 3)
        partial.check_whole()
        assert len(partial.digests()) == 48


@pytest.mark.parametrize("size", [0, BLOCK_SIZE])
def test_a_size_of_whole_blocks_is_learned(volume: Volume, size: int) -> None:
    with closing(Partial.open(volume, replace(IDENTITY, size=None))) as partial:
        for index in range(size // BLOCK_SIZE):
            partial.write(index, block(DATA, index))
        partial.learn_size(size)
        partial.check_whole()


def test_a_known_size_cannot_become_another(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial, pytest.raises(ContentError, match="1 bytes now"):
        partial.learn_size(1)


@pytest.mark.parametrize("size", [len(DATA), None])
def test_starting_over_leaves_nothing(volume: Volume, size: int | None) -> None:
    identity = replace(IDENTITY, size=size)
    with closing(Partial.open(volume, identity)) as partial:
        write(partial, DATA, [0, 1, 2])
        partial.learn_size(len(DATA))
        partial.restart()
        assert (partial.claimed, partial.size, partial.unsynced_bytes) == ({}, size, 0)
        assert path_of(volume, 1, "data").stat().st_blocks == 0
        write(partial, DATA, [0])
    with closing(Partial.open(volume, identity)) as partial:
        assert list(partial.claimed) == ([] if size is None else [0])


def test_a_damaged_file_gives_its_sound_blocks(volume: Volume) -> None:
    path = volume.root / IDENTITY.path
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    digests = hash_file(path)[1]
    with path.open("r+b") as file:
        file.seek(BLOCK_SIZE + 5)
        file.write(b"damage")
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.seed_from(IDENTITY.path, digests) == len(DATA)
        assert read_all(partial) == {0: block(DATA, 0), 1: None, 2: block(DATA, 2)}
        partial.write(1, block(DATA, 1))
        partial.check_whole()
        assert partial.digests() == digests
    assert path.read_bytes() != DATA


def test_what_is_here_already_is_not_copied_again(volume: Volume) -> None:
    path = volume.root / "y"
    path.write_bytes(DATA)
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0])
        assert partial.seed_from("y", hash_file(path)[1]) == len(DATA) - BLOCK_SIZE
        assert whole(partial) == DATA
        partial.restart()
        assert partial.seed_from("y", bytes(16)) == 0
        assert partial.claimed == {}


def test_a_block_can_be_compared_with_what_arrives(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0])
        assert partial.matches(0, block(DATA, 0))
        assert not partial.matches(0, block(DATA, 1))
        assert not partial.matches(1, block(DATA, 1))


# When the volume refuses --------------------------------------------------------------------------------------------


def test_no_room_is_told_as_such_and_keeps_what_is_there(volume: Volume) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0])
        with longest_file(BLOCK_SIZE), pytest.raises(SpaceError, match=f"writing {IDENTITY.path}"):
            write(partial, DATA, [1])
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert read_all(partial) == {0: block(DATA, 0)}


def test_no_room_for_the_file_at_all(volume: Volume) -> None:
    with longest_file(BLOCK_SIZE), pytest.raises(SpaceError, match="opening the partial file"):
        Partial.open(volume, IDENTITY)
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.claimed == {}
    assert pairs(volume).keys() == {2}


def test_after_a_failed_write_back_nothing_is_believed(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0])
        partial.sync()
        write(partial, DATA, [1])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(errno.EIO))
            with pytest.raises(VolumeError, match="to the disk"):
                partial.sync()
        assert list(partial.claimed) == [0]
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert list(partial.claimed) == [0]


def test_even_where_there_is_no_room_to_say_so(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0, 1])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(errno.EDQUOT))
            patch.setattr(os, "write", failing(errno.EDQUOT))
            with pytest.raises(SpaceError):
                partial.sync()
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert partial.claimed == {}


def test_a_file_system_without_fsync_is_no_failure(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
        monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
        partial.sync()
        partial.check_whole()


def test_short_writes_and_reads_are_carried_on(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite, preadv, append = os.pwrite, os.preadv, os.write
    monkeypatch.setattr(os, "pwrite", lambda number, data, offset: pwrite(number, data[:1_000_000], offset))
    monkeypatch.setattr(os, "preadv", lambda number, views, offset: preadv(number, [views[0][:1_000_001]], offset))
    monkeypatch.setattr(os, "write", lambda number, data: append(number, data[:7]))
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA)
        assert whole(partial) == DATA
    monkeypatch.undo()
    with closing(Partial.open(volume, IDENTITY)) as partial:
        assert whole(partial) == DATA


@pytest.mark.parametrize(("code", "lost"), [(errno.EIO, True), (errno.ENOTCONN, False)])
def test_a_bad_sector_costs_its_block(volume: Volume, monkeypatch: pytest.MonkeyPatch, code: int, lost: bool) -> None:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        write(partial, DATA, [0])
        monkeypatch.setattr(os, "preadv", failing(code))
        if lost:
            assert read_all(partial) == {0: None}
        else:
            with pytest.raises(VolumeError, match="reading back"):
                read_all(partial)
        assert list(partial.claimed) == ([] if lost else [0])


def test_closing_waits_for_a_write_that_is_under_way(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = Partial.open(volume, IDENTITY)
    inside, go = threading.Event(), threading.Event()
    pwrite = os.pwrite

    def slow(number: int, data: memoryview, offset: int) -> int:
        inside.set()
        assert go.wait(10)
        return pwrite(number, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    writer = threading.Thread(target=partial.write, args=(0, block(DATA, 0)))
    closer = threading.Thread(target=partial.close)
    writer.start()
    assert inside.wait(10)
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    go.set()
    closer.join(10)
    writer.join(10)
    monkeypatch.undo()
    with pytest.raises(VolumeError, match="closed already"):
        partial.write(1, block(DATA, 1))
    with closing(Partial.open(volume, IDENTITY)) as later:
        assert read_all(later)[0] == block(DATA, 0)


def test_nothing_is_left_open(volume: Volume) -> None:
    before = open_descriptors()
    left_by_another(volume, [0], host="elsewhere")
    partial = Partial.open(volume, IDENTITY)
    read_all(partial)
    partial.close()
    partial.close()
    partial.discard()
    with longest_file(10), pytest.raises(SpaceError):
        Partial.open(volume, IDENTITY)
    assert open_descriptors() == before


def test_what_is_discarded_is_gone(volume: Volume) -> None:
    partial = Partial.open(volume, IDENTITY)
    write(partial, DATA)
    partial.discard()
    assert names(volume.state / "partial") == []


def failing(code: int) -> Callable[..., Any]:
    def call(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    return call
