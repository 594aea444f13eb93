"""``prefetch workflow check``: are these workflows and these manifests, and this volume, of one mind?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prefetch.comfyui.coverage import Coverage, Missing, cover
from prefetch.comfyui.workflow import WorkflowModels, load_table
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.commands.workflow_models import read_workflows
from prefetch.errors import PrefetchError, UsageError
from prefetch.given import find_given
from prefetch.manifest import Model, Wanted, load_manifests
from prefetch.opening import at_hand, open_volume
from prefetch.pinning import pin, read_lock
from prefetch.report import humanize
from prefetch.report.events import Listener, Notice
from prefetch.report.result import ModelResult, RunResult
from prefetch.settings import Settings
from prefetch.survey import satisfies
from prefetch.verification import Subject, Verdict, inspect
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume

__all__ = ["Workflows", "compare", "main", "read"]


@dataclass(frozen=True, slots=True)
class Workflows:
    """What workflows load, by the names that they were given, and the table of loaders that says so."""

    found: Mapping[str, WorkflowModels]
    table: LoaderTable


def main(settings: Settings, listener: Listener) -> RunResult:
    """Compare them, read no model."""
    return compare(read(settings.workflow_files, settings, listener), settings, listener)


def read(files: Sequence[Path], settings: Settings, listener: Listener) -> Workflows:
    """What these workflows load.

    Raises:
        UsageError: one of them cannot be read.
    """
    table = load_table(settings.loaders)
    found = read_workflows(files, table, listener, command="check")
    if found.error is not None:
        raise found.error
    return Workflows(found.workflows, table)


def compare(workflows: Workflows, settings: Settings, listener: Listener) -> RunResult:
    """Compare them with the manifests, and where a volume is named with that."""
    began = time.monotonic()
    volume = None if settings.volume is None else open_volume(settings)
    inventory = None if volume is None else Inventory(volume)
    wanted = _wanted(settings, volume, listener)
    coverage = cover(
        workflows.found,
        [_with_size(entry.model, inventory) for entry in wanted.entries],
        workflows.table,
        directories=[entry.folder for entry in wanted.folders],
    )
    coverage = _without_directories(coverage, wanted, listener)
    if volume is not None:
        coverage = replace(coverage, missing=tuple(_with_files(missing, volume) for missing in coverage.missing))
    for sentence in coverage.undecided:
        listener(Notice("warning", humanize.printable(sentence)))
    for sentence in coverage.fetched:
        listener(Notice("info", humanize.printable(sentence)))
    verdicts = [] if volume is None or inventory is None else _verdicts(coverage.used, volume, inventory)
    bad = len(coverage.missing) + sum(verdict.status != "ok" for verdict in verdicts)
    error = _error(coverage, verdicts) if bad else None
    return RunResult(
        exit_code=0 if error is None else error.exit_code,
        volume=None if volume is None else str(volume.root),
        seconds=time.monotonic() - began,
        models=list(_results(coverage, verdicts)),
        error=error,
        text="\n".join(_lines(coverage, verdicts)),
        more={"bytes_unused": _known_bytes(coverage.unused), "unknown_sizes_unused": _unknown(coverage.unused)},
    )


def _wanted(settings: Settings, volume: Volume | None, listener: Listener) -> Wanted:
    given = settings.manifests or find_given(settings.manifest, os.environ, None if volume is None else volume.root)
    if not given:
        raise UsageError(
            "No manifest was given to compare with.",
            remedy="Write for example: prefetch workflow check w.json --manifest models.yaml",
        )
    manifests = at_hand(given, settings, listener)
    wanted = load_manifests(manifests, allow_private=settings.allow_private)
    return pin(wanted, list(map(read_lock, manifests)))


def _without_directories(coverage: Coverage, wanted: Wanted, listener: Listener) -> Coverage:
    """What may come with a whole directory is not missing; which files that holds, only its host knows."""
    directories = tuple(entry.folder.path for entry in wanted.folders)
    apart = [missing for missing in coverage.missing if not _may_be_in(missing, directories)]
    for missing in coverage.missing:
        if directories and missing not in apart:
            listener(Notice("warning", humanize.printable(f"{missing.path}: expected of a directory entry.")))
    return replace(coverage, missing=tuple(apart)) if directories else coverage


def _may_be_in(missing: Missing, directories: tuple[str, ...]) -> bool:
    below = f"models/{missing.folder}/"
    somewhere = missing.any_of is not None and any(directory.startswith(below) for directory in directories)
    return somewhere or missing.path.startswith(directories)


def _with_files(missing: Missing, volume: Volume) -> Missing:
    """The same with the files on the volume that would do, for a name that more than one file may have."""
    if missing.any_of is None or missing.folder is None:
        return missing
    folder = volume.root / "models" / missing.folder
    files = [(Path(top) / name).relative_to(folder).as_posix() for top, _, names in os.walk(folder) for name in names]
    there = ", ".join(f"models/{missing.folder}/{name}" for name in sorted(missing.any_of.choose(files)))
    return replace(missing, reason=f"{missing.reason}, though the volume has {there}") if there else missing


def _with_size(model: Model, inventory: Inventory | None) -> Model:
    """The same with the size that the volume has recorded, where the manifest names none."""
    if model.size is not None or inventory is None:
        return model
    record = inventory.get(model.path)
    return model if record is None or not satisfies(record, model) else model.model_copy(update={"size": record.size})


def _verdicts(models: Iterable[Model], volume: Volume, inventory: Inventory) -> list[Verdict]:
    return [inspect(Subject(model.path, model, inventory.get(model.path)), volume) for model in models]


def _error(coverage: Coverage, verdicts: Sequence[Verdict]) -> PrefetchError:
    absent = sum(verdict.status != "ok" for verdict in verdicts)
    parts = [
        f"{humanize.count(len(coverage.missing), 'file')} in no manifest" if coverage.missing else "",
        f"{humanize.count(absent, 'model')} not there and verified on the volume" if absent else "",
    ]
    return PrefetchError(f"The workflows need more than there is: {', '.join(filter(None, parts))}.")


def _results(coverage: Coverage, verdicts: Sequence[Verdict]) -> Iterator[ModelResult]:
    for missing in coverage.missing:
        yield ModelResult(missing.path, "not-in-manifest", error=f"{missing.reason}; {', '.join(missing.wanted_by)}")
    if verdicts:
        yield from (ModelResult(v.path, v.status, v.size, v.sha256, error=v.detail) for v in verdicts)
    else:
        yield from (ModelResult(model.path, "needed", model.size, model.sha256) for model in coverage.used)
    yield from (ModelResult(model.path, "unused", model.size, model.sha256) for model in coverage.unused)


def _lines(coverage: Coverage, verdicts: Sequence[Verdict]) -> Iterator[str]:
    for result in _results(coverage, verdicts):
        about = f"  {result.error}" if result.error else ""
        yield humanize.printable(f"{result.status:<15} {humanize.size(result.size):>12}  {result.path}{about}")
    yield f"needed: {humanize.count(len(coverage.used), 'model')} of the manifests', {_cost(coverage.used)}"
    if coverage.unused:
        yield f"unused: {humanize.count(len(coverage.unused), 'model')}, {_cost(coverage.unused)}"


def _cost(models: Sequence[Model]) -> str:
    unknown, known = _unknown(models), humanize.size(_known_bytes(models))
    if not unknown:
        return known
    sizes = "size" if unknown == 1 else "sizes"
    return f"at least {known}, {unknown} {sizes} unknown"


def _known_bytes(models: Iterable[Model]) -> int:
    return sum(model.size for model in models if model.size is not None)


def _unknown(models: Iterable[Model]) -> int:
    return sum(model.size is None for model in models)
