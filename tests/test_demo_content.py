"""The synthetic files: random access agrees with itself, and loaders would open them."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.demo.content import BytesFile, Content, Extended, Flipped, Kind, Noise, SyntheticFile, ZeroFile
from prefetch.demo.seeds import seed_set

MIB = 1 << 20
KINDS: tuple[Kind, ...] = ("raw", "safetensors", "gguf", "pth")
SIZE = 3 * MIB + 4711
CONTENTS: dict[str, Content] = {kind: SyntheticFile(f"model.{kind}", SIZE, kind, 7) for kind in KINDS}
CONTENTS |= {"bytes": BytesFile(bytes(range(256)) * 8), "zeros": ZeroFile(2 * MIB + 1)}
CONTENTS |= {"flipped": Flipped(CONTENTS["raw"], MIB), "extended": Extended(CONTENTS["bytes"], 100)}
WHOLE = {name: content.read(0, content.size) for name, content in CONTENTS.items()}


@pytest.mark.parametrize("name", CONTENTS)
@given(data=st.data())
def test_any_range_is_that_part_of_the_whole(name: str, data: st.DataObject) -> None:
    content, whole = CONTENTS[name], WHOLE[name]
    start = data.draw(st.integers(0, content.size))
    stop = data.draw(st.integers(start, content.size))
    assert len(whole) == content.size
    assert content.read(start, stop) == whole[start:stop]
    assert all(0 < len(view) <= MIB for view in content.views(start, stop) if stop > start and len(view))


@pytest.mark.parametrize("name", CONTENTS)
def test_hashes_are_of_the_bytes(name: str, tmp_path: Path) -> None:
    content, file = CONTENTS[name], tmp_path / "file"
    file.write_bytes(WHOLE[name])
    git = subprocess.run(["git", "hash-object", str(file)], capture_output=True, text=True, check=True)
    assert content.sha256 == hashlib.sha256(WHOLE[name]).hexdigest()
    assert content.git_sha1 == git.stdout.strip()


def test_no_two_blocks_of_a_large_file_are_alike() -> None:
    noise = Noise(64 << 30, seed=3)
    blocks = {hashlib.sha256(noise.read(at, at + 4 * MIB)).digest() for at in range(0, 64 << 30, 512 * MIB)}
    neighbours = {hashlib.sha256(noise.read(at, at + MIB)).digest() for at in range(0, 128 * MIB, MIB)}
    assert (len(blocks), len(neighbours)) == (128, 128)


def test_the_seed_decides_the_bytes() -> None:
    def digest(seed: int) -> str:
        return SyntheticFile("a.gguf", MIB, "gguf", seed).sha256

    assert digest(1) == digest(1) != digest(2)


@pytest.mark.parametrize("size", [4096, 100_001, SIZE])
def test_safetensors_offsets_fit_the_file(size: int) -> None:
    data = SyntheticFile("lora_rank128.safetensors", size, "safetensors", 1).read(0, size)
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    tensors = sorted(entry["data_offsets"] for name, entry in header.items() if name != "__metadata__")
    assert [start for start, _ in tensors] == [0, *(stop for _, stop in tensors[:-1])]
    assert tensors[-1][1] == size - 8 - length
    assert header["blocks.0.weight"]["shape"] == [tensors[0][1] // 256, 128]


def test_gguf_describes_one_tensor_up_to_the_end() -> None:
    size = 1_000_000
    data = SyntheticFile("umt5.gguf", size, "gguf", 1).read(0, size)
    assert struct.unpack_from("<4sIQQ", data) == (b"GGUF", 3, 1, 3)
    at = data.index(b"blk.0.weight") + len(b"blk.0.weight")
    dimensions, elements, _, offset = struct.unpack_from("<IQIQ", data, at)
    start = -(-(at + 24) // 32) * 32
    assert (dimensions, start + elements, offset) == (1, size, 0)


@pytest.mark.parametrize("size", [4096, SIZE])
def test_pth_is_a_zip_archive_with_right_checksums(size: int) -> None:
    data = SyntheticFile("rife47.pth", size, "pth", 1).read(0, size)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["rife47/data.pkl", "rife47/data/0"]
        assert archive.testzip() is None


@pytest.mark.parametrize("kind", ["safetensors", "gguf", "pth"])
def test_a_size_without_room_for_the_header_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match="too few"):
        SyntheticFile("a", 50, kind, 1)


def test_the_seed_set_is_seven_files_in_proportion() -> None:
    seeds = {Path(seed.path).name: seed.content.size for seed in seed_set(200_000_000)}
    assert len(seeds) == 7
    assert abs(sum(seeds.values()) - 200_000_000) < 7 * 4096
    large = [size for name, size in seeds.items() if "Noise" in name]
    assert large[0] == large[1] == max(seeds.values())
