"""The workflow in what ComfyUI saves: pictures, videos, sounds. Real files, and such as no writer would make."""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.comfyui.workflow import load_table, models_in
from prefetch.comfyui.workflow.carriers.formats import HEAD_SIZE, carrier_of
from prefetch.errors import UsageError
from tests.support.commands import Commands

MEDIA = Path(__file__).parent / "media"
REAL = sorted(file.name for file in MEDIA.iterdir() if file.suffix not in (".md", ".gif"))
TABLE = load_table()
API = json.dumps({"1": {"class_type": "VAELoader", "inputs": {"vae_name": "api.pt"}}})
PAGE = json.dumps({"nodes": [{"id": 1, "type": "VAELoader", "widgets_values": ["page.pt"]}], "links": []})


def test_there_are_files_of_every_kind() -> None:
    assert {Path(name).suffix for name in REAL} >= {".mp4", ".mov", ".mkv", ".webm", ".mp3", ".opus", ".ogg", ".avif"}
    assert len(REAL) == 18


@pytest.mark.parametrize("name", REAL)
def test_the_workflow_of_a_real_file(commands: Commands, name: str) -> None:
    done = commands.run("workflow", "models", MEDIA / name, "--json")
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    assert [(model["folder"], model["name"]) for model in document["models"]] == [
        ("diffusion_models", "wan.safetensors")
    ]


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_that_is_cut_anywhere(name: str) -> None:
    whole = (MEDIA / name).read_bytes()
    texts = read(whole)
    for length in range(16, len(whole)):
        for key, text in read(whole[:length]).items():
            assert texts[key].startswith(text)


def read(data: bytes) -> dict[str, str]:
    carrier = carrier_of(data[:HEAD_SIZE])
    return {} if carrier is None else carrier.read(io.BytesIO(data)).texts


@given(st.sampled_from(REAL), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_real_file_with_bytes_changed(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray((MEDIA / name).read_bytes())
    for at, byte in changes:
        data[at % len(data)] = byte
    with suppress(UsageError):
        models_in(bytes(data), table=TABLE)


# Files made by hand --------------------------------------------------------------------------------------------------


def box(kind: bytes, body: bytes = b"", *, size: int | None = None) -> bytes:
    return struct.pack(">I", 8 + len(body) if size is None else size) + kind + body


def tiff(*entries: tuple[int, int, bytes], order: str = "<") -> bytes:
    """A directory of (tag, type, value)."""
    rows, data = b"", b""
    for tag, kind, value in entries:
        rows += struct.pack(f"{order}HHII", tag, kind, len(value), 10 + 12 * len(entries) + 4 + len(data))
        data += value
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(f"{order}IH", 8, len(entries)) + rows + bytes(4) + data


def jpeg(exif: bytes) -> bytes:
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + b"\xff\xd9"


def webp(exif: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(exif)) + exif


def png(kind: bytes, *texts: tuple[str, str]) -> bytes:
    chunks = [f"{key}\0{text}".encode() for key, text in texts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + bytes(4) for body in (bytes(16), *chunks)
    )


BOTH = f'{{"prompt": {API}, "workflow": {PAGE}}}'
ENCODED_TWICE = json.dumps({"prompt": API, "workflow": PAGE})
LATENT = json.dumps({"__metadata__": {"prompt": API, "workflow": PAGE}, "latent": {}}).encode()
SCENE = f'{{"asset": {{"version": "2.0", "extras": {BOTH}}}}}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        jpeg(tiff((0x010E, 2, f"Workflow:{PAGE}\0".encode()), (0x010F, 2, f"Prompt:{API}\0".encode()))),
        jpeg(tiff((0x9286, 7, b"ASCII\0\0\0" + BOTH.encode()), order=">")),
        webp(tiff((0x9286, 7, b"UNICODE\0" + f"workflow:{PAGE}".encode("utf-16-le")))),
        jpeg(tiff((0x010E, 2, BOTH.encode() + b"\0"))),
        png(b"comf", ("prompt", API), ("workflow", PAGE)),
        png(b"tEXt", ("workflow", json.dumps(json.dumps(PAGE)))),
        png(b"tEXt", ("comment", ENCODED_TWICE)),
        png(b"tEXt", ("comment", PAGE)),
        struct.pack("<Q", len(LATENT)) + LATENT + bytes(100),
        b"glTF\2\0\0\0\0\0\0\0" + struct.pack("<I", len(SCENE)) + b"JSON" + SCENE,
        f"<?xml version='1.0'?><svg><metadata><![CDATA[{BOTH}]]></metadata></svg>".encode(),
    ],
)
def test_what_nodes_write(data: bytes) -> None:
    assert [model.name for model in models_in(data, table=TABLE).models] == ["page.pt"]


@pytest.mark.parametrize(
    "data",
    [
        (MEDIA / "anim.gif").read_bytes(),
        b"RIFF\0\0\0\0AVI LIST",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\xff\x0a" + bytes(100),
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_a_kind_that_is_not_read_is_named_and_where_the_json_comes_from(data: bytes) -> None:
    with pytest.raises(UsageError, match="and no workflow is read out of such a file") as told:
        models_in(data, table=TABLE)
    assert "Drag the file onto ComfyUI's page" in str(told.value.remedy)


def test_a_video_without_a_workflow() -> None:
    with pytest.raises(UsageError, match="is an MP4 file that holds no workflow"):
        models_in(box(b"ftyp", b"isom") + box(b"moov", box(b"mvhd", bytes(100))), table=TABLE)


def test_a_video_larger_than_any_text_is_read_for_its_workflow_alone(commands: Commands) -> None:
    small, video = (MEDIA / "tags.mov").read_bytes(), commands.home / "large.mov"
    movie = small[small.index(b"moov") - 4 :]
    with video.open("wb") as file:
        file.write(box(b"ftyp", b"qt  ") + struct.pack(">I4sQ", 1, b"mdat", 16 + (5 << 30)))
        file.seek(5 << 30, 1)
        file.write(movie)
    assert "wan.safetensors" in commands.run("workflow", "models", video).stdout


EBML = b"\x1a\x45\xdf\xa3\x80"
META = box(b"ftyp", b"isom")


def named(*names: bytes) -> bytes:
    keys = b"".join(box(b"mdta", name) for name in names)
    return box(b"keys", struct.pack(">II", 0, len(names)) + keys)


def overlapping_directories() -> bytes:
    """Each of 5,000 directories claims the 65,535 entries that the others claim."""
    count = 5_000
    first = b"".join(struct.pack("<HHII", 0x8769, 4, 1, 10 + 12 * count + number) for number in range(count))
    return b"II*\0" + struct.pack("<IH", 8, count) + first + b"\xff" * (12 * 65_535 + count + 10)


def directories_of_pointers() -> bytes:
    """Every entry of every directory points to another one."""
    chance, rows = random.Random(1), 100_000
    entries = (struct.pack("<HHII", 0x8769, 4, 1, 20 + 12 * chance.randrange(rows)) for _ in range(rows))
    return b"II*\0" + struct.pack("<IH", 8, 0xFFFF) + b"".join(entries)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "boxes of 2^63 bytes": lambda: META + struct.pack(">I4sQ", 1, b"moov", 2**63) * 9,
    "boxes of 2^64 bytes": lambda: META + struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1),
    "nested boxes": lambda: META + struct.pack(">I4s", 0, b"moov") * 500_000,
    "small boxes": lambda: META + box(b"free") * 500_000,
    "boxes of no size": lambda: META + bytes(500_000),
    "names": lambda: (
        META + box(b"moov", box(b"keys", struct.pack(">II", 0, 2**32 - 1) + struct.pack(">I4s", 8, b"") * 500_000))
    ),
    "a long text": lambda: (
        META + box(b"moov", named(b"workflow") + box(b"ilst", box(b"\0\0\0\1", box(b"data", bytes(40 << 20)))))
    ),
    "places": lambda: (
        box(b"ftyp", b"avif")
        + box(
            b"meta",
            bytes(4)
            + box(b"iinf", b"\0\0\0\0\0\1" + box(b"infe", b"\2\0\0\0\0\1\0\0Exif\0"))
            + box(b"iloc", b"\2\0\0\0" + b"\xff" * 500_000),
        )
    ),
    "unknown sizes": lambda: EBML + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\x1f\x43\xb6\x75\xff" * 300_000,
    "elements of 2^56 bytes": lambda: EBML + b"\x18\x53\x80\x67\xff\x12\x54\xc3\x67\x01\x7f" + b"\xff" * 60,
    "small elements": lambda: EBML + b"\x18\x53\x80\x67\xff" + b"\xec\x80" * 500_000,
    "comments": lambda: b"fLaC\x84\xff\xff\xff" + struct.pack("<II", 0, 2**32 - 1) + bytes(16 << 20),
    "pages": lambda: (b"OggS" + bytes(22) + b"\xff" + b"\xff" * 255 + b"OpusTags" + bytes(255 * 255 - 8)) * 400,
    "empty pages": lambda: (b"OggS" + bytes(23)) * 300_000,
    "frames": lambda: b"ID3\4\0\0\x7f\x7f\x7f\x7f" + b"TXXX\0\0\0\1\0\0\3" * 300_000,
    "overlapping directories": lambda: webp(overlapping_directories()),
    "pointers": lambda: webp(directories_of_pointers()),
    "65,535 texts": lambda: (
        b"II*\0" + struct.pack("<IH", 8, 65_535) + struct.pack("<HHII", 0x10F, 2, 2**32 - 1, 0) * 65_535
    ),
    "chunks": lambda: b"\x89PNG\r\n\x1a\n" + bytes(12) * 500_000,
    "segments": lambda: b"\xff\xd8" + b"\xff" * 1_000_000,
    "a scene": lambda: b"glTF" + bytes(8) + b"\xff\xff\xff\xffJSON{}",
    "drawings": lambda: b"<svg><metadata>" + b"<![CDATA[" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_writer_makes_costs_little(name: str) -> None:
    data = HOSTILE[name]()
    start = time.process_time()
    with pytest.raises(UsageError, match=r"that (holds no workflow|has more parts than are searched)"):
        models_in(data, table=TABLE)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("name", ["a long text", "pages", "pointers", "65,535 texts", "drawings"])
def test_its_memory_is_bounded_too(name: str) -> None:
    data = HOSTILE[name]()
    tracemalloc.start()
    try:
        with pytest.raises(UsageError):
            models_in(data, table=TABLE)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_the_servers_form_with_more_nodes_than_anyone_draws() -> None:
    nodes = {str(number): {"class_type": "VAELoader", "inputs": {}} for number in range(20_001)}
    with pytest.raises(UsageError, match="more than 20000 nodes"):
        models_in(json.dumps(nodes).encode(), table=TABLE)


def test_a_video_through_a_pipe(commands: Commands) -> None:
    words = commands.argv("workflow", "models", "/dev/stdin")
    small = (MEDIA / "fragmented.mp4").read_bytes()
    done = subprocess.run(words, input=small, env=commands.environment(), capture_output=True)
    assert (done.returncode, b"wan.safetensors" in done.stdout) == (0, True)
    large = small + bytes(32 << 20)
    done = subprocess.run(words, input=large, env=commands.environment(), capture_output=True)
    assert (done.returncode, b"larger than 32 MiB. Give the file itself" in done.stderr) == (2, True)
