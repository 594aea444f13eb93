"""Sound: the comments of FLAC and Ogg (Opus, Vorbis), and the texts of an MP3's ID3 tag."""

from __future__ import annotations

import io
from collections.abc import Iterator

from prefetch.comfyui.workflow.carriers.reader import LARGEST_TEXT, OverBudget, Reader
from prefetch.comfyui.workflow.carriers.texts import readable

__all__ = ["flac_texts", "mp3_texts", "ogg_texts"]

_FLAC_SIGNATURE, _FLAC_COMMENTS = 4, 4
_OGG_PAGE, _OGG_FULL = 27, 255
_OGG_COMMENTS = (b"OpusTags", b"\x03vorbis")
_OGG_HEADERS = 8
"""Packets that are looked at: the comments are the second of their stream."""

_ID3_HEAD, _ID3_FRAME = 10, 10
_ID3_EXTENDED = 0x40
_ID3_CHARSETS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}


def flac_texts(flac: Reader) -> Iterator[tuple[str, str]]:
    """The block of comments among those before the sound."""
    at, last = _FLAC_SIGNATURE, False
    while not last:
        head = flac.read(at, 4)
        last, kind, length = head[0] >= 128, head[0] & 127, int.from_bytes(head[1:], "big")
        if kind == _FLAC_COMMENTS:
            yield from _comments(flac.part(at + 4, at + 4 + length))
        at += 4 + length


def ogg_texts(ogg: Reader) -> Iterator[tuple[str, str]]:
    """The packet of comments, which may go over many pages."""
    for packet in _packets(ogg):
        for mark in _OGG_COMMENTS:
            if packet.startswith(mark):
                inner = ogg.within(io.BytesIO(packet))
                yield from _comments(inner.part(len(mark), inner.size))
                return


def _packets(ogg: Reader) -> Iterator[bytes]:
    at, packet, count = 0, bytearray(), 0
    while ogg.read(at, 4) == b"OggS":
        lengths = ogg.read(at + _OGG_PAGE, ogg.number(at + _OGG_PAGE - 1, 1))
        at += _OGG_PAGE + len(lengths)
        body, start = ogg.read(at, sum(lengths)), 0
        for length in lengths:
            packet += body[start : start + length]
            start += length
            if length == _OGG_FULL:
                continue
            yield bytes(packet)
            packet.clear()
            count += 1
            if count == _OGG_HEADERS:
                return
        if len(packet) > LARGEST_TEXT:
            raise OverBudget
        at += len(body)


def _comments(block: Reader) -> Iterator[tuple[str, str]]:
    """Vorbis comments: who wrote them, their count, and each as ``KEY=text`` behind its length."""
    at = 4 + block.number(0, 4, "little")
    count, at = block.number(at, 4, "little"), at + 4
    for _ in range(count):
        length = block.number(at, 4, "little")
        key, equals, text = readable(block.read(at + 4, length)).partition("=")
        if equals:
            yield key, text
        at += 4 + length


def mp3_texts(mp3: Reader) -> Iterator[tuple[str, str]]:
    """The frames of ID3 2.3 and 2.4 that hold a text under a name of its own (TXXX)."""
    head = mp3.read(0, _ID3_HEAD)
    version, flags, stop = head[3], head[5], _ID3_HEAD + _seven_bits(head[6:])
    if version not in (3, 4):
        return
    at = _ID3_HEAD
    if flags & _ID3_EXTENDED:
        size = mp3.read(at, 4)
        at += _seven_bits(size) if version == 4 else 4 + int.from_bytes(size, "big")
    while at + _ID3_FRAME <= stop:
        frame = mp3.read(at, _ID3_FRAME)
        length = _seven_bits(frame[4:8]) if version == 4 else int.from_bytes(frame[4:8], "big")
        if frame[:4] == b"TXXX" and length:
            body = mp3.read(at + _ID3_FRAME, length)
            charset = _ID3_CHARSETS.get(body[0], "latin-1")
            key, _, text = body[1:].decode(charset, errors="replace").partition("\0")
            yield key, text.lstrip("\ufeff").rstrip("\0")
        at += _ID3_FRAME + length


def _seven_bits(data: bytes) -> int:
    """A number of which each byte holds seven bits."""
    number = 0
    for byte in data:
        number = number << 7 | byte & 127
    return number
