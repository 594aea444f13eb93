"""A model of one block on its way: fetched whole or not at all, so it needs no journal and is never resumed.

A journal, its owner's mark and the search for earlier generations cost a network file system more time than such a
file's bytes, and of small files there are thousands.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress

from prefetch.errors import PrefetchError, VolumeError, from_os_error
from prefetch.volume import files
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.hashing import block_digest
from prefetch.volume.identity import Identity
from prefetch.volume.layout import Volume

__all__ = ["Draft"]

_DIRECTORY = "tmp"


class Draft:
    """An `Incoming` of one block, in a file of its own that nobody else knows of.

    Args:
        identity: of a file whose size is known and at most `BLOCK_SIZE`.
    """

    def __init__(self, volume: Volume, identity: Identity) -> None:
        assert identity.size is not None and identity.size <= BLOCK_SIZE
        volume.check_target(identity.path)
        self.identity = identity
        self.size = identity.size
        self.resumed_bytes = 0
        self.unsynced_bytes = 0
        self.block_count = 1 if identity.size else 0
        self._volume = volume
        self._name = f"draft.{secrets.token_hex(8)}"
        self._digest: bytes | None = None
        self._file: files.Descriptor | None = None

    @property
    def claimed(self) -> Mapping[int, bytes]:
        return {} if self._digest is None else {0: self._digest}

    def block_length(self, index: int) -> int:
        return 0 if index else self.size

    def write(self, index: int, data: bytes | memoryview) -> bytes:
        if index or len(data) != self.size:
            raise ValueError(f"a draft has one block of {self.size} bytes, not block {index} of {len(data)}")
        digest = block_digest(data)
        with files.os_errors(f"writing {self.identity.path}"), self._opened().use() as number:
            files.write_at(number, data, 0)
        self._digest, self.unsynced_bytes = digest, len(data)
        return digest

    def read(self, index: int, buffer: memoryview) -> memoryview | None:
        if self._digest is None or self._file is None:
            return None
        view = buffer[: self.size]
        with files.os_errors(f"reading back {self.identity.path}"), self._file.use() as number:
            whole = files.read_into(number, view, 0)
        if whole and block_digest(view) == self._digest:
            return view
        self._digest = None
        return None

    def matches(self, index: int, data: bytes | memoryview) -> bool:
        return self.claimed.get(index) == block_digest(data)

    def learn_size(self, size: int) -> None:
        """Its size was known from the beginning."""

    def restart(self) -> None:
        self._digest = None

    def digests(self) -> None:
        """A damaged block is the whole file, which the next run fetches again anyway."""

    def check_whole(self) -> None:
        with files.os_errors(f"looking at {self.identity.path}"), self._opened().use() as number:
            length = os.fstat(number).st_size
        if length != self.size or (self.size and self._digest is None):
            raise VolumeError(f"{self.identity.path} is not whole: {length} of {self.size} bytes.")

    def sync(self) -> None:
        self.unsynced_bytes = 0
        if self._file is not None:
            with files.os_errors(f"bringing {self.identity.path} to the disk"), self._file.use() as number:
                files.flush(number)

    def close_data(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            raise from_os_error(error, what=f"closing {self.identity.path}") from error

    def rename_to(self, name: str, *, dir_fd: int) -> None:
        with self._volume.writing(_DIRECTORY) as directory:
            os.rename(self._name, name, src_dir_fd=directory, dst_dir_fd=dir_fd)
        self._file = None

    def close(self) -> None:
        """Nothing of it could be resumed."""
        self.discard()

    def discard(self) -> None:
        with suppress(PrefetchError):
            self.close_data()
        if self._file is not None:
            self._file = None
            with (
                files.os_errors(f"deleting a draft of {self.identity.path}"),
                self._volume.writing(_DIRECTORY) as directory,
            ):
                files.remove(self._name, dir_fd=directory)

    def _opened(self) -> files.Descriptor:
        """The file, made when it is needed: nothing is left of a model whose host never answered."""
        if self._file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with self._volume.writing(_DIRECTORY) as directory:
                self._file = files.Descriptor(os.open(self._name, flags, 0o644, dir_fd=directory))
        return self._file
