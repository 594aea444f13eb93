"""A board as Prometheus metrics: which there are, and their values at the moment of a scrape."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from prefetch import __version__
from prefetch.report.board import Board
from prefetch.report.events import RunFinished, Space
from prefetch.report.models import STATES

__all__ = ["FAMILIES", "MOST_CAUSES", "MOST_HOSTS", "MOST_PATHS", "Family", "registry_of"]

MOST_PATHS = 200
"""Models that have series of their own: of those that are not at their end, the moving ones first."""
MOST_HOSTS = 20
MOST_CAUSES = 40
"""The first so many have series of their own; the others share the one of ``other``."""

Samples = Iterable[tuple[tuple[str, ...], float | None]]
"""Values by the values of their labels; None where there is no value yet."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name as it is queried, its help text, where its values come from, and the labels they have."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[Board], Samples]
    labels: tuple[str, ...] = ()

    def metric(self, board: Board) -> Metric:
        """The present values."""
        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        metric = made(self.name, self.help, labels=self.labels)
        for labels, value in self.read(board):
            if value is not None:
                metric.add_metric(labels, value)
        return metric


def registry_of(board: Board) -> CollectorRegistry:
    """A registry of its own, with what a board says whenever it is asked."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reader(board))
    return registry


class _Reader(Collector):
    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        with self._board.lock:
            metrics = [family.metric(self._board) for family in FAMILIES]
        return iter(metrics)


def _one(read: Callable[[Board], float | None]) -> Callable[[Board], Samples]:
    return lambda board: [((), read(board))]


def _space(read: Callable[[Space], int | None]) -> Callable[[Board], Samples]:
    return _one(lambda board: None if board.space is None else read(board.space))


def _last_run(read: Callable[[RunFinished], float]) -> Callable[[Board], Samples]:
    return _one(lambda board: None if board.last_run is None else read(board.last_run))


def _capped(read: Callable[[Board], Mapping[str, int]], most: int) -> Callable[[Board], Samples]:
    def samples(board: Board) -> Samples:
        values = read(board)
        for name, value in islice(values.items(), most):
            yield (name,), value
        if len(values) > most:
            yield ("other",), sum(islice(values.values(), most, None))

    return samples


def _models(board: Board) -> Samples:
    return [((state,), board.models.states[state]) for state in STATES]


def _repaired(board: Board) -> Samples:
    return [((where,), board.repaired[where]) for where in ("disk", "transit")]


def _runs(board: Board) -> Samples:
    return [((result,), board.runs[result]) for result in ("ok", "failed")]


def _sizes(board: Board) -> Samples:
    return [((path,), model.size) for path, model in board.at_work(MOST_PATHS)]


def _done(board: Board) -> Samples:
    return [((path,), model.done) for path, model in board.at_work(MOST_PATHS)]


def _claims(board: Board) -> Samples:
    return [(("held",), board.claims.held), (("waited_for",), board.claims.waiting)]


FAMILIES = (
    Family(
        "prefetch_build_info",
        "gauge",
        "Always 1, with the version of prefetch and of the Python it runs on.",
        lambda board: [((__version__, platform.python_version()), 1)],
        ("version", "python"),
    ),
    Family(
        "prefetch_downloaded_bytes_total",
        "counter",
        "Bytes of body received from each host, those that were fetched twice too.",
        _capped(lambda board: board.totals.received, MOST_HOSTS),
        ("host",),
    ),
    Family(
        "prefetch_resumed_bytes_total",
        "counter",
        "Bytes that partial files of earlier runs held when their models were begun.",
        _one(lambda board: board.resumed),
    ),
    Family(
        "prefetch_repaired_bytes_total",
        "counter",
        "Bytes that were fetched again because they were damaged, on the volume (disk) or on the way (transit).",
        _repaired,
        ("where",),
    ),
    Family(
        "prefetch_written_bytes_total",
        "counter",
        "Bytes written to the volume.",
        _one(lambda board: board.totals.traffic.written),
    ),
    Family(
        "prefetch_write_seconds_total",
        "counter",
        "Seconds that threads spent writing to the volume, summed over all threads.",
        _one(lambda board: board.totals.traffic.write_seconds),
    ),
    Family(
        "prefetch_hashed_bytes_total",
        "counter",
        "Bytes hashed.",
        _one(lambda board: board.totals.traffic.hashed),
    ),
    Family(
        "prefetch_hash_seconds_total",
        "counter",
        "Seconds that threads spent hashing and reading back from the volume, summed over all threads.",
        _one(lambda board: board.totals.traffic.hash_seconds),
    ),
    Family(
        "prefetch_retries_total",
        "counter",
        "Requests that failed and were tried again, by the cause of the failure.",
        _capped(lambda board: board.retries, MOST_CAUSES),
        ("cause",),
    ),
    Family(
        "prefetch_failures_total",
        "counter",
        "Models that failed for good, by the code of their error.",
        _capped(lambda board: board.failures, MOST_CAUSES),
        ("cause",),
    ),
    Family("prefetch_models", "gauge", "Wanted models in each state.", _models, ("state",)),
    Family(
        "prefetch_unpinned_models",
        "gauge",
        "Models that are there though neither manifest, lock nor host told their hash beforehand.",
        _one(lambda board: board.models.unpinned),
    ),
    Family(
        "prefetch_model_size_bytes",
        "gauge",
        "Size of a model that is not at its end, where it is known.",
        _sizes,
        ("path",),
    ),
    Family(
        "prefetch_model_done_bytes",
        "gauge",
        "Bytes on the volume of a model that is not at its end.",
        _done,
        ("path",),
    ),
    Family(
        "prefetch_transfer_size_bytes",
        "gauge",
        "Bytes of all models of the transfer that is under way, 0 without one.",
        _one(lambda board: board.progress.bytes_total),
    ),
    Family(
        "prefetch_transfer_done_bytes",
        "gauge",
        "Bytes on the volume of all models of the transfer that is under way, 0 without one.",
        _one(lambda board: board.progress.bytes_done),
    ),
    Family(
        "prefetch_speed_bytes_per_second",
        "gauge",
        "Bytes received a second over the last seconds.",
        _one(lambda board: board.progress.speed),
    ),
    Family("prefetch_connections", "gauge", "Open connections.", _one(lambda board: board.progress.connections)),
    Family(
        "prefetch_claims",
        "gauge",
        "Claims that this process holds, and models it waits for because another process holds them.",
        _claims,
        ("state",),
    ),
    Family(
        "prefetch_volume_capacity_bytes",
        "gauge",
        "Size of the volume's file system; absent where it tells the whole cluster's.",
        _space(lambda space: space.capacity),
    ),
    Family(
        "prefetch_volume_quota_bytes",
        "gauge",
        "What the volume may hold by --quota; absent without one.",
        _space(lambda space: space.quota),
    ),
    Family(
        "prefetch_volume_used_bytes",
        "gauge",
        "What is used of the quota, or else of the capacity: as last measured, and what was written since.",
        _one(lambda board: board.used),
    ),
    Family(
        "prefetch_manifest_usable",
        "gauge",
        "1 if the manifests that serve follows could be read and used when it last looked, else 0; absent before and "
        "elsewhere.",
        _one(lambda board: board.manifest_usable),
    ),
    Family(
        "prefetch_scrubbed_bytes_total",
        "counter",
        "Bytes that serve --scrub has read again from the volume.",
        _one(lambda board: board.scrubbed),
    ),
    Family(
        "prefetch_damaged_models_total",
        "counter",
        "Models that serve --scrub has found damaged.",
        _one(lambda board: board.damaged),
    ),
    Family("prefetch_run_active", "gauge", "1 while a run is under way, else 0.", _one(lambda board: board.running)),
    Family(
        "prefetch_runs_total", "counter", "Runs that ended since this process began, by result.", _runs, ("result",)
    ),
    Family(
        "prefetch_run_started_timestamp_seconds",
        "gauge",
        "When the latest run began, in seconds since 1970.",
        _one(lambda board: board.started),
    ),
    Family(
        "prefetch_last_progress_timestamp_seconds",
        "gauge",
        "When something last moved: a byte came, was written or hashed, a model changed its state.",
        _one(lambda board: board.moved),
    ),
    Family(
        "prefetch_last_run_timestamp_seconds",
        "gauge",
        "When the latest run ended; absent until then.",
        _one(lambda board: board.ended),
    ),
    Family(
        "prefetch_last_run_duration_seconds",
        "gauge",
        "How long the latest run that ended took.",
        _last_run(lambda run: run.seconds),
    ),
    Family(
        "prefetch_last_run_exit_code",
        "gauge",
        "Exit code of the latest run that ended: 0 is all there and verified.",
        _last_run(lambda run: run.exit_code),
    ),
    Family(
        "prefetch_last_success_timestamp_seconds",
        "gauge",
        "When a run last ended with everything there and verified, or serve saw all as it was; absent if unknown.",
        _one(lambda board: board.last_success),
    ),
)
"""Every metric there is, in the order of a scrape."""
