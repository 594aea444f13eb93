"""A real Prometheus scrapes a run, a real Pushgateway keeps one, and what is shipped for them works with both."""

from __future__ import annotations

import base64
import json
import math
import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from prefetch.demo.actions import Status
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.models import BLOCK, journals, repo_of, wanted
from tests.support.origins import ask
from tests.support.prometheus import Prometheus, free_port, prometheus, promtool, pushgateway
from tests.support.runs import Runs, until

MONITORING = Path(__file__).parent.parent / "deploy" / "monitoring"
MODELS = wanted(5 * BLOCK + 7, 50_000)
LARGE, SMALL = MODELS
LOST = LARGE.entry(path="models/lost.safetensors", source="hf://acme/models/lost.safetensors", sha256=None)
MOVING = (
    "prefetch_model_done_bytes",
    "prefetch_speed_bytes_per_second",
    "rate(prefetch_write_seconds_total[3s])",
    "rate(prefetch_hash_seconds_total[3s])",
)
BCRYPT_OF_HIDDEN_WORD = "$2b$04$vstcWcLUG3PzbDkp4L5rNOK446Tm.vcwx.4uUFKsGk3iBaK2GXzHi"
TOKEN = "a-token-for-prometheus"


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture(scope="module")
def runs(origin: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    home = tmp_path_factory.mktemp("home")
    return Runs(Commands(home), origin, home / "volume", tuple(MODELS))


@dataclass(frozen=True, slots=True)
class Scraped:
    """A run that Prometheus has seen: moments in its middle and after its end, its document, its log, its metrics."""

    server: Prometheus
    middle: float
    end: float
    document: dict[str, Any]
    log: list[dict[str, Any]]
    text: str

    def at_end(self, expression: str) -> float | None:
        return self.server.value(expression, at=self.end)


def runpod_job(target: str, token: Path) -> dict[str, Any]:
    """The shipped job for RunPod's proxy, led to this machine."""
    (job,) = [job for job in shipped_jobs() if job["job_name"] == "prefetch-runpod"]
    job["scheme"] = "http"
    job["authorization"]["credentials_file"] = str(token)
    job["static_configs"][0]["targets"] = [target]
    return job


def shipped_jobs() -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    return jobs


@pytest.fixture(scope="module")
def scraped(runs: Runs, origin: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A run after one that ended well and one that was killed; it retries, resumes, and fails at one model."""
    directory, port = tmp_path_factory.mktemp("prometheus"), free_port()
    token = directory / "token"
    token.write_text(TOKEN)
    assert runs.of(SMALL).run().returncode == 0
    assert runs.run_until_killed(lambda: bool(journals(runs.volume).get(LARGE.path)), "--limit-rate", "8M")
    origin.add_faults(Fault(do=Status(503), times=2))
    # One connection: the blocks come one after another, and not all of them at the end.
    pace = ["--limit-rate", "4M", "--connections", "1"]
    options = ["--linger", "600", "--quota", "1G", "--log-format", "json", *pace]
    entries = [model.entry() for model in MODELS] + [LOST]
    with (
        prometheus(directory, [runpod_job(f"127.0.0.1:{port}", token)], rules=[MONITORING / "alerts.yml"]) as server,
        runs.start(
            "--listen", f"127.0.0.1:{port}", *options, entries=entries, env={"PREFETCH_LISTEN_TOKEN": TOKEN}
        ) as run,
    ):
        middle = server.until(" and on() ".join(f"{each} > 0" for each in MOVING), "the middle of the run")
        end = server.until("prefetch_last_run_exit_code", "the end of the run")
        text = ask(f"http://127.0.0.1:{port}/metrics", Authorization=f"Bearer {TOKEN}").body.decode()
        run.send_signal(signal.SIGTERM)
        stdout, stderr = run.communicate()
        log = [json.loads(line) for line in stderr.splitlines()]
        yield Scraped(server, middle, end, json.loads(stdout), log, text)


@pytest.mark.needs("prometheus")
def test_prometheus_has_the_figures_of_the_runs_own_result(scraped: Scraped) -> None:
    document = scraped.document
    assert scraped.at_end("sum(prefetch_downloaded_bytes_total)") == document["bytes_downloaded"] > 0
    assert scraped.at_end("prefetch_last_run_exit_code") == document["exit_code"] == 1
    seconds = scraped.at_end("prefetch_last_run_duration_seconds")
    assert seconds is not None and abs(seconds - document["seconds"]) < 0.001
    statuses = Counter(model["status"] for model in document["models"])
    for state in ("present", "downloaded", "linked", "adopted", "failed", "waiting", "queued", "fetching"):
        assert scraped.at_end(f'prefetch_models{{state="{state}"}}') == statuses[state], state
    resumed = sum(model["bytes_resumed"] for model in document["models"])
    assert scraped.at_end("prefetch_resumed_bytes_total") == resumed >= BLOCK
    assert scraped.at_end("sum(prefetch_failures_total)") == statuses["failed"] == 1
    retried = Counter(record["cause"] for record in scraped.log if record["event"] == "retried")
    for cause, count in retried.items():
        assert scraped.at_end(f'prefetch_retries_total{{cause="{cause}"}}') == count
    assert sum(retried.values()) >= 2
    size = LARGE.content.size
    assert scraped.at_end("prefetch_hashed_bytes_total") == size
    success, began = (
        scraped.at_end("prefetch_last_success_timestamp_seconds"),
        scraped.at_end("prefetch_run_started_timestamp_seconds"),
    )
    assert success and began and success < began


@pytest.mark.needs("prometheus")
def test_prometheus_has_seen_the_run_while_it_moved(scraped: Scraped) -> None:
    server, middle = scraped.server, scraped.middle
    path = f'{{path="{LARGE.path}"}}'
    assert server.value(f"prefetch_model_size_bytes{path}", at=middle) == LARGE.content.size
    done = server.value(f"prefetch_model_done_bytes{path}", at=middle)
    assert done and BLOCK <= done <= LARGE.content.size
    assert server.value("prefetch_run_active", at=middle) == 1
    assert server.value('prefetch_claims{state="held"}', at=middle) == 1
    assert server.value("prefetch_connections", at=middle)
    assert server.query("prefetch_model_done_bytes", at=scraped.end) == []
    grown = server.value(f"max_over_time(prefetch_model_done_bytes{path}[5m])", at=scraped.end)
    assert grown and grown >= done


@pytest.mark.needs("prometheus")
def test_the_shipped_alerts_see_the_failed_run(scraped: Scraped) -> None:
    scraped.server.until('ALERTS{alertname="PrefetchFailing", alertstate="firing"}', "the alert")


@pytest.mark.needs("prometheus")
def test_every_query_of_the_dashboard_returns_data(scraped: Scraped) -> None:
    text = (MONITORING / "dashboard.json").read_text()
    dashboard = json.loads(text.replace("$__rate_interval", "3s").replace("$job", ".*").replace("$instance", ".*"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 20
    for query in queries:
        samples = [sample for at in (scraped.middle, scraped.end) for sample in scraped.server.query(query, at=at)]
        numbers = [float(sample["value"][1]) for sample in samples]
        assert numbers and not any(map(math.isnan, numbers)), query
    named = set(re.findall(r"prefetch_\w+", text)) - {"prefetch_build"}
    assert named <= {line.split()[2] for line in scraped.text.splitlines() if line.startswith("# TYPE")}


@pytest.mark.needs("prometheus")
def test_promtool_has_nothing_against_the_metrics(scraped: Scraped) -> None:
    checked = promtool("check", "metrics", stdin=scraped.text)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.needs("prometheus")
def test_the_shipped_rules_fire_when_they_should() -> None:
    assert promtool("check", "rules", MONITORING / "alerts.yml").returncode == 0
    tested = promtool("test", "rules", "alerts.test.yml", cwd=MONITORING)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((MONITORING / "alerts.test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test.get("alert_rule_test", ()) if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules}


@pytest.mark.needs("prometheus")
def test_the_shipped_jobs_are_taken_and_label_as_they_say(tmp_path: Path) -> None:
    """Debian's Prometheus is built without Kubernetes, so a pod is made of the labels that one would have."""
    jobs = shipped_jobs()
    pod = {
        "__meta_kubernetes_pod_container_name": "prefetch",
        "__meta_kubernetes_pod_container_port_name": "metrics",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_namespace": "models",
        "__meta_kubernetes_pod_name": "fill-volume-x7",
    }
    others = [
        {**pod, "__meta_kubernetes_pod_phase": "Succeeded"},
        {**pod, "__meta_kubernetes_pod_container_port_name": "http"},
        {**pod, "__meta_kubernetes_pod_container_name": "comfyui"},
    ]
    for job in jobs:
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = [
                {"targets": [f"127.0.0.1:{number}"], "labels": labels}
                for number, labels in enumerate([pod, *others], 1)
            ]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(tmp_path / "token")
    (tmp_path / "token").write_text(TOKEN)
    with prometheus(tmp_path, jobs) as server:
        until(lambda: len(server.targets()) >= len(jobs), "the targets")
        labels = [target["labels"] for target in server.targets()]
    assert sorted(label["job"] for label in labels) == [
        "prefetch-kubernetes",
        "prefetch-pushgateway",
        "prefetch-runpod",
    ]
    by_job = {label["job"]: label for label in labels}
    assert by_job["prefetch-kubernetes"] == {
        "job": "prefetch-kubernetes",
        "namespace": "models",
        "instance": "fill-volume-x7",
    }
    assert by_job["prefetch-runpod"]["instance"] == "abcdefgh123456"


@pytest.mark.needs("pushgateway", "prometheus")
def test_a_pushgateway_keeps_a_finished_run(runs: Runs, tmp_path: Path) -> None:
    with pushgateway(tmp_path) as gateway:
        address = f"{gateway.url}/metrics/job/models/instance/pod-7"
        outcome = runs.on(tmp_path / "volume").run(env={"PREFETCH_PUSHGATEWAY": address})
        assert outcome.returncode == 0, outcome.stderr
        (group,) = gateway.groups()
        assert group["labels"] == {"job": "models", "instance": "pod-7"}
        assert group["last_push_successful"]
        assert number(group, "prefetch_downloaded_bytes_total") == outcome.document["bytes_downloaded"]
        assert number(group, "prefetch_run_active") == number(group, "prefetch_last_run_exit_code") == 0
        assert number(group, "prefetch_models", state="downloaded") == len(MODELS)
        assert not [name for name in group if name.startswith("prefetch_model_")]
        (job,) = [job for job in shipped_jobs() if job["job_name"] == "prefetch-pushgateway"]
        job["scheme"], job["static_configs"][0]["targets"] = "http", [gateway.url.removeprefix("http://")]
        with prometheus(tmp_path / "prometheus", [job]) as server:
            at = server.until('prefetch_run_active{job="models", instance="pod-7"} == 0', "the group")
            assert server.value("sum(prefetch_downloaded_bytes_total)", at=at) == outcome.document["bytes_downloaded"]


@pytest.mark.needs("pushgateway")
def test_a_pushgateway_is_told_of_a_run_that_is_stopped_and_each_host_has_its_group(runs: Runs, tmp_path: Path) -> None:
    with pushgateway(tmp_path) as gateway:
        for pod in ("a", "b"):
            env = {"PREFETCH_PUSHGATEWAY": gateway.url, "RUNPOD_POD_ID": pod}
            before = runs.sent()
            with runs.on(tmp_path / pod).start("--limit-rate", "2M", env=env) as process:
                until(lambda before=before: runs.sent() > before, "the first byte", process)  # type: ignore[misc]
                process.send_signal(signal.SIGTERM)
                process.communicate()
            assert process.returncode == 130
        groups = {group["labels"]["instance"]: group for group in gateway.groups()}
    assert set(groups) == {"a", "b"}
    for group in groups.values():
        assert group["labels"]["job"] == "prefetch"
        assert number(group, "prefetch_run_active") == 0
        assert number(group, "prefetch_last_run_exit_code") == 130
        assert not [name for name in group if name.startswith("prefetch_model_")]


@pytest.mark.needs("pushgateway")
@pytest.mark.parametrize(("password", "taken"), [("hidden%3Aword", True), ("another-hidden", False)])
def test_a_pushgateway_that_wants_a_password(runs: Runs, tmp_path: Path, password: str, taken: bool) -> None:
    with pushgateway(tmp_path, users={"ann": BCRYPT_OF_HIDDEN_WORD}) as gateway:
        address = gateway.url.replace("http://", f"http://ann:{password}@")
        outcome = runs.on(tmp_path / "volume").of(SMALL).run(env={"PREFETCH_PUSHGATEWAY": address})
        login = base64.b64encode(b"ann:hidden:word").decode()
        groups = gateway.groups(Authorization=f"Basic {login}")
    assert outcome.returncode == 0
    assert bool(groups) == taken
    assert ("did not take the metrics: it answered 401" in outcome.stderr) == (not taken)
    assert "hidden" not in outcome.stderr + outcome.stdout


def number(group: dict[str, Any], name: str, **labels: str) -> float:
    """The one sample of a metric in a group that has these labels."""
    samples = group[name]["metrics"]
    (value,) = [sample["value"] for sample in samples if labels.items() <= sample["labels"].items()]
    return float(value)
