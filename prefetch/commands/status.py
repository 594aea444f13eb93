"""``prefetch status``: what is here and what is running, from the volume alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from prefetch.commands.history import history
from prefetch.opening import open_volume
from prefetch.report import humanize
from prefetch.report.events import Listener
from prefetch.report.result import ModelResult, RunResult
from prefetch.settings import Settings
from prefetch.telling import tell_set_aside
from prefetch.volume.inventory import Inventory, Record, matches
from prefetch.volume.layout import Volume
from prefetch.volume.replaced import Replaced, find_replaced
from prefetch.volume.waiting import Unfinished, find_unfinished
from prefetch.watching import AtWork, who_is_at_work

__all__ = ["main"]

_NONE = "prefetch has placed no model here yet"


def main(settings: Settings, listener: Listener) -> RunResult:
    """List what was placed here, and what is on its way; or what was done here."""
    began = time.monotonic()
    volume = open_volume(settings)
    try:
        return history(volume, began=began) if settings.history else _status(volume, began)
    finally:
        tell_set_aside(volume, listener)


def _status(volume: Volume, began: float) -> RunResult:
    here = {record.path: _standing(record, volume) for record in Inventory(volume).all()}
    coming = _furthest(find_unfinished(volume))
    owners = who_is_at_work(volume)
    replaced = find_replaced(volume)
    models = here | {path: _on_its_way(partial, here.get(path)) for path, partial in coming.items()}
    return RunResult(
        exit_code=0,
        volume=str(volume.root),
        seconds=time.monotonic() - began,
        models=[models[path] for path in sorted(models)],
        more={"owners": list(map(_owner, owners)), "replaced": [{"path": f.path, "size": f.size} for f in replaced]},
        text="\n".join([*_rows(models, coming, owners), *_sums(models, replaced)]),
    )


def _standing(record: Record, volume: Volume) -> ModelResult:
    stat = volume.stat(record.path)
    if stat is None:
        return ModelResult(record.path, "missing", record.size, record.sha256)
    status = "present" if matches(record, stat) else "changed"
    return ModelResult(record.path, "damaged" if record.suspect else status, stat.st_size, record.sha256)


def _furthest(partials: Iterable[Unfinished]) -> dict[str, Unfinished]:
    """Of each model's partial files the one that somebody works on, else the one that has come furthest."""
    return {p.identity.path: p for p in sorted(partials, key=lambda p: (p.at_work, p.bytes_here))}


def _on_its_way(partial: Unfinished, standing: ModelResult | None) -> ModelResult:
    """A model that has begun to come; ``standing`` is the file that has its name meanwhile."""
    if standing is not None and standing.status == "present" and not partial.at_work:
        # Of another version, or of a run that another one overtook.
        return replace(standing, bytes_resumed=partial.bytes_here)
    status, identity = "fetching" if partial.at_work else "unfinished", partial.identity
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


def _rows(
    models: Mapping[str, ModelResult], coming: Mapping[str, Unfinished], owners: Sequence[AtWork]
) -> Iterator[str]:
    """A line for each model, with who is at work on it; then one for each owner of anything else."""
    at_work = {owner.claim.path: owner for owner in owners}
    for path in sorted(models):
        model, partial = models[path], coming.get(path)
        if partial is None or model.status == "present":
            yield _row(model.status, humanize.size(model.size), path)
            continue
        whole = f" of {humanize.size(model.size)}" if model.size is not None else ""
        owner = at_work.pop(path, None)
        who = f", {_who(owner)}, {humanize.rate(owner.claim.speed)}" if owner is not None else _writer(partial)
        yield _row(model.status, humanize.size(partial.bytes_here), f"{path}{whole}{who}")
    for path, owner in at_work.items():
        yield _row("at work", humanize.rate(owner.claim.speed), f"{path}: {_progress(owner)}, {_who(owner)}")


def _sums(models: Mapping[str, ModelResult], replaced: Sequence[Replaced]) -> Iterator[str]:
    total = sum(model.size or 0 for model in models.values() if model.status == "present")
    yield f"{humanize.count(len(models), 'model')}, {humanize.size(total)}" if models else _NONE
    if replaced:
        kept = f"{humanize.count(len(replaced), 'file')}, {humanize.size(sum(file.size for file in replaced))}"
        yield f"kept of what models replaced: {kept}; prefetch prune MANIFEST --replaced --yes removes them"


def _row(status: str, size: str, text: str) -> str:
    return f"{status:<11} {size:>12}  {humanize.printable(text)}"


def _writer(partial: Unfinished) -> str:
    if not partial.at_work or partial.owner is None:
        return ", nobody is at work on it"
    return f", by process {partial.owner.pid} on {partial.owner.host}"


def _progress(owner: AtWork) -> str:
    claim = owner.claim
    return humanize.size(claim.done) + (f" of {humanize.size(claim.size)}" if claim.size is not None else "")


def _who(owner: AtWork) -> str:
    claim, alive = owner.claim, "alive"
    if owner.still is not None:
        alive = f"no sign of life in {humanize.duration(owner.still)}"
    return f"process {claim.owner.pid} on {claim.owner.host} for {humanize.duration(claim.age)}, {alive}"
