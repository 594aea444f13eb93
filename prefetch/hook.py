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

from prefetch.errors import DeadlineError, PrefetchError, UsageError
from prefetch.linking import link_nodes
from prefetch.opening import find_manifests, open_or_make_volume, open_volume, wanted_on
from prefetch.report.humanize import count, enumerated
from prefetch.report.notice import Listener, Notice
from prefetch.settings import Settings
from prefetch.unchanged import find_applied, groups_of, in_groups, looks_the_same, newest_applied, still_stands
from prefetch.volume.applied import Applied, AppliedModel
from prefetch.volume.layout import Volume
from prefetch.volume.looking import Looking

if TYPE_CHECKING:
    from prefetch.commands.workflow_check import Workflows
    from prefetch.report.result import ModelResult, RunResult

__all__ = ["Mode", "check_serving", "check_workflows", "ensure", "leave_sidecar", "mode_of", "read_workflows", "verify"]

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
        failure = None
    else:
        failure = _fetch(required, volume, environ, listener)
    if settings.serve:
        return failure  # the rest is the sidecar's
    # Who gives the start up leaves nothing behind: a unit that is restarted would add a process each time.
    late = failure is not None and isinstance(failure.error, DeadlineError)
    goes_on = late and settings.on_failure == "continue"
    if goes_on or (settings.require and failure is None and _standing(settings, volume) is None):
        _fetch_the_rest(settings, volume, environ, listener)
    return failure


def verify(settings: Settings, listener: Listener) -> RunResult | None:
    """Compare sizes and times with what the volume has recorded.

    A manifest at an address is taken for what it was when a run of it was complete last. Where there was none, it is
    fetched: what another manifest's run came to says nothing of it.

    Returns:
        None if all that is required stands, else what does not.
    """
    volume = open_volume(settings)
    required = _required(settings)
    models = _recorded(required, volume)
    if models is None:
        return _verify_by_records(required, volume, listener)
    if not find_manifests(settings, volume):
        _warn_of_a_part(volume, listener)
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


def read_workflows(settings: Settings, mode: Mode, listener: Listener) -> Workflows | None:
    """What the workflows load that must run, where any are named and the mode has them looked at.

    Raises:
        UsageError: one of them cannot be read.
    """
    if not settings.workflow:
        return None
    if mode == "off":
        listener(Notice("warning", "With --mode off no --workflow is compared with what is there."))
        return None
    from prefetch.commands import workflow_check

    return workflow_check.read(settings.workflow, settings, listener)


def check_workflows(workflows: Workflows | None, settings: Settings, listener: Listener) -> RunResult | None:
    """Compare the workflows, where there are any, with the manifests and the volume; None if nothing is missing."""
    if workflows is None:
        return None
    from prefetch.commands import workflow_check

    result = workflow_check.compare(workflows, replace(settings, volume=open_volume(settings).root), listener)
    return None if result.exit_code == 0 else result


def _required(settings: Settings) -> Settings:
    return replace(settings, group=settings.require or settings.group)


def _recorded(settings: Settings, volume: Volume) -> list[AppliedModel] | None:
    """What the last complete run of these manifests came to, None where there was none; without any, of the volume.

    Raises:
        UsageError: there is no manifest, and no run was complete yet, or none of its models is in a group asked for.
    """
    if find_manifests(settings, volume):
        return _applied(settings, volume, by_address=True)
    applied = newest_applied(volume)
    if applied is None:
        raise UsageError(
            f"No manifest was given, and no run on {volume.root} was complete yet, so nothing tells what to look for.",
            remedy="Fill the volume first: prefetch run MANIFEST --volume DIR",
        )
    for group in settings.group:
        _check_group(group, applied)
    return in_groups(applied, settings.group)


def _check_group(group: str, applied: Applied) -> None:
    if group not in (known := groups_of(applied)):
        from prefetch.manifest.wanted import unknown_group

        raise unknown_group(group, sorted(known))


def _warn_of_a_part(volume: Volume, listener: Listener) -> None:
    """Say where what was compared may be a part only of what somebody wants."""
    applied = newest_applied(volume)
    if applied is None or applied.groups == ():
        return
    part = f"the {_groups(applied.groups)} only" if applied.groups else "some groups only, as far as its record tells"
    sentence = f"No manifest was given, and the last complete run on {volume.root} was of {part}"
    listener(Notice("warning", f"{sentence}: set PREFETCH_MANIFEST."))


def _groups(names: Sequence[str]) -> str:
    return f"{'group' if len(names) == 1 else 'groups'} {', '.join(names)}"


def _applied(settings: Settings, volume: Volume, *, by_address: bool) -> list[AppliedModel] | None:
    manifests = find_manifests(settings, volume)
    return find_applied(
        volume,
        manifests,
        groups=settings.group,
        layout=settings.layout,
        locked=settings.locked,
        by_address=by_address,
    )


def _standing(settings: Settings, volume: Volume) -> list[AppliedModel] | None:
    """The models, if every one of them stands as it did when the last run of these manifests was complete."""
    models = _applied(settings, volume, by_address=False)
    return models if models is not None and still_stands(volume, models) else None


def _in_place(models: Sequence[AppliedModel], settings: Settings, volume: Volume, listener: Listener) -> None:
    pairs = ((model["path"], model["node_path"]) for model in models)
    link_nodes(pairs, comfyui=settings.comfyui, volume=volume, listener=listener)
    listener(Notice("info", f"{count(len(models), 'model')} in place on {volume.root}"))


def _fetch(settings: Settings, volume: Volume, environ: Mapping[str, str], listener: Listener) -> RunResult | None:
    """What is wrong after a run."""
    from prefetch.monitor.asked import asked_of
    from prefetch.report.result import RunResult
    from prefetch.running import run_on

    began = time.monotonic()
    try:
        result = run_on(volume, settings, asked_of(settings, environ), listener)
    except DeadlineError as error:
        return RunResult(error.exit_code, str(volume.root), time.monotonic() - began, error=error)
    return None if result.exit_code == 0 else result


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
    from prefetch.commands.verify import verify_wanted
    from prefetch.running import link_wanted

    wanted = wanted_on(volume, settings, listener)
    result = verify_wanted(wanted, volume, listener, quick=True)
    link_wanted(wanted, volume, settings, listener)
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
