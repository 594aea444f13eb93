"""``prefetch runpod populate`` from outside, against a stand-in of RunPod that is held to its published contract."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import pty
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Outcome
from tests.support.models import wanted
from tests.support.pods import Container, Pod, finishing, idle
from tests.support.populates import Populates, result_document
from tests.support.runpod import Flavor, RunPod
from tests.support.runs import until

MODELS = wanted(5_000_000, 3_000_000)


@pytest.fixture
def runpod(runpod: RunPod) -> RunPod:
    runpod.job = finishing(result_document(MODELS))
    return runpod


def the_site(outcome: Outcome) -> dict[str, Any]:
    (site,) = outcome.document["sites"]
    assert isinstance(site, dict)
    return site


def unpacked(pod: Pod) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(pod.env["PREFETCH_MANIFEST_INLINE"])))


def assert_clean(runpod: RunPod) -> None:
    """No pod is left, and there was never more than one at a time that mattered."""
    assert runpod.pods == {}


def assert_done_by_one_pod(runpod: RunPod, outcome: Outcome) -> None:
    assert outcome.returncode == 0, outcome.stderr
    assert len(runpod.ever) == 1
    assert_clean(runpod)


def test_a_volume_that_is_there_is_filled_and_the_pod_is_gone(populates: Populates) -> None:
    runpod, volume = populates.runpod, populates.volume()
    done = populates.run("--volume-id", volume)
    assert done.returncode == 0, done.stderr
    (pod,) = runpod.ever
    assert_clean(runpod)
    assert pod.request["name"] == "prefetch-populate-EU-RO-1"
    assert pod.request["mounts"] == {"network": [{"volumeId": volume, "path": "/runpod-volume"}]}
    assert pod.request["cpu"] == {"id": "cpu3c", "vcpuCount": 2}
    assert pod.env["PREFETCH_QUOTA"] == "50G"
    assert pod.request["args"] == "run --on-success terminate --on-failure terminate --max-hours 6"
    assert len(pod.env["PREFETCH_INTENT"]) == 32
    models = unpacked(pod)["models"]
    assert [(m["path"], m["source"], m["sha256"], m["size"]) for m in models] == [
        (m.path, m.source, m.content.sha256, m.content.size) for m in MODELS
    ]
    site = the_site(done)
    assert (site["ok"], site["volume_id"], site["volume_created"], site["pod_id"]) == (True, volume, False, pod.id)
    assert (site["flavor"], site["dollars_an_hour"]) == ("cpu3c", 0.06)
    assert 0 < site["hours"] < 0.1 or site["hours"] == 0
    assert done.document["bytes_downloaded"] == 8_000_000
    assert [model["status"] for model in done.document["models"]] == ["downloaded", "downloaded"]
    assert "2 models, 8.0 MB, to each of these volumes" in done.stderr
    assert "planted" not in done.stdout + done.stderr


def test_a_volume_is_made_once_and_found_the_next_time(populates: Populates) -> None:
    options = ("--data-center", "eu-ro-1", "--create", "comfy", "--size", "20")
    first, second = populates.run(*options), populates.run(*options)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    ((volume_id, volume),) = populates.runpod.volumes.items()
    assert (volume["name"], volume["size"], volume["dataCenter"]) == ("comfy", 20, "EU-RO-1")
    assert [the_site(done)["volume_created"] for done in (first, second)] == [True, False]
    assert [the_site(done)["volume_id"] for done in (first, second)] == [volume_id, volume_id]
    assert "new volumes: $1.40 a month" in first.stderr
    assert_clean(populates.runpod)


def test_several_data_centers_are_filled_at_once_and_told_in_one_table(populates: Populates) -> None:
    runpod = populates.runpod
    europe, kansas = populates.volume(), populates.volume(data_center="US-KS-2")

    def together(container: Container) -> None:
        # Neither ends before both are there.
        until(lambda: len(runpod.ever) == 2, "the other pod")
        finishing(result_document(MODELS))(container)

    runpod.job = together
    env = {"PREFETCH_JSON": "0"}
    words = populates.words("--yes", "--volume-id", f"{europe},US-KS-2={kansas}")
    done = populates.commands.run(*(word for word in words if word != "--json"), env=populates.environment(env))
    assert done.returncode == 0, done.stderr
    *rows, total = done.stdout.splitlines()
    assert [row.split()[:3] for row in rows] == [["done", "EU-RO-1", europe], ["done", "US-KS-2", kansas]]
    assert all("2 downloaded" in row for row in rows)
    assert "the pods cost about $" in total
    assert_clean(runpod)


def test_one_that_fails_does_not_hinder_the_others(populates: Populates) -> None:
    runpod = populates.runpod
    europe, kansas = populates.volume(), populates.volume(data_center="US-KS-2")

    def job(container: Container) -> None:
        code = 1 if container.pod.volume == europe else 0
        finishing(result_document(MODELS, status="failed" if code else "present", exit_code=code))(container)

    runpod.job = job
    done = populates.run("--volume-id", europe, "--volume-id", kansas)
    assert done.returncode == 1
    assert [site["ok"] for site in done.document["sites"]] == [False, True]
    assert (
        "1 of 2 volumes could not be filled; the first says: The host went away." in done.document["error"]["message"]
    )
    assert {model["status"] for model in done.document["models"]} == {"failed"}
    assert_clean(runpod)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--volume-id", "nope"], "This account has no volume nope. Its volumes: vol00001 (models, EU-RO-1)."),
        (["--volume-id", "vol00001", "--cpu", "cpu9z"], "RunPod has no CPU flavor cpu9z"),
        (["--volume-id", "vol00001", "--pass-env", "NOT_THERE"], "--pass-env NOT_THERE: it is not set here"),
    ],
)
def test_what_makes_no_sense_makes_nothing(populates: Populates, options: list[str], says: str) -> None:
    populates.volume()
    done = populates.run(*options)
    assert done.returncode == 2, done.stderr
    assert says in done.document["error"]["message"]
    assert populates.runpod.ever == []


def test_models_that_do_not_fit_make_nothing(populates: Populates) -> None:
    entries = [{**model.entry(), "size": 6 * 10**9} for model in MODELS]
    done = populates.run("--data-center", "EU-RO-1", "--create", "comfy", "--size", "10", entries=entries)
    assert done.returncode == 4
    assert (
        "The models take 12.0 GB, which is more than the volume in EU-RO-1 (10 GB)" in done.document["error"]["message"]
    )
    assert (populates.runpod.ever, populates.runpod.volumes) == ([], {})


def test_a_model_that_nothing_pins_is_not_sent(populates: Populates) -> None:
    entries = [MODELS[0].entry(), MODELS[1].entry(sha256=None)]
    done = populates.run("--volume-id", populates.volume(), entries=entries)
    assert done.returncode == 2
    assert "this is not yet: models/m1.safetensors." in done.document["error"]["message"]
    assert "prefetch lock" in done.document["error"]["message"]


def test_a_lock_pins_what_is_sent_to_its_commit(populates: Populates) -> None:
    model = MODELS[0]
    lock = {"path": model.path, "source": model.source, "url": None, "commit": "c" * 40, "size": 7, "sha256": "a" * 64}
    text = json.dumps({"version": 1, "models": [lock]})
    (populates.commands.home / "models.lock.json").write_text(text)
    done = populates.run("--volume-id", populates.volume(), entries=[model.entry(sha256=None, size=None)])
    assert done.returncode == 0, done.stderr
    (sent,) = unpacked(populates.runpod.ever[0])["models"]
    assert (sent["source"], sent["size"], sent["sha256"]) == (
        f"hf://acme/models@{'c' * 40}/m0.safetensors",
        7,
        "a" * 64,
    )


def test_a_manifest_too_long_for_a_variable_wants_an_address(populates: Populates) -> None:
    entries = [
        {**MODELS[0].entry(), "path": f"m/{n}.safetensors", "sha256": hashlib.sha256(b"%d" % n).hexdigest()}
        for n in range(1000)
    ]
    done = populates.run("--volume-id", populates.volume(), entries=entries)
    assert done.returncode == 2
    assert "PREFETCH_MANIFEST_URL" in done.document["error"]["message"]
    assert populates.runpod.ever == []


def test_a_source_on_this_machine_is_refused(populates: Populates) -> None:
    done = populates.run("--volume-id", populates.volume(), entries=[MODELS[0].entry(source="file:///m.safetensors")])
    assert done.returncode == 2
    assert "which no pod can read" in done.document["error"]["message"]


def test_secrets_go_by_reference_and_what_goes_in_clear_is_said(populates: Populates) -> None:
    env = {"HF_TOKEN": "hf_planted0secret0value", "CIVITAI_API_TOKEN": "planted0secret0civitai", "MY_FLAG": "x"}
    done = populates.run(
        "--volume-id", populates.volume(), "--secret", "HF_TOKEN=hf_main", "--pass-env", "MY_FLAG", env=env
    )
    assert done.returncode == 0, done.stderr
    (pod,) = populates.runpod.ever
    assert pod.env["HF_TOKEN"] == "{{ RUNPOD_SECRET_hf_main }}"
    assert pod.env["MY_FLAG"] == "x"
    assert "planted" not in json.dumps(pod.request)
    assert "warning: MY_FLAG: in the pod in clear text" in done.stderr
    assert "the pod does not get CIVITAI_API_TOKEN" in done.stderr
    assert "HF_TOKEN;" not in done.stderr


def test_no_capacity_goes_on_to_the_next_kind(populates: Populates) -> None:
    runpod = populates.runpod
    runpod.flavors = [
        Flavor("cheap", 0.01, {"EU-RO-1": "LOW"}),
        Flavor("gone", 0.005, {"EU-RO-1": "NONE"}),
        Flavor("big", 0.02, {"EU-RO-1": "HIGH"}),
        Flavor("same", 0.02, {"EU-RO-1": "LOW"}),
    ]
    runpod.full = {("cheap", "EU-RO-1")}
    done = populates.run("--volume-id", populates.volume())
    assert done.returncode == 0, done.stderr
    assert the_site(done)["flavor"] == "big"
    asked = [json.loads(call.body)["cpu"]["id"] for call in runpod.requests("POST", "/v2/pods")]
    assert asked == ["cheap", "big"]


def test_when_every_kind_is_refused_the_last_words_are_told(populates: Populates) -> None:
    runpod = populates.runpod
    runpod.full = {("cpu3c", "EU-RO-1")}
    done = populates.run("--volume-id", populates.volume())
    assert done.returncode == 1
    assert "There are no instances currently available" in done.document["error"]["message"]
    runpod.flavors = [Flavor("cpu3c", 0.03, {"US-KS-2": "HIGH"})]
    done = populates.run("--volume-id", populates.volume())
    assert done.returncode == 2
    assert "in stock in EU-RO-1" in done.document["error"]["message"]
    assert "US-KS-2" in done.document["error"]["message"]


@pytest.mark.parametrize(
    ("status", "code", "says"), [(402, 3, "add credit"), (403, 3, "right to do so"), (422, 1, "newer")]
)
def test_refusals_are_explained(populates: Populates, status: int, code: int, says: str) -> None:
    populates.runpod.trouble("POST", "/v2/pods", status=status, times=None)
    done = populates.run("--volume-id", populates.volume())
    assert done.returncode == code
    assert says in done.document["error"]["message"]
    assert len(populates.runpod.requests("POST", "/v2/pods")) == 1


def test_an_answer_that_is_lost_makes_no_second_pod_and_leaves_none(populates: Populates) -> None:
    runpod = populates.runpod
    for method, path in (("POST", "/v2/pods"), ("DELETE", "/v2/pods/*")):
        runpod.trouble(method, path, effect=True)
    done = populates.run("--volume-id", populates.volume())
    assert_done_by_one_pod(runpod, done)
    assert "asked again in" in done.stderr


def test_the_log_is_followed_through_its_breaks(populates: Populates) -> None:
    runpod = populates.runpod
    runpod.trouble("GET", "/v2/pods/*/logs", status=503)
    progress = {"ts": "", "event": "progress", "bytes_done": 1_000_000, "bytes_total": 8_000_000, "speed": 1e6}
    notice = {"ts": "", "event": "notice", "level": "warning", "message": "the disk is slow"}
    lines = [
        json.dumps(progress),
        json.dumps(notice),
        '2026-01-01 {"ts": "", "event": "model_done", "path": 7}',
        "{",
        "plain words",
    ]
    runpod.job = finishing(result_document(MODELS), before=[*lines, "PREFETCH_RESULT {not json"])
    done = populates.run("--volume-id", populates.volume())
    assert done.returncode == 0, done.stderr
    assert "EU-RO-1: fetching 1.0 MB of 8.0 MB (12.5%), 1.0 MB/s" in done.stderr
    assert "warning: EU-RO-1: the disk is slow" in done.stderr
    assert "EU-RO-1: plain words" in done.stderr


def test_a_pod_that_is_gone_without_a_word_is_an_error(populates: Populates) -> None:
    runpod = populates.runpod

    def vanish(container: Container) -> None:
        container.log("beginning")
        runpod.answer("DELETE", f"/v2/pods/{container.pod.id}", {}, None, "rpa_planted0secret0account0key")

    runpod.job = vanish
    done = populates.run("--volume-id", populates.volume())
    assert done.returncode == 1
    assert "is gone, and its job's result was not seen" in done.document["error"]["message"]
    assert_clean(runpod)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_removes_the_pods_and_tells_of_each(populates: Populates, number: signal.Signals) -> None:
    runpod = populates.runpod
    volumes = f"{populates.volume()},{populates.volume(data_center='US-KS-2')}"
    with populates.at_work("--volume-id", volumes, pods=2) as process:
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert_clean(runpod)
    assert [site["exit_code"] for site in json.loads(stdout)["sites"]] == [130, 130]


def test_a_signal_while_the_pod_is_being_removed_does_not_keep_it(populates: Populates) -> None:
    runpod, hold = populates.runpod, threading.Event()
    runpod.trouble("DELETE", "/v2/pods/*", hold=hold, harmless=True)
    with populates.start("--volume-id", populates.volume()) as process:
        until(lambda: runpod.troubles[0].seen == 1, "the removal", process)
        process.send_signal(signal.SIGINT)
        # Long enough for whoever would take the signal as leave to go.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        hold.set()
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert_clean(runpod)


def test_a_signal_while_a_pod_is_being_made_removes_it_too(populates: Populates) -> None:
    runpod = populates.runpod
    runpod.job = idle
    hold = threading.Event()
    runpod.trouble("POST", "/v2/pods", hold=hold, harmless=True)
    volume = populates.volume()
    with populates.start("--volume-id", volume) as process:
        until(lambda: runpod.troubles[0].seen == 1, "the request", process)
        process.send_signal(signal.SIGINT)
        hold.set()
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(runpod.ever) == 1
    assert_clean(runpod)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked_and_sees_where_it_stands(populates: Populates, answer: str) -> None:
    ours, theirs = pty.openpty()
    words = [word for word in populates.words("--volume-id", populates.volume()) if word != "--json"]
    process = subprocess.Popen(
        populates.commands.argv(*words),
        env=populates.commands.environment({**populates.environment(), "TERM": "xterm-256color"}),
        cwd=populates.commands.home,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    with process:
        shown = b""
        while b"Go on? [y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        with suppress(OSError):
            while piece := os.read(ours, 4096):
                shown += piece
        assert process.stdout is not None
        table = process.stdout.read().decode()
    os.close(ours)
    if answer == "n":
        assert (process.returncode, populates.runpod.ever, table) == (1, [], "")
        assert b"The answer was no: nothing was made." in shown
        return
    assert process.returncode == 0
    assert b"asking for a pod" in shown
    assert table.startswith("done    EU-RO-1")
    assert_clean(populates.runpod)


def test_it_runs_where_posix_is_missing(populates: Populates) -> None:
    hidden = Path(__file__).parent / "support" / "elsewhere"
    done = populates.run("--volume-id", populates.volume(), env={"PYTHONPATH": str(hidden)})
    assert done.returncode == 0, done.stderr
    populates.runpod.add_pod(name="x", env={"PREFETCH_INTENT": "a" * 32})
    cleaned = populates.commands.run(
        "runpod", "clean", "--yes", env={**populates.environment(), "PYTHONPATH": str(hidden)}
    )
    assert cleaned.returncode == 0, cleaned.stderr
    assert_clean(populates.runpod)


def test_nobody_to_ask_means_nothing_is_made(populates: Populates) -> None:
    volume = populates.volume()
    done = populates.commands.run(*populates.words("--volume-id", volume), env=populates.environment())
    assert done.returncode == 2
    assert "Add --yes" in done.document["error"]["message"]
    assert "the pods: about $" in done.stderr
    assert populates.runpod.ever == []


def test_the_same_command_again_goes_on_with_the_pod_that_is_there(populates: Populates) -> None:
    runpod = populates.runpod
    volume = populates.volume()
    with populates.at_work("--volume-id", volume) as process:
        process.kill()
        process.wait()
    (pod,) = runpod.pods.values()
    pod.log("PREFETCH_RESULT " + json.dumps(result_document(MODELS)))
    done = populates.run("--volume-id", volume)
    assert_done_by_one_pod(runpod, done)
    assert "is at work on this already" in done.stderr


def test_of_two_pods_of_one_intent_the_older_stays(populates: Populates) -> None:
    runpod = populates.runpod
    volume = populates.volume()
    with populates.at_work("--volume-id", volume) as process:
        (ours,) = runpod.pods.values()
        older = runpod.add_pod(
            name="prefetch-populate-EU-RO-1", age=60, **{k: v for k, v in ours.request.items() if k != "name"}
        )
        until(lambda: ours.id not in runpod.pods, "the younger one to go", process)
        older.log("PREFETCH_RESULT " + json.dumps(result_document(MODELS)))
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["sites"][0]["pod_id"] == older.id
    assert_clean(runpod)
