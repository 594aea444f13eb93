"""Block digests that travel: beside a lock, the digest of each block of the files that it pins.

``NAME.blocks`` stands beside ``NAME.yaml`` and ``NAME.lock.json``. Its first line is a JSON object that says what kind
of digests these are; any other is one file,

    sha256 size digests check

sorted, ``digests`` in base64, ``check`` a part of the SHA-256 of what stands before it. A file of one block has no
line: its SHA-256 says all. Pure: bytes in, digests or a sentence out, and back to the same bytes.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefetch.errors import ManifestError
from prefetch.volume.blocks import BLOCK_SIZE, DIGEST_SIZE, block_count

__all__ = ["MAX_BYTES", "BlockDigests", "Digests", "blocks_path", "parse_blocks"]

MAX_BYTES = 64 << 20
"""Room for the digests of some 12 TB."""

_HEADER = {"version": 1, "digest": "xxh3-128", "block_size": BLOCK_SIZE}
_LINE = re.compile(r"([0-9a-f]{64}) ([0-9]{1,18}) ([A-Za-z0-9+/]+={0,2})")
_REMEDY = "Make it anew with prefetch lock --blocks."
_CHECK = 16  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class Digests:
    """The blocks of one file of ``size`` bytes: XXH3-128 of each, 16 bytes each in order."""

    size: int
    blocks: bytes

    @property
    def fit(self) -> bool:
        """Whether there are as many as such a file has blocks."""
        return len(self.blocks) == DIGEST_SIZE * block_count(self.size)


@dataclass(frozen=True, slots=True)
class BlockDigests:
    """Digests by the SHA-256 of the whole file."""

    files: Mapping[str, Digests]

    def to_bytes(self) -> bytes:
        """The file: sorted, the same bytes for the same digests."""
        lines = [json.dumps(_HEADER), *(_line(sha256, self.files[sha256]) for sha256 in sorted(self.files))]
        return "".join(f"{line}\n" for line in lines).encode()


def blocks_path(manifest: Path) -> Path:
    """Where the block digests of a manifest's files stand."""
    return manifest.with_name(f"{manifest.stem}.blocks")


def parse_blocks(data: bytes, *, file: str) -> BlockDigests:
    """The digests in ``data``, trusted in nothing.

    Raises:
        ManifestError: it is no such list, or any part of it makes no sense; ``file`` is its name in the sentence.
    """
    try:
        first, *lines = data.decode("ascii").splitlines() if len(data) <= MAX_BYTES else [""]
        known = json.loads(first) == _HEADER
    except (ValueError, RecursionError):
        known = False
    if not known:
        raise ManifestError(f"{file} is no list of block digests that this version reads.", remedy=_REMEDY)
    files = dict(_parse_line(line, f"{file}: line {number}") for number, line in enumerate(lines, start=2))
    return BlockDigests(files)


def _parse_line(line: str, where: str) -> tuple[str, Digests]:
    text, _, check = line.rpartition(" ")
    match = _LINE.fullmatch(text)
    if match is None or check != _check(text):
        raise ManifestError(f"{where} was cut or changed.", remedy=_REMEDY)
    try:
        digests = Digests(int(match[2]), b64decode(match[3], validate=True))
    except binascii.Error:
        raise ManifestError(f"{where} was cut or changed.", remedy=_REMEDY) from None
    if not digests.fit:
        raise ManifestError(
            f"{where} has another number of blocks than a file of {digests.size} bytes.", remedy=_REMEDY
        )
    return match[1], digests


def _line(sha256: str, digests: Digests) -> str:
    text = f"{sha256} {digests.size} {b64encode(digests.blocks).decode()}"
    return f"{text} {_check(text)}"


def _check(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECK]
