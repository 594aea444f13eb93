"""What a file's first bytes say it is, and whether that goes with the ending of the name it is to have. Pure.

A loader is chosen by the ending, so a name is only given to bytes that the ending's loader can read, wherever they
come from: fetched, found on the volume, linked to another model's, copied from a cache.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from prefetch.errors import ContentError, FormatMismatch

__all__ = ["HEAD", "Content", "Format", "check_content", "content_of"]

HEAD = 1 << 20
"""Bytes from a file's start that are looked at."""
MAX_HEADER = 100_000_000
"""The longest JSON header that the safetensors library itself reads, in bytes."""
SMALLEST_GGUF = 24
"""Bytes of the fields that every GGUF file begins with."""


class Format(Enum):
    """What can be told from the first bytes for certain; the value is what a sentence calls it."""

    SAFETENSORS = "a safetensors file"
    GGUF = "a GGUF file"
    ZIP = "a zip archive"
    PICKLE = "a pickle"
    PAGE = "an HTML page"
    POINTER = "a Git LFS pointer, not the file it points to"
    MESSAGE = "a JSON error message"
    UNKNOWN = "none of these"


@dataclass(frozen=True, slots=True)
class Content:
    """What the first bytes of a file say of it.

    Attributes:
        size: bytes that the whole file has by its own header; None where that does not tell, or is not all there.
        at_least: bytes that it has even where ``size`` cannot be told.
        fault: what is wrong with the header, where it can be told without the file's size; else empty.
        title: of a page.
    """

    format: Format
    size: int | None = None
    at_least: int = 0
    fault: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class _Ending:
    """What may stand under names with one ending.

    Attributes:
        formats: those its loader reads.
        otherwise: what a file of any other format is or lacks; empty where one of none that is known may be right.
    """

    formats: Set[Format]
    otherwise: str = ""


_SAFETENSORS = _Ending({Format.SAFETENSORS}, "has no safetensors header")
_TORCH = _Ending({Format.ZIP, Format.PICKLE}, "is neither a zip archive nor a pickle")
_ENDINGS = {
    ".safetensors": _SAFETENSORS,
    ".sft": _SAFETENSORS,
    ".gguf": _Ending({Format.GGUF}, "does not begin with GGUF"),
    ".pth": _TORCH,
    ".pt": _TORCH,
    ".ckpt": _TORCH,
    ".pkl": _TORCH,
    ".onnx": _Ending(frozenset()),
    ".bin": _Ending({Format.SAFETENSORS, Format.GGUF, Format.ZIP, Format.PICKLE}),
}


def content_of(head: bytes | memoryview) -> Content:
    """What ``head`` begins: at least a file's first `HEAD` bytes, or the whole of a shorter one."""
    head = bytes(head[:HEAD])
    return _impostor(head) or _safetensors(head) or Content(_by_magic(head))


def check_content(path: str, content: Content, size: int | None, *, known: bool) -> None:
    """Raise where a file of this content must not stand at ``path``.

    Args:
        size: the whole file's in bytes; None while nobody knows it, which leaves unsaid what only it can tell.
        known: whether a hash known beforehand says that these bytes are the right ones. It is the last word on a
            header that looks odd, but no hash has a loader read another format than its own.

    Raises:
        FormatMismatch: it is of another format than the ending says.
        ContentError: its header is not one of that format, or describes another file.
    """
    ending = _ENDINGS.get(PurePosixPath(path).suffix.lower())
    if ending is None:
        return
    if content.format not in ending.formats and content.format is not Format.UNKNOWN:
        raise _mismatch(path, content, ending)
    if not known and (fault := _doubt(content, ending, size)):
        raise ContentError(
            f"What was received for {path} is not a model: {fault}.",
            remedy="Open the source's address in a browser to see what the host serves there.",
        )


def _mismatch(path: str, content: Content, ending: _Ending) -> ContentError:
    if content.format in (Format.PAGE, Format.POINTER, Format.MESSAGE):
        title = f' titled "{content.title}"' if content.title else ""
        return ContentError(
            f"What was received for {path} is not a model: it is {content.format.value}{title}.",
            remedy="Open the source's address in a browser to see what the host serves there.",
        )
    also = f" and {ending.otherwise}" if ending.otherwise else ""
    return FormatMismatch(
        f"What should stand at {path} does not go with that ending: it is {content.format.value}{also}.",
        remedy="Correct the path's ending, or name another source.",
    )


def _doubt(content: Content, ending: _Ending, size: int | None) -> str:
    """What speaks against a file of a format that the ending may have; empty for nothing."""
    if content.format is Format.UNKNOWN:
        return f"it {ending.otherwise}" if ending.otherwise else ""
    if content.fault:
        return content.fault
    if content.format is Format.GGUF and size is not None and size < SMALLEST_GGUF:
        return "it ends within its GGUF header"
    if size is not None and (content.size not in (None, size) or content.at_least > size):
        return f"its safetensors header describes {content.size or content.at_least} bytes and the file has {size}"
    return ""


def _impostor(head: bytes) -> Content | None:
    text = head[:512].lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
        return Content(Format.PAGE, title=title[1].decode("utf-8", "replace").strip() if title else "")
    if text.startswith(b"version https://git-lfs"):
        return Content(Format.POINTER)
    if text.startswith((b'{"error', b'{"message', b'{"detail')):
        return Content(Format.MESSAGE)
    return None


def _safetensors(head: bytes) -> Content | None:
    """The file by its header, a JSON object behind its length; None where it has none."""
    length = int.from_bytes(head[:8], "little")
    if head[8:9] != b"{" or length > MAX_HEADER:
        return None
    if len(head) < 8 + length:
        # A file that is shorter than its header has none.
        return None if len(head) < HEAD else Content(Format.SAFETENSORS, at_least=8 + length)
    try:
        tensors = json.loads(head[8 : 8 + length])
        end = max((entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"), default=0)
        return Content(Format.SAFETENSORS, size=8 + length + int(end))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
        return Content(Format.SAFETENSORS, fault="its safetensors header cannot be read")


def _by_magic(head: bytes) -> Format:
    if head[:4] == b"GGUF":
        return Format.GGUF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Format.ZIP
    is_pickle = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return Format.PICKLE if is_pickle else Format.UNKNOWN
