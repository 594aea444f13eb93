"""A run as a pod's only job: its result, and how the pod goes away; in containers that RunPod's stand-in runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.demo.actions import Stall, Status
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from prefetch.errors import Interrupted, SourceError
from prefetch.leaving import Leaving, Request, Then
from prefetch.report.events import Event, Notice
from prefetch.runpod.signs import LONGEST, RESULT, result_line
from prefetch.volume.jobs import KEPT, PodJob, read_job, write_job
from prefetch.volume.layout import Volume
from tests.support.commands import Commands
from tests.support.models import assert_whole, repo_of, sent_bytes, wanted, write_manifest
from tests.support.pods import Pod, real_run
from tests.support.runpod import KEY, RunPod
from tests.support.runpod_api import running_runpod
from tests.support.runs import until

MODELS = wanted(300_000, 70_000)


class Clock:
    """Time that passes only where it is waited for; in the last of ``patience`` waits somebody ends the process."""

    def __init__(self, hours: float | None, patience: int = 100) -> None:
        self.end = None if hours is None else hours * 3600
        self.now = 0.0
        self.waits: list[float | None] = []
        self._patience = patience

    def left(self) -> float | None:
        return None if self.end is None else max(0.0, self.end - self.now)

    def wait(self, seconds: float | None) -> None:
        self.waits.append(seconds)
        if seconds is None or len(self.waits) == self._patience:
            raise KeyboardInterrupt
        self.now += seconds


def leave(then: Then, *, refused: set[str], clock: Clock, in_a_pod: bool = True) -> tuple[list[str], list[str]]:
    """What is asked for, and what is said."""
    asked: list[str] = []
    said: list[str] = []

    def ask(request: Request) -> None:
        asked.append(request)
        if request in refused:
            raise SourceError(f"RunPod refused to {request}.")

    def hear(event: Event) -> None:
        assert isinstance(event, Notice)
        said.append(event.message)

    Leaving(ask if in_a_pod else None, left=clock.left, listener=hear, wait=clock.wait).leave(then)
    return asked, said


@pytest.mark.parametrize(
    ("then", "refused", "hours", "asked", "waits"),
    [
        pytest.param("exit", "", None, "", [], id="exit"),
        pytest.param("idle", "", None, "", [None], id="idle-for-ever"),
        pytest.param("idle", "", 2, "terminate", [7200, 300], id="idle-until-the-end"),
        pytest.param("terminate", "", 9, "terminate", [300], id="removed"),
        pytest.param("terminate", "terminate", 9, "terminate stop", [300], id="refused-stops"),
        pytest.param("terminate", "terminate stop", None, "terminate stop", [600], id="refused-idles"),
        pytest.param("terminate", "terminate stop", None, "terminate stop " * 3, [600, 600, 600], id="idle-asks-again"),
        pytest.param("stop", "", 0, "stop", [300], id="late"),
        pytest.param("stop", "stop", 0, "stop terminate", [300], id="late-and-refused-terminates"),
        pytest.param("stop", "stop", 0.1, "stop stop terminate", [360, 300], id="a-stop-terminates-only-at-the-end"),
    ],
)
def test_the_ways_of_a_pod_that_is_ended_in_its_last_wait(
    then: Then, refused: str, hours: float | None, asked: str, waits: list[float | None]
) -> None:
    clock = Clock(hours, patience=len(waits))
    assert leave(then, refused=set(refused.split()), clock=clock)[0] == asked.split()
    assert clock.waits == waits


@pytest.mark.parametrize(
    ("then", "refused", "hours", "asked", "waits"),
    [
        pytest.param("idle", "terminate stop", 2, "terminate stop", [7200], id="idle"),
        pytest.param("terminate", "terminate stop", 0, "terminate stop", [], id="late"),
        pytest.param("terminate", "terminate stop", 0.25, "terminate stop " * 3, [600, 300], id="refused"),
        pytest.param("idle", "", 2, "terminate stop", [7200, 300, 300], id="agreed-and-nothing-happens"),
    ],
)
def test_the_process_ends_where_nothing_else_is_left(
    then: Then, refused: str, hours: float, asked: str, waits: list[float | None]
) -> None:
    clock = Clock(hours)
    assert leave(then, refused=set(refused.split()), clock=clock)[0] == asked.split()
    assert clock.waits == waits


@given(
    st.sampled_from(["terminate", "stop", "idle"]),
    st.sets(st.sampled_from(["terminate", "stop"])),
    st.none() | st.floats(0, 3),
)
def test_nothing_is_asked_for_that_was_not_allowed_before_the_end(
    then: str, refused: set[str], hours: float | None
) -> None:
    clock = Clock(hours)
    asked, said = leave(cast(Then, then), refused=refused, clock=clock)
    if hours is None:
        assert set(asked) <= {"terminate": {"terminate", "stop"}, "stop": {"stop"}, "idle": set()}[then]
    assert bool(said)


def test_who_follows_a_pod_hears_it_out_before_it_goes() -> None:
    clock = Clock(None, patience=2)
    asked: list[str] = []
    Leaving(asked.append, left=clock.left, listener=lambda event: None, wait=clock.wait, heard_in=5.0).leave("stop")
    assert (asked, clock.waits) == (["stop"], [5.0, 300.0])


def test_elsewhere_than_in_a_pod_nobody_is_asked() -> None:
    asked, said = leave("idle", refused=set(), clock=Clock(1), in_a_pod=False)
    assert asked == [] and said[0] == "idles until it is stopped"


def test_a_signal_while_the_api_is_asked_ends_it() -> None:
    def ask(request: Request) -> None:
        raise Interrupted("stopped")

    Leaving(ask, left=lambda: None, listener=lambda event: None, wait=lambda seconds: pytest.fail()).leave("stop")


models_of = st.lists(
    st.fixed_dictionaries({"path": st.text(max_size=300), "error": st.none() | st.text(max_size=400)}), max_size=120
)


@given(models_of)
def test_the_line_of_a_result_is_short_and_keeps_what_failed_first(models: list[dict[str, Any]]) -> None:
    document = {"ok": False, "exit_code": 1, "models": models}
    line = result_line(document)
    told = json.loads(line.removeprefix(f"{RESULT} "))
    assert len(line.encode()) <= LONGEST and "\n" not in line
    assert told["exit_code"] == 1
    if "models_left_out" in told:
        assert len(told["models"]) + told["models_left_out"] == len(models)
        assert all(model["error"] is not None for model in told["models"])
    else:
        assert told == document


def test_jobs_are_kept_and_the_oldest_forgotten(tmp_path: Path) -> None:
    volume = Volume.open(tmp_path)
    jobs = [PodJob(f"pod{number}", number, number + 1, "stop", {"ok": True}) for number in range(KEPT + 3)]
    for job in jobs:
        write_job(volume, job)
    assert read_job(volume, jobs[-1].pod) == jobs[-1]
    assert len(list((tmp_path / ".prefetch" / "jobs").iterdir())) == KEPT
    (tmp_path / ".prefetch" / "jobs" / "pod99.json").write_text('{"version": 1, "began_ms": -1}')
    assert read_job(volume, "pod99") is None
    with pytest.raises(ValueError, match="no name of a pod"):
        read_job(volume, "../FORMAT")


class Account:
    """An account whose pods run prefetch on models that an origin has."""

    def __init__(self, api: RunPod, origin: DemoServer, manifest: Path, commands: Commands) -> None:
        self.api, self.origin, self.manifest, self.commands = api, origin, manifest, commands
        self.volume_id = api.add_volume("v", size=10, data_center="EU-RO-1")
        self.volume = api.folder_of(self.volume_id)

    def pod(self, *options: str) -> Pod:
        mounts = {"network": [{"volumeId": self.volume_id, "path": "/runpod-volume"}]}
        return self.api.add_pod(name="job", args=" ".join(["run", str(self.manifest), *options]), mounts=mounts)

    def ended(self, pod: Pod, status: str) -> None:
        until(lambda: pod.status == status, status)

    def record(self, pod: Pod) -> dict[str, Any]:
        return record_of(self.volume, pod.id)

    def results(self, pod: Pod) -> list[dict[str, Any]]:
        lines = [entry.line for entry in pod.lines if entry.line.startswith(f"{RESULT} ")]
        return [json.loads(line.removeprefix(f"{RESULT} ")) for line in lines]


@contextmanager
def account_of(commands: Commands, folder: Path, *faults: Fault) -> Iterator[Account]:
    manifest = write_manifest(folder / "m.yaml", [model.entry() for model in MODELS])
    with running_origin(repos=[repo_of(MODELS)], faults=faults) as origin:
        job = real_run(commands, HF_ENDPOINT=origin.endpoint)
        with running_runpod(folder / "volumes", job=job) as api:
            yield Account(api, origin, manifest, commands)


@pytest.fixture
def account(commands: Commands, tmp_path: Path) -> Iterator[Account]:
    with account_of(commands, tmp_path) as account:
        yield account


def test_a_job_that_is_done_removes_its_pod_and_leaves_its_result(account: Account) -> None:
    pod = account.pod("--on-success", "terminate", "--on-failure", "stop")
    account.ended(pod, "TERMINATED")
    assert_whole(account.volume, MODELS)
    (result,) = account.results(pod)
    record = account.record(pod)
    assert record["result"] == result and result["ok"] and len(result["models"]) == len(MODELS)
    assert (record["pod"], record["then"]) == (pod.id, "terminate")
    assert record["began_ms"] <= record["ended_ms"]
    until(lambda: bool(account.api.calls), "the answer")
    assert [call.target for call in account.api.calls] == [f"/v2/pods/{pod.id}"] and pod.starts == 1
    assert "rpa_" not in json.dumps(record) and not any("rpa_" in entry.line for entry in pod.lines)


def test_a_pod_that_may_not_remove_itself_stops(account: Account) -> None:
    account.api.pod_key_may = {"stop"}
    pod = account.pod("--on-success", "terminate")
    account.ended(pod, "EXITED")
    until(lambda: len(account.api.calls) == 2, "the answer")
    assert [call.status for call in account.api.calls] == [403, 200]
    assert any("This pod cannot terminate itself." in entry.line for entry in pod.lines)


def test_a_job_that_failed_goes_the_other_way(account: Account) -> None:
    account.origin.add_faults(Fault(do=Status(404), server="hub", method="*", times=None))
    pod = account.pod("--on-success", "terminate", "--on-failure", "stop", "--log-format", "json")
    account.ended(pod, "EXITED")
    assert account.api.requests("DELETE", "*") == []
    (result,) = account.results(pod)
    assert result["exit_code"] == 1 and len(result["models"]) == len(MODELS)
    assert account.record(pod)["result"]["error"] == result["error"]


def test_a_restarted_container_has_nothing_to_do_and_asks_again(account: Account) -> None:
    account.api.pod_key_may = set()
    pod = account.pod("--on-success", "terminate", "--on-failure", "terminate", "--max-hours", "0.001")
    until(lambda: pod.starts >= 2, "a second container")
    account.api.pod_key_may = {"terminate"}
    account.ended(pod, "TERMINATED")
    assert_whole(account.volume, MODELS)
    assert any("the hours of --max-hours are over" in entry.line for entry in pod.lines)
    assert sent_bytes(account.origin.requests) == sum(model.content.size for model in MODELS)


def test_the_hours_stop_a_run_that_hangs(commands: Commands, tmp_path: Path) -> None:
    with account_of(commands, tmp_path, Fault(do=Stall(0), server="cdn", times=None)) as account:
        pod = account.pod("--on-success", "terminate", "--on-failure", "terminate", "--max-hours", "0.0005")
        account.ended(pod, "TERMINATED")
        (result,) = account.results(pod)
        assert (result["exit_code"], result["error"]["code"]) == (1, "failed")
        assert "within --max-hours 0.0005" in result["error"]["message"]
        assert account.record(pod)["then"] == "terminate"


@pytest.fixture
def words(tmp_path: Path) -> list[str | Path]:
    manifest = write_manifest(tmp_path / "m.yaml", [model.entry() for model in MODELS])
    return ["run", manifest, "--volume", tmp_path / "volume"]


def record_of(volume: Path, pod: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((volume / ".prefetch" / "jobs" / f"{pod}.json").read_bytes())
    return found


def test_the_hours_go_on_over_restarts_until_there_is_a_result(
    commands: Commands, origin: DemoServer, words: list[str | Path], tmp_path: Path
) -> None:
    (tmp_path / "volume").mkdir()
    write_job(Volume.open(tmp_path / "volume"), PodJob("crashed", 1_000))
    env = {"HF_ENDPOINT": origin.endpoint, "RUNPOD_POD_ID": "crashed"}
    late = commands.run(*words, "--max-hours", "1", env=env)
    assert late.returncode == 1 and "within --max-hours 1;" in late.stderr
    assert record_of(tmp_path / "volume", "crashed")["began_ms"] == 1_000
    anew = commands.run(*words, "--max-hours", "1", env=env)
    assert anew.returncode == 0, anew.stderr
    assert record_of(tmp_path / "volume", "crashed")["began_ms"] > 1_000


def test_who_stops_a_job_has_plans_of_his_own_with_the_pod(
    commands: Commands, origin: DemoServer, words: list[str | Path], tmp_path: Path
) -> None:
    origin.add_faults(Fault(do=Stall(0), server="cdn", times=None))
    env = {"HF_ENDPOINT": origin.endpoint, "RUNPOD_POD_ID": "abc", "PREFETCH_RUNPOD_ENDPOINT": "http://127.0.0.1:9"}
    options = ("--on-success", "terminate", "--on-failure", "terminate", "--max-hours", "1")
    with commands.start(*words, *options, env=env) as process:
        until(lambda: len(origin.requests) > 2, "a request", process)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "itself" not in stderr and stderr.count(f"{RESULT} ") == 1
    record = record_of(tmp_path / "volume", "abc")
    assert (record["then"], record["result"]["exit_code"]) == ("exit", 130) and record["ended_ms"]


def test_a_job_that_idles_ends_by_a_signal_with_its_own_code(
    commands: Commands, origin: DemoServer, words: list[str | Path], tmp_path: Path
) -> None:
    with commands.start(*words, "--on-success", "idle", "--json", env={"HF_ENDPOINT": origin.endpoint}) as process:
        assert process.stderr is not None and process.stdout is not None
        lines = iter(process.stderr.readline, "")
        assert any("idles until it is stopped" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        document = json.loads(process.stdout.read())
    assert process.returncode == 0 and document["ok"]
    (kept,) = (tmp_path / "volume" / ".prefetch" / "jobs").iterdir()
    assert kept.name.startswith("host-") and json.loads(kept.read_bytes())["result"] == document


@pytest.mark.parametrize(
    ("options", "env", "sentence"),
    [
        ("--on-success terminate", {}, "--on-success terminate is for a RunPod pod, and RUNPOD_POD_ID is not set."),
        ("--on-failure stop", {}, "--on-failure stop is for a RunPod pod, and RUNPOD_POD_ID is not set."),
        (
            "--on-failure stop",
            {"RUNPOD_POD_ID": "abc", "RUNPOD_ENDPOINT_ID": "xyz"},
            "--on-failure stop is for a pod, and this is a serverless worker, which RunPod ends by itself.",
        ),
        ("--on-success idle", {"RUNPOD_POD_ID": "../../x"}, "RUNPOD_POD_ID is ../../x, which is no pod's id."),
        ("--on-success explode", {}, "--on-success explode is not one of stop, exit, idle, terminate."),
        ("--max-hours 0", {}, "--max-hours 0 is not a number of hours above 0, 8760 at most."),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_fetched(
    options: str, env: dict[str, str], sentence: str, commands: Commands, words: list[str | Path], tmp_path: Path
) -> None:
    outcome = commands.run(*words, *options.split(), env=env)
    assert outcome.returncode == 2 and sentence in outcome.stderr
    assert not (tmp_path / "volume").exists()


@pytest.mark.parametrize("options", ["--on-failure stop --conections 4", "--on-failure=stop --max-hours soon"])
def test_a_slip_of_the_pen_in_a_template_ends_the_pod_too(options: str, account: Account) -> None:
    pod = account.pod(*options.split())
    account.ended(pod, "EXITED")
    assert pod.starts == 1
    (result,) = account.results(pod)
    assert result["exit_code"] == 2 and result["error"]["code"] == "usage"
    assert f"warning: {result['error']['message']}" in [entry.line for entry in pod.lines]


@pytest.mark.parametrize(
    "words", ["rnu m.yaml --on-failure stop", "fetch m.yaml --on-failure=stop", "--on-failure stop"]
)
def test_a_misspelt_command_in_a_template_ends_the_pod_too(words: str, account: Account) -> None:
    pod = account.api.add_pod(name="job", args=words, mounts={})
    account.ended(pod, "EXITED")
    assert pod.starts == 1
    (result,) = account.results(pod)
    assert result["exit_code"] == 2 and result["error"]["code"] == "usage"


def test_a_slip_of_the_pen_in_another_command_leaves_the_pod_alone(commands: Commands, tmp_path: Path) -> None:
    with running_runpod(tmp_path / "volumes") as api:
        env = {"RUNPOD_POD_ID": "abc", "PREFETCH_ON_FAILURE": "terminate", "PREFETCH_RUNPOD_ENDPOINT": api.endpoint}
        for words in (["stauts"], ["image", "adit"]):
            outcome = commands.run(*words, env={**env, "RUNPOD_API_KEY": KEY})
            assert outcome.returncode == 2 and "PREFETCH_RESULT" not in outcome.stderr
        assert not api.calls


def test_a_volume_that_is_none_still_ends_the_pod(account: Account) -> None:
    account.api.job = real_run(account.commands, PREFETCH_REQUIRE_MOUNT="1")
    pod = account.pod("--on-failure", "terminate", "--max-hours", "5")
    account.ended(pod, "TERMINATED")
    (result,) = account.results(pod)
    assert result["exit_code"] == 2 and "Nothing is mounted at" in result["error"]["message"]
    assert f"warning: {result['error']['message']}" in [entry.line for entry in pod.lines]
