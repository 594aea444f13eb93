"""What is written where nothing can be redrawn: plain lines and the JSON log."""

from __future__ import annotations

import io
import json
import re
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from prefetch.errors import AccessError
from prefetch.report.events import (
    Claims,
    Event,
    HostBytes,
    ModelDone,
    ModelFailed,
    ModelStarted,
    ModelVerified,
    Notice,
    Planned,
    Progress,
    Repaired,
    Replaced,
    Resolving,
    Retried,
    RunFinished,
    RunStarted,
    Space,
    Traffic,
    Transfer,
    Verifying,
)
from prefetch.report.lines import Lines
from prefetch.report.listener import listener_for
from prefetch.report.logjson import JsonLog, error_record, event_name
from prefetch.report.plain import Plain

VAE, UNET = "models/vae/wan_2.1_vae.safetensors", "models/unet/high.gguf"
MOVING = Progress((Transfer(UNET, 1000, 300, 200, 4, 50.0),), 300_000_000, 1_000_000_000, 1, 3, 50e6, 4)
ONE_OF_EACH: list[Event] = [
    RunStarted("/workspace", 3),
    Resolving(2),
    Planned(2, 1_000_000_000, 250_000_000, 1),
    ModelStarted(UNET, "huggingface.co", None, 4000),
    MOVING,
    Traffic((HostBytes("cdn", 5_000_000),), 4_194_304, 0.5, 4_194_304, 0.25),
    Claims(2, 1),
    Space(None, 100_000_000_000, 35_000_000_000),
    Retried(UNET, "cdn", "reset", "The connection to cdn was reset.", 2, 0.5),
    Repaired(UNET, "disk", 4_194_304),
    Verifying(VAE, 253_815_318),
    Replaced(UNET, ".prefetch/replaced/high.gguf", 12),
    ModelVerified(UNET, "cd" * 32, 0.25),
    ModelDone(VAE, "present", 253_815_318, "ab" * 32, True, 0.0),
    ModelDone(UNET, "downloaded", 15_406_608_896, "cd" * 32, False, 93.0),
    ModelFailed("models/x.pth", "access", "It is gated. Open its page."),
    Notice("warning", "The clock is wrong."),
    RunFinished(False, 3, 100.0, 15_000_000_000, 250_000_000, 1),
]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines_of(events: list[Event]) -> list[str]:
    stream = io.StringIO()
    listener = Lines(stream, clock=Clock())
    for event in events:
        listener(event)
    return stream.getvalue().splitlines()


def test_one_line_at_each_change_of_state() -> None:
    assert lines_of(ONE_OF_EACH) == [
        "3 models wanted on /workspace",
        "asking for 2 models: size, hash and address",
        "to fetch: 2 models, 1.0 GB, 250.0 MB already here in partial files, 1 of unknown size",
        "started models/unet/high.gguf: unknown size from huggingface.co, 4.0 kB already here",
        "progress: 1/3 models, 300.0 MB of 1.0 GB (30.0%), 50.0 MB/s, ETA 14s, 4 connections",
        "retry models/unet/high.gguf: The connection to cdn was reset. Try 3 in 0.5s.",
        "repaired models/unet/high.gguf: 4.2 MB damaged on the volume, fetched again",
        "hashing models/vae/wan_2.1_vae.safetensors: 253.8 MB",
        "kept the file that stood at models/unet/high.gguf (12 B) as .prefetch/replaced/high.gguf",
        f"downloaded models/unet/high.gguf: 15.4 GB in 1m33s, SHA-256 {'cd' * 32}, none was known beforehand",
        "FAILED models/x.pth: It is gated. Open its page.",
        "warning: The clock is wrong.",
        (
            "NOT DONE: 1 downloaded, 1 present, 1 failed; 15.0 GB downloaded and 250.0 MB resumed in 1m40s, "
            "150.0 MB/s on average"
        ),
        "FAILED models/x.pth: It is gated. Open its page.",
    ]


def test_notices_before_a_run_and_in_it_are_one_log() -> None:
    stream = io.StringIO()
    listener = Plain(stream)
    failures: list[Event] = [ModelFailed(f"models/{n}", "source", "Gone.") for n in range(2)]
    for event in [
        Notice("info", "Before."),
        *failures,
        Notice("warning", "Later."),
        RunFinished(False, 1, 1.0, 0, 0, 2),
    ]:
        listener(event)
    gone = [f"FAILED models/{n}: Gone." for n in range(2)]
    summary = "NOT DONE: 2 failed; 0 B downloaded in 1.0s"
    assert stream.getvalue().splitlines() == ["note: Before.", *gone, "warning: Later.", summary, *gone]


def test_a_run_with_nothing_to_do_says_so_briefly() -> None:
    present: list[Event] = [ModelDone(f"models/{n}", "present", 5, "ab" * 32, True, 0.0) for n in range(7)]
    events = [RunStarted("/workspace", 7), Planned(0, 0, 0, 0), *present, RunFinished(True, 0, 0.25, 0, 0, 0)]
    assert lines_of(events) == [
        "7 models wanted on /workspace",
        "done: 7 present; 0 B downloaded in 0.2s",
    ]


def test_progress_is_told_every_five_seconds_and_retries_of_a_model_too() -> None:
    stream, clock = io.StringIO(), Clock()
    listener = Lines(stream, clock=clock)
    for _ in range(40):
        listener(MOVING)
        listener(Retried(UNET, "cdn", "reset", "Reset.", 2, 0.5))
        clock.now += 0.5
    listener(Retried(VAE, "cdn", "reset", "Reset.", 2, 0.5))
    said = [line.split()[0] for line in stream.getvalue().splitlines()]
    assert said == ["progress:", "retry"] * 4 + ["retry"]


def test_the_end_lists_failures_last_but_not_a_thousand() -> None:
    failures: list[Event] = [ModelFailed(f"models/{n}", "source", "Gone.") for n in range(1000)]
    last = lines_of([*failures, Notice("info", "Later."), RunFinished(False, 1, 1.0, 0, 0, 1000)])[1001:]
    assert last[0] == "NOT DONE: 1,000 failed; 0 B downloaded in 1.0s"
    assert last[1:3] == ["FAILED models/0: Gone.", "FAILED models/1: Gone."]
    assert last[-1] == "and 980 models more not there, each named above"
    assert len(last) == 22


def test_failures_that_are_in_sight_are_not_told_twice() -> None:
    failures: list[Event] = [ModelFailed(f"models/{n}", "source", "Gone.") for n in range(3)]
    told = lines_of([Notice("info", "Before."), *failures, Planned(0, 0, 0, 0), RunFinished(False, 1, 1.0, 0, 0, 3)])
    assert told[1:4] == [f"FAILED models/{n}: Gone." for n in range(3)]
    assert told[4:] == ["NOT DONE: 3 failed; 0 B downloaded in 1.0s"]


def test_a_stopped_run_is_called_so() -> None:
    assert lines_of([RunFinished(False, 130, 1.0, 5, 0, 0)]) == [
        "stopped: no model finished; 5 B downloaded in 1.0s, 5 B/s on average"
    ]


def test_nothing_said_can_break_or_rewrite_a_line() -> None:
    assert lines_of([ModelFailed("models/a\n\x1b[2J", "source", "bad\rgood")]) == [
        "FAILED models/a\\n\\x1b[2J: bad\\rgood"
    ]


def test_a_failure_names_its_model_once_where_it_stands_and_at_the_end() -> None:
    failed = ModelFailed("models/a.pth", "usage", "models/a.pth may run code. Run prefetch lock.")
    last = RunFinished(False, 2, 1.0, 0, 0, 1)
    told = [line for line in lines_of([failed, Notice("info", "Later."), last]) if line.startswith("FAILED")]
    assert told == ["FAILED models/a.pth may run code. Run prefetch lock."] * 2


class Gone(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise BrokenPipeError


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_reader_that_went_away_never_stops_the_work(log_format: str) -> None:
    stream = Gone()
    with listener_for(SimpleNamespace(log_format=log_format), stream) as listener:
        for event in ONE_OF_EACH:
            listener(event)
    assert stream.tries == 1


def test_the_json_log_has_every_event_as_it_is() -> None:
    stream = io.StringIO()
    with listener_for(SimpleNamespace(log_format="json"), stream) as listener:
        for event in ONE_OF_EACH:
            listener(event)
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["event"] for record in records] == [event_name(type(event)) for event in ONE_OF_EACH]
    for record, event in zip(records, ONE_OF_EACH, strict=True):
        assert set(record) == {"ts", "event"} | {field.name for field in fields(event)}
        assert datetime.fromisoformat(record["ts"]).utcoffset() is not None
    assert records[4]["active"] == [
        {"path": UNET, "size": 1000, "done": 300, "hashed": 200, "connections": 4, "speed": 50.0}
    ]


def test_progress_in_the_json_log_every_five_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    listener = JsonLog(stream, clock=clock)
    for _ in range(20):
        listener(MOVING)
        clock.now += 0.5
    assert len(stream.getvalue().splitlines()) == 2


def test_the_last_sums_are_in_the_json_log() -> None:
    stream = io.StringIO()
    listener = JsonLog(stream, clock=Clock())
    for count in range(1, 5):
        listener(Traffic((HostBytes("cdn", count),), count, 0.0, count, 0.0))
    listener(RunFinished(True, 0, 1.0, 4, 0, 0))
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(record["event"], record.get("written")) for record in said] == [
        ("traffic", 1),
        ("traffic", 4),
        ("run_finished", None),
    ]


def test_the_error_record() -> None:
    record = json.loads(error_record(AccessError("It is gated.", remedy="Open its page.")))
    del record["ts"]
    assert record == {"event": "error", "code": "access", "exit_code": 3, "message": "It is gated. Open its page."}


def test_the_page_about_logs_names_every_event_and_field() -> None:
    page = (Path(__file__).parent.parent / "docs" / "logs.md").read_text()
    for event in get_args(Event):
        row = re.search(rf"^\| `{event_name(event)}` \|.*$", page, re.MULTILINE)
        assert row, event
        assert [field.name for field in fields(event) if f"`{field.name}`" not in row[0]] == []
    assert [field.name for field in fields(Transfer) if f"`{field.name}`" not in page] == []
