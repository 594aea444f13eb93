"""Files that stand on the volume already and have the right bytes: taken over instead of fetched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prefetch.placing import Found, Placing
from prefetch.report.events import Listener, Verifying
from prefetch.survey import Standing
from prefetch.transfer.threads import Threads
from prefetch.volume.hashing import Unreadable
from prefetch.volume.inventory import Record

if TYPE_CHECKING:
    from prefetch.candidates import Candidate

__all__ = ["Adoption"]

READERS = 2
"""Files read at once: the volume gives no more to more of them, and each one hashes on a core of its own."""


class Adoption:
    """Reads each file at most once, however often it is compared."""

    def __init__(self, placing: Placing, listener: Listener) -> None:
        self._placing = placing
        self._listener = listener
        self._threads = Threads(READERS)
        self._found: dict[str, Found] = {}

    async def adopt(self, standing: Standing, sha256: str | None, candidate: Candidate | None) -> Record | None:
        """The record of the file that stands there, if it has this hash; None if it has not, or nobody knows it.

        Args:
            candidate: what a host said about the model, where one was asked.
        """
        size = standing.model.size if candidate is None else candidate.size
        if standing.stat is None or sha256 is None or size not in (None, standing.stat.st_size):
            return None
        found = self._found.get(standing.path)
        if found is None or not os.path.samestat(found.stat, standing.stat):
            self._listener(Verifying(standing.path, standing.stat.st_size))
            try:
                found = await self._threads.run(self._placing.read, standing, self._threads.check)
            except Unreadable:
                # What is lost of it is fetched; what is not may still be brought over.
                return None
            self._found[standing.path] = found
        if found.sha256 != sha256:
            return None
        return await self._threads.run(self._placing.adopt, standing, found, candidate)

    def close(self) -> None:
        """Drop what has not begun."""
        self._threads.close()
