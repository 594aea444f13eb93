"""The boxes of MP4, QuickTime and AVIF (ISO/IEC 14496-12): ``size(4) kind(4) content``, containers holding boxes.

FFmpeg writes any key into ``meta``, either as a ``keys`` box of names and an ``ilst`` box whose items are numbered by
them, or, without its ``use_metadata_tags``, as a comment (``©cmt``). In AVIF, ``meta`` says where the EXIF is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prefetch.comfyui.workflow.carriers.exif import exif_texts
from prefetch.comfyui.workflow.carriers.reader import Reader
from prefetch.comfyui.workflow.carriers.texts import COMMENT, readable

__all__ = ["isobmff_texts"]

_CONTAINERS = frozenset({b"moov", b"udta", b"meta"})
_CMT = b"\xa9cmt"
_KEYS_HEAD, _ITEM_VALUE, _QUICKTIME_TEXT = 8, 8, 4


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    body: Reader


def isobmff_texts(file: Reader) -> Iterator[tuple[str, str]]:
    """What stands in ``moov``, ``udta`` and ``meta``, wherever they are in one another."""
    pending = [file]
    while pending:
        names: list[str] = []
        items = places = None
        for box in _boxes(pending.pop()):
            if box.kind in _CONTAINERS:
                pending.append(_content(box))
            elif box.kind == b"keys":
                names = list(_names(box.body))
            elif box.kind == b"ilst":
                yield from _items(box.body, names)
            elif box.kind == _CMT:
                yield COMMENT, readable(box.body.rest(_QUICKTIME_TEXT))
            elif box.kind == b"iinf":
                items = box.body
            elif box.kind == b"iloc":
                places = box.body
        if items is not None and places is not None:
            yield from _exif(file, items, places)


def _boxes(of: Reader) -> Iterator[_Box]:
    at = 0
    while at + 8 <= of.size:
        head = of.read(at, 8)
        size, begin = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, begin = of.number(at + 8, 8), 16
        elif size == 0:
            size = of.size - at
        if size < begin:
            return
        yield _Box(head[4:], of.part(at + begin, at + size))
        at += size


def _content(box: _Box) -> Reader:
    """A container's boxes. ``meta`` has a version before them, except as QuickTime writes it."""
    body = box.body
    if box.kind == b"meta" and body.up_to(4, 4) != b"hdlr":
        return body.part(4, body.size)
    return body


def _names(keys: Reader) -> Iterator[str]:
    at = _KEYS_HEAD
    for _ in range(keys.number(4, 4)):
        size = keys.number(at, 4)
        if size < 8 or at + size > keys.size:
            return
        yield readable(keys.up_to(at + 8, size - 8))
        at += size


def _items(ilst: Reader, names: list[str]) -> Iterator[tuple[str, str]]:
    for item in _boxes(ilst):
        number = int.from_bytes(item.kind, "big")
        key = COMMENT if item.kind == _CMT else names[number - 1] if 0 < number <= len(names) else ""
        for data in _boxes(item.body) if key else ():
            if data.kind == b"data":
                yield key, readable(data.body.rest(_ITEM_VALUE))


def _exif(file: Reader, iinf: Reader, iloc: Reader) -> Iterator[tuple[str, str]]:
    wanted = set(_exif_items(iinf))
    for item, start, length in _places(iloc) if wanted else ():
        if item in wanted:
            # Its first four bytes count those before the TIFF structure.
            begin = start + 4 + file.number(start, 4)
            yield from exif_texts(file.part(begin, start + length))


def _exif_items(iinf: Reader) -> Iterator[int]:
    """The numbers of the items that are EXIF."""
    counted = 2 if iinf.number(0, 1) == 0 else 4
    for entry in _boxes(iinf.part(4 + counted, iinf.size)):
        version = entry.body.number(0, 1)
        width = 2 if version == 2 else 4
        if version >= 2 and entry.body.up_to(4 + width + 2, 4) == b"Exif":
            yield entry.body.number(4, width)


def _places(iloc: Reader) -> Iterator[tuple[int, int, int]]:
    """Each item's number and its first piece in the file: where, and how many bytes."""
    version, sizes = iloc.number(0, 1), iloc.number(4, 2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    number_size = 4 if version == 2 else 2
    at = 6 + number_size
    for _ in range(iloc.number(6, number_size)):
        item, at = iloc.number(at, number_size), at + number_size + (2 if version in (1, 2) else 0) + 2
        base, pieces, at = iloc.number(at, base_size), iloc.number(at + base_size, 2), at + base_size + 2
        if pieces:
            start = iloc.number(at + index_size, offset_size)
            yield item, base + start, iloc.number(at + index_size + offset_size, length_size)
        at += pieces * (index_size + offset_size + length_size)
