"""Waiting for models that other processes fetch, by what their claims say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prefetch.errors import BusyError, PrefetchError
from prefetch.leases import Taken, owner_of
from prefetch.limits import Patience
from prefetch.report.events import Listener, Notice, Waiting
from prefetch.transfer.threads import Threads
from prefetch.volume import claims
from prefetch.volume.claims import Seen
from prefetch.volume.layout import Volume, VolumeGone
from prefetch.volume.lives import Life, observed, unseen

__all__ = ["Behind", "Queue", "told_of"]

SHORTEST, LONGEST = 0.05, 1.0
"""Seconds between two looks, first and later: what is about to be released is not waited for long."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A model that somebody else has: its claim's key, its path, its size in bytes."""

    key: str
    path: str
    size: int | None


class Queue:
    """Watches claims until some of them may be taken.

    Attributes:
        outbid: claims by key that stood still for their whole life.
    """

    def __init__(
        self,
        volume: Volume,
        patience: Patience,
        *,
        threads: Threads,
        listener: Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outbid: dict[str, Seen] = {}
        self._volume = volume
        self._patience = patience
        self._threads = threads
        self._listener = listener
        self._clock = clock
        self._pause = min(LONGEST, patience.life / 6)
        self._lives: dict[str, Life] = {}
        self._since: float | None = None

    async def until_free(self, behind: Sequence[Behind]) -> tuple[list[str], dict[str, BusyError]]:
        """Wait until some of these models may be taken, or were given up; there must be one.

        Returns:
            The paths of those that nobody has; and where the wait ran out instead, why each of them is not here.
        """
        if self._since is None:
            self._since = self._clock()
        pause = SHORTEST
        while True:
            answer = await self._threads.run(self._look, {model.key for model in behind})
            seen = answer or {}
            free = [model.path for model in behind if answer is not None and self._is_free(model, seen)]
            if free:
                return free, {}
            if self._is_over():
                return [], {model.path: Taken(model.path, seen.get(model.key)) for model in behind}
            for model in behind:
                self._listener(told_of(model, seen.get(model.key)))
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._pause)

    async def tell(self, behind: Sequence[Behind]) -> None:
        """Say who has these models, and how much of them, as far as the volume tells. Raises VolumeGone."""
        seen = await self._threads.run(self._look, {model.key for model in behind})
        for model in behind:
            if seen is not None and model.key in seen:
                self._listener(told_of(model, seen[model.key]))

    def _is_over(self) -> bool:
        timeout, since = self._patience.timeout, self._since
        return timeout is not None and since is not None and self._clock() - since >= timeout

    def _look(self, keys: set[str]) -> dict[str, Seen] | None:
        """The claims on these keys; None if the volume did not answer. Raises VolumeGone."""
        try:
            with self._volume.writing(claims.DIRECTORY) as directory:
                numbers = claims.highest(directory)
                here = [key for key in keys if key in numbers]
                return {key: seen for key in here if (seen := self._read(directory, key, numbers[key]))}
        except VolumeGone:
            raise
        except (OSError, PrefetchError):
            self._lives = {key: unseen(life) for key, life in self._lives.items()}
            return None

    def _read(self, directory: int, key: str, number: int) -> Seen | None:
        began = self._clock()
        seen = claims.read(directory, key, number)
        if seen is not None:
            self._lives[key] = observed(
                self._lives.get(key),
                (number, seen.content),
                began=began,
                ended=self._clock(),
                longest=self._patience.life / 4,
            )
        return seen

    def _is_free(self, model: Behind, seen: dict[str, Seen]) -> bool:
        claim = seen.get(model.key)
        if claim is None or claim.free:
            return True
        life = self._lives[model.key]
        if not life.is_over(self._life_of(claim)):
            return False
        if self.outbid.get(model.key) != claim:
            self.outbid[model.key] = claim
            self._listener(Notice("warning", _given_up(model, claim, life)))
        return True

    def _life_of(self, seen: Seen) -> float:
        """Its owner beats as often as its own setting wants."""
        claim = seen.claim
        return max(self._patience.life, min(claim.life_ms / 1000, 3600.0) if claim is not None else 0.0)


def _given_up(model: Behind, seen: Seen, life: Life) -> str:
    return f"{owner_of(seen)} gives no sign of life for {life.silent:.0f} s: {model.path} is taken over from it."


def told_of(model: Behind, seen: Seen | None) -> Waiting:
    """Who has a model, and how much of it, by the claim that was seen on it."""
    claim = seen.claim if seen is not None else None
    if claim is None:
        return Waiting(model.path, None, None, model.size, 0, 0.0)
    done = claim.done if claim.path == model.path else 0
    return Waiting(model.path, claim.owner.host, claim.owner.pid, model.size, done, float(claim.speed))
