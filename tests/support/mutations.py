"""Valid inputs, changed by a seeded chance: as JSON, text, tar archives or bytes; and the bounds that reading keeps."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Mutate", "Share", "bounded", "cut_and_flipped", "json_changed", "tar_changed", "text_changed"]

Mutate = Callable[[random.Random, bytes], bytes]

LONGEST_WORK, LONGEST = 2.0, 20.0
"""Seconds for one input: of the processor, which a busy machine does not lengthen; by the clock, for what waits."""
MOST_MEMORY = 300 << 20
"""Bytes that one input may take beside what the process has already."""

_HOSTILE: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**53 + 1, 10**40, 1.5, 1e308, "", " ", "\x00", "\x1b[2J", "\ud800"),
    *("..", "../../x", "/etc/passwd", ".prefetch/x", "C:\\x", "a" * 5000, "x/" * 600, "\u202egpj", "é", "\U0001f600"),
    *("https://[::1", "hf://", "civitai:0", "file:///dev/zero", "9" * 5000, [], {}, [[]], [None], {"": None}),
)


_NAMES = (b"../x", b"/x", b"a" * 100, b"\xff\xfe", b"\x1b[2J", b"a/" * 49, b"", b".wh..wh..opq")


@dataclass(slots=True)
class Share:
    """How many of the inputs got past the parser."""

    passed: int = 0
    tried: int = 0

    def __str__(self) -> str:
        return f"{self.passed / self.tried:.0%} of {self.tried}"


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Fail if the block takes more time or memory than one input may."""
    before = _memory("VmRSS")
    # The highest since here, and not since the process began.
    Path("/proc/self/clear_refs").write_text("5")
    began, worked = time.monotonic(), time.process_time()
    yield
    took, worked = time.monotonic() - began, time.process_time() - worked
    grown = _memory("VmHWM") - before
    assert worked <= LONGEST_WORK and took <= LONGEST, f"{what}: {worked:.1f} s of work in {took:.1f} s"
    assert grown <= MOST_MEMORY, f"{what}: {grown >> 20} MiB"


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split(None, 1)[0]) << 10


def cut_and_flipped(chance: random.Random, data: bytes) -> bytes:
    """One to three places of the bytes changed."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice((1, 1, 2, 4, 8, 64)))
        match chance.randrange(8):
            case 0:
                del changed[at:end]
            case 1:
                changed[at:at] = chance.randbytes(end - at)
            case 2:
                changed[at:at] = changed[at:end] * chance.choice((1, 100))
            case 3:
                changed[at:end] = chance.choice((b"\0", b"\xff", b"\n", b"9")) * (end - at)
            case 4 if chance.random() < 0.3:
                del changed[at:]
            case _ if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def text_changed(chance: random.Random, data: bytes) -> bytes:
    """One to three characters or lines of a text changed."""
    lines = data.decode().split("\n")
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(lines))
        line = lines[at]
        place = chance.randrange(len(line) + 1)
        match chance.randrange(8):
            case 0:
                lines[at:at] = [line] * chance.choice((1, 1, 500))
            case 1:
                lines[at] = " " * chance.choice((1, 2, 100)) + line
            case 2:
                lines[at] = line[:place] + line[place + 1 :]
            case 3:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], line
            case 4:
                lines[at] = f"{line} # {chance.choice(_HOSTILE)!a}"
            case _:
                lines[at] = line[:place] + chance.choice(" -:#\"'[]{}&*!|>%@`\n\tax0é_/.") + line[place:]
    return "\n".join(lines).encode()


def json_changed(chance: random.Random, data: bytes) -> bytes:
    """One to three values of a JSON document replaced, taken away, doubled or added."""
    document = json.loads(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        # Written and read again, so that nothing stands in it twice, which the next change would change twice.
        document = json.loads(json.dumps(_changed(chance, document)))
    text = json.dumps(document, indent=chance.choice((None, None, 1)))
    return text.encode()


def _changed(chance: random.Random, document: Any) -> Any:
    places = list(_places(document))
    if not places:
        return chance.choice(_HOSTILE)
    parent, key = chance.choice(places)
    match chance.randrange(12):
        case 0 | 1:
            parent[key] = chance.choice(_HOSTILE)
        case 2:
            del parent[key]
        case 3:
            other, place = chance.choice(places)
            parent[key] = json.loads(json.dumps(other[place]))
        case 4 if isinstance(parent, list):
            parent.extend([parent[key]] * chance.choice((1, 1, 50)))
        case 4 | 5 if isinstance(parent, dict):
            parent[chance.choice(("x", "\x1b", "z" * 300, key.upper()))] = chance.choice(_HOSTILE)
        case 6 if chance.random() < 0.5:
            value: Any = 1
            for _ in range(chance.choice((5, 40, 100))):
                value = [value] if chance.random() < 0.5 else {"x": value}
            parent[key] = value
        case _:
            parent[key] = _alike(chance, parent[key])
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pending = [value]
    while pending and (parent := pending.pop()) is not None:
        if isinstance(parent, dict | list):
            for key in parent if isinstance(parent, dict) else range(len(parent)):
                yield parent, key
                pending.append(parent[key])


def _alike(chance: random.Random, value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return chance.choice((value + 1, value * 2, 0, 1, 2**31, 2**53))
    if isinstance(value, str):
        at = chance.randrange(len(value) + 1)
        return value[:at] + chance.choice(("x", "é", "-", "0", "_", "/", "a" * 100)) + value[at:]
    return value


def tar_changed(chance: random.Random, data: bytes) -> bytes:
    """A field of a header of a tar archive changed, its checksum made right again; or bytes as they come."""
    headers = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    if not headers or chance.random() < 0.4:
        return cut_and_flipped(chance, data)
    at = chance.choice(headers)
    header = bytearray(data[at : at + 512])
    match chance.randrange(5):
        case 0:
            header[156] = chance.choice(b"01256xgLKSVD7Z\0")
        case 1:
            size = chance.choice((0, 1, 511, 10**6, 8**11 - 1, -1))
            header[124:136] = b"%011o\0" % size if size >= 0 else b"\xff" * 12
        case 2:
            header[0:100] = chance.choice(_NAMES).ljust(100, b"\0")
        case 3:
            header[157:257] = chance.choice((b"../../x", b"/", b"", b"a" * 100)).ljust(100, b"\0")
        case _:
            header[chance.randrange(100, 345)] = chance.randrange(256)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]
