"""``prefetch prune``: what was placed and is named by no manifest any more."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prefetch.errors import PrefetchError, UsageError
from prefetch.opening import open_volume, wanted_on
from prefetch.pruning import Find, Pruning
from prefetch.report import humanize
from prefetch.report.events import Listener
from prefetch.report.result import ModelResult, RunResult
from prefetch.scores import summary_of
from prefetch.settings import Settings

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> RunResult:
    """List what may be removed and what is kept; with ``--yes``, remove it."""
    began = time.monotonic()
    if not settings.manifest:
        raise UsageError(
            "No manifest was given: everything would count as unwanted.",
            remedy="Name every manifest whose models are to stay, as in: prefetch prune models.yaml",
        )
    volume = open_volume(settings)
    pruning = Pruning(wanted_on(volume, settings, listener).whole(), volume)
    finds = [*pruning.find(), *pruning.find_strangers(), *(pruning.find_replaced() if settings.replaced else ())]
    errors: list[PrefetchError] = []
    models = _removed(finds, pruning, errors) if settings.yes else [_result(find) for find in finds]
    error = summary_of(errors, models=len(models), how="could not be removed")
    return RunResult(
        exit_code=error.exit_code if error is not None else 0,
        volume=str(volume.root),
        seconds=time.monotonic() - began,
        models=models,
        error=error,
        text=_table(models),
    )


def _removed(finds: Sequence[Find], pruning: Pruning, errors: list[PrefetchError]) -> list[ModelResult]:
    models, gone = [], []
    for find in finds:
        why = find.why
        try:
            if why is None and (why := pruning.remove(find)) is None:
                gone.append(find)
        except PrefetchError as error:
            errors.append(error)
            why = str(error)
        models.append(
            ModelResult(_named(find), "removed" if why is None else "kept", find.size, find.sha256, error=why)
        )
    pruning.forget(gone)
    return models


def _result(find: Find) -> ModelResult:
    return ModelResult(
        _named(find), "removable" if find.why is None else "kept", find.size, find.sha256, error=find.why
    )


def _named(find: Find) -> str:
    """Its path as text: a stranger's file may have a name that is none."""
    return find.path.encode("utf-8", "backslashreplace").decode()


def _table(models: Sequence[ModelResult]) -> str:
    if not models:
        return "nothing to remove: the manifests name all that prefetch has placed here"
    rows = [f"{m.status:<11} {humanize.size(m.size):>12}  {humanize.printable(_story(m))}" for m in models]
    return "\n".join([*rows, _sum(models)])


def _story(model: ModelResult) -> str:
    return model.path if model.error is None else f"{model.path}: {model.error}"


def _sum(models: Sequence[ModelResult]) -> str:
    counted = [model for model in models if model.status != "kept"]
    done = "removed" if any(model.status == "removed" for model in counted) else "removable"
    hint = "; add --yes to remove it" if counted and done == "removable" else ""
    return f"{done}: {len(counted)}, {humanize.size(sum(model.size or 0 for model in counted))}{hint}"
