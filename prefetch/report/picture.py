"""What the terminal's live area shows at this moment, made from events."""

from __future__ import annotations

from collections.abc import Iterator

from prefetch.report import humanize
from prefetch.report.events import (
    Event,
    Filling,
    ModelDone,
    ModelFailed,
    ModelStarted,
    Planned,
    Progress,
    Retried,
    Transfer,
    Verifying,
    Waiting,
)
from prefetch.report.labels import labels_of
from prefetch.report.rows import Row, area, model_row, name_width, state_row, total_row, waiting_row

__all__ = ["Picture"]


class Picture:
    """The models that are worked on and the sums: nothing of those that wait or have ended, however many they are."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._waiting: dict[str, tuple[int | None, str]] = {}
        self._troubles: dict[str, str] = {}
        self._ended: set[str] = set()
        self._fillings: dict[str, Filling] = {}

    def note(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case Progress():
                self._progress = event
                self._settle(event)
            case Filling():
                self._fillings[event.data_center] = event
            case Planned():
                # Whoever had to be asked again has answered.
                self._waiting.clear()
            case ModelStarted():
                self._waiting[event.path] = (event.size, f"asking {event.host}")
            case Verifying():
                self._waiting[event.path] = (event.size, "hashing")
            case Waiting():
                share = humanize.percent(event.done, event.size) if event.size else humanize.size(event.done)
                self._waiting[event.path] = (event.size, f"{event.host or 'another process'} has {share}")
            case Retried():
                self._troubles[event.path] = event.cause
                self._waiting.setdefault(event.path, (None, f"asking {event.host} again"))
            case ModelDone() | ModelFailed():
                self._waiting.pop(event.path, None)
                self._troubles.pop(event.path, None)
                self._ended.add(event.path)

    def _settle(self, progress: Progress) -> None:
        for model in progress.active:
            if model.speed > 0:
                self._troubles.pop(model.path, None)

    def rows(self, width: int, height: int) -> list[Row]:
        """The rows for a terminal of so many characters."""
        total = total_row(self._progress, width=width) if self._progress else None
        return area(list(self._model_rows(width)), total, height=height)

    def _model_rows(self, width: int) -> Iterator[Row]:
        yield from (_filling_row(filling, width) for filling in self._fillings.values())
        active = [model for model in self._progress.active if model.path not in self._ended] if self._progress else []
        moving = {model.path for model in active}
        waiting = {path: about for path, about in self._waiting.items() if path not in moving}
        names = labels_of([*moving, *waiting], name_width(width))
        for model in active:
            yield model_row(names[model.path], model, width=width, trouble=self._troubles.get(model.path))
        for path, (size, state) in waiting.items():
            yield waiting_row(names[path], size, state, width=width)


def _filling_row(filling: Filling, width: int) -> Row:
    if filling.total is None:
        return state_row(filling.data_center, filling.state, width=width)
    whole = Transfer(filling.data_center, filling.total, filling.done, 0, 0, filling.speed)
    return model_row(filling.data_center, whole, width=width)
