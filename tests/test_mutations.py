"""Whatever becomes of a valid input: an answer or one sentence, within two seconds and 300 MB.

Each kind is tried with a seed that stays, and with another one in each run, which the closing lines name.
``MUTATIONS_SEED=N`` has that one again.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from prefetch.comfyui.workflow import models_in
from prefetch.errors import PrefetchError
from prefetch.given import Written
from prefetch.image.accounts import account
from prefetch.image.archive import read_image
from prefetch.lockfile import Lock, LockedModel, compare, parse_lock
from prefetch.manifest import load_manifests
from prefetch.pinning import pin
from prefetch.volume import claims, documents
from prefetch.volume.applied import APPLIED, Applied, write_applied
from prefetch.volume.claims import Claim, Own, Seen
from prefetch.volume.documents import Kind
from prefetch.volume.followed import FOLLOWED, Followed, write_followed
from prefetch.volume.history import HISTORY, PastRun, remember_run
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import BATCHES, RECORDS, Inventory, Record
from prefetch.volume.jobs import JOBS, PodJob, write_job
from prefetch.volume.journal import MOST, RELEASED, claim_lines, header_line
from prefetch.volume.layout import Volume
from prefetch.volume.leftovers import clear_leftovers
from prefetch.volume.listings import LISTINGS, RememberedFile, write_listing
from prefetch.volume.owner import Owner
from prefetch.volume.partial import BLOCK_SIZE
from prefetch.volume.rejected import REJECTED, remember_rejected
from prefetch.volume.scrubbing import SCRUB, Round, write_round
from prefetch.volume.space import used_bytes
from prefetch.volume.strangers import find_strangers
from prefetch.volume.waiting import find_unfinished
from tests.support.drawn import TABLE, drawn, end, instance, node
from tests.support.images import LayerMaker, docker_archive, oci_archive
from tests.support.mutations import Mutate, Share, bounded, cut_and_flipped, json_changed, tar_changed, text_changed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEDIA = Path(__file__).parent / "media"
FIXED = 20261130
LEAST = 0.3
"""Of the inputs, so many have to get past the parser: else what lies behind it is not tried."""

Read = Callable[[bytes], bool]
"""Reads an input as the program does; whether it got past the parser. Raises PrefetchError if it did not."""

HASH = "ab" * 32
MODELS: list[dict[str, Any]] = [
    {"path": "models/vae/a.safetensors", "source": "hf://acme/models@main/a.safetensors", "sha256": HASH, "size": 10},
    {"path": "models/unet/b.gguf", "source": "https://host.test/b.gguf", "mirrors": ["hf://acme/b/b.gguf"],
     "sha256": "cd" * 32, "size": 20_000_000_000, "groups": ["i2v", "t2v"]},
    {"path": "models/vfi/c.pth", "source": "civitai:7/8", "node_path": "custom_nodes/rife/c.pth"},
    {"path": "models/loras/", "source": "hf://acme/loras@main/all/", "groups": ["a", "b", "c"],
     "include": ["*.safetensors", "y*", "z/*.pt", "u?"], "exclude": ["x*", "v*", "w*"]},
]  # fmt: skip
MANIFEST = json.dumps({"version": 1, "models": MODELS}).encode()
YAML = b"""\
# What a person writes: with comments above the models, as in any file of the kind,
# and behind them.
version: 1
models:
  # The VAE of all workflows; see the notes of the team:
  #   - which version it is, and why not the one before,
  #   - who tried it, and on what,
  #   - what else it goes with.

  - path: models/vae/a.safetensors
    source: hf://acme/models@main/a.safetensors
    sha256: abababababababababababababababababababababababababababababababab
    groups: [i2v, "t2v"]   # two of them
  - path: models/unet/b.gguf
    source: >-
      https://host.test/b.gguf
    size: 20
    groups:
      - one   # of many
      - another
      - and-one-more
"""


@dataclass(frozen=True, slots=True)
class Input:
    """Valid inputs of one kind: how they are changed and read."""

    bases: tuple[bytes, ...]
    mutate: tuple[Mutate, ...]
    read: Read
    count: int


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    volume = Volume.open(tmp_path)
    volume.prepare()
    return volume


def accepted(read: Read, data: bytes) -> bool:
    try:
        return read(data)
    except PrefetchError as error:
        assert str(error)
        return False


def tried(kind: Input, seed: int, place: Path) -> Share:
    share = Share()
    for number in range(kind.count):
        chance = random.Random(f"{seed}.{number}")
        base = chance.choice(kind.bases)
        data = chance.choice(kind.mutate)(chance, base)
        if data == base:
            continue
        share.tried += 1
        try:
            with bounded(f"seed {seed}, input {number}"):
                share.passed += accepted(kind.read, data)
        except BaseException:
            (place / "input").write_bytes(data)
            print(f"seed {seed}, input {number}: {place / 'input'}")
            raise
    return share


def try_all(kind: Input, name: str, place: Path, record_property: Callable[[str, object], None]) -> None:
    drawn_now = int(os.environ.get("MUTATIONS_SEED") or secrets.randbelow(2**32))
    print(f"MUTATIONS_SEED={drawn_now}")
    for base in kind.bases:
        assert accepted(kind.read, base)
    shares = [tried(kind, seed, place) for seed in (FIXED, drawn_now)]
    said = f"past the parser {shares[0]}, with seed {drawn_now} {shares[1]}"
    record_property("measured", f"mutated {name}: {said}")
    assert shares[0].passed >= LEAST * shares[0].tried, said


# Manifests, locks, workflows, pictures, archives ---------------------------------------------------------------------


def read_manifest(data: bytes) -> bool:
    load_manifests([Written("m.yaml", data)], groups=()).whole()
    return True


def test_manifests(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    kind = Input((MANIFEST, YAML), (*[json_or_text] * 8, cut_and_flipped), read_manifest, 1500)
    try_all(kind, "manifests", tmp_path, record_property)


def json_or_text(chance: random.Random, data: bytes) -> bytes:
    return json_changed(chance, data) if data.startswith(b"{") else text_changed(chance, data)


def read_lock(data: bytes) -> bool:
    lock = parse_lock(data, file="m.lock.json")
    wanted = load_manifests([Written("m.yaml", MANIFEST)])
    pin(wanted, [lock])
    compare(wanted, lock)
    for folder in wanted.folders:
        lock.listing(folder.folder)
    lock.to_bytes()
    return True


def test_locks(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    models = [LockedModel(m["path"], m["source"], None, "ef" * 20, m["size"], m["sha256"]) for m in MODELS[:2]]
    document = json.loads(Lock.of(models).to_bytes())
    document["directories"] = [{name: MODELS[3][name] for name in ("path", "source", "include", "exclude")}]
    kind = Input((json.dumps(document).encode(),), (json_changed, json_changed, cut_and_flipped), read_lock, 1500)
    try_all(kind, "locks", tmp_path, record_property)


def read_workflow(data: bytes) -> bool:
    return bool(models_in(data, table=TABLE).models) or True


API = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "api.pt"}},
       "2": {"class_type": "SaveSomething", "inputs": {"x": ["1", 0]}}}  # fmt: skip
LOADER = drawn([node(1, "UNETLoader", ("a.gguf",), outputs=[("MODEL", [90])]), end(9, 90)], [(90, 1, 0, 9, 0, "MODEL")])
SUBGRAPH = {
    "id": "sub", "inputs": [], "outputs": [{"name": "MODEL", "type": "MODEL", "linkIds": [5]}],
    "nodes": [node(1, "UNETLoader", ("b.gguf",), outputs=[("MODEL", [5])])],
    "links": [{"id": 5, "origin_id": 1, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "MODEL"}],
}  # fmt: skip
NESTED = drawn([instance(1, "sub"), end(9, 90)], [(90, 1, 0, 9, 0, "MODEL")], definitions={"subgraphs": [SUBGRAPH]})


def test_workflows(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    bases = tuple(json.dumps(document).encode() for document in (LOADER, API, NESTED))
    kind = Input(bases, (json_changed, json_changed, cut_and_flipped), read_workflow, 1500)
    try_all(kind, "workflows", tmp_path, record_property)


def test_pictures(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    bases = tuple(file.read_bytes() for file in sorted(MEDIA.iterdir()) if file.suffix not in (".md", ".gif"))
    kind = Input(bases, (cut_and_flipped,), read_workflow, 1500)
    try_all(kind, "pictures, videos and sounds", tmp_path, record_property)


def layers() -> list[LayerMaker]:
    lower = LayerMaker("RUN wget").directory("models").file("models/a.safetensors", b"{}" * 300)
    upper = LayerMaker("COPY").file("models/b.gguf", b"GGUF" * 200).symlink("models/c.pth", "b.gguf")
    return [lower, upper.delete("models/a.safetensors").link("models/d.gguf", "models/b.gguf")]


def test_archives(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    file = tmp_path / "image.tar"

    def read(data: bytes) -> bool:
        file.write_bytes(data)
        account([layer.contents for layer in read_image(file)])
        return True

    def repacked(compress: Callable[[bytes], bytes], chance: random.Random, _: bytes) -> bytes:
        changed = partial(tar_changed, chance)
        return oci_archive(file, layers(), compress=lambda layer: compress(changed(layer))).read_bytes()

    bases = (
        docker_archive(file, layers()).read_bytes(),
        oci_archive(file, layers()).read_bytes(),
        oci_archive(file, layers(), compress=zstd.compress).read_bytes(),
    )
    ways: tuple[Mutate, ...] = (tar_changed, partial(repacked, gzip.compress), partial(repacked, zstd.compress))
    try_all(Input(bases, ways, read, 300), "archives", tmp_path, record_property)


# What stands on a volume ---------------------------------------------------------------------------------------------

OWNER = Owner("host", "boot", 1, 2, 3)
SIZE = 5 * BLOCK_SIZE + 3


def test_journals(volume: Volume, record_property: Callable[[str, object], None]) -> None:
    identity = Identity("models/x", SIZE, HASH, "https://host.test/x", '"tag"')
    text = header_line(identity, OWNER) + claim_lines({n: bytes([n]) * 16 for n in range(6)}, size=SIZE) + RELEASED
    with volume.writing("partial"):
        place = volume.state / "partial"
    data = place / f"{HASH}.1.data"

    def read(text: bytes) -> bool:
        data.touch()
        os.truncate(data, SIZE)
        (place / f"{HASH}.1.journal").write_bytes(text)
        found = find_unfinished(volume)
        clear_leftovers(volume)
        used_bytes(volume)
        assert len(find_strangers(volume)) in (0, 2)
        return bool(found)

    def header_changed(chance: random.Random, text: bytes) -> bytes:
        header, newline, body = text.partition(b"\n")
        return json_changed(chance, header).replace(b"\n", b" ") + newline + body

    kind = Input((text,), (header_changed, cut_and_flipped), read, 700)
    try_all(kind, "journals", volume.root, record_property)


def large_journals() -> Iterator[bytes]:
    header = header_line(Identity("models/x", 400_000 * BLOCK_SIZE, HASH, "u", None), OWNER)
    digests = random.Random(1).randbytes(16 * 330_000)
    yield header + claim_lines({n: digests[16 * n : 16 * n + 16] for n in range(330_000)}, size=400_000 * BLOCK_SIZE)
    yield header + b"\n" * (MOST - len(header))
    yield b"\n" * MOST


def test_the_largest_journals(volume: Volume) -> None:
    with volume.writing("partial"):
        place = volume.state / "partial" / f"{HASH}.1.journal"
    place.with_suffix(".data").touch()
    os.truncate(place.with_suffix(".data"), 400_000 * BLOCK_SIZE)
    claimed = []
    for text in large_journals():
        place.write_bytes(text)
        with bounded("a journal"):
            claimed += [partial.bytes_here for partial in find_unfinished(volume)]
    assert claimed == [330_000 * BLOCK_SIZE, 0]


def large_documents() -> Iterator[bytes]:
    yield b"{}," * 990_000
    yield b'"ab",' * 1_990_000
    yield b",".join(b'{"%d":1}' % number for number in range(600_000)) + b","
    yield b'"%b","\xf0\x9f\x98\x80",' % (b"a" * (23 << 20))
    yield b"{}," * 7_000_000


def test_the_largest_documents(volume: Volume) -> None:
    with volume.writing("inventory"):
        place = volume.state / "inventory" / "batch.000000000001.0123456789abcdef.json"
    for items in large_documents():
        place.write_bytes(b'{"records":[' + items + b"0]}")
        with bounded("a batch of records"):
            assert list(Inventory(volume).all()) == []
    assert volume.set_aside == {f"inventory/{place.name}"}


RECORD = Record(
    path="models/vae/x", size=SIZE, mtime=1_700_000_000, sha256=HASH, source="hf://acme/x/x", url="https://host.test/x",
    commit="ef" * 20, pinned=True, placed=True, node_path=None, groups=("i2v",),
)  # fmt: skip
RUN = PastRun(1_700_000_000_000, 2000, 0, None, 3, 2, 1, 10, 0, "host", 7)


def write_everything(volume: Volume) -> None:
    inventory = Inventory(volume)
    inventory.put(RECORD, b"d" * 16 * 6)
    inventory.put_small([Record.from_applied(RECORD.to_applied(pinned=True, node_path=None, groups=()))])
    inventory.put(RECORD, b"d" * 16 * 6)
    inventory.flush()
    write_applied(volume, "key", Applied((), True, [RECORD.to_applied(pinned=True, node_path="x/y", groups=["g"])]))
    write_followed(volume, HASH, Followed(MANIFEST.decode(), frozenset({"models/x"}), frozenset({"models/x"})))
    remember_run(volume, RUN)
    write_job(volume, PodJob("pod", 1, 2, "stop", {"ok": True}))
    listed: list[RememberedFile] = [{"path": f"a/{n}", "size": n, "sha256": HASH if n == 1 else None} for n in range(4)]
    write_listing(volume, HASH, {"commit": "ef" * 20, "files": listed})
    remember_rejected(volume, Identity("models/x", 5, HASH, "https://host.test/x", "v1"), "0" * 64)
    write_round(volume, Round(1, 2, "models/x", 3))


KINDS: tuple[Kind[Any], ...] = (RECORDS, BATCHES, APPLIED, FOLLOWED, HISTORY, JOBS, LISTINGS, REJECTED, SCRUB)


@pytest.mark.parametrize("document", KINDS, ids=lambda kind: kind.names.pattern[:20])
def test_records(volume: Volume, document: Kind[Any], record_property: Callable[[str, object], None]) -> None:
    write_everything(volume)
    (name,) = documents.names(volume, document)
    place = volume.state / document.directory / name

    def read(data: bytes) -> bool:
        place.write_bytes(data)
        found = documents.read(volume, document, name)
        inventory = Inventory(volume)
        for record in inventory.all():
            volume.stat(record.path)
            inventory.digests(record.path)
        known = {stranger.path for stranger in find_strangers(volume)}
        assert known <= {f"{document.directory}/{name}"}
        return found is not None

    kind = Input((place.read_bytes(),), (json_changed, json_changed, cut_and_flipped), read, 200)
    try_all(kind, f"records in {document.directory}", volume.root, record_property)


def test_claims(volume: Volume, record_property: Callable[[str, object], None]) -> None:
    claim = Claim(owner=OWNER, path="models/x", size=SIZE, life_ms=60_000, released=True)
    base = Own(HASH, 1, claim, token=b"0" * 32).content()
    ours = Claim(owner=Owner.current(), path="models/x", size=SIZE, life_ms=60_000)

    place = volume.state / claims.DIRECTORY
    with volume.writing(claims.DIRECTORY) as directory:

        def read(data: bytes) -> bool:
            for former in place.iterdir():
                former.unlink()
            number = random.Random(data).choice((1, 7, 10**9 - 2, 10**9 - 1, 10**9, 10**18 - 1, 10**40))
            (place / f"{HASH}.{number}").write_bytes(data)
            assert len(find_strangers(volume)) == (number >= 10**9 or len(data) > 64 << 10)
            seen = claims.held(directory)
            standing = claims.read(directory, HASH, number)
            taken = claims.take(directory, HASH, ours)
            while isinstance(taken, Seen):
                # Its life is over.
                taken = claims.take(directory, HASH, ours, outbid=taken)
            assert taken is not None and claims.beat(directory, taken, claims.highest(directory))
            return bool(seen) or (standing is not None and standing.claim is not None)

        def said_changed(chance: random.Random, data: bytes) -> bytes:
            return data[:32] + json_changed(chance, data[32:])

        kind = Input((base,), (said_changed, said_changed, cut_and_flipped), read, 700)
        try_all(kind, "claims", volume.root, record_property)
