"""The bytes around the weights of a model file: safetensors, GGUF, and PyTorch's zip archive."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Frame", "frame"]

Views = Callable[[int, int], Iterator[memoryview]]

SAFETENSORS_HEADER = 512
GGUF_ALIGNMENT = 32
_STRING, _UINT32, _TENSOR_I8 = 8, 4, 24
_ZIP_LIMIT = 0xFFFF_FFFF
_DOS_DATE = (2020 - 1980) << 9 | 1 << 5 | 1
_EMPTY_DICT = b"\x80\x02}."


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before and after the weights."""

    head: bytes = b""
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class _Member:
    """One stored file of a zip archive; ``offset`` is where its local header begins."""

    name: bytes
    size: int
    crc: int
    offset: int

    def fields(self) -> bytes:
        return struct.pack("<HHHHIIIHH", 0, 0, 0, _DOS_DATE, self.crc, self.size, self.size, len(self.name), 0)

    def local(self) -> bytes:
        return b"PK\x03\x04" + struct.pack("<H", 20) + self.fields() + self.name

    def central(self) -> bytes:
        place = struct.pack("<HHHII", 0, 0, 0, 0, self.offset)
        return b"PK\x01\x02" + struct.pack("<HH", 20, 20) + self.fields() + place + self.name


def frame(kind: str, title: str, size: int, weights: Views) -> Frame:
    """The frame that makes ``size`` bytes a valid file of ``kind``, whose weights are ``weights(start, stop)``.

    Raises:
        ValueError: ``size`` has no room for it.
    """
    made = _FRAMES[kind](title, size, weights)
    if size < len(made.head) + len(made.tail):
        raise ValueError(f"{size} bytes are too few for a {kind} file")
    return made


def _raw(title: str, size: int, weights: Views) -> Frame:
    return Frame()


def _safetensors(title: str, size: int, weights: Views) -> Frame:
    room = max(size - 8 - SAFETENSORS_HEADER, 0)
    matrix = room // 2 // 256
    header = {
        "__metadata__": {"format": "pt", "title": title},
        "blocks.0.weight": {"dtype": "F16", "shape": [matrix, 128], "data_offsets": [0, matrix * 256]},
        "blocks.0.scale": {"dtype": "U8", "shape": [room - matrix * 256], "data_offsets": [matrix * 256, room]},
    }
    text = json.dumps(header, separators=(",", ":")).encode().ljust(SAFETENSORS_HEADER)
    if len(text) > SAFETENSORS_HEADER:
        raise ValueError(f"the title {title!r} is too long for a header of {SAFETENSORS_HEADER} bytes")
    return Frame(head=struct.pack("<Q", len(text)) + text)


def _gguf(title: str, size: int, weights: Views) -> Frame:
    pairs = [
        _string("general.architecture") + struct.pack("<I", _STRING) + _string("demo"),
        _string("general.name") + struct.pack("<I", _STRING) + _string(title),
        _string("general.alignment") + struct.pack("<II", _UINT32, GGUF_ALIGNMENT),
    ]
    start = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs)) + b"".join(pairs)
    name = _string("blk.0.weight")
    length = len(start) + len(name) + struct.calcsize("<IQIQ")
    padded = -(-length // GGUF_ALIGNMENT) * GGUF_ALIGNMENT
    tensor = name + struct.pack("<IQIQ", 1, max(size - padded, 0), _TENSOR_I8, 0)
    return Frame(head=(start + tensor).ljust(padded, b"\0"))


def _pth(title: str, size: int, weights: Views) -> Frame:
    if size > _ZIP_LIMIT:
        raise ValueError("a .pth above 4 GiB would need zip64, which this does not write")
    pickle = _Member(f"{title}/data.pkl".encode(), len(_EMPTY_DICT), zlib.crc32(_EMPTY_DICT), 0)
    before = pickle.local() + _EMPTY_DICT
    blank = _Member(f"{title}/data/0".encode(), 0, 0, len(before))
    start = len(before) + len(blank.local())
    end = max(size - len(_directory(pickle, blank, 0)), start)
    data = _Member(blank.name, end - start, _crc32(weights(start, end)), blank.offset)
    return Frame(head=before + data.local(), tail=_directory(pickle, data, end))


def _directory(first: _Member, second: _Member, offset: int) -> bytes:
    entries = first.central() + second.central()
    return entries + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 2, 2, len(entries), offset, 0)


def _crc32(views: Iterator[memoryview]) -> int:
    value = 0
    for view in views:
        value = zlib.crc32(view, value)
    return value


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


_FRAMES = {"raw": _raw, "safetensors": _safetensors, "gguf": _gguf, "pth": _pth}
