"""The main job: a manifest's models on a volume, whole and verified."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from prefetch.adoption import Adoption
from prefetch.blockfile import Digests
from prefetch.errors import PrefetchError
from prefetch.inputs import Inputs
from prefetch.limits import Limits
from prefetch.manifest import Wanted
from prefetch.pinning import is_unpinned_pickle, unpinned_pickle
from prefetch.placing import Placing
from prefetch.report.events import Listener, RunStarted
from prefetch.report.result import RunResult
from prefetch.scores import Scores
from prefetch.signals import interrupted
from prefetch.survey import Standing, State, hashes_told, obstruction, survey, with_told
from prefetch.telling import tell_set_aside, tell_unrecorded
from prefetch.volume.applied import Applied, AppliedModel, read_applied, write_applied
from prefetch.volume.history import PastRun, remember_run
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume
from prefetch.volume.leftovers import clear_leftovers
from prefetch.volume.owner import Owner
from prefetch.volume.unrecorded import spared_if_refused

__all__ = ["Job"]


class Job:
    """Brings what is wanted onto a volume. Made for one `run`.

    Args:
        refresh: ask the hosts again: what the sources without a pinned hash hold now, and for files that had another
            hash.
        blocks: reads the block digests that are known, by SHA-256, once there is something to fetch.
    """

    def __init__(
        self,
        wanted: Wanted,
        volume: Volume,
        *,
        limits: Limits,
        refresh: bool,
        listener: Listener,
        blocks: Callable[[], Mapping[str, Digests]] = dict,
    ) -> None:
        self._wanted = wanted
        self._volume = volume
        self._limits = limits
        self._refresh = refresh
        self._listener = listener
        self._blocks = blocks
        self._inventory = Inventory(volume)
        self._placing = Placing(volume, self._inventory)
        self._adoption = Adoption(self._placing, listener)
        self._scores = Scores(listener)

    async def run(self) -> RunResult:
        """Do the whole job. A cancelled job answers with its result so far, and with exit code 130."""
        self._listener(RunStarted(str(self._volume.root), len(self._wanted.entries)))
        stopped: PrefetchError | None = None
        try:
            await self._work()
        except asyncio.CancelledError:
            stopped = interrupted(self._scores.lost)
        except PrefetchError as error:
            stopped = error
        finally:
            self._adoption.close()
        try:
            self._inventory.flush()
            # Models are only where they were put if the volume is.
            self._volume.confirm()
        except PrefetchError as error:
            stopped = stopped or error
        if stopped is not None:
            for entry in self._wanted.entries:
                self._scores.left(entry.model.path, stopped, size=entry.model.size, sha256=entry.model.sha256)
        result = self._scores.finish(str(self._volume.root), stopped)
        self._remember_run(result)
        tell_set_aside(self._volume, self._listener)
        tell_unrecorded(self._volume, self._listener)
        return result

    def _remember_run(self, result: RunResult) -> None:
        """Keep the run in the volume's history, unless it found everything there: workers start all the time."""
        statuses = Counter(model.status for model in result.models)
        if result.exit_code == 0 and statuses["present"] == len(result.models):
            return
        ended, owner, milliseconds = time.time(), Owner.current(), round(result.seconds * 1000)
        run = PastRun(
            started_ms=round(ended * 1000) - milliseconds,
            milliseconds=milliseconds,
            exit_code=result.exit_code,
            code=None if result.error is None else result.error.code,
            models=len(self._wanted.entries),
            fetched=statuses["downloaded"],
            failed=statuses["failed"] + statuses["waiting"],
            bytes_downloaded=result.bytes_downloaded,
            bytes_resumed=sum(model.bytes_resumed for model in result.models),
            host=owner.host,
            pid=owner.pid,
        )
        with suppress(PrefetchError):
            # A volume that is full has no room for this either, and the run's own result tells it.
            remember_run(self._volume, run)

    async def _work(self) -> None:
        with suppress(PrefetchError):
            # Nothing that is there must fail because of what need not be there.
            clear_leftovers(self._volume)
        for path, error in self._wanted.unlisted.items():
            self._scores.failed(path, error)
        inputs = self._wanted.inputs
        applied = None if inputs is None else read_applied(self._volume, inputs.key)
        # What was applied does not say by what the hosts are asked again whether they have the same file still.
        known = () if applied is None or self._refresh else applied.models
        standings = survey(self._wanted.entries, self._volume, self._inventory, applied=known)
        told = hashes_told(standings)
        settled = await asyncio.gather(*(self._is_settled(standing, told) for standing in standings))
        absent = [standing for standing, done in zip(standings, settled, strict=True) if not done]
        if allowed := [standing for standing in absent if not self._is_refused(standing)]:
            await self._fetch(allowed)
        if self._scores.all_well and inputs is not None:
            self._remember(standings, inputs, before=applied)

    async def _is_settled(self, standing: Standing, told: frozenset[str]) -> bool:
        """Whether nothing is left to do for a model, as far as can be told without the network.

        Args:
            told: the hashes that were told beforehand of any model.
        """
        model, record = standing.model, standing.record
        if standing.state is State.PRESENT and record is not None:
            if self._refresh and model.sha256 is None:
                return False
            self._scores.done("present", with_told(record, told))
            return True
        expected = model.sha256
        if expected is None and standing.state is State.CHANGED and record is not None:
            expected = record.sha256
        try:
            adopted = await self._adoption.adopt(standing, expected, None)
        except PrefetchError as error:
            self._scores.failed(standing.path, error)
            return True
        if adopted is not None:
            self._scores.done("adopted", adopted)
        return adopted is not None

    def _is_refused(self, standing: Standing) -> bool:
        error: PrefetchError
        if standing.state is State.OBSTRUCTED:
            error = obstruction(standing)
        elif is_unpinned_pickle(standing.model) and not self._limits.allow_unpinned:
            error = unpinned_pickle(standing.model)
        else:
            return False
        self._scores.failed(standing.path, error)
        return True

    async def _fetch(self, absent: list[Standing]) -> None:
        # The network's libraries take half a second to import, which a run with nothing to do need not pay.
        from prefetch.fetching import Fetching

        fetching = Fetching(
            self._volume,
            self._inventory,
            placing=self._placing,
            adoption=self._adoption,
            limits=self._limits,
            refresh=self._refresh,
            blocks=self._blocks(),
            scores=self._scores,
            listener=self._listener,
        )
        await fetching.fetch(absent)
        self._inventory.flush()

    def _remember(self, standings: Iterable[Standing], inputs: Inputs, *, before: Applied | None) -> None:
        """Note what was applied, for those who only want to know whether it is still there."""
        applied = Applied(
            includes=inputs.includes,
            locked=self._wanted.locked,
            models=[model for standing in standings if (model := self._applied(standing)) is not None],
            groups=inputs.groups,
        )
        if applied != before:
            with spared_if_refused(self._volume):
                write_applied(self._volume, inputs.key, applied)

    def _applied(self, standing: Standing) -> AppliedModel | None:
        record, model = self._scores.record_of(standing.path), standing.model
        if record is None:
            return None
        return record.to_applied(pinned=model.sha256 is not None, node_path=model.node_path, groups=model.groups)
