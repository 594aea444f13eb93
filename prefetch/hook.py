"""What the entrypoint does before it becomes the command: the models first, in the way of its mode.

Where nothing is to be done, it comes through here with the standard library alone, within milliseconds: imports of
anything else stand in the functions that have something to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from prefetch.errors import PrefetchError, UsageError
from prefetch.given import Given, Remote
from prefetch.linking import link_nodes
from prefetch.opening import find_manifests, open_or_make_volume, open_volume, wanted_on
from prefetch.report.humanize import count, enumerated
from prefetch.report.notice import Listener, Notice
from prefetch.settings import Settings
from prefetch.unchanged import find_applied, looks_the_same, newest_applied, still_stands
from prefetch.volume.applied import AppliedModel
from prefetch.volume.layout import Volume
from prefetch.volume.looking import Looking

if TYPE_CHECKING:
    from prefetch.report.result import ModelResult, RunResult

__all__ = ["Mode", "check_serving", "check_workflows", "ensure", "leave_sidecar", "mode_of", "verify"]

Mode = Literal["ensure", "verify", "off"]


def mode_of(settings: Settings, environ: Mapping[str, str]) -> Mode:
    """The mode that was asked for, else the one for this place: a serverless worker has no time to download."""
    return settings.mode or ("verify" if environ.get("RUNPOD_ENDPOINT_ID") else "ensure")


def ensure(settings: Settings, environ: Mapping[str, str], listener: Listener) -> RunResult | None:
    """Have the required models on the volume, and start what fetches the others.

    Returns:
        None if the command may start, else what is wrong.
    """
    volume = open_or_make_volume(settings, listener)
    required = _required(settings)
    if (models := _standing(required, volume)) is not None:
        _in_place(models, settings, volume, listener)
        late, failure = False, None
    else:
        failure, late = _fetch(required, volume, environ, listener)
    if settings.serve:
        return failure  # the rest is the sidecar's
    if late or (settings.require and failure is None and _standing(settings, volume) is None):
        _fetch_the_rest(settings, volume, environ, listener)
    return failure


def verify(settings: Settings, listener: Listener) -> RunResult | None:
    """Compare sizes and times with what the volume has recorded.

    Returns:
        None if all that is required stands, else what does not.
    """
    volume = open_volume(settings)
    required = _required(settings)
    models = _recorded(required, volume)
    if models is None:
        return _verify_by_records(required, volume, listener)
    if failure := _compared(models, volume):
        return failure
    _in_place(models, settings, volume, listener)
    if settings.require and (others := _compared(_recorded(settings, volume) or [], volume)) is not None:
        listener(Notice("warning", f"Beside what is required: {others.error}"))
    return None


def check_serving(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise UsageError if a sidecar was asked for and could not work so: what would be seen of it later is its end."""
    if settings.serve:
        from prefetch.monitor.asked import asked_of
        from prefetch.sidecar.webhook import webhook_of

        asked_of(settings, environ)
        webhook_of(settings, environ)


def leave_sidecar(settings: Settings, environ: Mapping[str, str], listener: Listener) -> None:
    """Start the sidecar, if one was asked for, to work beside the command for as long as that runs."""
    if settings.serve:
        from prefetch.background import start_tied

        try:
            process = start_tied("serve", settings, environ)
        except OSError as error:
            listener(Notice("warning", f"The sidecar could not be started: {error.strerror}."))
            return
        listener(Notice("info", f"process {process} is the sidecar: it follows the manifests beside the command"))


def check_workflows(settings: Settings, listener: Listener) -> RunResult | None:
    """Compare the workflows, where any are named, with the manifests and the volume; None if nothing is missing."""
    if not settings.workflow:
        return None
    from prefetch.commands import workflow_check

    asked = replace(settings, workflow_files=settings.workflow, volume=open_volume(settings).root)
    result = workflow_check.main(asked, listener)
    return None if result.exit_code == 0 else result


def _required(settings: Settings) -> Settings:
    return replace(settings, group=settings.require or settings.group)


def _recorded(settings: Settings, volume: Volume) -> list[AppliedModel] | None:
    """What the last complete run of these manifests came to, or where none is at hand, of any."""
    if not (manifests := _at_hand(settings, volume)):
        return newest_applied(volume, groups=settings.group)
    return find_applied(volume, manifests, groups=settings.group, layout=settings.layout, locked=settings.locked)


def _at_hand(settings: Settings, volume: Volume) -> tuple[Given, ...]:
    """The manifests, if none of them would have to be fetched."""
    manifests = find_manifests(settings, volume)
    return () if any(isinstance(manifest, Remote) for manifest in manifests) else manifests


def _standing(settings: Settings, volume: Volume) -> list[AppliedModel] | None:
    """The models, if every one of them stands as it did when the last run of these manifests was complete."""
    models = _recorded(settings, volume) if _at_hand(settings, volume) else None
    return models if models is not None and still_stands(volume, models) else None


def _in_place(models: Sequence[AppliedModel], settings: Settings, volume: Volume, listener: Listener) -> None:
    pairs = ((model["path"], model["node_path"]) for model in models)
    link_nodes(pairs, comfyui=settings.comfyui, volume=volume, listener=listener)
    listener(Notice("info", f"{count(len(models), 'model')} in place on {volume.root}"))


def _fetch(
    settings: Settings, volume: Volume, environ: Mapping[str, str], listener: Listener
) -> tuple[RunResult | None, bool]:
    """What is wrong after a run, and whether that is only that its time was over."""
    from prefetch.monitor.asked import asked_of
    from prefetch.running import run_within

    result, late = run_within(settings.deadline, volume, settings, asked_of(settings, environ), listener)
    return (None if result.exit_code == 0 else result), late


def _fetch_the_rest(settings: Settings, volume: Volume, environ: Mapping[str, str], listener: Listener) -> None:
    from prefetch.background import start

    try:
        process = start("run", replace(settings, volume=volume.root), environ)
    except OSError as error:
        listener(Notice("warning", f"What fetches the other models could not be started: {error.strerror}."))
        return
    listener(Notice("info", f"process {process} fetches the other models meanwhile"))


def _verify_by_records(settings: Settings, volume: Volume, listener: Listener) -> RunResult | None:
    """The long way: of these manifests no run was complete, but each model may be recorded."""
    if not _at_hand(settings, volume):
        raise UsageError(
            f"No manifest was given, and no run on {volume.root} was complete yet, so nothing tells what to look for.",
            remedy="Fill the volume first: prefetch run MANIFEST --volume DIR",
        )
    from prefetch.commands import verify as command

    result = command.main(replace(settings, quick=True), listener)
    models = [entry.model for entry in wanted_on(volume, settings, listener).entries]
    pairs = ((model.path, model.node_path) for model in models)
    link_nodes(pairs, comfyui=settings.comfyui, volume=volume, listener=listener)
    return None if result.exit_code == 0 else result


def _compared(models: Iterable[AppliedModel], volume: Volume) -> RunResult | None:
    began, looking = time.monotonic(), Looking(volume)
    looks = [(model, looking.stat(model["path"])) for model in models]
    if all(stat is not None and looks_the_same(stat, model) for model, stat in looks):
        return None
    from prefetch.report.result import RunResult

    results = [_result(model, stat) for model, stat in looks]
    wrong = [f"{model.path} ({model.status})" for model in results if model.status != "ok"]
    error = PrefetchError(
        f"{len(wrong)} of {count(len(results), 'model')} not on {volume.root} as recorded: {enumerated(wrong)}.",
        remedy="Put them there with prefetch run, or start with --mode ensure.",
    )
    return RunResult(error.exit_code, str(volume.root), time.monotonic() - began, models=results, error=error)


def _result(model: AppliedModel, stat: os.stat_result | None) -> ModelResult:
    from prefetch.report.result import ModelResult

    status = "missing" if stat is None else "ok" if looks_the_same(stat, model) else "changed"
    return ModelResult(model["path"], status, None if stat is None else stat.st_size, model["sha256"])
