"""The journal of a partial file: which of its blocks were finished, each with its own digest.

A text file. The first line is a JSON object that says which file it is and who writes it; any other is one block,

    index length xxh3-128

appended with one write. A later line wins; length 0 takes a claim back. The line ``released`` says that its writer has
closed the data file. All of it is a hint: a line that is torn or lies costs a block that is read in vain, because what
a journal claims is compared with the bytes before it is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import BinaryIO

from prefetch.volume.blocks import BLOCK_SIZE, block_length
from prefetch.volume.identity import Identity
from prefetch.volume.owner import Owner
from prefetch.volume.paths import is_model_path
from prefetch.volume.reading import Unfit
from prefetch.volume.untrusted import OPTIONAL_COUNT, OPTIONAL_TEXT, Kinds, decode, has_fields

__all__ = ["MOST", "RELEASED", "Journal", "claim_line", "claim_lines", "forget_line", "header_line", "parse"]

RELEASED = b"released\n"

MOST = 16 << 20
"""Bytes of a journal: 350,000 lines, for a model of 1.4 TB that is fetched once, or one of 140 GB ten times over."""

_FORMAT = 1
_FIELDS: dict[str, Kinds] = {
    "format": int,
    "path": str,
    "size": OPTIONAL_COUNT,
    "sha256": OPTIONAL_TEXT,
    "url": str,
    "etag": OPTIONAL_TEXT,
    "block_size": int,
}
_HEADER = 64 * 1024
"""Bytes of a header: path, address and validator come with some hundred each."""
_PIECE = 1 << 20
_LINE = re.compile(rb"^(?:([0-9]{1,12}) ([0-9]{1,7}) ([0-9a-f]{32})|released)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Journal:
    """What a journal says.

    Attributes:
        owner: who wrote it, None where that cannot be read.
        claims: block number → digest, every number within the file. None of it is checked.
        released: whether the writer has let go of the data file.
    """

    identity: Identity
    owner: Owner | None
    claims: Mapping[int, bytes] = field(default_factory=dict)
    released: bool = False

    @property
    def claimed_bytes(self) -> int:
        size = self.identity.size or 0
        return sum(block_length(size, index) for index in self.claims)


def header_line(identity: Identity, owner: Owner) -> bytes:
    """The first line of a journal."""
    document = {"format": _FORMAT, **asdict(identity), "block_size": BLOCK_SIZE, "owner": owner.to_json()}
    return json.dumps(document).encode() + b"\n"


def claim_line(index: int, length: int, digest: bytes) -> bytes:
    """The line that says that block ``index`` stands in the data file."""
    return b"%d %d %s\n" % (index, length, digest.hex().encode())


def claim_lines(claims: Mapping[int, bytes], *, size: int) -> bytes:
    """One line for each claim on a file of ``size`` bytes."""
    return b"".join(claim_line(index, block_length(size, index), digest) for index, digest in claims.items())


def forget_line(index: int) -> bytes:
    """The line that says that block ``index`` has to be fetched again."""
    return claim_line(index, 0, bytes(16))


def parse(file: BinaryIO) -> Journal | None:
    """What a journal says; None while its header was not written whole, or where it is of another format.

    Raises:
        Unfit: it is no journal. Nothing behind a first line that is no header is read.
    """
    first = file.readline(_HEADER)
    if not first.endswith(b"\n") and len(first) < _HEADER:
        return None
    header = decode(first)
    if header is None or not has_fields(header, _FIELDS) or not is_model_path(header["path"]):
        raise Unfit("it has no header of a journal")
    if (header["format"], header["block_size"]) != (_FORMAT, BLOCK_SIZE):
        return None
    try:
        identity = Identity(*(header[name] for name in ("path", "size", "sha256", "url", "etag")))
    except ValueError:
        raise Unfit("its header names no file") from None
    claims: dict[int, bytes] = {}
    released = False
    for match in _lines(file):
        if match[1] is None:
            released = True
        else:
            _apply(match, claims, identity.size or 0)
    return Journal(identity, Owner.from_json(header.get("owner")), claims, released)


def _lines(file: BinaryIO) -> Iterator[re.Match[bytes]]:
    """Every whole line behind the header that says something."""
    rest = b""
    for _ in range(MOST // _PIECE):
        piece = file.read(_PIECE)
        # What follows the last newline was torn off in the middle of a write, if nothing more comes.
        whole, _, rest = (rest + piece).rpartition(b"\n")
        yield from _LINE.finditer(whole)
        if not piece:
            break


def _apply(line: re.Match[bytes], claims: dict[int, bytes], size: int) -> None:
    index, length = int(line[1]), int(line[2])
    expected = block_length(size, index)
    if not expected or length not in (0, expected):
        return
    claims.pop(index, None)
    if length:
        claims[index] = bytes.fromhex(line[3].decode())
