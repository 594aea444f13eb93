"""What makes two downloads the same file."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

__all__ = ["Identity"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"/[0-9a-f]{40}/")


@dataclass(frozen=True, slots=True)
class Identity:
    """One file as a host names it.

    Attributes:
        path: where it is to stand, below the volume's root.
        size: bytes, None where the host does not tell.
        sha256: 64 lower-case hex digits, None where nobody knows them.
        url: the pinned address, without secrets.
        etag: the host's validator.
    """

    path: str
    size: int | None
    sha256: str | None
    url: str
    etag: str | None

    def __post_init__(self) -> None:
        # It becomes a file's name.
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"a SHA-256 has 64 lower-case hex digits, not {self.sha256[:80]!r}")

    @property
    def key(self) -> str:
        """64 hex digits that name this file's state on the volume, whatever path it is to stand at."""
        if self.sha256 is not None:
            return self.sha256
        return hashlib.sha256(json.dumps([self.url, self.etag, self.size]).encode()).hexdigest()

    @property
    def resumable(self) -> bool:
        """Whether bytes that came earlier can be told to be of this very file.

        A weak validator promises the same meaning and not the same bytes, and a file of unknown size is read from its
        start to its end over one connection anyway.
        """
        strong = self.etag is not None and not self.etag.startswith("W/")
        pinned = self.sha256 is not None or strong or _COMMIT.search(self.url) is not None
        return pinned and self.size is not None

    def continues(self, earlier: Identity) -> bool:
        """Whether bytes fetched as ``earlier`` may be kept for this file."""
        if not self.resumable or self.size != earlier.size:
            return False
        if self.sha256 is not None:
            return self.sha256 == earlier.sha256
        return earlier.sha256 is None and (self.url, self.etag) == (earlier.url, earlier.etag)
