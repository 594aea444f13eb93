"""Numbers as people read them. Sizes are powers of 1000, as everywhere in this program."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "cause",
    "count",
    "duration",
    "enumerated",
    "eta",
    "percent",
    "printable",
    "rate",
    "shorten",
    "size",
    "verdict",
]

_NEVER = 100 * 86_400
_NAMED = 5
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


def size(number: float | None) -> str:
    """Bytes with three to four digits: ``512 B``, ``253.8 MB``, ``15.4 GB``; None is ``unknown size``."""
    if number is None:
        return "unknown size"
    if number < 1000:
        return f"{number:.0f} B"
    scaled = number
    for unit in _UNITS:
        scaled /= 1000
        # 999.95 would round to 1000.0 of this unit, so it is the next one's.
        if scaled < 999.95 or unit == _UNITS[-1]:
            break
    return f"{scaled:.1f} {unit}"


def rate(bytes_a_second: float) -> str:
    """A speed: ``312.0 MB/s``."""
    return f"{size(bytes_a_second)}/s"


def duration(seconds: float) -> str:
    """A time in its two largest units: ``0.4s``, ``42s``, ``1m33s``, ``2h05m``, ``3d04h``."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def eta(left: int, bytes_a_second: float) -> str:
    """The time ``left`` bytes will take at this speed, ``-`` where there is none, or nobody would wait for it."""
    if left <= 0 or left >= bytes_a_second * _NEVER:
        return "-"
    return duration(left / bytes_a_second)


def percent(done: int, total: int) -> str:
    """A share that is 100 % only when all is done: ``21.8%``; of nothing it is all."""
    if done >= total:
        return "100%"
    return f"{min(done / total * 100, 99.9):.1f}%"


def count(number: int, noun: str) -> str:
    """A number and its noun: ``1 model``, ``7 models``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def cause(word: str) -> str:
    """Why a request failed, in the room of a speed: ``status_503`` and ``cdn_503`` are ``HTTP 503``."""
    kind, _, status = word.partition("_")
    return f"HTTP {status}" if kind in ("status", "cdn", "proxy") and status else word


def enumerated(names: Sequence[str]) -> str:
    """The first names and how many more there are: ``a, b and 3 more``."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(printable, names[:_NAMED])) + more


def printable(text: str) -> str:
    """The text with everything escaped that could move a cursor, break a line or turn its direction."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def verdict(word: str, path: str, message: str) -> str:
    """A line for what became of ``path``: ``FAILED path: message``; a message that begins with it is not led by it."""
    if message.startswith((f"{path} ", f"{path}: ")):
        return f"{word} {message}"
    return f"{word} {path}: {message}"


def shorten(text: str, width: int) -> str:
    """The text in at most ``width`` characters, cut in its middle: names differ at their ends."""
    if len(text) <= width:
        return text
    if width < 5:
        return text[:width]
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
