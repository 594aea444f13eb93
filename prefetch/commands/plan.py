"""``prefetch plan``: what would be fetched. Touches nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prefetch.comfyui.misplaced import warn_misplaced
from prefetch.errors import PrefetchError, SpaceError
from prefetch.net.bounds import HostBounds
from prefetch.opening import volume_to_plan_for, wanted_on
from prefetch.pinning import is_unpinned_pickle, unpinned_pickle
from prefetch.plan import Plan, make_plan
from prefetch.report import humanize
from prefetch.report.events import Listener, Notice
from prefetch.report.result import ModelResult, RunResult
from prefetch.scores import summary_of
from prefetch.settings import Settings
from prefetch.signals import run_until_signal
from prefetch.survey import Standing, State, contents, obstruction, survey
from prefetch.volume.absent import NoVolume, UnmadeVolume
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume
from prefetch.volume.space import check_space, measure
from prefetch.volume.waiting import find_unfinished, resumable_bytes

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Missing:
    """A model that is not there, with what the manifest or else its host tells about it."""

    standing: Standing
    sha256: str | None
    size: int | None
    url: str
    etag: str | None

    @property
    def path(self) -> str:
        return self.standing.path

    @property
    def is_pinned(self) -> bool:
        """Whether no host has to be asked what it is."""
        return self.sha256 is not None and self.size is not None


@dataclass(frozen=True, slots=True)
class _Room:
    """Bytes that still fit, or why that is unknown."""

    free: int | None
    unknown: str


def main(settings: Settings, listener: Listener) -> RunResult:
    """Compare the manifests with the volume; ask a host only what its manifest does not tell."""
    began = time.monotonic()
    volume = volume_to_plan_for(settings)
    if isinstance(volume, UnmadeVolume):
        listener(Notice("info", f"{volume.root} is not there yet: this plan is for an empty volume, made by the run"))
    elif isinstance(volume, NoVolume):
        listener(Notice("info", "no volume was named and none is mounted here: this plan is for an empty one"))
    inventory = Inventory(volume)
    wanted = wanted_on(volume, settings, listener)
    warn_misplaced([entry.model.path for entry in wanted.entries], listener)
    standings = survey(wanted.entries, volume, inventory)
    answers = dict(wanted.unlisted) | _resolved(standings, settings, listener)
    missing = [answer for answer in answers.values() if isinstance(answer, _Missing)]
    failures = {path: answer for path, answer in answers.items() if isinstance(answer, PrefetchError)}
    here = {**(contents(volume, inventory) if missing else {}), **_verified(standings)}
    plan = make_plan(missing, here=here, resumed=_resumed(volume, missing))
    results = _results(standings, missing, plan, failures)
    results += [ModelResult(path, "unresolved", error=str(error)) for path, error in wanted.unlisted.items()]
    room = _room_on(volume, settings.quota)
    unresolved = summary_of(list(failures.values()), models=len(results), how="cannot be resolved")
    error = _does_not_fit(plan, room) or unresolved
    return RunResult(
        exit_code=0 if error is None else 1 if error is unresolved else error.exit_code,
        volume=None if _is_nowhere(volume) else str(volume.root),
        seconds=time.monotonic() - began,
        models=results,
        error=error,
        text=_table(results, plan, room),
    )


def _resolved(
    standings: Iterable[Standing], settings: Settings, listener: Listener
) -> dict[str, _Missing | PrefetchError]:
    """By path, what each model is that a run would fetch, or why it cannot."""
    absent = [s for s in standings if s.state is not State.PRESENT or (settings.refresh and s.model.sha256 is None)]
    answers = {s.path: _from_manifest(s, allow_unpinned=settings.allow_unpinned) for s in absent}
    unknown = [s for s in absent if isinstance(known := answers[s.path], _Missing) and not known.is_pinned]
    if unknown:
        answers.update(run_until_signal(lambda: _ask(unknown, settings, listener)))
    return answers


def _does_not_fit(plan: Plan[_Missing], room: _Room) -> SpaceError | None:
    try:
        check_space(plan.bytes_to_fetch, room.free)
    except SpaceError as error:
        return error
    return None


def _room_on(volume: Volume, quota: int | None) -> _Room:
    if _is_nowhere(volume):
        return _Room(quota, "no volume was named; pass --quota with the size you mean to buy")
    free = measure(volume, quota=quota).free
    return _Room(free, "the file system does not tell; pass --quota with the size you bought")


def _is_nowhere(volume: Volume) -> bool:
    return isinstance(volume, NoVolume) and not isinstance(volume, UnmadeVolume)


def _from_manifest(standing: Standing, *, allow_unpinned: bool) -> _Missing | PrefetchError:
    model = standing.model
    if standing.state is State.OBSTRUCTED:
        return obstruction(standing)
    if is_unpinned_pickle(model) and not allow_unpinned:
        return unpinned_pickle(model)
    return _Missing(standing, model.sha256, model.size, model.source, None)


async def _ask(
    standings: Sequence[Standing], settings: Settings, listener: Listener
) -> dict[str, _Missing | PrefetchError]:
    # The network's libraries take half a second to import, which a plan of pinned models need not pay.
    from prefetch.candidates import Candidate, find
    from prefetch.net.client import open_session
    from prefetch.sources.resolver import Resolver

    def missing(answer: Candidate | PrefetchError) -> _Missing | PrefetchError:
        if isinstance(answer, PrefetchError):
            return answer
        return _Missing(answer.standing, answer.sha256, answer.size, answer.remote.url, answer.remote.etag)

    async with open_session(
        connections=settings.connections,
        allow_private=settings.allow_private,
        bounds=HostBounds(settings.host_patience),
    ) as session:
        found = await find(standings, Resolver.from_environment(session), listener=listener)
    return {path: missing(answer) for path, answer in found.items()}


def _verified(standings: Iterable[Standing]) -> dict[str, str]:
    present = (s.record for s in standings if s.state is State.PRESENT and s.record is not None)
    return {record.sha256: record.path for record in present}


def _resumed(volume: Volume, missing: Iterable[_Missing]) -> dict[str, int]:
    unfinished = find_unfinished(volume)
    return {
        model.path: resumable_bytes(Identity(model.path, model.size, model.sha256, model.url, model.etag), unfinished)
        for model in missing
    }


def _results(
    standings: Iterable[Standing],
    missing: Iterable[_Missing],
    plan: Plan[_Missing],
    failures: Mapping[str, PrefetchError],
) -> list[ModelResult]:
    known = {model.path: model for model in missing}
    fetched = {model.path for model in plan.fetch}
    linked = {link.model.path for link in plan.link}
    results = []
    for standing in standings:
        path, record = standing.path, standing.record
        if path in failures:
            size, sha256, error = standing.model.size, standing.model.sha256, str(failures[path])
            results.append(ModelResult(path, "unresolved", size, sha256, error=error))
        elif path in fetched:
            model = known[path]
            status = "check" if standing.stat is not None else "fetch"
            results.append(ModelResult(path, status, model.size, model.sha256, bytes_resumed=plan.resumed[path]))
        elif path in linked:
            results.append(ModelResult(path, "link", known[path].size, known[path].sha256))
        elif record is not None:
            results.append(ModelResult(path, "present", record.size, record.sha256))
    return results


def _table(results: Sequence[ModelResult], plan: Plan[_Missing], room: _Room) -> str:
    rows = [f"{r.status:<11} {humanize.size(r.size):>12}  {humanize.printable(r.path)}" for r in results]
    verdicts = (humanize.verdict("unresolved", r.path, r.error) for r in results if r.error is not None)
    failed = [humanize.printable(line) for line in verdicts]
    return "\n".join([*rows, *_sums(plan, room, unresolved=len(failed)), *failed])


def _sums(plan: Plan[_Missing], room: _Room, *, unresolved: int) -> list[str]:
    known = f"to fetch: {humanize.size(plan.bytes_to_fetch)}"
    resumed = f" ({humanize.size(plan.bytes_resumed)} more are here already)" if plan.bytes_resumed else ""
    unknown = plan.unknown_sizes + unresolved
    more = f", and {humanize.count(unknown, 'model')} of unknown size" if unknown else ""
    if room.free is None:
        return [known + resumed + more, f"free: {room.unknown}"]
    fits = "it does not fit" if room.free < plan.bytes_to_fetch else "what is known of fits" if unknown else "it fits"
    return [known + resumed + more, f"free: {humanize.size(room.free)}: {fits}"]
