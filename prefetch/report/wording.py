"""Events as sentences: what the terminal's permanent lines and the plain log say alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import singledispatch

from prefetch.report import humanize
from prefetch.report.events import (
    Event,
    Filling,
    ModelDone,
    ModelFailed,
    ModelStarted,
    Notice,
    Planned,
    Progress,
    Repaired,
    Replaced,
    Resolving,
    Retried,
    RunFinished,
    RunStarted,
    VerifyFinished,
    Verifying,
    VerifyStarted,
    Waiting,
)

__all__ = ["Tally", "progress_line", "sentence", "summary"]

_LISTED = 20


@dataclass(slots=True)
class Tally:
    """What the last lines of a run need to know of its events."""

    done: Counter[str] = field(default_factory=Counter)
    failures: list[ModelFailed] = field(default_factory=list)
    buried: bool = False
    """Whether lines about something else stand below a failure's."""

    def note(self, event: Event) -> None:
        """Count the event if it ends a model."""
        if isinstance(event, ModelFailed):
            self.failures.append(event)
            return
        if isinstance(event, ModelDone):
            self.done[event.status] += 1
        if self.failures and (isinstance(event, Progress) or sentence(event)):
            self.buried = True


@singledispatch
def sentence(event: Event) -> str | None:
    """One line for an event, None for one that is not worth a line of its own."""
    return None


@sentence.register
def _(event: RunStarted) -> str:
    return f"{humanize.count(event.models, 'model')} wanted on {event.volume}"


@sentence.register
def _(event: VerifyStarted) -> str:
    models = f"{humanize.count(event.models, 'model')} on {event.volume}"
    return f"comparing {models} with what was recorded" if event.quick else f"verifying {models}"


@sentence.register
def _(event: Resolving) -> str:
    return f"asking for {humanize.count(event.models, 'model')}: size, hash and address"


@sentence.register
def _(event: Planned) -> str | None:
    if not event.models:
        # All is here, or what is not cannot be had: other lines tell which.
        return None
    resumed = f", {humanize.size(event.bytes_resumed)} already here in partial files" if event.bytes_resumed else ""
    unknown = f", {event.unknown_sizes} of unknown size" if event.unknown_sizes else ""
    return f"to fetch: {humanize.count(event.models, 'model')}, {humanize.size(event.bytes_to_fetch)}{resumed}{unknown}"


@sentence.register
def _(event: ModelStarted) -> str:
    resumed = f", {humanize.size(event.resumed)} already here" if event.resumed else ""
    return f"started {event.path}: {humanize.size(event.size)} from {event.host}{resumed}"


@sentence.register
def _(event: Retried) -> str:
    when = f"in {humanize.duration(event.delay)}" if event.delay >= 0.05 else "at once"
    return f"retry {event.path}: {event.message} Try {event.attempt + 1} {when}."


@sentence.register
def _(event: Repaired) -> str:
    where = "on the volume" if event.where == "disk" else "in transit"
    return f"repaired {event.path}: {humanize.size(event.bytes_refetched)} damaged {where}, fetched again"


@sentence.register
def _(event: Verifying) -> str:
    return f"hashing {event.path}: {humanize.size(event.size)}"


@sentence.register
def _(event: Waiting) -> str:
    who = "another process" if event.host is None else f"process {event.pid} on {event.host}"
    whole = f" of {humanize.size(event.size)}" if event.size is not None else ""
    return f"waiting for {event.path}: {who} has {humanize.size(event.done)}{whole}, {humanize.rate(event.speed)}"


@sentence.register
def _(event: Replaced) -> str:
    return f"kept the file that stood at {event.path} ({humanize.size(event.size)}) as {event.kept_at}"


@sentence.register
def _(event: ModelDone) -> str | None:
    if event.status == "present":
        return None
    known = "SHA-256 as expected" if event.pinned else f"SHA-256 {event.sha256}, none was known beforehand"
    return f"{event.status} {event.path}: {humanize.size(event.size)} in {humanize.duration(event.seconds)}, {known}"


@sentence.register
def _(event: ModelFailed) -> str:
    return _failure(event)


@sentence.register
def _(event: Filling) -> str:
    if event.total is None:
        return f"{event.data_center}: {event.state}"
    return (
        f"{event.data_center}: {event.state} {humanize.size(event.done)} of {humanize.size(event.total)} "
        f"({humanize.percent(event.done, event.total)}), {humanize.rate(event.speed)}, "
        f"ETA {humanize.eta(event.total - event.done, event.speed)}"
    )


@sentence.register
def _(event: Notice) -> str:
    return "\n".join(event.lines)


def progress_line(event: Progress) -> str:
    """The whole run in one line: models, bytes, share, speed, time left, connections."""
    return (
        f"progress: {event.models_done}/{humanize.count(event.models_total, 'model')}, "
        f"{humanize.size(event.bytes_done)} of {humanize.size(event.bytes_total)} "
        f"({humanize.percent(event.bytes_done, event.bytes_total)}), {humanize.rate(event.speed)}, "
        f"ETA {humanize.eta(event.bytes_total - event.bytes_done, event.speed)}, "
        f"{humanize.count(event.connections, 'connection')}"
    )


def summary(event: RunFinished | VerifyFinished, tally: Tally) -> list[str]:
    """The last lines of a command: what was done, and last of all what failed and what to do about it."""
    first = _verified(event) if isinstance(event, VerifyFinished) else _moved(event, tally)
    return [first, *(_failures(tally.failures) if tally.buried else ())]


def _verified(event: VerifyFinished) -> str:
    bad = f"{event.bad} of " if event.bad else ""
    how = "not as it should be" if event.bad else "as it should be"
    speed = f" at {humanize.rate(event.bytes_read / event.seconds)}" if event.bytes_read and event.seconds > 0 else ""
    read = f"{humanize.size(event.bytes_read)} read" if event.bytes_read else "nothing read"
    done = "verified" if event.ok else "stopped" if event.exit_code == 130 else "NOT VERIFIED"
    return (
        f"{done}: {bad}{humanize.count(event.models, 'model')} {how}; "
        f"{read} in {humanize.duration(event.seconds)}{speed}"
    )


def _moved(event: RunFinished, tally: Tally) -> str:
    counts = [*sorted(tally.done.items()), ("failed", event.failed), ("waiting", event.waiting)]
    none = "nothing to do" if event.ok else "no model finished"
    models = ", ".join(f"{number:,} {status}" for status, number in counts if number) or none
    speed = event.bytes_downloaded / event.seconds if event.seconds > 0 else 0.0
    moved = f"{humanize.size(event.bytes_downloaded)} downloaded"
    resumed = f" and {humanize.size(event.bytes_resumed)} resumed" if event.bytes_resumed else ""
    average = f", {humanize.rate(speed)} on average" if event.bytes_downloaded else ""
    return f"{_verdict(event)}: {models}; {moved}{resumed} in {humanize.duration(event.seconds)}{average}"


def _verdict(event: RunFinished) -> str:
    if event.ok:
        return "done"
    return "stopped" if event.exit_code == 130 else "NOT DONE"


def _failures(failures: list[ModelFailed]) -> list[str]:
    lines = [_failure(failure) for failure in failures[:_LISTED]]
    if len(failures) > _LISTED:
        lines.append(f"and {humanize.count(len(failures) - _LISTED, 'model')} more not there, each named above")
    return lines


def _failure(event: ModelFailed) -> str:
    return humanize.verdict(event.status.upper(), event.path, event.message)
