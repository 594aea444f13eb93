"""Whose turn a model is: ours when nobody has it, put behind while somebody has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from prefetch.candidates import Candidate
from prefetch.errors import BusyError, PrefetchError
from prefetch.leases import Leases, Taken
from prefetch.limits import Patience
from prefetch.report.events import Listener
from prefetch.survey import State, stands, survey
from prefetch.transfer.threads import Threads
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.claims import key_of
from prefetch.volume.inventory import Inventory, Record
from prefetch.volume.layout import Volume, VolumeGone
from prefetch.waiting import Behind, Queue, told_of

__all__ = ["Turns"]

AT_THE_END = 5.0
WHEN_STOPPED = 0.3
"""Seconds for the volume to take the last word of every claim."""
WATCHED_EVERY = 2.0
"""Seconds between two looks at what others have, while there is work of our own: as often as they say it."""


class Turns:
    """Takes models for this process and gives them back. `take` and `confirm` block.

    Attributes:
        elsewhere: where others have placed the very content meanwhile, by the path at which it is wanted.
    """

    def __init__(self, volume: Volume, inventory: Inventory, *, patience: Patience, listener: Listener) -> None:
        self._volume = volume
        self._threads = Threads(1)
        self._leases = Leases(volume, life=patience.life, before_release=inventory.flush)
        self._queue = Queue(volume, patience, threads=self._threads, listener=listener)
        self._listener = listener
        self.elsewhere: dict[str, str] = {}
        self._behind: dict[str, Candidate] = {}
        self._sharing: dict[str, list[Candidate]] = {}
        self._looked_at: dict[str, Candidate] = {}
        self.note = self._leases.note

    @property
    def behind(self) -> dict[str, Candidate]:
        """The models that somebody else has, as far as was seen, by path."""
        return self._behind

    @property
    def held(self) -> int:
        """How many claims this process holds."""
        return self._leases.held

    def expect(self, candidates: list[Candidate]) -> None:
        """Each of these will be taken, or not, and then `done`."""
        # Neighbours among the small ones share a claim, so that hosts can share the small ones.
        candidates.sort(key=_key)
        self._leases.expect(map(_key, candidates))
        self._looked_at.clear()
        self._sharing.clear()
        for candidate in filter(_is_small, candidates):
            self._sharing.setdefault(_key(candidate), []).append(candidate)

    def take(self, candidate: Candidate) -> Candidate:
        """Own the model from here on.

        Returns:
            The candidate with what stands at its path now.

        Raises:
            BusyError: somebody else has it, or has just placed it.
            PrefetchError: the volume refused.
        """
        key, path = _key(candidate), candidate.path
        label = "small models" if _is_small(candidate) else path
        size = None if _is_small(candidate) else candidate.size
        self._leases.take(key, label, size, outbid=self._queue.outbid.get(key))
        # What is true of one is asked for all that share its claim, so that the others can be taken at once.
        self._looked_at |= self._look_again(self._sharing.pop(key, ()))
        fresh = self._looked_at.pop(path, None)
        fresh = _unless_placed(self.look_again(candidate) if fresh is None else fresh, candidate)
        if not _is_small(candidate):
            self._look_elsewhere(candidate, self._leases.former(key))
        return fresh

    def take_now(self, candidate: Candidate) -> Candidate | None:
        """Do as `take` does where that takes no look at the volume; None where it does."""
        if self._leases.lost(_key(candidate)) is not None:
            return None
        fresh = self._looked_at.pop(candidate.path, None)
        return None if fresh is None else _unless_placed(fresh, candidate)

    def _look_elsewhere(self, candidate: Candidate, former: str | None) -> None:
        """Raise BusyError if who had the claim before us has placed the same content at another path."""
        if former in (None, candidate.path):
            return
        record = Inventory(self._volume).get(former)
        if record is not None and _is_content(candidate, record) and stands(self._volume, record):
            self.elsewhere[candidate.path] = former
            raise Taken(candidate.path, None)

    def look_again(self, candidate: Candidate) -> Candidate:
        """The candidate with what stands at its path now, by records that are read anew."""
        return self._look_again([candidate])[candidate.path]

    def _look_again(self, candidates: Sequence[Candidate]) -> dict[str, Candidate]:
        standings = survey([each.standing.entry for each in candidates], self._volume, Inventory(self._volume))
        return {
            each.path: replace(each, standing=standing) for each, standing in zip(candidates, standings, strict=True)
        }

    def lost(self, candidate: Candidate) -> PrefetchError | None:
        """Why the model is not ours to write any more; None while it is."""
        return self._leases.lost(_key(candidate))

    def confirm(self, candidate: Candidate) -> None:
        """Raise BusyError unless the model is ours, as of a moment ago."""
        self._leases.confirm(_key(candidate))

    def done(self, candidate: Candidate, error: PrefetchError | None) -> None:
        """The model has come to its end for now; if somebody else has it, its turn comes later."""
        self._leases.done(_key(candidate))
        if isinstance(error, BusyError):
            self._behind[candidate.path] = candidate
        if isinstance(error, Taken) and error.seen is not None:
            # Whoever looks need not guess until there is nothing left but to wait.
            self._listener(told_of(_behind(candidate), error.seen))

    async def until_free(self) -> tuple[list[Candidate], dict[str, BusyError]]:
        """Wait for one of those that are behind; see `Queue.until_free`. They are behind no more."""
        free, given_up = await self._queue.until_free(list(map(_behind, self._behind.values())))
        freed = [self._behind.pop(path) for path in (*free, *given_up)]
        return [await self._threads.run(self._look_at_freed, each) for each in freed[: len(free)]], given_up

    def _look_at_freed(self, candidate: Candidate) -> Candidate:
        """The candidate with what stands at its path now, and with its hash if it was verified since we looked first.

        That it was placed while we wanted it is proof enough, even where the host tells nothing to know a file by.
        """
        fresh = self.look_again(candidate)
        record, before = fresh.standing.record, candidate.standing.record
        if fresh.standing.state is not State.PRESENT or record is None or record == before or fresh.sha256 is not None:
            return fresh
        return replace(fresh, recorded=record.sha256) if fresh.is_as_recorded(record) else fresh

    async def watch_behind(self) -> None:
        """Say again and again who has those that are behind, until cancelled: there is other work meanwhile."""
        # What becomes of a volume that is gone is for that work to tell.
        with suppress(VolumeGone):
            while True:
                await asyncio.sleep(WATCHED_EVERY)
                if self._behind:
                    await self._queue.tell(list(map(_behind, self._behind.values())))

    async def end(self) -> None:
        """Release everything, in time that a volume at work needs."""
        await self._threads.run(lambda: self._leases.close(within=AT_THE_END))

    def stop(self) -> None:
        """Release everything, if that is possible at once."""
        self._leases.close(within=WHEN_STOPPED)
        self._threads.close()


def _behind(candidate: Candidate) -> Behind:
    return Behind(_key(candidate), candidate.path, candidate.size)


def _unless_placed(fresh: Candidate, before: Candidate) -> Candidate:
    if fresh.standing.state is State.PRESENT and fresh.standing.record != before.standing.record:
        raise Taken(fresh.path, None)
    return fresh


def _is_content(candidate: Candidate, record: Record) -> bool:
    """Whether what was recorded at any path is what the candidate's host has now."""
    if candidate.sha256 is not None:
        return record.sha256 == candidate.sha256
    return candidate.identity.continues(record.identity)


def _is_small(candidate: Candidate) -> bool:
    return candidate.size is not None and candidate.size <= BLOCK_SIZE


def _key(candidate: Candidate) -> str:
    return key_of(candidate.identity, small=_is_small(candidate))
