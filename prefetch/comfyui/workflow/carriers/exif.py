"""EXIF, the directories of a TIFF structure: ComfyUI writes ``workflow:{…}`` into whatever entries hold text."""

from __future__ import annotations

from collections.abc import Iterator

from prefetch.comfyui.workflow.carriers.reader import Order, Reader
from prefetch.comfyui.workflow.carriers.texts import keyed, readable

__all__ = ["exif_texts"]

_ASCII = 2
_BYTES = frozenset({1, 7})
_EXIF_DIRECTORY, _USER_COMMENT = 0x8769, 0x9286
_ENTRY = 12
_INLINE = 4
"""A value of at most so many bytes stands in its entry instead of an offset: no workflow is so short."""

_CHARSET = 8


def exif_texts(exif: Reader) -> Iterator[tuple[str, str]]:
    """Every text of the first directory and of those it points to, each directory once; ``exif`` begins with the order.

    An entry costs a read, so directories that overlap, whatever their number, cost no more than the budget.
    """
    order: Order = "little" if exif.read(0, 2) == b"II" else "big"
    pending, seen = [exif.number(4, 4, order)], set[int]()
    while pending:
        directory = pending.pop()
        if directory in seen:
            continue
        seen.add(directory)
        for number in range(exif.number(directory, 2, order)):
            entry = exif.read(directory + 2 + _ENTRY * number, _ENTRY)
            tag, kind, count, offset = (int.from_bytes(entry[a:b], order) for a, b in ((0, 2), (2, 4), (4, 8), (8, 12)))
            if tag == _EXIF_DIRECTORY:
                pending.append(offset)
            elif kind == _ASCII and count > _INLINE:
                yield from keyed(readable(exif.up_to(offset, count)))
            elif tag == _USER_COMMENT and kind in _BYTES and count > _CHARSET:
                yield from keyed(_comment(exif.up_to(offset, count)))


def _comment(value: bytes) -> str:
    """A user's comment: eight bytes say how the rest is written, and writers disagree on UTF-16's byte order."""
    charset, text = value[:_CHARSET], value[_CHARSET:]
    if not charset.startswith(b"UNICODE"):
        return readable(text)
    little = text.startswith(b"\xff\xfe") or text[1:2] == b"\0"
    return text.decode("utf-16-le" if little else "utf-16-be", errors="ignore").lstrip("\ufeff").rstrip("\0")
