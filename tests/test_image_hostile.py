"""Whatever is given as an image: an answer or one sentence, in bounded time and memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from prefetch.errors import ContentError, UsageError
from prefetch.image.accounts import Accounts, account
from prefetch.image.archive import read_image
from tests.support.commands import Commands
from tests.support.images import LayerMaker, docker_archive, oci_archive, oci_layout

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HEADER = b'{"a":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}'
MODEL = struct.pack("<Q", len(HEADER)) + HEADER + bytes(4000)
LAYER = LayerMaker().file("models/a.safetensors", MODEL).file("b", b"b" * 3000)


def audited(path: Path) -> Accounts:
    return account([layer.contents for layer in read_image(path)])


def member(name: str, content: bytes = b"", **fields: object) -> bytes:
    """One member, header and content, as a tar archive has it."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def described(headers: dict[str, str], content: bytes = b"abc") -> bytes:
    """A member with pax headers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("models/x.safetensors")
        info.size, info.pax_headers = len(content), headers
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def claiming(size: int, content: bytes = b"") -> bytes:
    """A member that claims ``size`` bytes and has others."""
    return member("models/.wh.x", b"", size=size)[:512] + content


LONGEST = b"20 comment=abcdefgh\n".ljust(512, b"\0")
MAP = b"1\n0\n1000000000000000\n".ljust(512, b"\0")

"""Layers that no tool writes, each with what is said of it; nothing where it can be read."""
HOSTILE: dict[tuple[str, str], Callable[[], bytes]] = {
    ("a petabyte of nothing", ""): lambda: described({"GNU.sparse.map": "0,3", "GNU.sparse.size": str(10**15)}),
    ("a petabyte of nothing, the newer form", "unexpected end"): lambda: described(
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(10**15), "GNU.sparse.name": "x"},
        MAP,
    ),
    ("a map of letters", "makes no sense"): lambda: described({"GNU.sparse.map": "a,b", "GNU.sparse.size": "zz"}),
    ("a map without an end", "makes no sense"): lambda: described(
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100"}, b"1" * (8 << 20)
    ),
    ("a map that leads far away", "unexpected end"): lambda: described(
        {"GNU.sparse.map": f"-{10**18},{10**18},0,10", "GNU.sparse.size": "10"}
    ),
    ("pax headers that describe each other", "makes no sense"): lambda: member("p", LONGEST[:20], type=b"x") * 3000,
    ("names that describe each other", "makes no sense"): lambda: member("././@LongLink", b"a", type=b"L") * 3000,
    ("a name of 50 MB", "longer than any file's"): lambda: (
        member("././@LongLink", b"a" * (50 << 20), type=b"L") + member("x")
    ),
    ("a size of 2^70", "unexpected end"): lambda: described({"size": str(2**70)}),
    ("a whiteout of 2^60 bytes", "unexpected end"): lambda: claiming(2**60, bytes(2 << 20)),
    ("a size below nothing", "bad checksum"): lambda: described({"size": "-5"}),
    ("numbers that are none", ""): lambda: described({"mtime": "nan", "uid": "9" * 5000}),
    ("a path of 50,000 folders", "longer than any file's"): lambda: described(
        {"path": "models/" + "a/" * 50_000 + "x.safetensors"}
    ),
    ("1,500 folders", ""): lambda: LayerMaker().file("a/" * 1500 + "x.safetensors", MODEL).tar(),
    ("damage in the middle", "bad checksum"): lambda: (
        member("a") + b"\xff" * 512 + member("models/a.safetensors", MODEL)
    ),
    ("a link to itself", ""): lambda: LayerMaker().symlink("a", "a").symlink("b/c", "../b/c/../c").tar(),
    ("no bytes", "ended before"): lambda: b"\x1f\x8b",
    ("a window of a terabyte", "too much memory"): lambda: b"\x28\xb5\x2f\xfd\x00\xff" + bytes(600),
    ("zeros", ""): lambda: gzip.compress(bytes(100 << 20), 1),
}


@pytest.mark.parametrize(("name", "said"), HOSTILE)
def test_a_layer_that_no_tool_writes_costs_little(tmp_path: Path, name: str, said: str) -> None:
    archive = wrapped(tmp_path / "i.tar", [HOSTILE[name, said]()])
    start = time.process_time()
    with pytest.raises(ContentError, match=said) if said else nullcontext():
        audited(archive)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(("name", "said"), [row for row in HOSTILE if row[0].startswith(("a name", "a map", "names"))])
def test_its_memory_is_bounded_too(tmp_path: Path, name: str, said: str) -> None:
    archive = wrapped(tmp_path / "i.tar", [HOSTILE[name, said]()])
    tracemalloc.start()
    try:
        with pytest.raises(ContentError, match=said):
            audited(archive)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def wrapped(path: Path, layers: Iterable[bytes]) -> Path:
    """The layers' bytes as they are, in a docker-archive."""
    names, content = [], b""
    for number, layer in enumerate(layers):
        names.append(f"{number:064x}/layer.tar")
        content += member(names[-1], layer)
    documents = member(f"{1:064x}.json", b"{}")
    documents += member("manifest.json", json.dumps([{"Config": f"{1:064x}.json", "Layers": names}]).encode())
    path.write_bytes(content + documents + bytes(1024))
    return path


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_flipped_bit_in_a_compressed_layer(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = oci_archive(tmp_path / "i.tar", [LAYER], compress=compress)
    whole, blob = path.read_bytes(), compress(LAYER.tar())
    start = whole.index(blob)
    expected = audited(path)
    for at in range(start, start + len(blob)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        try:
            found = audited(path)
        except ContentError as error:
            assert error.remedy == "Save the image once more."
        else:
            assert compress is not gzip.compress or found == expected, "gzip has a sum of its content"


def test_bytes_changed_anywhere(tmp_path: Path) -> None:
    chance = random.Random(5)
    archives = [
        docker_archive(tmp_path / "d.tar", [LAYER, LayerMaker().symlink("models/b", "a.safetensors").delete("b")]),
        oci_archive(tmp_path / "o.tar", [LAYER]),
        oci_archive(tmp_path / "z.tar", [LAYER], compress=zstd.compress),
    ]
    path, good = tmp_path / "i.tar", [archive.read_bytes() for archive in archives]
    for _ in range(300):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 8)):
            data[min(chance.randrange(len(data)) // 512 * 512 + chance.randrange(512), len(data) - 1)] = (
                chance.randrange(256)
            )
        path.write_bytes(data)
        with suppress(ContentError, UsageError):
            audited(path)


def test_a_pipe_in_a_layout_is_not_waited_for(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", [LAYER])
    os.mkfifo(layout / "blobs/sha256/aa")
    assert len(audited(layout).models) == 1
    blob = max((layout / "blobs/sha256").glob("?" * 64), key=lambda blob: blob.stat().st_size)
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(ContentError, match="lacks the image's part"):
        audited(layout)


def test_a_folder_of_1500_levels(commands: Commands) -> None:
    root = commands.home / "root"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("m.gguf", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    done = commands.run("image", "audit", root)
    # What removes temporary folders calls itself for each level.
    subprocess.run(["rm", "-r", root], check=True)
    assert (done.returncode, "1 file and 1 layer" in done.stdout) == (0, True), done.stderr


def test_an_image_of_more_layers_or_larger_documents_than_any(tmp_path: Path) -> None:
    path = wrapped(tmp_path / "i.tar", [LAYER.tar()])
    name = f"{0:064x}/layer.tar"
    for layers, reason in (([name] * 1001, "more than 1000 layers"), ([name] * 200_000, "larger than any image's")):
        document = member("manifest.json", json.dumps([{"Config": "x", "Layers": layers}]).encode())
        path.write_bytes(member(name, LAYER.tar()) + document + bytes(1024))
        with pytest.raises(ContentError, match=reason):
            audited(path)
