"""Pictures: PNG's text chunks, and the EXIF in WebP, JPEG and TIFF."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from prefetch.comfyui.workflow.carriers.exif import exif_texts
from prefetch.comfyui.workflow.carriers.reader import LARGEST_TEXT, Reader
from prefetch.comfyui.workflow.carriers.texts import KEYS, keyed, readable

__all__ = ["jpeg_texts", "png_texts", "webp_texts"]

_PNG_SIGNATURE, _WEBP_SIGNATURE, _JPEG_SIGNATURE = 8, 12, 2
_LONGEST_KEYWORD = 80
_EXIF = b"Exif\0\0"
_APP1, _COMMENT, _START_OF_SCAN, _END_OF_IMAGE, _FILL = 0xE1, 0xFE, 0xDA, 0xD9, 0xFF
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})


def png_texts(png: Reader) -> Iterator[tuple[str, str]]:
    """The text chunks. Only a wanted key's is inflated, and each key once: a few kilobytes can stand for gigabytes."""
    at, wanted = _PNG_SIGNATURE, set(KEYS)
    while wanted:
        head = png.read(at, 8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in _TEXTS:
            keyword, _, _ = png.up_to(at + 8, min(length, _LONGEST_KEYWORD)).partition(b"\0")
            if (key := keyword.decode("latin-1").lower()) in wanted:
                wanted.remove(key)
                yield key, readable(_TEXTS[kind](png.up_to(at + 8, length)[len(keyword) + 1 :]))
        at += 12 + length


def _international(rest: bytes) -> bytes:
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if rest[:1] == b"\1" else text


def _inflated(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, LARGEST_TEXT)
    except zlib.error:
        return b""


_TEXTS: dict[bytes, Callable[[bytes], bytes]] = {
    b"tEXt": bytes,
    b"comf": bytes,  # ComfyUI's own, in animated ones
    b"zTXt": lambda rest: _inflated(rest[1:]),
    b"iTXt": _international,
}


def webp_texts(webp: Reader) -> Iterator[tuple[str, str]]:
    """The EXIF chunk; some writers put JPEG's mark before it."""
    at = _WEBP_SIGNATURE
    while True:
        head = webp.read(at, 8)
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"EXIF":
            marked = webp.up_to(at + 8, len(_EXIF)) == _EXIF
            yield from exif_texts(webp.part(at + 8 + (len(_EXIF) if marked else 0), at + 8 + length))
        at += 8 + length + length % 2


def jpeg_texts(jpeg: Reader) -> Iterator[tuple[str, str]]:
    """The EXIF and the comments, all of which stand before the picture itself."""
    at = _JPEG_SIGNATURE
    while True:
        mark = jpeg.read(at, 2)
        if mark[0] != _FILL or mark[1] in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        if mark[1] in _ALONE or mark[1] == _FILL:
            at += 1 if mark[1] == _FILL else 2
            continue
        start, stop = at + 4, at + 2 + jpeg.number(at + 2, 2)
        if mark[1] == _APP1 and jpeg.up_to(start, len(_EXIF)) == _EXIF:
            yield from exif_texts(jpeg.part(start + len(_EXIF), stop))
        elif mark[1] == _COMMENT:
            yield from keyed(readable(jpeg.part(start, stop).rest()))
        at = stop
