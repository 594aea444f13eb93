"""What first bytes are taken for, and under which names they may stand."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import ContentError, FormatMismatch
from prefetch.volume.content import HEAD, Format, check_content, content_of


def safetensors(data: int, *, extra: int = 0, metadata: dict[str, str] | None = None) -> bytes:
    tensors: dict[str, object] = {"w": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}
    if metadata is not None:
        tensors["__metadata__"] = metadata
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + bytes(data + extra)


def check(path: str, data: bytes, *, known: bool = False) -> None:
    check_content(path, content_of(data), len(data), known=known)


PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title>"
GGUF, ZIP, PICKLE = b"GGUF" + bytes(100), b"PK\x03\x04" + bytes(100), pickle.dumps({"w": 1}, protocol=2)
GOOD = [
    ("a.safetensors", safetensors(100, metadata={"format": "pt"})),
    ("a.SAFETENSORS", safetensors(0)),
    ("a.gguf", GGUF),
    ("a.pth", ZIP),
    ("a.pth", PICKLE),
    ("a.bin", bytes(100)),
    ("a.bin", safetensors(100)),
    ("a.onnx", b"\x08\x07\x12" + bytes(100)),
    ("config.json", b'{"error": "this is what the file is about"}'),
    ("page.html", b"<!doctype html><title>a page that is wanted</title>"),
]
ODD = [
    ("a.safetensors", safetensors(100, extra=1), "describes"),
    ("a.safetensors", safetensors(100)[:-1], "describes"),
    ("a.safetensors", b"", "no safetensors header"),
    ("a.safetensors", (20).to_bytes(8, "little") + b"{" * 20 + bytes(9), "cannot be read"),
    ("a.safetensors", (2**63).to_bytes(8, "little") + b"{}", "no safetensors header"),
    ("a.gguf", b"GGUF" + bytes(10), "within its GGUF header"),
    ("a.gguf", bytes(100), "does not begin with GGUF"),
    ("a.pth", bytes(100), "neither a zip"),
]
OTHER = [
    ("a.safetensors", GGUF, "a GGUF file and has no safetensors header"),
    ("a.gguf", ZIP, "a zip archive and does not begin with GGUF"),
    ("a.gguf", safetensors(100), "a safetensors file and does not begin with GGUF"),
    ("a.pth", GGUF, "a GGUF file and is neither a zip"),
    ("a.ckpt", safetensors(100), "a safetensors file and is neither a zip"),
    ("a.onnx", PICKLE, "a pickle"),
    ("a.gguf", PAGE, 'HTML page titled "Sign in"'),
    ("a.bin", b"\n <html>", "HTML page"),
    ("a.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:", "LFS pointer"),
    ("a.pth", b'{"error":"Unauthorized"}', "JSON"),
]


@pytest.mark.parametrize(("path", "data"), GOOD)
def test_a_model_is_taken_for_one(path: str, data: bytes) -> None:
    check(path, data)


@pytest.mark.parametrize(("path", "data", "said"), ODD)
def test_an_odd_header_is_named_unless_a_hash_knows_better(path: str, data: bytes, said: str) -> None:
    with pytest.raises(ContentError, match=said):
        check(path, data)
    check(path, data, known=True)


@pytest.mark.parametrize(("path", "data", "said"), OTHER)
@pytest.mark.parametrize("known", [False, True], ids=["", "known"])
def test_no_hash_makes_another_format_the_right_one(path: str, data: bytes, said: str, known: bool) -> None:
    with pytest.raises(ContentError, match=said):
        check(path, data, known=known)


@pytest.mark.parametrize("path", ["a.safetensors", "a.sft", "a.gguf", "a.pth", "a.pt", "a.ckpt", "a.pkl", "a.onnx"])
@pytest.mark.parametrize("data", [safetensors(9), GGUF, ZIP, PICKLE], ids=["safetensors", "gguf", "zip", "pickle"])
def test_every_ending_has_its_formats(path: str, data: bytes) -> None:
    torch = path.endswith((".pth", ".pt", ".ckpt", ".pkl")) and data in (ZIP, PICKLE)
    if torch or (path, data) in [("a.safetensors", safetensors(9)), ("a.sft", safetensors(9)), ("a.gguf", GGUF)]:
        check(path, data)
    else:
        with pytest.raises(FormatMismatch, match=path):
            check(path, data, known=True)


@pytest.mark.parametrize(("path", "data"), GOOD)
@pytest.mark.parametrize("more", [1, 10_000_000])
def test_an_unknown_size_speaks_against_nothing(path: str, data: bytes, more: int) -> None:
    longer = safetensors(100 + more)[:HEAD] if data[8:9] == b"{" else data
    check_content(path, content_of(longer), None, known=False)


def test_a_header_longer_than_what_is_looked_at_is_judged_by_its_start() -> None:
    whole = safetensors(100, metadata={"long": "x" * 2 * HEAD})
    content = content_of(whole[:HEAD])
    assert content.format is Format.SAFETENSORS
    check_content("a.safetensors", content, len(whole), known=False)
    with pytest.raises(ContentError, match=f"describes {8 + int.from_bytes(whole[:8], 'little')} bytes"):
        check_content("a.safetensors", content, HEAD, known=False)


@given(st.sampled_from(["a.safetensors", "a.gguf", "a.pth", "a.bin", "a.txt"]), st.binary(max_size=300), st.booleans())
def test_any_bytes_are_judged_without_a_crash(path: str, head: bytes, known: bool) -> None:
    try:
        check(path, head, known=known)
    except ContentError as error:
        assert path in str(error)
