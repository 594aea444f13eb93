"""What filling volumes will cost, for a person to agree to; and what it has cost, in one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefetch.errors import PrefetchError
from prefetch.report import humanize
from prefetch.report.result import ModelResult, RunResult, exit_code_of, first_of
from prefetch.runpod.answers import Volume
from prefetch.runpod.prices import GUESSED_RATE, dollars, guessed_hours, monthly
from prefetch.runpod.site import Filled, Plot
from prefetch.shipment import Shipment

__all__ = ["populated", "quote"]

_FAILED = ("failed", "waiting")


def quote(plots: Sequence[Plot], shipment: Shipment) -> list[str]:
    """The lines to agree to: what will be made where, and what it comes to."""
    hours = guessed_hours(shipment.size)
    pods = sum(plot.price * hours for plot in plots)
    made = sum(monthly(plot.volume.size) for plot in plots if not isinstance(plot.volume, Volume))
    lines = [f"{humanize.count(shipment.models, 'model')}, {humanize.size(shipment.size)}, to each of these volumes:"]
    lines += [
        f"  {plot.data_center}: {_volume(plot)}; pod {plot.flavors[0]} at {dollars(plot.price)} an hour"
        for plot in plots
    ]
    guess = f"{humanize.duration(hours * 3600)} at a guessed {humanize.rate(GUESSED_RATE)}"
    lines.append(f"the pods: about {dollars(pods)} in all, for {guess}; less for what is there already")
    if made:
        lines.append(f"new volumes: {dollars(made)} a month, for as long as they exist, by RunPod's published price")
    return lines


def _volume(plot: Plot) -> str:
    volume = plot.volume
    if isinstance(volume, Volume):
        return f"volume {volume.id} ({volume.name}, {volume.size} GB)"
    return f"a new volume {volume.name} of {volume.size} GB"


def populated(filled: Sequence[Filled], *, seconds: float) -> RunResult:
    """What became of all of them together: a row, and an object of the document's ``sites``, for each data center.

    The document's models are those of all sites, each with its worst status.
    """
    error = _error(filled)
    return RunResult(
        exit_code=0 if error is None else error.exit_code,
        volume=None,
        seconds=seconds,
        bytes_downloaded=sum(_number(each, "bytes_downloaded") for each in filled),
        models=_models(filled),
        error=error,
        text=_table(filled),
        more={"sites": [_site(each) for each in filled]},
    )


def _table(filled: Sequence[Filled]) -> str:
    cost = dollars(sum(each.cost for each in filled))
    return "\n".join([*map(_row, filled), f"the pods cost about {cost}, by their price and the time they were there"])


class _JobFailed(PrefetchError):
    """The job in a pod ended with an error of its own."""

    def __init__(self, message: str, *, code: str, exit_code: int) -> None:
        super().__init__(message)
        self.code, self.exit_code = code, exit_code


def _error(filled: Sequence[Filled]) -> PrefetchError | None:
    errors = [error for each in filled if (error := _error_of(each)) is not None]
    if not errors:
        return None
    if len(filled) == 1:
        return errors[0]
    first = first_of(errors)
    failed = f"{len(errors)} of {humanize.count(len(filled), 'volume')} could not be filled; the first says: {first}"
    return _JobFailed(failed, code=first.code, exit_code=exit_code_of(errors))


def _error_of(filled: Filled) -> PrefetchError | None:
    if filled.error is not None:
        return filled.error
    if not filled.exit_code:
        return None
    told = (filled.result or {}).get("error")
    told = told if isinstance(told, dict) else {}
    message = str(told.get("message") or f"The job in {filled.data_center} ended with {filled.exit_code}.")
    return _JobFailed(message, code=str(told.get("code") or "failed"), exit_code=filled.exit_code)


def _row(filled: Filled) -> str:
    volume = "no volume" if filled.volume is None else f"{filled.volume.id} ({filled.volume.size} GB)"
    made = ", new" if filled.volume_created else ""
    state = "done" if filled.exit_code == 0 else "FAILED"
    error = _error_of(filled)
    counts = _counts(filled.result) if error is None else str(error)
    flavor = filled.flavor or "no pod"
    spent = f"{flavor} {humanize.duration(filled.hours * 3600)}, {dollars(filled.cost)}"
    return humanize.printable(f"{state:<7} {filled.data_center:<9} {volume}{made}  {spent}  {counts}")


def _counts(result: Mapping[str, Any] | None) -> str:
    models = _list(result, "models")
    counts: dict[str, int] = {}
    for model in models:
        status = str(model.get("status"))
        counts[status] = counts.get(status, 0) + 1
    unlisted = (result or {}).get("models_left_out")
    listed = [f"{number} {status}" for status, number in sorted(counts.items())]
    # A long result names those only that are not well.
    more = [f"{unlisted} all well"] if isinstance(unlisted, int) and unlisted else []
    return ", ".join([*listed, *more]) or "no model"


def _models(filled: Sequence[Filled]) -> list[ModelResult]:
    worst: dict[str, ModelResult] = {}
    for each in filled:
        for model in _list(each.result, "models"):
            found = _model(model)
            known = worst.get(found.path)
            if known is None or (found.status in _FAILED and known.status not in _FAILED):
                worst[found.path] = found
    return list(worst.values())


def _model(document: Mapping[str, Any]) -> ModelResult:
    size, sha256, error = (document.get(name) for name in ("size", "sha256", "error"))
    return ModelResult(str(document.get("path")), str(document.get("status")), size=size, sha256=sha256, error=error)


def _site(filled: Filled) -> dict[str, object]:
    error = _error_of(filled)
    return {
        "data_center": filled.data_center,
        "ok": error is None,
        "exit_code": filled.exit_code,
        "error": error and {"code": error.code, "message": str(error)},
        "volume_id": filled.volume and filled.volume.id,
        "volume_created": filled.volume_created,
        "pod_id": filled.pod_id,
        "flavor": filled.flavor,
        "dollars_an_hour": filled.price,
        "hours": round(filled.hours, 4),
        "dollars": round(filled.cost, 4),
        "result": filled.result,
    }


def _list(result: Mapping[str, Any] | None, key: str) -> list[Mapping[str, Any]]:
    """A list of objects in a document that a pod wrote, and that may hold anything."""
    found = (result or {}).get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _number(filled: Filled, key: str) -> int:
    found = (filled.result or {}).get(key)
    return found if isinstance(found, int) else 0
