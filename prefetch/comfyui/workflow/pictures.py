"""The texts that ComfyUI saves inside pictures and sound: PNG, WebP and FLAC. Pure; every length is doubted."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

__all__ = ["embedded_texts", "is_picture"]

_PNG, _RIFF, _WEBP, _FLAC = b"\x89PNG\r\n\x1a\n", b"RIFF", b"WEBP", b"fLaC"
_LARGEST_TEXT = 64 * 2**20
_KEYS = ("workflow", "prompt")
_MOST_TEXTS = 64
_EXIF_ASCII = 2
_EXIF_POINTERS = frozenset({0x8769})


def is_picture(data: bytes) -> bool:
    """Whether the bytes begin as one of the kinds that are read here."""
    return data.startswith((_PNG, _FLAC)) or (data.startswith(_RIFF) and data[8:12] == _WEBP)


def embedded_texts(data: bytes) -> dict[str, str]:
    """The texts by their lower-case key (``workflow``, ``prompt``); the first of each key."""
    if data.startswith(_PNG):
        pairs = _png_texts(data)
    elif data.startswith(_FLAC):
        pairs = _flac_texts(data)
    else:
        pairs = _webp_texts(data)
    found: dict[str, str] = {}
    for key, text in pairs:
        found.setdefault(key.strip().lower(), text)
    return found


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    at, wanted = len(_PNG), set(_KEYS)
    while wanted and at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        key, _, rest = body.partition(b"\0") if kind in _TEXTS else (b"", b"", b"")
        # Only then is anything inflated, and each key once: a few kilobytes can stand for gigabytes.
        if (name := key.decode("latin-1").lower()) in wanted:
            wanted.remove(name)
            yield name, _decoded(_TEXTS[kind](rest))
        at += 12 + length


def _international(rest: bytes) -> bytes:
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if rest[:1] == b"\1" else text


def _inflated(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _LARGEST_TEXT)
    except zlib.error:
        return b""


_TEXTS: dict[bytes, Callable[[bytes], bytes]] = {
    b"tEXt": bytes,
    b"zTXt": lambda rest: _inflated(rest[1:]),
    b"iTXt": _international,
}


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _webp_texts(data: bytes) -> Iterator[tuple[str, str]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"EXIF":
            for text in islice(_exif_texts(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")), _MOST_TEXTS):
                key, colon, value = text.partition(":")
                if colon:
                    yield key, value
        at += 8 + length + length % 2


def _exif_texts(exif: bytes) -> Iterator[str]:
    """Every text of a TIFF structure's directories, each directory once."""
    order = "<" if exif[:2] == b"II" else ">"
    pending, seen = [_number(exif, 4, f"{order}I")], set[int]()
    while pending:
        at = pending.pop()
        if at is None or at in seen:
            continue
        seen.add(at)
        for entry in range(at + 2, at + 2 + 12 * (_number(exif, at, f"{order}H") or 0), 12):
            try:
                tag, kind, count, offset = struct.unpack_from(f"{order}HHII", exif, entry)
            except struct.error:
                break
            if tag in _EXIF_POINTERS:
                pending.append(offset)
            elif kind == _EXIF_ASCII and count > 4:
                yield _decoded(exif[offset : offset + count].rstrip(b"\0"))


def _number(data: bytes, at: int, form: str) -> int | None:
    try:
        found: int = struct.unpack_from(form, data, at)[0]
    except struct.error:
        return None
    return found


def _flac_texts(data: bytes) -> Iterator[tuple[str, str]]:
    at, last = len(_FLAC), False
    while not last and at + 4 <= len(data):
        last, kind, length = data[at] >= 128, data[at] & 127, int.from_bytes(data[at + 1 : at + 4], "big")
        if kind == 4:
            yield from _vorbis_texts(data[at + 4 : at + 4 + length])
        at += 4 + length


def _vorbis_texts(block: bytes) -> Iterator[tuple[str, str]]:
    at = 4 + (_number(block, 0, "<I") or 0)
    count, at = _number(block, at, "<I") or 0, at + 4
    for _ in range(count):
        length = _number(block, at, "<I")
        if length is None:
            return
        key, equals, text = _decoded(block[at + 4 : at + 4 + length]).partition("=")
        if equals:
            yield key, text
        at += 4 + length
