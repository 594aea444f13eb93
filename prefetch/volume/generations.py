"""Which process may write which partial file.

A file's partial state is a pair KEY.GEN.data and KEY.GEN.journal. A generation belongs for ever to the process that
created its journal with O_EXCL; nobody else ever writes to it. What an earlier generation holds is brought over in one
of two ways: if its writer ran on this host, through the same mount, and is gone, the data file is renamed to the new
generation's name, which exactly one of several competitors can do; otherwise its blocks are copied, because a writer
that sleeps elsewhere could wake up and write into what was published meanwhile.

No number is used twice while it matters: who has created one looks again, and gives it up if a higher one is there. So
a generation that was seen dead by the holder of a higher number stays dead.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from prefetch.volume import files
from prefetch.volume.blocks import BLOCK_SIZE, block_length
from prefetch.volume.identity import Identity
from prefetch.volume.journal import MOST, Journal, claim_lines, header_line, parse
from prefetch.volume.owner import Owner
from prefetch.volume.reading import Unfit, open_below
from prefetch.volume.trees import remove_all

__all__ = [
    "NAMES",
    "Earlier",
    "Generation",
    "all_of",
    "clear_dead",
    "clear_free",
    "fits",
    "open_data",
    "remove",
    "reserve",
    "survey",
    "take_over",
    "usable",
]

LAST = 10**9 - 1
"""The highest number of a generation: with one a second it is reached in thirty years."""

NAMES = re.compile(r"([0-9a-f]{64})\.([1-9][0-9]{0,8})\.(data|journal)")


@dataclass(frozen=True, slots=True, order=True)
class Generation:
    """The names of one pair of files."""

    key: str
    number: int

    @property
    def data(self) -> str:
        return f"{self.key}.{self.number}.data"

    @property
    def journal(self) -> str:
        return f"{self.key}.{self.number}.journal"


@dataclass(frozen=True, slots=True)
class Earlier:
    """A generation that was there before ours.

    Attributes:
        journal: None where it cannot be read or has no data file; its claims lie within the data file.
        free: whether its writer ran on this host, through this mount, and can write no more.
        ours: whether its journal, where there is one, can be one of this program's.
    """

    generation: Generation
    journal: Journal | None
    free: bool
    ours: bool = True

    @property
    def claims(self) -> Mapping[int, bytes]:
        return self.journal.claims if self.journal else {}

    @property
    def claimed_bytes(self) -> int:
        return self.journal.claimed_bytes if self.journal else 0


def reserve(directory: int, identity: Identity) -> tuple[Generation, int]:
    """A new generation, and its journal with the header written, open for appending."""
    while True:
        highest = _highest(directory, identity.key)
        if highest == LAST:
            # Nobody counts that far: a stranger wrote it, and there is no number above it that could be ours.
            remove(directory, Generation(identity.key, LAST))
            continue
        own = Generation(identity.key, 1 + highest)
        try:
            journal = _create_journal(directory, own)
        except FileExistsError:
            continue
        try:
            files.append(journal, header_line(identity, Owner.current(mount=_mount(directory))))
            if _highest(directory, identity.key) == own.number:
                return own, journal
        except BaseException:
            _abandon(directory, own, journal)
            raise
        _abandon(directory, own, journal)


def survey(directory: int, key: str) -> list[Earlier]:
    """Every generation of a key. Only who has reserved a higher one may act on what is free."""
    return [_examine(directory, generation) for generation in sorted(_generations(directory)) if generation.key == key]


def all_of(directory: int) -> Iterator[Earlier]:
    """Every generation there is, of every key, one after the other: the claims of all together have no bound."""
    return (_examine(directory, generation) for generation in sorted(_generations(directory)))


def fits(name: str, directory: int) -> bool:
    """Whether what has this name can be a partial file of ours, or its journal. Raises OSError."""
    if (match := NAMES.fullmatch(name)) is None:
        return False
    status = files.lstat(name, dir_fd=directory)
    # The data of a journal that nobody goes by serve nobody.
    ours = _examine(directory, Generation(match[1], int(match[2]))).ours
    return ours and (status is None or stat.S_ISREG(status.st_mode))


def usable(earlier: Iterable[Earlier], identity: Identity) -> list[Earlier]:
    """The generations that hold something of the file ``identity``, the one that holds most first."""
    holding = (
        other for other in earlier if other.claims and other.journal and identity.continues(other.journal.identity)
    )
    return sorted(holding, key=lambda other: (other.claimed_bytes, other.free), reverse=True)


def take_over(directory: int, earlier: Earlier, own: Generation, journal: int) -> bool:
    """Make the data file of a free generation our own; False if a competitor was quicker."""
    assert earlier.free and earlier.journal is not None
    # Claims before data: killed in between, the earlier pair is still whole.
    header = os.fstat(journal).st_size
    files.append(journal, claim_lines(earlier.claims, size=earlier.journal.identity.size or 0))
    try:
        os.rename(earlier.generation.data, own.data, src_dir_fd=directory, dst_dir_fd=directory)
    except FileNotFoundError:
        os.ftruncate(journal, header)
        return False
    return True


def open_data(directory: int, generation: Generation, flags: int) -> int:
    """Open a data file; one that is created has the mode of a model, which the rename at the end keeps."""
    return os.open(generation.data, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644, dir_fd=directory)


def remove(directory: int, generation: Generation) -> None:
    """Delete a pair that is ours or free, the data first: a journal alone claims nothing."""
    remove_all((generation.data, generation.journal), dir_fd=directory)


def clear_dead(directory: int) -> None:
    """Delete the journals that a process killed right after its publication, or right before its first byte, left."""
    for dead in all_of(directory):
        if dead.free and dead.journal is None and (journal := _journal_of(directory, dead.generation)) is not None:
            # Only under a number of our own, see above: else a new process may have begun to use this very one.
            own, number = reserve(directory, journal.identity)
            for other in survey(directory, own.key):
                if other.generation < own and other.free and other.journal is None:
                    files.remove(other.generation.journal, dir_fd=directory)
            _abandon(directory, own, number)


def clear_free(directory: int, identity: Identity) -> int:
    """Delete what is kept of a file that nobody needs to fetch any more, but for what may still be written.

    Returns:
        How many pairs were deleted.
    """
    if not any(other.free for other in survey(directory, identity.key)):
        return 0
    own, journal = reserve(directory, identity)
    free = [other for other in survey(directory, own.key) if other.generation < own and other.free]
    for other in free:
        remove(directory, other.generation)
    _abandon(directory, own, journal)
    return len(free)


def _generations(directory: int) -> set[Generation]:
    matches = (NAMES.fullmatch(name) for name in files.names(directory))
    return {Generation(match[1], int(match[2])) for match in matches if match}


def _highest(directory: int, key: str) -> int:
    return max((other.number for other in _generations(directory) if other.key == key), default=0)


def _create_journal(directory: int, own: Generation) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(own.journal, flags, 0o644, dir_fd=directory)


def _abandon(directory: int, own: Generation, journal: int) -> None:
    os.close(journal)
    with suppress(OSError):
        files.remove(own.journal, dir_fd=directory)


def _examine(directory: int, generation: Generation) -> Earlier:
    try:
        journal = _journal_of(directory, generation)
    except Unfit:
        return Earlier(generation, None, free=False, ours=False)
    if journal is None:
        return Earlier(generation, None, free=False)
    owner = journal.owner
    ours = owner is not None and owner.wrote_through(_mount(directory))
    free = owner is not None and ours and (journal.released or owner.proven_dead())
    data = files.lstat(generation.data, dir_fd=directory)
    if data is None or not stat.S_ISREG(data.st_mode):
        return Earlier(generation, None, free)
    return Earlier(generation, _within(journal, data.st_size), free)


def _mount(directory: int) -> int:
    return os.fstat(directory).st_dev


def _journal_of(directory: int, generation: Generation) -> Journal | None:
    """Raises Unfit where what stands there is no journal of this generation."""
    file = open_below(generation.journal, directory=directory, most=MOST)
    if file is None:
        return None
    with file:
        journal = parse(file)
    if journal is not None and journal.identity.key != generation.key:
        raise Unfit("it is the journal of another file")
    return journal


def _within(journal: Journal, end: int) -> Journal:
    size = journal.identity.size or 0
    claims = {
        index: digest
        for index, digest in journal.claims.items()
        if index * BLOCK_SIZE + block_length(size, index) <= end
    }
    return replace(journal, claims=claims)
