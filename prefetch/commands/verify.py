"""``prefetch verify``: is what is on the volume still what was verified?"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from functools import partial

from prefetch.errors import Interrupted, PrefetchError
from prefetch.manifest import Wanted
from prefetch.opening import find_manifests, open_volume, wanted_on
from prefetch.report.events import Listener, ModelDone, ModelFailed, VerifyFinished, Verifying, VerifyStarted
from prefetch.report.humanize import count
from prefetch.report.result import ModelResult, RunResult
from prefetch.settings import Settings
from prefetch.signals import interrupted_for_nothing, run_until_signal
from prefetch.telling import tell_set_aside
from prefetch.transfer.threads import Threads
from prefetch.verification import Subject, Verdict, inspect, verify
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume

__all__ = ["main", "verify_wanted"]

READERS = os.cpu_count() or 2
"""Files read at once: each one's hash keeps a core busy."""


def main(settings: Settings, listener: Listener) -> RunResult:
    """Compare what the manifests want, or without one what was ever placed, with what is there."""
    volume = open_volume(settings)
    if find_manifests(settings, volume):
        return verify_wanted(wanted_on(volume, settings, listener), volume, listener, quick=settings.quick)
    inventory = Inventory(volume)
    subjects = [Subject(record.path, None, record) for record in inventory.all()]
    return _compare(subjects, volume, inventory, listener, quick=settings.quick)


def verify_wanted(wanted: Wanted, volume: Volume, listener: Listener, *, quick: bool) -> RunResult:
    """Compare what is wanted with what is there; with ``quick`` by sizes and times only."""
    inventory = Inventory(volume)
    models = [entry.model for entry in wanted.whole().entries]
    subjects = [Subject(model.path, model, inventory.get(model.path)) for model in models]
    return _compare(subjects, volume, inventory, listener, quick=quick)


def _compare(
    subjects: Sequence[Subject], volume: Volume, inventory: Inventory, listener: Listener, *, quick: bool
) -> RunResult:
    began = time.monotonic()
    listener(VerifyStarted(str(volume.root), len(subjects), quick=quick))
    verdicts: dict[str, Verdict] = {}
    stopped: PrefetchError | None = None if subjects else _nothing_to_verify(volume)
    try:
        if quick:
            for subject in subjects:
                verdicts[subject.path] = _told(subject, inspect(subject, volume), listener)
            volume.confirm()
        else:
            run_until_signal(lambda: _verify_all(subjects, volume, inventory, listener, verdicts))
    except Interrupted:
        stopped = interrupted_for_nothing()
    except PrefetchError as error:
        stopped = error
    tell_set_aside(volume, listener)
    found = [verdicts.get(subject.path) or _not_read(subject, stopped) for subject in subjects]
    result = _result(volume, found, time.monotonic() - began, stopped)
    bad = sum(verdict.status != "ok" for verdict in found)
    read = 0 if quick else sum(verdict.size or 0 for verdict in verdicts.values())
    listener(VerifyFinished(result.exit_code == 0, result.exit_code, result.seconds, len(found), bad, read))
    return result


def _nothing_to_verify(volume: Volume) -> PrefetchError:
    return PrefetchError(
        f"There is nothing to verify: no manifest wants a model, and prefetch has placed none on {volume.root}.",
        remedy="Name the manifest, or the volume that was filled.",
    )


async def _verify_all(
    subjects: Sequence[Subject],
    volume: Volume,
    inventory: Inventory,
    listener: Listener,
    verdicts: dict[str, Verdict],
) -> None:
    threads, turns = Threads(READERS), asyncio.Semaphore(READERS)

    async def one(subject: Subject) -> None:
        async with turns:
            stat = volume.stat(subject.path)
            if stat is not None:
                listener(Verifying(subject.path, stat.st_size))
            look = partial(verify, subject, volume, inventory, progress=threads.check)
            verdicts[subject.path] = _told(subject, await threads.run(look), listener)

    try:
        await asyncio.gather(*map(one, sorted(subjects, key=_size, reverse=True)))
    finally:
        threads.close()


def _size(subject: Subject) -> int:
    """For the largest first: begun last, it would be read alone in the end."""
    known = subject.record or subject.model
    return (known.size if known is not None else None) or 0


def _told(subject: Subject, verdict: Verdict, listener: Listener) -> Verdict:
    if verdict.status == "ok":
        size, sha256 = verdict.size or 0, verdict.sha256 or ""
        listener(ModelDone(verdict.path, "present", size, sha256, subject.is_pinned, seconds=0.0))
    else:
        listener(ModelFailed(verdict.path, verdict.status, verdict.detail or ""))
    return verdict


def _not_read(subject: Subject, stopped: PrefetchError | None) -> Verdict:
    return Verdict(subject.path, "unverified", None, subject.sha256, str(stopped))


def _result(volume: Volume, verdicts: Sequence[Verdict], seconds: float, stopped: PrefetchError | None) -> RunResult:
    bad = sum(verdict.status != "ok" for verdict in verdicts)
    error = stopped
    if bad and error is None:
        error = PrefetchError(f"{bad} of {count(len(verdicts), 'model')} not as it should be.")
    return RunResult(
        exit_code=error.exit_code if error is not None else 0,
        volume=str(volume.root),
        seconds=seconds,
        models=[
            ModelResult(v.path, v.status, v.size, v.sha256, error=v.detail)
            for v in sorted(verdicts, key=lambda verdict: verdict.path)
        ],
        error=error,
    )
