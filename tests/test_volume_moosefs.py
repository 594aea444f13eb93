"""The volume on the file system it is made for, seen from two hosts."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from pathlib import Path

from prefetch.volume.inventory import Inventory, Record, matches, modified
from prefetch.volume.layout import Volume
from prefetch.volume.partial import BLOCK_SIZE, Partial
from prefetch.volume.publish import link, publish
from tests.support.moosefs import MooseFS
from tests.support.volumes import block, content, identity_of, in_child, names, read_all, write

DATA = content(3 * BLOCK_SIZE + 5)
PATH = "models/vae/x.safetensors"
IDENTITY = identity_of(DATA, PATH)


def place(volume: Volume) -> Record:
    with closing(Partial.open(volume, IDENTITY)) as partial:
        read_all(partial)
        write(partial, DATA, set(range(partial.block_count)) - set(partial.claimed))
        partial.sync()
        stat = publish(volume, partial, PATH, ours=None).stat
    return Record(
        path=PATH,
        size=stat.st_size,
        mtime=modified(stat),
        sha256=hashlib.sha256(DATA).hexdigest(),
        source="https://host.test/x",
        url=None,
        commit=None,
        pinned=True,
        placed=True,
        node_path=None,
        groups=(),
    )


def test_a_model_is_placed_recorded_and_linked(moosefs: MooseFS) -> None:
    volume = Volume.open(moosefs.folder("place"))
    (volume.root / "models/vae").mkdir(parents=True)
    (volume.root / PATH).write_bytes(b"the user's")
    record = place(volume)
    Inventory(volume).put(record, None)
    link(volume, PATH, "models/y", sha256=record.sha256, ours=None)
    elsewhere = Volume.open(moosefs.mount() / "place")
    assert (elsewhere.root / PATH).read_bytes() == (elsewhere.root / "models/y").read_bytes() == DATA
    assert (elsewhere.state / "replaced/1" / PATH).read_bytes() == b"the user's"
    found, stat = Inventory(elsewhere).get(PATH), elsewhere.stat(PATH)
    assert found == record
    assert stat is not None
    assert matches(record, stat)


def test_another_hosts_partial_file_is_copied(moosefs: MooseFS) -> None:
    here = Volume.open(moosefs.folder("resume"))
    there = Volume.open(moosefs.mount() / "resume")
    partial = Partial.open(there, IDENTITY)
    write(partial, DATA, [0, 3])
    partial.sync()
    pretend_to_be_elsewhere(there.state / "partial")
    with closing(Partial.open(here, IDENTITY)) as mine:
        assert read_all(mine) == {0: block(DATA, 0), 3: block(DATA, 3)}
        write(mine, DATA, [1, 2])
        publish(here, mine, PATH, ours=None)
    # The other host wakes up: what it still writes must not reach what was published.
    partial.write(1, bytes(BLOCK_SIZE))
    partial.sync()
    assert (here.root / PATH).read_bytes() == (there.root / PATH).read_bytes() == DATA
    partial.discard()
    assert names(here.state / "partial") == []


def test_a_dead_writers_cache_is_another_mounts_own(moosefs: MooseFS) -> None:
    """Only the mount through which it wrote can tell that nothing of it is still to come."""
    here = Volume.open(moosefs.folder("dead"))
    there = Volume.open(moosefs.mount() / "dead")
    assert in_child(lambda: write(Partial.open(there, IDENTITY), DATA, [0, 3])) == 0
    (theirs,) = there.state.glob("partial/*.data")
    inode = theirs.stat().st_ino
    with closing(Partial.open(here, IDENTITY)) as mine:
        assert read_all(mine) == {0: block(DATA, 0), 3: block(DATA, 3)}
        assert inode in {path.stat().st_ino for path in here.state.glob("partial/*.data")}
        write(mine, DATA, [1, 2])
        assert publish(here, mine, PATH, ours=None).stat.st_ino != inode


def test_what_is_recorded_of_a_file_is_what_every_host_sees_later(moosefs: MooseFS) -> None:
    """Bytes that are written at the end of a second arrive in the next one, and the file's time with them."""
    here = Volume.open(moosefs.folder("time"))
    there = Volume.open(moosefs.mount() / "time")
    shown: dict[str, int] = {}
    for number in range(6):
        path, data = f"models/{number}", content(BLOCK_SIZE + 1, seed=number)
        with closing(Partial.open(here, identity_of(data, path))) as partial:
            partial.write(1, data[BLOCK_SIZE:])
            # Not luck: each goes on at another moment around the second's end.
            time.sleep((-0.05 + number / 50 - time.time()) % 1)
            partial.write(0, data[:BLOCK_SIZE])
            shown[path] = modified(publish(here, partial, path, ours=None).stat)
    time.sleep(1.2)
    for volume in (here, there):
        assert {path: modified((volume.root / path).stat()) for path in shown} == shown


def pretend_to_be_elsewhere(directory: Path) -> None:
    (journal,) = directory.glob("*.journal")
    header, *lines = journal.read_bytes().splitlines(keepends=True)
    document = json.loads(header)
    document["owner"]["host"] = "elsewhere"
    with journal.open("r+b") as file:
        file.write(json.dumps(document).encode() + b"\n" + b"".join(lines))
