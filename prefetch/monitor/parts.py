"""A view as pieces of HTML, each by the id of the element it fills. Every text that is not ours is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from math import inf

from prefetch.monitor.chart import chart
from prefetch.monitor.rows import state_name
from prefetch.report import humanize
from prefetch.report.events import RunFinished
from prefetch.report.view import Failure, View

__all__ = ["parts_of", "title_of"]

_STOPPED = 130
_TIGHT = 0.9
"""The share of a volume above which it is nearly full."""


def parts_of(view: View) -> Mapping[str, str]:
    """What stands in each element of the page but the table's body."""
    return {
        "headline": f'<span class="{_mood(view)}">{escape(_headline(view))}</span>',
        "total": _total(view),
        "figures": "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _figures(view).items()),
        "curve": chart(view.speeds, view.step),
        "warnings": "".join(f"<p>{_text(warning)}</p>" for warning in view.warnings),
        "failures": _failures(view),
        "rest": _rest(view),
    }


def title_of(view: View) -> str:
    """The name of the window: what is worth knowing while another one is in front."""
    share = humanize.percent(*_share(view))
    return f"{share} · prefetch" if view.running else f"{_headline(view)} · prefetch"


def _mood(view: View) -> str:
    if view.running or view.last_run is None:
        return "working"
    return "well" if view.last_run.ok else "bad"


def _headline(view: View) -> str:
    models = humanize.count(view.wanted, "model")
    if view.running:
        return f"{_activity(view)}: {view.ended:,} of {models} there"
    if view.last_run is None:
        return "Nothing has run yet"
    if view.last_run.ok:
        return f"All there and verified: {models}"
    if view.last_run.exit_code == _STOPPED:
        return f"Stopped: {view.ended:,} of {models} there; the same command goes on"
    return f"Not done: {view.ended:,} of {models} there"


def _activity(view: View) -> str:
    at_work = {state for state, _ in view.states}
    doings = (("fetching", "Fetching"), ("verifying", "Hashing"), ("waiting", "Waiting for another process"))
    return next((doing for state, doing in doings if state in at_work), "Looking")


def _share(view: View) -> tuple[int, int]:
    """What is there of all that is wanted, in bytes; where these are not known, of the transfer or of the models."""
    return _bytes(view) or (view.ended, view.wanted)


def _bytes(view: View) -> tuple[int, int] | None:
    """The share in bytes; None where only models can be counted: of one that failed, nobody may know the size."""
    if not view.running and view.last_run is not None and not view.last_run.ok:
        return None
    if view.size:
        return view.done, view.size
    return (view.progress.bytes_done, view.progress.bytes_total) if view.progress.bytes_total else None


def _total(view: View) -> str:
    done, whole = _share(view)
    if _bytes(view) is not None:
        text = f"{humanize.size(done)} of {humanize.size(whole)}"
    else:
        text = f"{done:,} of {humanize.count(whole, 'model')}"
    share = humanize.percent(done, whole) if whole else "0%"
    value = f'class="{_mood(view)}" max="{max(whole, 1)}" value="{done}"'
    return f'<progress {value} aria-label="All models"></progress><p><b>{share}</b> {text}</p>'


def _figures(view: View) -> dict[str, str]:
    figures = _of_transfer(view) if view.running else {}
    if view.running and view.seconds is not None:
        figures["Running for"] = humanize.duration(round(view.seconds))
    if not view.running and view.last_run is not None:
        figures |= _of_ended(view.last_run)
    if view.used is not None:
        figures["Volume"] = _volume(view)
    if view.claims.waiting:
        figures["Held by others"] = humanize.count(view.claims.waiting, "model")
    if view.retries:
        figures["Tried again"] = humanize.count(view.retries, "request")
    for host in sorted(view.received, key=lambda host: -host.bytes)[:3]:
        figures[f"From {_text(host.host)}"] = humanize.size(host.bytes)
    return figures


def _of_transfer(view: View) -> dict[str, str]:
    left = [(row.size - row.done, row.speed) for row in view.rows if row.state == "waiting" and row.size and row.speed]
    figures: dict[str, str] = {}
    if any(state == "fetching" for state, _ in view.states):
        progress = view.progress
        left.append((progress.bytes_total - progress.bytes_done, progress.speed))
        figures = {"Speed": humanize.rate(progress.speed), "Connections": str(progress.connections)}
    return figures | ({"Time left": _longest(left)} if left else {})


def _longest(left: Sequence[tuple[int, float]]) -> str:
    """The time until the last of them is done: of bytes that are left, and how many come a second."""
    return humanize.eta(*max(left, key=lambda each: each[0] / each[1] if each[1] else inf))


def _of_ended(run: RunFinished) -> dict[str, str]:
    figures = {"Took": humanize.duration(run.seconds), "Downloaded": humanize.size(run.bytes_downloaded)}
    if run.bytes_downloaded and run.seconds:
        figures["On average"] = humanize.rate(run.bytes_downloaded / run.seconds)
    if run.bytes_resumed:
        figures["Resumed"] = humanize.size(run.bytes_resumed)
    return figures


def _volume(view: View) -> str:
    assert view.used is not None
    bound = view.space.quota or view.space.capacity if view.space else None
    if bound is None:
        return f"{humanize.size(view.used)} used"
    tight = ' class="tight"' if view.used >= bound * _TIGHT else ""
    bar = f'<progress{tight} max="{bound}" value="{view.used}" aria-label="Volume"></progress>'
    return f"{humanize.size(view.used)} of {humanize.size(bound)}{bar}"


def _failures(view: View) -> str:
    if not view.failures:
        return ""
    return f"<h2>What failed, and what to do</h2><ul>{''.join(map(_failure, view.failures))}</ul>"


def _failure(failure: Failure) -> str:
    when = datetime.fromtimestamp(failure.when, UTC)
    time = f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%H:%M:%S} UTC</time>'
    return f"<li><b>{_text(failure.path)}</b> {time}<br>{_text(failure.message)}</li>"


def _rest(view: View) -> str:
    if not view.rest:
        return ""
    counts = ", ".join(f"{count:,} {state_name(state)}" for state, count in view.rest)
    return f"and {humanize.count(sum(count for _, count in view.rest), 'more model')}: {counts}"


def _text(text: str) -> str:
    return escape(humanize.printable(text))
