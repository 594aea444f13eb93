"""What kind of file do these first bytes begin? Enough to tell a model from the page or pointer served in its place."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from prefetch.errors import ContentError

__all__ = ["MODEL_SUFFIXES", "check_header"]

MODEL_SUFFIXES = frozenset({".safetensors", ".sft", ".gguf", ".pth", ".pt", ".ckpt", ".bin", ".pkl", ".onnx"})
MAX_HEADER = 100_000_000
"""The longest JSON header that the safetensors library itself reads, in bytes."""


def check_header(path: str, head: bytes | memoryview, size: int) -> None:
    """Raise `ContentError`, saying what was received, when ``head`` cannot begin a model named ``path``.

    Args:
        head: the file's first bytes; the whole file where it is shorter than a block.
        size: the whole file's size in bytes.
    """
    head = bytes(head[: 1 << 20])
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in MODEL_SUFFIXES:
        return
    fault = _impostor(head) or _FORMATS.get(suffix, _any_format)(head, size)
    if fault:
        raise ContentError(
            f"What was received for {path} is not a model: {fault}.",
            remedy="Open the source's address in a browser to see what the host serves there.",
        )


def _impostor(head: bytes) -> str | None:
    text = head[:512].lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
        name = f' titled "{title[1].decode("utf-8", "replace").strip()}"' if title else ""
        return f"it is an HTML page{name}"
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file it points to"
    if text.startswith((b'{"error', b'{"message', b'{"detail')):
        return "it is a JSON error message"
    return None


def _safetensors(head: bytes, size: int) -> str | None:
    length = int.from_bytes(head[:8], "little")
    if len(head) < 9 or length > min(MAX_HEADER, size - 8) or head[8:9] != b"{":
        return "it has no safetensors header"
    if len(head) < 8 + length:
        return None
    try:
        tensors = json.loads(head[8 : 8 + length])
        end = max((entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "its safetensors header cannot be read"
    if end != size - 8 - length:
        return f"its safetensors header describes {end + 8 + length} bytes and the file has {size}"
    return None


def _gguf(head: bytes, size: int) -> str | None:
    return None if head[:4] == b"GGUF" and size >= 24 else "it does not begin with GGUF"


def _pickle(head: bytes, size: int) -> str | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"):
        return None
    return "it is neither a zip archive nor a pickle"


def _any_format(head: bytes, size: int) -> str | None:
    return None


_FORMATS = {
    ".safetensors": _safetensors,
    ".sft": _safetensors,
    ".gguf": _gguf,
    ".pth": _pickle,
    ".pt": _pickle,
    ".ckpt": _pickle,
    ".pkl": _pickle,
}
