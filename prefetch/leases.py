"""The claims of this run, and the thread that has them beat."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from prefetch.errors import BusyError, PrefetchError
from prefetch.report.events import Event, Progress, Transfer
from prefetch.volume import claims, files
from prefetch.volume.claims import Claim, Own, Seen
from prefetch.volume.layout import Volume, VolumeGone
from prefetch.volume.owner import Owner

__all__ = ["Leases", "Taken", "owner_of"]

MOST_BETWEEN_BEATS = 2.0
FRESH = 1.0
"""Seconds for which a claim that was written need not be looked at again."""


class Leases:
    """What this process has taken. Taking and confirming block, and may be done in many threads.

    Args:
        life: seconds a claim may stand still.
        before_release: called before the claim on small models is released, for their records to be there by then.
    """

    def __init__(
        self,
        volume: Volume,
        *,
        life: float,
        before_release: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._volume = volume
        self._life = life
        self._pause = min(MOST_BETWEEN_BEATS, life / 6)
        self._before_release = before_release
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._users: Counter[str] = Counter()
        self._own: dict[str, Own] = {}
        self._progress: dict[str, Transfer] = {}
        self._since: dict[str, float] = {}
        # Read by the event loop without the lock, which a thread may hold while the volume hangs.
        self._alive: dict[str, float] = {}
        self._gone: VolumeGone | None = None

    def expect(self, keys: Iterable[str]) -> None:
        """One key for each model that will be taken, or not, and then `done`."""
        self._users.update(keys)

    def take(self, key: str, path: str, size: int | None, *, outbid: Seen | None = None) -> None:
        """Own ``key`` from here on.

        Raises:
            BusyError: somebody else does.
            PrefetchError: the volume refused.
        """
        with self._lock:
            if key in self._own:
                return
            claim = Claim(owner=Owner.current(), path=path, size=size, life_ms=int(self._life * 1000))
            began = self._clock()
            with (
                files.os_errors(f"claiming {path}"),
                self._volume.writing(claims.DIRECTORY) as directory,
            ):
                own = claims.take(directory, key, claim, outbid=outbid)
            if not isinstance(own, Own):
                raise Taken(path, own)
            self._own[key], self._alive[key], self._since[key] = own, began, began
            self._start()

    def former(self, key: str) -> str | None:
        """The path at which whoever owned ``key`` before us wanted the same content, where somebody did."""
        own = self._own.get(key)
        return own.former if own is not None else None

    @property
    def held(self) -> int:
        """How many claims are ours now."""
        return len(self._own)

    def lost(self, key: str) -> PrefetchError | None:
        """Why what is claimed under ``key`` is not ours to write any more; None while it is."""
        alive = self._alive.get(key)
        if self._gone is not None:
            return self._gone
        if alive is not None and self._clock() - alive <= self._life / 2:
            return None
        return BusyError("The claim on it was lost: the volume or this process stood still for too long.")

    def confirm(self, key: str) -> None:
        """Raise BusyError unless ``key`` is ours, as of a moment ago."""
        alive = self._alive.get(key)
        if alive is not None and self._clock() - alive > min(FRESH, self._pause):
            with self._lock:
                self._beat([key])
        if (error := self.lost(key)) is not None:
            raise error

    def note(self, event: Event) -> None:
        """Have the next beat tell how far the models are."""
        if isinstance(event, Progress):
            self._progress = {model.path: model for model in event.active}

    def done(self, key: str) -> None:
        """One model that was expected under ``key`` has come to its end."""
        self._users[key] -= 1
        if not self._users[key]:
            self._wake.set()

    def close(self, *, within: float) -> None:
        """Release everything, if the volume takes the last beats in so many seconds: nobody has to wait then."""
        self._users.clear()
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(within)

    def _start(self) -> None:
        if self._thread is None:
            # No exit waits for it: a volume that hangs must not keep the process.
            self._thread = threading.Thread(target=self._run, name="claims", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        next_beat = self._clock() + self._pause
        while not self._closing:
            self._wake.wait(max(0.0, next_beat - self._clock()))
            self._wake.clear()
            with self._lock:
                self._release()
                if self._clock() >= next_beat:
                    self._beat(list(self._own))
                    next_beat = self._clock() + self._pause
        with self._lock:
            self._release()

    def _beat(self, keys: Iterable[str]) -> None:
        began = self._clock()
        try:
            with self._volume.writing(claims.DIRECTORY) as directory:
                numbers = claims.highest(directory)
                for key in keys:
                    own = self._own[key]
                    own.claim = self._told(key, own.claim)
                    if key in self._alive and claims.beat(directory, own, numbers):
                        self._alive[key] = began
                    else:
                        self._alive.pop(key, None)
        except VolumeGone as error:
            self._gone = error
        except (OSError, PrefetchError):
            # What could not be written is told by the time that has passed since it could.
            return

    def _told(self, key: str, claim: Claim) -> Claim:
        now = self._progress.get(claim.path)
        claim = replace(claim, beat=claim.beat + 1, age=int(self._clock() - self._since[key]))
        return claim if now is None else replace(claim, size=now.size, done=now.done, speed=int(now.speed))

    def _release(self) -> None:
        finished = [key for key in self._own if not self._users[key]]
        if any(self._own[key].claim.size is None for key in finished):
            with suppress(PrefetchError):
                self._before_release()
        for key in finished:
            own = self._own.pop(key)
            own.claim = replace(self._told(key, own.claim), released=True)
            if self._alive.pop(key, None) is not None:
                with suppress(OSError, PrefetchError), self._volume.writing(claims.DIRECTORY) as directory:
                    claims.release(directory, own)


class Taken(BusyError):
    """Somebody else has the model; ``seen`` is the claim on it, where that could be read."""

    def __init__(self, path: str, seen: Seen | None) -> None:
        super().__init__(
            f"{path} is being fetched by {owner_of(seen)}.",
            remedy="Run again without --no-wait, or with a longer --wait-timeout.",
        )
        self.seen = seen


def owner_of(seen: Seen | None) -> str:
    """The owner of a claim, in words."""
    claim = seen.claim if seen is not None else None
    return f"process {claim.owner.pid} on {claim.owner.host}" if claim is not None else "another process"
