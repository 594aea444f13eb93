"""Where a run stands, and its metrics, from lists of events."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from prefetch.report.board import Board
from prefetch.report.events import (
    Claims,
    Event,
    HostBytes,
    ModelFailed,
    ModelStarted,
    Repaired,
    Retried,
    RunStarted,
    Space,
    Traffic,
    Verifying,
    Waiting,
)
from prefetch.report.metrics import MOST_CAUSES, MOST_HOSTS, MOST_PATHS, registry_of
from prefetch.report.models import STATES
from tests.support.boards import board_of, done, finished, moving

DOCS = Path(__file__).parent.parent / "docs"
Samples = dict[tuple[str, str], float]


def samples(board: Board) -> Samples:
    """Every sample by its name and its first label's value."""
    text = generate_latest(registry_of(board)).decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def traffic(**hosts: int) -> Traffic:
    total = sum(hosts.values())
    return Traffic(tuple(HostBytes(host, count) for host, count in hosts.items()), total, 2.0, total, 1.0)


def test_a_model_is_in_one_state_at_a_time() -> None:
    board = board_of(
        RunStarted("/v", 6),
        done("a", "present"),
        Verifying("b", 5),
        Waiting("c", "host", 7, 100, 50, 1.0),
        ModelStarted("d", "hub", 100, 30),
        ModelFailed("e", "source", "Gone."),
    )
    states = {state: count for state, count in board.models.states.items() if count}
    assert states == {"queued": 1, "present": 1, "verifying": 1, "waiting": 1, "fetching": 1, "failed": 1}
    assert board.models.by_path["c"].owner == ("host", 7)
    assert (board.models.by_path["d"].done, board.resumed) == (30, 30)


def test_what_a_stopped_run_left_has_failed_as_in_its_result() -> None:
    board = board_of(
        RunStarted("/v", 5),
        ModelStarted("a", "hub", 100, 0),
        Waiting("b", None, None, None, 0, 0.0),
        ModelFailed("c", "busy", "Another process has it.", "waiting"),
        done("d"),
        finished(130),
        expected=dict.fromkeys("abcde"),
    )
    assert {state: count for state, count in board.models.states.items() if count} == {
        "failed": 3,
        "waiting": 1,
        "downloaded": 1,
    }
    assert not board.models.unfinished


def test_the_expected_are_counted_once() -> None:
    events: list[Event] = [RunStarted("/v", 3), ModelStarted("a", "hub", 100, 0), done("a"), done("b"), done("c")]
    for expected in ([], ["a", "b", "c"]):
        assert board_of(*events, expected=dict.fromkeys(expected)).models.states == Counter(downloaded=3)


def test_a_second_run_starts_its_states_anew_and_adds_to_the_sums() -> None:
    one: list[Event] = [
        RunStarted("/v", 1),
        ModelStarted("a", "hub", 10, 0),
        traffic(hub=4),
        traffic(hub=10, cdn=1),
        done("a"),
    ]
    board = board_of(*one, finished(), RunStarted("/v", 2), traffic(cdn=5), done("a", "present"))
    assert board.totals.received == {"hub": 10, "cdn": 6}
    assert board.totals.traffic.written == 16
    states = board.models.states
    assert states["present"] == 1 and states["queued"] == 1 and states["downloaded"] == 0


def test_when_something_last_moved() -> None:
    now = [0.0]
    board = Board(clock=lambda: now[0])
    still = traffic(hub=5)
    waiting = Waiting("a", "h", 1, 9, 3, 0.0)
    first: list[Event] = [RunStarted("/v", 1), still, waiting]
    later: list[Event] = [moving(), still, waiting, Retried("a", "hub", "stall", "It stalls.", 1, 0.0)]
    for event in first:
        board(event)
    now[0] = 50.0
    for event in later:
        board(event)
    assert board.moved == 0.0
    board(Waiting("a", "h", 1, 9, 4, 0.0))
    assert board.moved == 50.0


def test_what_was_written_counts_as_used() -> None:
    board = board_of(RunStarted("/v", 1), traffic(hub=3), Space(None, 1000, 200), traffic(hub=53))
    assert board.used == 250
    assert board_of(Space(None, None, None)).used is None


def test_what_is_wrong_stays_until_it_is_settled_whatever_runs_end() -> None:
    board = board_of()
    board.warn("manifest", "Its line 3 is no YAML; the last good one is kept.")
    board.warn("manifest", "Its line 4 is no YAML; the last good one is kept.")
    board(RunStarted("/v", 0))
    board(finished())
    assert board.warnings == {"manifest": "Its line 4 is no YAML; the last good one is kept."}
    board.settle("manifest")
    board.settle("manifest")
    assert not board.warnings


def test_the_metrics_of_a_run_under_way() -> None:
    seen = samples(
        board_of(
            RunStarted("/v", 2),
            ModelStarted("a", "hub", 100, 30),
            moving("a"),
            traffic(hub=40),
            Claims(1, 0),
            Space(None, 1000, 200),
            Retried("a", "hub", "reset", "It broke.", 1, 0.0),
            Repaired("a", "disk", 4096),
            expected=dict.fromkeys("ab"),
        )
    )
    assert seen["prefetch_downloaded_bytes_total", "hub"] == 40
    assert seen["prefetch_models", "fetching"] == seen["prefetch_models", "queued"] == 1
    assert seen["prefetch_model_size_bytes", "a"] == 100
    assert ("prefetch_model_size_bytes", "b") not in seen
    assert seen["prefetch_model_done_bytes", "a"] == 40
    assert seen["prefetch_model_done_bytes", "b"] == 0
    assert seen["prefetch_retries_total", "reset"] == 1
    assert seen["prefetch_repaired_bytes_total", "disk"] == 4096
    assert seen["prefetch_claims", "held"] == 1
    assert seen["prefetch_volume_quota_bytes", ""] == 1000
    assert ("prefetch_volume_capacity_bytes", "") not in seen
    assert seen["prefetch_run_active", ""] == 1
    assert ("prefetch_last_success_timestamp_seconds", "") not in seen


def test_the_metrics_of_a_run_that_ended() -> None:
    seen = samples(board_of(RunStarted("/v", 1), ModelStarted("a", "hub", 10, 0), done("a", pinned=False), finished()))
    assert seen["prefetch_last_success_timestamp_seconds", ""] == 1000
    assert seen["prefetch_last_run_exit_code", ""] == 0
    assert seen["prefetch_last_run_duration_seconds", ""] == 7.5
    assert seen["prefetch_unpinned_models", ""] == 1
    assert seen["prefetch_runs_total", "ok"] == 1
    assert seen["prefetch_run_active", ""] == seen["prefetch_connections", ""] == 0
    assert not [name for name, _ in seen if name.startswith("prefetch_model_")]


def test_a_failed_run_keeps_the_last_success() -> None:
    board = Board(clock=lambda: 9.0)
    board.remember_success(5.0)
    board(RunStarted("/v", 0))
    board(finished(4))
    seen = samples(board)
    assert seen["prefetch_last_success_timestamp_seconds", ""] == 5
    assert seen["prefetch_last_run_exit_code", ""] == 4


def test_a_large_manifest_is_a_small_scrape() -> None:
    paths = [f"models/{number}" for number in range(10_000)]
    board = board_of(RunStarted("/v", len(paths)), moving(*paths[9000:9050]), expected=dict.fromkeys(paths))
    named = [path for name, path in samples(board) if name == "prefetch_model_done_bytes"]
    assert len(named) == MOST_PATHS
    assert set(paths[9000:9050]) <= set(named)
    assert set(named) - set(paths[9000:9050]) == set(paths[: MOST_PATHS - 50])
    assert len(samples(board)) < 2 * MOST_PATHS + 60


def test_many_hosts_share_a_series_and_none_ever_leaves_its_own() -> None:
    hosts = {f"h{number:02}": 10 for number in range(MOST_HOSTS)}
    first = samples(board_of(RunStarted("/v", 1), traffic(**hosts)))
    board = board_of(RunStarted("/v", 1), traffic(**hosts), traffic(**hosts, a=7, b=1000))
    second = samples(board)
    counted = [key for key in second if key[0] == "prefetch_downloaded_bytes_total"]
    assert len(counted) == MOST_HOSTS + 1
    assert second["prefetch_downloaded_bytes_total", "other"] == 1007
    assert all(second[key] == value for key, value in first.items() if key[0] == "prefetch_downloaded_bytes_total")


def test_causes_are_bounded() -> None:
    retries = [Retried("a", "hub", f"status_{number}", "No.", 1, 0.0) for number in range(400, 600)]
    seen = samples(board_of(RunStarted("/v", 1), *retries))
    counted = {cause: value for (name, cause), value in seen.items() if name == "prefetch_retries_total"}
    assert len(counted) == MOST_CAUSES + 1
    assert sum(counted.values()) == 200


@pytest.mark.parametrize("path", ['models/"quoted".pth', "models/back\\slash.pth", "models/größe.pth"])
def test_any_path_is_a_label(path: str) -> None:
    assert (
        samples(board_of(RunStarted("/v", 1), ModelStarted(path, "hub", 5, 0)))["prefetch_model_size_bytes", path] == 5
    )


PATHS = st.sampled_from("abcd")
EVENTS = st.one_of(
    st.builds(ModelStarted, PATHS, st.just("hub"), st.integers(0, 9), st.integers(0, 9)),
    st.builds(Verifying, PATHS, st.integers(0, 9)),
    st.builds(Waiting, PATHS, st.just("h"), st.just(1), st.integers(0, 9), st.integers(0, 9), st.just(1.0)),
    st.builds(done, PATHS, st.sampled_from(["present", "adopted", "downloaded", "linked"])),
    st.builds(ModelFailed, PATHS, st.sampled_from(["busy", "source"]), st.just("No.")),
    st.builds(moving, PATHS),
)


@given(st.lists(EVENTS, max_size=12), st.sampled_from([[], list("abcd")]), st.booleans())
def test_states_always_sum_up_to_what_is_wanted(events: list[Event], expected: list[str], ends: bool) -> None:
    board = board_of(RunStarted("/v", 4), *events, *([finished(1)] if ends else []), expected=dict.fromkeys(expected))
    assert sum(board.models.states.values()) == 4
    assert all(board.models.states[state] >= 0 for state in STATES)
    assert not ends or not board.models.unfinished
    for state in STATES:
        named = sum(model.state == state for model in board.models.by_path.values())
        assert named == board.models.states[state] or state in ("queued", "failed")
