"""``prefetch status``: what is here and what is running, from the volume alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prefetch.commands.history import history
from prefetch.opening import open_volume
from prefetch.report import humanize
from prefetch.report.events import Listener
from prefetch.report.result import ModelResult, RunResult
from prefetch.settings import Settings
from prefetch.telling import tell_set_aside
from prefetch.volume.inventory import Inventory, Record, matches
from prefetch.volume.layout import Volume
from prefetch.volume.waiting import Unfinished, find_unfinished
from prefetch.watching import AtWork, who_is_at_work

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> RunResult:
    """List what was placed here, and what is on its way; or what was done here."""
    began = time.monotonic()
    volume = open_volume(settings)
    try:
        return history(volume, began=began) if settings.history else _status(volume, began)
    finally:
        tell_set_aside(volume, listener)


def _status(volume: Volume, began: float) -> RunResult:
    here = [_standing(record, volume) for record in sorted(Inventory(volume).all(), key=lambda record: record.path)]
    coming = find_unfinished(volume)
    owners = who_is_at_work(volume)
    return RunResult(
        exit_code=0,
        volume=str(volume.root),
        seconds=time.monotonic() - began,
        models=[*here, *map(_on_its_way, coming)],
        more={"owners": list(map(_owner, owners))},
        text=_table(here, coming, owners),
    )


def _standing(record: Record, volume: Volume) -> ModelResult:
    stat = volume.stat(record.path)
    if stat is None:
        return ModelResult(record.path, "missing", record.size, record.sha256)
    status = "present" if matches(record, stat) else "changed"
    return ModelResult(record.path, "damaged" if record.suspect else status, stat.st_size, record.sha256)


def _on_its_way(partial: Unfinished) -> ModelResult:
    status = "fetching" if partial.at_work else "unfinished"
    identity = partial.identity
    return ModelResult(identity.path, status, identity.size, identity.sha256, bytes_resumed=partial.bytes_here)


def _owner(one: AtWork) -> dict[str, object]:
    claim = one.claim
    return {
        "path": claim.path,
        "host": claim.owner.host,
        "pid": claim.owner.pid,
        "size": claim.size,
        "done": claim.done,
        "speed": claim.speed,
        "age": claim.age,
        "silent": None if one.still is None else round(one.still, 1),
    }


def _table(here: Sequence[ModelResult], coming: Sequence[Unfinished], owners: Sequence[AtWork]) -> str:
    rows = [_row(model.status, humanize.size(model.size), model.path) for model in here]
    rows += [
        _row(_on_its_way(partial).status, humanize.size(partial.bytes_here), _story(partial)) for partial in coming
    ]
    rows += [_row("at work", humanize.rate(owner.claim.speed), _work(owner)) for owner in owners]
    total = sum(model.size or 0 for model in here if model.status == "present")
    rows.append(f"{humanize.count(len(here), 'model')}, {humanize.size(total)}")
    return "\n".join(rows) if here or coming or owners else "prefetch has placed no model here yet"


def _row(status: str, size: str, path: str) -> str:
    return f"{status:<11} {size:>12}  {humanize.printable(path)}"


def _story(partial: Unfinished) -> str:
    whole = f" of {humanize.size(partial.identity.size)}" if partial.identity.size is not None else ""
    owner = f", by process {partial.owner.pid} on {partial.owner.host}" if partial.owner is not None else ""
    return f"{partial.identity.path}{whole}{owner}"


def _work(owner: AtWork) -> str:
    claim, beat = owner.claim, "alive"
    if owner.still is not None:
        beat = f"no sign of life in {humanize.duration(owner.still)}"
    whole = f" of {humanize.size(claim.size)}" if claim.size is not None else ""
    who = f"process {claim.owner.pid} on {claim.owner.host} for {humanize.duration(claim.age)}"
    return f"{claim.path}: {humanize.size(claim.done)}{whole}, {who}, {beat}"
