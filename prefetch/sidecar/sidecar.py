"""The sidecar's work: bring what the newest manifests want, try again what failed, look after what is there."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, NoReturn

from prefetch.errors import Interrupted, ModelsFailed, PrefetchError, first_cause
from prefetch.manifest import Wanted
from prefetch.net.daemon import in_daemon_thread
from prefetch.report.board import Board
from prefetch.report.events import Listener, Notice, RunFinished, RunStarted
from prefetch.report.humanize import duration
from prefetch.report.result import RunResult
from prefetch.running import job_of, link_wanted, tell_of_wanted
from prefetch.settings import Settings
from prefetch.sidecar.backoff import Backoff
from prefetch.sidecar.bulletin import Bulletin
from prefetch.sidecar.following import Following
from prefetch.sidecar.herald import Herald
from prefetch.sidecar.latest import Latest
from prefetch.sidecar.memory import Memory
from prefetch.sidecar.pruning import prune
from prefetch.sidecar.readiness import Readiness
from prefetch.sidecar.scrub import Read
from prefetch.sidecar.target import Target
from prefetch.signals import interrupted
from prefetch.survey import State, survey
from prefetch.unchanged import still_stands
from prefetch.volume.applied import read_applied
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume

__all__ = ["Sidecar"]

LOOKED_AFTER = 300.0
"""Seconds after which sizes and times of what is there are compared again: others can write to the volume too."""
FIRST_RETRY = 10.0
"""Seconds until what failed is tried again for the first time, where the settings ask nobody more often."""


class Sidecar:
    """Works until it is cancelled.

    Args:
        open_volume: opens the volume anew for each run, for it may be mounted anew.
        board: told beforehand of what each run is to bring.
        listener: told of everything.
    """

    def __init__(
        self,
        settings: Settings,
        open_volume: Callable[[], Volume],
        following: Following,
        memory: Memory,
        *,
        board: Board,
        readiness: Readiness,
        bulletin: Bulletin,
        herald: Herald,
        listener: Listener,
    ) -> None:
        self._settings = settings
        self._open = open_volume
        self._following = following
        self._memory = memory
        self._bulletin = bulletin
        self._herald = herald
        self._board = board
        self._readiness = readiness
        self._listener = listener
        self._targets: Latest[Target] = Latest()
        self._backoff = Backoff(min(settings.poll, FIRST_RETRY))
        self._result = RunResult(0, None if settings.volume is None else str(settings.volume.absolute()), 0.0)

    async def run(self, *others: Coroutine[Any, Any, None]) -> RunResult:
        """Work until a cancellation; what the last run came to, or that one was stopped in its middle.

        Args:
            others: done beside it from the beginning.

        Raises:
            PrefetchError: the manifests cannot be used at the very first.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            await self._serve(others)
        except asyncio.CancelledError:
            return self._result
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def note_scrub(self, read: Read) -> None:
        """A part of the volume was read again: what is damaged there is not ready, and is brought again."""
        self._board.note_scrub(read.bytes, len(read.damaged))
        for verdict in read.damaged:
            self._readiness.lose(verdict.path)
            self._listener(Notice("warning", f"{verdict.path}: {verdict.detail}"))
            self._herald.damaged(verdict)
        if read.damaged:
            self._following.ask()

    def _reload(self) -> None:
        self._listener(Notice("info", "SIGHUP: the manifests are read again."))
        self._following.ask()

    async def _serve(self, others: Iterable[Coroutine[Any, Any, None]]) -> NoReturn:
        try:
            async with asyncio.TaskGroup() as beside:
                for other in others:
                    beside.create_task(other)
                self._targets.put(await self._following.first())
                beside.create_task(self._following.follow(self._targets.put))
                beside.create_task(self._tend())
        except ExceptionGroup as errors:
            raise first_cause(errors) from None
        raise AssertionError("neither of the two ever ends")

    async def _tend(self) -> None:
        target: Target | None = None
        while True:
            before, target = target, await self._targets.take()
            if not target.is_like(before):
                self._backoff.reset()
                self._readiness.expect(target.required)
                tell_of_wanted(target.wanted, self._settings, self._listener)
            if (result := await self._bring(target)) is not None:
                self._readiness.take(result)
                removed = await self._prune(target) if result.exit_code == 0 else []
                self._herald.ran(result, removed, new=before is not None and not target.is_like(before))
                await self._rest(target, result)

    async def _bring(self, target: Target) -> RunResult | None:
        """What a run came to; None if it was given up because something else is wanted by now."""
        work = asyncio.create_task(self._converge(target))
        other = asyncio.create_task(self._targets.until(lambda newer: not newer.is_like(target)))
        try:
            await asyncio.wait({work, other}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            self._listener(Notice("info", "The manifests have changed: what is under way stops."))
            return None
        finally:
            other.cancel()
            work.cancel()
            self._result = await work

    async def _converge(self, target: Target) -> RunResult:
        """Exactly a `prefetch run`; it answers a cancellation with its result."""
        began = time.monotonic()
        try:
            volume = await in_daemon_thread(self._open, name="volume")
            if target.first is not None:
                result = await self._run(target.first, volume)
                if result.exit_code == Interrupted.exit_code:
                    return result
            result = await self._run(target.wanted, volume)
            link_wanted(target.wanted, volume, self._settings, self._listener)
            return result
        except asyncio.CancelledError:
            return self._ended_by(interrupted(), seconds=time.monotonic() - began)
        except PrefetchError as error:
            return self._without_volume(error)

    async def _run(self, wanted: Wanted, volume: Volume) -> RunResult:
        self._board.expect((entry.model.path, entry.model.size) for entry in wanted.entries)
        result = await job_of(wanted, volume, self._settings, self._listener).run()
        if result.error is not None and not isinstance(result.error, ModelsFailed | Interrupted):
            # A model's own error was told as it failed; this one else only at the very end.
            self._listener(Notice("warning", str(result.error)))
        return result

    async def _prune(self, target: Target) -> list[str]:
        """Remove what nothing names any more, where that is asked for; what is gone."""
        # A manifest that was broken since says nothing of what is not wanted.
        if not self._settings.prune or target.copied or self._bulletin.is_wrong("manifest"):
            return []
        try:
            return await in_daemon_thread(
                lambda: prune(target, self._memory, self._open(), self._listener), name="prune"
            )
        except PrefetchError as error:
            self._listener(Notice("warning", f"Nothing more is removed for now. {error}"))
            return []

    def _without_volume(self, error: PrefetchError) -> RunResult:
        self._readiness.lose_all()
        self._listener(RunStarted(str(self._settings.volume or ""), 0))
        self._listener(Notice("warning", str(error)))
        self._listener(RunFinished(False, error.exit_code, 0.0, 0, 0, 0))
        return self._ended_by(error, seconds=0.0)

    def _ended_by(self, error: PrefetchError, *, seconds: float) -> RunResult:
        volume = None if self._settings.volume is None else str(self._settings.volume.absolute())
        return RunResult(error.exit_code, volume, seconds, error=error)

    async def _rest(self, target: Target, result: RunResult) -> None:
        """Until there is a target again: a new one, or the same one because something is to be done."""
        is_final = result.error is not None and result.error.is_final
        if is_final:
            self._listener(Notice("info", "What failed is tried again as soon as the manifests or their locks change."))
        elif result.exit_code != 0:
            delay = self._backoff.next()
            self._listener(Notice("info", f"What failed is tried again in {duration(delay)}."))
            if not await self._is_posted(within=delay):
                self._following.ask()
            return
        self._backoff.reset()
        failed = frozenset(model.path for model in result.models if model.status == "failed")
        while not await self._is_posted(within=LOOKED_AFTER):
            if not await in_daemon_thread(partial(self._stands, target, failed), name="volume"):
                self._listener(Notice("warning", "Something on the volume is not as it was left."))
                self._following.ask()
                return
            self._board.remember_success(time.time())

    async def _is_posted(self, *, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await self._targets.until(lambda target: True)
        except TimeoutError:
            return False
        return True

    def _stands(self, target: Target, failed: Collection[str]) -> bool:
        """Whether every model but those that ``failed`` looks as it did after the last run."""
        inputs = target.wanted.inputs
        if inputs is None:
            return True
        try:
            volume = self._open()
            if failed:
                # What was applied is kept of complete runs only.
                others = [entry for entry in target.wanted.entries if entry.model.path not in failed]
                return all(each.state is State.PRESENT for each in survey(others, volume, Inventory(volume)))
            applied = read_applied(volume, inputs.key)
            return applied is not None and still_stands(volume, applied.models)
        except PrefetchError:
            return False
