"""Which blocks of a partial file are here: the same in memory and in its journal, from many threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress

from prefetch.volume import files
from prefetch.volume.journal import RELEASED, claim_line, forget_line

__all__ = ["Ledger"]


class Ledger:
    """Claims on blocks. Every method but `close` may raise OSError.

    Args:
        journal: the journal, open for appending.

    Attributes:
        claimed: block number → digest, 16 bytes.
    """

    def __init__(self, journal: int) -> None:
        self.claimed: dict[int, bytes] = {}
        self._journal = files.Descriptor(journal)
        self._unsynced: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def unsynced_bytes(self) -> int:
        """Bytes of blocks claimed since the last `begin_sync`."""
        return sum(self._unsynced.copy().values())

    def claim(self, index: int, length: int, digest: bytes) -> None:
        """Block ``index`` was written."""
        with self._lock, self._journal.use() as number:
            files.append(number, claim_line(index, length, digest))
            self.claimed[index] = digest
            self._unsynced[index] = length

    def forget(self, index: int, digest: bytes) -> None:
        """Block ``index`` is not what ``digest`` claims, unless it was written anew meanwhile."""
        with self._lock, self._journal.use() as number:
            if self.claimed.get(index) == digest:
                del self.claimed[index]
                files.append(number, forget_line(index))

    def begin_sync(self) -> Iterable[int]:
        """The blocks claimed since the last call, which are about to be brought to the disk."""
        with self._lock:
            pending, self._unsynced = self._unsynced, {}
        return pending

    def sync(self) -> None:
        """Bring the journal to the disk."""
        with self._journal.use() as number:
            files.flush(number)

    def distrust(self, pending: Iterable[int] = ()) -> None:
        """Forget ``pending`` and all that was claimed since, because a write-back failed.

        The kernel may go on showing bytes that never reached the disk, so that reading them again proves nothing.
        """
        with self._lock:
            doubtful = {*pending, *self._unsynced}
            self._unsynced = {}
            for index in doubtful:
                self.claimed.pop(index, None)
            with suppress(OSError), self._journal.use() as number:
                try:
                    files.append(number, b"".join(map(forget_line, doubtful)))
                except OSError:
                    # No room even for that: shortening needs none.
                    os.ftruncate(number, 0)

    def restart(self, header: bytes) -> None:
        """Forget everything; ``header`` is the journal's new first line."""
        with self._lock, self._journal.use() as number:
            os.ftruncate(number, 0)
            files.append(number, header)
            self.claimed.clear()
            self._unsynced.clear()

    def release(self) -> None:
        """Let another process of this host write to the data file, which must be closed by now."""
        with self._journal.use() as number:
            files.append(number, RELEASED)

    def close(self) -> None:
        """Close the journal. What it says is a hint, so an error costs nothing that matters."""
        with suppress(OSError):
            self._journal.close()
