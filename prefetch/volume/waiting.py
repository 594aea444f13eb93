"""What earlier or other runs have begun and not finished, seen without touching it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prefetch.volume import files, generations
from prefetch.volume.identity import Identity
from prefetch.volume.layout import Volume
from prefetch.volume.owner import Owner

__all__ = ["Unfinished", "find_unfinished", "freed_bytes", "resumable_bytes"]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A partial file.

    Attributes:
        identity: the file it is to become.
        owner: who writes it or wrote it last, None where that cannot be read.
        bytes_here: what its journal claims.
        at_work: whether its owner may still be writing: it is not proven to be gone, and has not let go.
    """

    identity: Identity
    owner: Owner | None
    bytes_here: int
    at_work: bool


def find_unfinished(volume: Volume) -> list[Unfinished]:
    """Every partial file whose journal can be read, the lowest generation of a file first."""
    with files.os_errors("reading the partial files"), volume.reading("partial") as directory:
        if directory is None:
            return []
        found = []
        for earlier in generations.all_of(directory):
            if not earlier.ours:
                volume.set_aside.add(f"partial/{earlier.generation.journal}")
            if (journal := earlier.journal) is not None:
                found.append(Unfinished(journal.identity, journal.owner, earlier.claimed_bytes, not earlier.free))
        return found


def resumable_bytes(identity: Identity, unfinished: Iterable[Unfinished]) -> int:
    """Bytes of a file that need not be fetched again, by what the journals claim."""
    return max((other.bytes_here for other in unfinished if identity.continues(other.identity)), default=0)


def freed_bytes(identities: Iterable[Identity], unfinished: Iterable[Unfinished]) -> int:
    """Bytes that become free when these files are begun anew, because what is here of them cannot be resumed."""
    keys = {identity.key for identity in identities if not identity.resumable}
    return sum(other.bytes_here for other in unfinished if other.identity.key in keys and not other.at_work)
