"""What becomes of each model in a run: told to the listener as it happens, and kept for the result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from prefetch.errors import BusyError, Interrupted, ModelsFailed, PrefetchError
from prefetch.report import humanize
from prefetch.report.events import DoneStatus, Listener, ModelDone, ModelFailed, Replaced, RunFinished
from prefetch.report.result import ModelResult, RunResult, exit_code_of, first_of
from prefetch.volume.inventory import Record

__all__ = ["Scores", "summary_of"]


class Scores:
    """Collects one result a model, in whatever order they come.

    Attributes:
        lost: why what came of a model in a run that was stopped is of no use to the next one, by its path.
    """

    def __init__(self, listener: Listener) -> None:
        self.lost: dict[str, str] = {}
        self._listener = listener
        self._began = time.monotonic()
        self._results: dict[str, ModelResult] = {}
        self._errors: dict[str, PrefetchError] = {}
        self._records: dict[str, Record] = {}

    def done(
        self, status: DoneStatus, record: Record, *, received: int = 0, resumed: int = 0, seconds: float = 0.0
    ) -> None:
        """A model stands under its name, verified."""
        self._records[record.path] = record
        self._results[record.path] = ModelResult(record.path, status, record.size, record.sha256, received, resumed)
        self._listener(ModelDone(record.path, status, record.size, record.sha256, record.pinned, seconds))

    def failed(
        self,
        path: str,
        error: PrefetchError,
        *,
        size: int | None = None,
        sha256: str | None = None,
        received: int = 0,
        resumed: int = 0,
    ) -> None:
        """A model is not there, and will not be in this run."""
        self._errors[path] = error
        status: Literal["failed", "waiting"] = "waiting" if isinstance(error, BusyError) else "failed"
        self._results[path] = ModelResult(path, status, size, sha256, received, resumed, str(error))
        self._listener(ModelFailed(path, error.code, str(error), status))

    def left(
        self,
        path: str,
        error: PrefetchError,
        *,
        size: int | None = None,
        sha256: str | None = None,
        received: int = 0,
        resumed: int = 0,
    ) -> None:
        """A model was not brought to its end because the whole run ended with ``error``, which is told once for all."""
        if isinstance(error, Interrupted):
            self.lost.update(error.lost)
        if path not in self._results:
            self._results[path] = ModelResult(path, "failed", size, sha256, received, resumed, str(error))

    def kept(self, path: str, kept_at: str, size: int) -> None:
        """What stood under a model's name before was moved to ``kept_at``."""
        self._listener(Replaced(path, kept_at, size))

    def error_of(self, path: str) -> PrefetchError | None:
        """Why a model failed; None if it did not."""
        return self._errors.get(path)

    def record_of(self, path: str) -> Record | None:
        """The record of a model that is there, verified; None of one that is not."""
        return self._records.get(path)

    @property
    def verified(self) -> dict[str, str]:
        """Path of a model that is there, by its SHA-256."""
        results = self._results.values()
        return {r.sha256: r.path for r in results if r.sha256 is not None and r.path not in self._errors}

    @property
    def all_well(self) -> bool:
        return not self._errors

    def finish(self, volume: str, stopped: PrefetchError | None) -> RunResult:
        """The result of the run; ``stopped`` is the error that ended it as a whole, if one did."""
        error = stopped or summary_of(list(self._errors.values()), models=len(self._results))
        code = error.exit_code if error is not None else 0
        result = RunResult(
            exit_code=code,
            volume=volume,
            seconds=time.monotonic() - self._began,
            bytes_downloaded=sum(result.bytes_downloaded for result in self._results.values()),
            models=tuple(sorted(self._results.values(), key=lambda result: result.path)),
            error=error,
        )
        waiting = sum(isinstance(error, BusyError) for error in self._errors.values())
        self._listener(
            RunFinished(
                ok=code == 0,
                exit_code=code,
                seconds=result.seconds,
                bytes_downloaded=result.bytes_downloaded,
                bytes_resumed=sum(model.bytes_resumed for model in result.models),
                failed=len(self._errors) - waiting,
                waiting=waiting,
            )
        )
        return result


def summary_of(errors: Sequence[PrefetchError], *, models: int, how: str = "failed") -> ModelsFailed | None:
    """One error for all the models that failed, with the exit code they come to together; None for none."""
    if not errors:
        return None
    if how == "failed" and all(isinstance(error, BusyError) for error in errors):
        how = "waiting for another process"
    failed = f"{len(errors)} of {humanize.count(models, 'model')} {how}."
    is_final = all(error.is_final for error in errors)
    return ModelsFailed(failed, first=first_of(errors), exit_code=exit_code_of(errors), is_final=is_final)
