"""A model of one block on its way: kept in memory until its hash is right, so it needs no journal and is never resumed.

A journal, its owner's mark and the search for earlier generations cost a network file system more time than such a
file's bytes, and of small files there are thousands.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.hashing import block_digest
from prefetch.volume.identity import Identity

__all__ = ["Draft"]


class Draft:
    """An `Incoming` of one block. Nothing of it is on the volume before `publish_together` writes it.

    Args:
        identity: of a file whose size is known and at most `BLOCK_SIZE`.

    Attributes:
        name: of its file, before that gets its final name: one that nobody else knows of.
        data: the file's bytes, which belong to whoever wrote them; None until they are here.
    """

    resumed_bytes = 0
    unsynced_bytes = 0

    def __init__(self, identity: Identity) -> None:
        assert identity.size is not None and identity.size <= BLOCK_SIZE
        self.identity = identity
        self.size = identity.size
        self.block_count = 1 if identity.size else 0
        self.name = f"draft.{secrets.token_hex(8)}"
        self.data: bytes | memoryview | None = None if identity.size else b""

    @property
    def claimed(self) -> Mapping[int, bytes]:
        return {} if self.data is None or not self.size else {0: block_digest(self.data)}

    def block_length(self, index: int) -> int:
        return 0 if index else self.size

    def write(self, index: int, data: bytes | memoryview) -> None:
        """Take the file's bytes; they may not change before the draft is published or discarded."""
        if index or len(data) != self.size:
            raise ValueError(f"a draft has one block of {self.size} bytes, not block {index} of {len(data)}")
        self.data = data

    def forget_validator(self) -> None:
        """What comes is not sure to be of the file that the validator stood for: so no record must say so."""
        self.identity = replace(self.identity, etag=None)

    def restart(self) -> None:
        self.data = None

    def close(self) -> None:
        """Nothing of it could be resumed."""
        self.discard()

    def discard(self) -> None:
        """Nothing of it is on the volume."""
        self.data = None
