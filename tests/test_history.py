"""The runs of the past on a volume: kept, bounded, doubted."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from prefetch.errors import VolumeError
from prefetch.volume.history import KEPT, PastRun, last_success, past_runs, remember_run
from prefetch.volume.layout import Volume

RUN = PastRun(1_700_000_000_000, 2_000, 0, None, 3, 2, 0, 10_000_000, 0, "pod", 7)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


def put(volume: Volume, name: str, content: Any) -> None:
    directory = volume.state / "history"
    directory.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (directory / name).write_text(text)


def test_the_latest_run_comes_first(volume: Volume) -> None:
    assert list(past_runs(volume)) == []
    runs = [replace(RUN, started_ms=RUN.started_ms + moment, pid=moment) for moment in (1, 3, 2)]
    for run in runs:
        remember_run(volume, run)
    assert list(past_runs(volume)) == [runs[1], runs[2], runs[0]]
    assert RUN.speed == 5_000_000


def test_two_hosts_in_the_same_millisecond_both_count(volume: Volume) -> None:
    remember_run(volume, RUN)
    remember_run(volume, RUN)
    assert list(past_runs(volume)) == [RUN, RUN]


def test_only_the_latest_are_kept(volume: Volume) -> None:
    for moment in range(KEPT + 3):
        put(volume, f"{moment:013}-00000000.json", {"version": 1, **asdict(replace(RUN, started_ms=moment))})
    put(volume, "notes.txt", "mine")
    remember_run(volume, RUN)
    files = {file.name for file in (volume.state / "history").iterdir()}
    assert len(files) == KEPT + 1 and "notes.txt" in files
    assert "0000000000003-00000000.json" not in files and "0000000000004-00000000.json" in files


def test_the_last_success(volume: Volume) -> None:
    assert last_success(volume) is None
    remember_run(volume, RUN)
    remember_run(volume, replace(RUN, started_ms=RUN.started_ms + 60_000, exit_code=1, code="source", failed=1))
    assert last_success(volume) == 1_700_000_002.0


WHOLE = {"version": 1, **asdict(RUN)}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 4000,
        "[]",
        " " * 5000 + json.dumps(WHOLE),
        {**WHOLE, "version": 2},
        {**WHOLE, "pid": "7"},
        {**WHOLE, "host": None},
        {**WHOLE, "failed": -1},
        {**WHOLE, "exit_code": True},
        {**WHOLE, "started_ms": 10**13},
        {**WHOLE, "milliseconds": 10**300},
        {**WHOLE, "host": "\ud800"},
        {name: value for name, value in WHOLE.items() if name != "models"},
    ],
)
def test_what_is_no_run_is_left_out(volume: Volume, content: Any) -> None:
    put(volume, "1700000000000-00000000.json", content)
    remember_run(volume, RUN)
    assert list(past_runs(volume)) == [RUN]


def test_a_link_and_a_pipe_are_not_read(volume: Volume, tmp_path: Path) -> None:
    import os

    remember_run(volume, RUN)
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(WHOLE))
    (volume.state / "history" / "1700000000001-00000000.json").symlink_to(outside)
    os.mkfifo(volume.state / "history" / "1700000000002-00000000.json")
    assert list(past_runs(volume)) == [RUN]


def test_a_volume_that_refuses_is_an_error(volume: Volume) -> None:
    volume.state.mkdir()
    (volume.state / "history").write_text("in the way")
    with pytest.raises(VolumeError):
        remember_run(volume, RUN)
    assert last_success(volume) is None
