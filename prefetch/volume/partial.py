"""A model on its way: its bytes so far, and the journal that says which blocks of them were finished."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from prefetch.errors import ContentError, PrefetchError, VolumeError, from_os_error
from prefetch.volume import files, generations
from prefetch.volume.blocks import BLOCK_SIZE, DIGEST_SIZE, block_count, block_length
from prefetch.volume.generations import Earlier, Generation
from prefetch.volume.hashing import block_digest
from prefetch.volume.identity import Identity
from prefetch.volume.journal import RELEASED, header_line
from prefetch.volume.layout import Volume
from prefetch.volume.ledger import Ledger
from prefetch.volume.loans import Loans
from prefetch.volume.owner import Owner
from prefetch.volume.space import SpareRoom

__all__ = ["BLOCK_SIZE", "Identity", "Partial"]


class Partial:
    """The partial file of one model, written by this process alone.

    `write` and `read` of different blocks may run in many threads at once. Everything raises `SpaceError` or
    `VolumeError` where the volume refuses.

    Attributes:
        identity: the file this is.
        size: bytes of the whole file, None while unknown.
        resumed_bytes: what was found of an earlier process when this one opened it, unchecked.
    """

    def __init__(
        self, volume: Volume, identity: Identity, own: Generation, *, journal: int, data: int, spare: SpareRoom
    ) -> None:
        self.identity = identity
        self.size = identity.size
        self.resumed_bytes = 0
        self._volume = volume
        self._own = own
        self._ledger = Ledger(journal)
        self._data = files.Descriptor(data)
        # Where a file of unknown size ends, once its short last block was written.
        self._end: int | None = None
        self._loans = Loans()
        # Deleted at the end only: a kill must not cost what was not copied by then.
        self._spent: list[Generation] = []
        # What a file of unknown size has taken of the room that nobody was promised.
        self._spare = spare
        self._taken = 0

    @classmethod
    def open(cls, volume: Volume, identity: Identity, *, spare: SpareRoom | None = None) -> Partial:
        """Make a partial file, with what earlier ones of the same identity hold.

        Args:
            spare: what it takes its room from as long as its size is unknown; None for a volume without bounds.

        Raises:
            VolumeError: no file could ever be placed at the identity's path, or the volume refused.
        """
        volume.check_target(identity.path)
        with (
            files.os_errors(f"opening the partial file of {identity.path}"),
            volume.writing("partial") as directory,
            ExitStack() as undo,
        ):
            own, journal = generations.reserve(directory, identity)
            undo.callback(_give_up, journal)
            earlier = [other for other in generations.survey(directory, own.key) if other.generation < own]
            usable = generations.usable(earlier, identity)
            taken = bool(usable) and usable[0].free and generations.take_over(directory, usable[0], own, journal)
            data = generations.open_data(directory, own, os.O_RDWR if taken else os.O_RDWR | os.O_CREAT | os.O_EXCL)
            undo.callback(os.close, data)
            if identity.size is not None:
                # Never fallocate: on a network file system it writes every zero.
                os.ftruncate(data, identity.size)
            partial = cls(volume, identity, own, journal=journal, data=data, spare=spare or SpareRoom(None))
            rest = partial._take_claims(usable) if taken else usable
            partial._borrow_from(directory, rest)
            undo.pop_all()
            for other in earlier:
                if other.free and other.generation not in partial._spent:
                    generations.remove(directory, other.generation)
        return partial

    @property
    def claimed(self) -> Mapping[int, bytes]:
        """Block number → digest of every block that is here as far as is known.

        Those are the blocks written by this process, and those found elsewhere, which only `read` checks.
        """
        return self._ledger.claimed

    @property
    def unsynced_bytes(self) -> int:
        """Bytes written since the last `sync` began."""
        return self._ledger.unsynced_bytes

    @property
    def block_count(self) -> int:
        """How many blocks the file has; 0 while its size is unknown."""
        return block_count(self.size or 0)

    def block_length(self, index: int) -> int:
        """How many bytes block ``index`` has."""
        end = self._end if self.size is None else self.size
        return BLOCK_SIZE if end is None else block_length(end, index)

    def write(self, index: int, data: bytes | memoryview) -> bytes:
        """Write a whole block and claim it in the journal; returns its digest, 16 bytes.

        Raises:
            OutgrownError: the size is unknown, and there is no room for more.
        """
        self._check_length(index, len(data))
        if self.size is None and index not in self.claimed:
            self._spare.take(len(data), self.identity.path)
            self._taken += len(data)
        digest = block_digest(data)
        with files.os_errors(f"writing {self.identity.path}"):
            with self._data.use() as number:
                files.write_at(number, data, index * BLOCK_SIZE)
            self._ledger.claim(index, len(data), digest)
        self._loans.settle(index)
        return digest

    def read(self, index: int, buffer: memoryview) -> memoryview | None:
        """Read a claimed block into ``buffer`` (at least `BLOCK_SIZE`) and return the part of it that was filled.

        None if the block is not what was claimed: the claim is forgotten then, and the block has to be fetched again.
        """
        digest = self.claimed.get(index)
        if digest is None:
            return None
        view = buffer[: self.block_length(index)]
        borrowed = index in self._loans
        with files.os_errors(f"reading back {self.identity.path}"):
            whole = self._loans.read(index, view) if borrowed else self._read_own(index, view)
            if not whole or block_digest(view) != digest:
                self._loans.settle(index)
                self._ledger.forget(index, digest)
                return None
        if borrowed:
            self.write(index, view)
        return view

    def matches(self, index: int, data: bytes | memoryview) -> bool:
        """Whether ``data`` are the very bytes that block ``index`` is claimed to hold."""
        return self.claimed.get(index) == block_digest(data)

    def learn_size(self, size: int) -> None:
        """The end of a file of unknown size was reached. Raises ContentError if its size was known and is another."""
        known = self._end if self.size is None else self.size
        if known not in (None, size):
            raise ContentError(
                f"{self.identity.path} has {size} bytes now and had {known} before.",
                remedy="It changed at the host meanwhile: run the same command again.",
            )
        if self.size is None:
            with files.os_errors(f"writing {self.identity.path}"), self._data.use() as number:
                os.ftruncate(number, size)
            self.size = size

    def forget_validator(self) -> None:
        """What comes from now on, after a `restart`, is not sure to be of the file that the validator stood for.

        So no later run must take it for that.
        """
        self.identity = replace(self.identity, etag=None)

    def restart(self) -> None:
        """Drop everything that is here, a size that was learned too. No other call may be under way."""
        with files.os_errors(f"starting {self.identity.path} over"), self._data.use() as number:
            self._ledger.restart(header_line(self.identity, Owner.current(mount=os.fstat(number).st_dev)))
            self._loans.clear()
            self.size, self._end = self.identity.size, None
            os.ftruncate(number, 0)
            os.ftruncate(number, self.size or 0)
        self._give_room_back()

    def seed_from(self, path: str, digests: bytes) -> int:
        """Claim every block that is missing here from the file at a model's path, whose recorded digests these are.

        As with all that is claimed, damaged blocks turn out when they are `read`, which copies the sound ones.

        Returns:
            The bytes claimed so; 0 if ``digests`` are not those of a file of this size.
        """
        if self.size is None or len(digests) != DIGEST_SIZE * self.block_count:
            return 0
        each = (digests[start : start + DIGEST_SIZE] for start in range(0, len(digests), DIGEST_SIZE))
        claims = {index: digest for index, digest in enumerate(each) if index not in self.claimed}
        self._borrow(self._volume.open_file(path), claims)
        return sum(map(self.block_length, claims))

    def digests(self) -> bytes:
        """The digests of all blocks in order, 16 bytes each. Raises KeyError while one is missing."""
        return b"".join(self.claimed[index] for index in range(self.block_count))

    def check_whole(self) -> None:
        """Raise VolumeError unless every block is here, in this very file, and nothing behind them."""
        with files.os_errors(f"looking at the partial file of {self.identity.path}"), self._data.use() as number:
            length = os.fstat(number).st_size
        here = len(self.claimed) - len(self._loans)
        if length != self.size or here != self.block_count:
            raise VolumeError(
                f"{self.identity.path} is not whole: {here} of {self.block_count} blocks in {length} bytes.",
                remedy="Run the same command again.",
            )

    def sync(self) -> None:
        """Bring what was written to the disk. After a failure, what was written since the last success is forgotten."""
        pending = self._ledger.begin_sync()
        try:
            # fsync and not fdatasync: the modification time is part of what is recorded of a published file.
            with self._data.use() as number:
                files.flush(number)
            self._ledger.sync()
        except OSError as error:
            self._ledger.distrust(pending)
            raise from_os_error(error, what=f"bringing {self.identity.path} to the disk") from error

    def close_data(self) -> None:
        """Close the data file. A network file system may tell of a failed write as late as here."""
        try:
            with suppress(OSError), self._data.use() as number:
                files.pin_modified(number)
            self._data.close()
        except OSError as error:
            self._ledger.distrust()
            raise from_os_error(error, what=f"closing the partial file of {self.identity.path}") from error

    def rename_to(self, name: str, *, dir_fd: int) -> None:
        """Give the data file another name, in another directory. Raises OSError."""
        with self._volume.writing("partial") as directory:
            os.rename(self._own.data, name, src_dir_fd=directory, dst_dir_fd=dir_fd)

    def close(self) -> None:
        """Close everything and keep it for the next run. Waits for what is being read and written."""
        try:
            self.close_data()
            with suppress(OSError):
                self._ledger.release()
        finally:
            self._ledger.close()
            self._loans.close()

    def discard(self) -> None:
        """Close everything and delete what is left of it."""
        with suppress(PrefetchError):
            self.close()
        with (
            files.os_errors(f"deleting the partial file of {self.identity.path}"),
            self._volume.writing("partial") as directory,
        ):
            for generation in (*self._spent, self._own):
                generations.remove(directory, generation)
        self._give_room_back()

    def _give_room_back(self) -> None:
        self._spare.give_back(self._taken)
        self._taken = 0

    def _check_length(self, index: int, length: int) -> None:
        if self.size is None and 0 < length <= BLOCK_SIZE:
            if length < BLOCK_SIZE:
                self._end = index * BLOCK_SIZE + length
        elif length == 0 or length != self.block_length(index):
            raise ValueError(f"block {index} has {self.block_length(index)} bytes, not {length}")

    def _take_claims(self, usable: Sequence[Earlier]) -> Sequence[Earlier]:
        """The first one's data file is ours now; returns the others."""
        self._ledger.claimed.update(usable[0].claims)
        return usable[1:]

    def _borrow_from(self, directory: int, others: Sequence[Earlier]) -> None:
        """Count on each of these for what the ones before it have not: none needs to hold all that was ever fetched."""
        for other in others:
            missing = {index: digest for index, digest in other.claims.items() if index not in self.claimed}
            # Its owner, or who was quicker to take it over, may have moved it away meanwhile.
            with suppress(FileNotFoundError):
                if missing:
                    self._borrow(generations.open_data(directory, other.generation, os.O_RDONLY), missing)
                    self._spent += [other.generation] if other.free else []
        self.resumed_bytes = sum(map(self.block_length, self.claimed))

    def _borrow(self, number: int, claims: Mapping[int, bytes]) -> None:
        self._loans.borrow(number, claims)
        self._ledger.claimed.update(claims)

    def _read_own(self, index: int, view: memoryview) -> bool:
        try:
            with self._data.use() as number:
                return files.read_into(number, view, index * BLOCK_SIZE)
        except OSError as error:
            # One bad sector costs its block; anything else is the whole volume's failure.
            if error.errno != errno.EIO:
                raise
            return False


def _give_up(journal: int) -> None:
    with suppress(OSError):
        files.append(journal, RELEASED)
    os.close(journal)
