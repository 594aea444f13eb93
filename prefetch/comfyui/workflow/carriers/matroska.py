"""The elements of Matroska and WebM (EBML, RFC 8794 and 9559): the names and texts of their tags."""

from __future__ import annotations

from collections.abc import Iterator

from prefetch.comfyui.workflow.carriers.reader import Reader
from prefetch.comfyui.workflow.carriers.texts import readable

__all__ = ["matroska_texts"]

_SEGMENT, _TAGS, _TAG, _SIMPLE_TAG = 0x18538067, 0x1254C367, 0x7373, 0x67C8
_TAG_NAME, _TAG_STRING = 0x45A3, 0x4487
_ENTERED = frozenset({_SEGMENT, _TAGS, _TAG, _SIMPLE_TAG})
_LONGEST_ID, _LONGEST_SIZE = 4, 8


def matroska_texts(file: Reader) -> Iterator[tuple[str, str]]:
    """Each tag's text by its name, which stands before it."""
    name = ""
    for kind, body in _elements(file):
        if kind == _SIMPLE_TAG:
            name = ""
        elif kind == _TAG_NAME:
            name = readable(body.rest())
        elif kind == _TAG_STRING and name:
            yield name, readable(body.rest())


def _elements(file: Reader) -> Iterator[tuple[int, Reader]]:
    """The elements one after another, those on the way to the tags and those of no known size opened."""
    at = 0
    while at < file.size:
        head = file.up_to(at, _LONGEST_ID + _LONGEST_SIZE)
        kind_width = 9 - head[0].bit_length()
        if kind_width > _LONGEST_ID:
            return
        kind = int.from_bytes(head[:kind_width], "big")
        size_width = 9 - head[kind_width : kind_width + 1][0].bit_length() if len(head) > kind_width else 9
        start = at + kind_width + size_width
        if size_width > _LONGEST_SIZE or start > file.size:
            return
        unknown = (1 << 7 * size_width) - 1
        size = int.from_bytes(head[kind_width : kind_width + size_width], "big") & unknown
        yield kind, file.part(start, start + size)
        # A live stream's clusters end where the next element begins that none of them can hold.
        at = start if kind in _ENTERED or size == unknown else start + size
