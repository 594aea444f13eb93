"""A run that can be watched, from outside: listened to, written to a file, kept in the history; and what is refused."""

from __future__ import annotations

import asyncio
import http.server
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.commands import Commands
from tests.support.models import BLOCK, wanted
from tests.support.origins import ask
from tests.support.runs import Runs, until

MODELS = wanted(3 * BLOCK + 7, 50_000)
TOTAL = sum(model.content.size for model in MODELS)
TOKEN = "very-secret-token"


class Watched:
    """A run that listens: where, and what it says on standard error line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self.url = ""
        assert process.stderr is not None
        for line in process.stderr:
            self.said.append(line)
            if found := re.search(r"Listening on (http://[\w.:]+)", line):
                self.url = found[1]
                break
        self._rest = threading.Thread(target=self._read_on)
        self._rest.start()

    def _read_on(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def metrics(self, token: str = "") -> str:
        answer = ask(f"{self.url}/metrics", Authorization=f"Bearer {token}")
        assert answer.status == 200, answer
        return answer.body.decode()

    def end(self) -> str:
        """Stop it; what it wrote on standard output."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        said = self.process.stdout.read()
        self.process.wait()
        self._rest.join()
        return said


@contextmanager
def watched(runs: Runs, *options: str, **env: str) -> Iterator[Watched]:
    with runs.start("--listen", "127.0.0.1:0", *options, env=env) as process:
        run = Watched(process)
        assert run.url, run.said
        yield run


def value(text: str, series: str) -> float | None:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def test_the_metrics_are_those_of_the_result(runs: Runs) -> None:
    with watched(runs, "--linger", "600", "--quota", "1G") as run:
        until(
            lambda: value(run.metrics(), "prefetch_last_run_exit_code") is not None, "the end of the run", run.process
        )
        text = run.metrics()
        assert ask(f"{run.url}/readyz").body == b"ready\n"
        document = json.loads(run.end())
    assert run.process.returncode == 0
    assert document["ok"] and document["bytes_downloaded"] == TOTAL
    assert value(text, 'prefetch_downloaded_bytes_total{host="127.0.0.1"}') == TOTAL
    assert value(text, 'prefetch_models{state="downloaded"}') == len(MODELS)
    assert value(text, "prefetch_hashed_bytes_total") == TOTAL
    assert value(text, "prefetch_volume_quota_bytes") == 1e9
    used = value(text, "prefetch_volume_used_bytes")
    assert used is not None and used >= BLOCK * 3
    assert value(text, "prefetch_last_run_exit_code") == 0
    assert "prefetch_last_success_timestamp_seconds 1" in text
    assert "path=" not in text


def test_a_model_can_be_watched_while_it_comes(runs: Runs) -> None:
    large = MODELS[0]
    with watched(runs, "--limit-rate", "2M") as run:
        series = f'{{path="{large.path}"}}'
        until(lambda: (value(run.metrics(), f"prefetch_model_done_bytes{series}") or 0) > 0, "a byte", run.process)
        text = run.metrics()
        assert value(text, f"prefetch_model_size_bytes{series}") == large.content.size
        assert value(text, 'prefetch_models{state="fetching"}') in (1, 2)
        assert value(text, "prefetch_run_active") == 1
        assert ask(f"{run.url}/healthz").body == b"ok\n"
        assert ask(f"{run.url}/readyz").status == 503
        document = json.loads(run.end())
    assert run.process.returncode == document["exit_code"] == 130


WATCHERS = 50


async def watch_to_the_end(url: str) -> list[dict[str, Any]]:
    """Every frame of the page's stream, up to the one that says that the run is over."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
    writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    frames: list[dict[str, Any]] = []
    while not frames or "All there" not in frames[-1]["parts"].get("headline", ""):
        line = await reader.readline()
        assert line, "cut off"
        if line.startswith(b"data: {"):
            frames.append(json.loads(line.removeprefix(b"data: ")))
    writer.close()
    return frames


def test_fifty_watch_to_the_end_and_one_who_does_not_read_is_left_behind(runs: Runs) -> None:
    async def look(url: str) -> list[list[dict[str, Any]]]:
        parts = urlsplit(url)
        _, idle = await asyncio.open_connection(parts.hostname, parts.port, limit=64)
        idle.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = await asyncio.gather(*(watch_to_the_end(url) for _ in range(WATCHERS)))
        idle.close()
        return seen

    with watched(runs, "--linger", "600", "--limit-rate", "4M") as run:
        everything = asyncio.run(look(run.url))
        document = json.loads(run.end())
    assert document["ok"] and document["bytes_downloaded"] == TOTAL
    for frames in everything:
        # All there is, once, and then what is new.
        assert frames[0]["order"] is not None and set(frames[0]["rows"]) == set(frames[0]["order"])
        assert sum("warnings" in frame["parts"] for frame in frames) == 1
        assert any(frame["rows"] for frame in frames[1:])


def test_the_demo_can_be_watched_too(commands: Commands) -> None:
    with commands.start("demo", "--listen", "127.0.0.1:0") as process:
        run = Watched(process)
        assert "Wan2.2-I2V-A14B-HighNoise" in ask(f"{run.url}/").body.decode()
        run.end()


def test_an_open_door_is_refused(runs: Runs) -> None:
    outcome = runs.run("--listen", "0.0.0.0:0")
    assert outcome.returncode == 2
    assert outcome.document["error"]["code"] == "usage"
    assert "--insecure-listen" in outcome.stderr and "PREFETCH_LISTEN_TOKEN" in outcome.stderr
    assert not runs.volume.exists()
    assert runs.run("--listen", "0.0.0.0:0", "--insecure-listen").returncode == 0
    assert runs.run("--listen", "0.0.0.0:0", env={"PREFETCH_LISTEN_TOKEN": TOKEN}).returncode == 0


def test_to_linger_without_listening_is_refused(runs: Runs) -> None:
    for outcome in (runs.run("--linger", "60"), runs.run("--textfile", "x.prom", env={"PREFETCH_LINGER": "1"})):
        assert outcome.returncode == 2
        assert "--linger goes on listening after the run, and there is no --listen. Add" in outcome.stderr
    assert not runs.volume.exists()


def test_who_has_no_token_learns_one_word_and_the_token_stands_nowhere(runs: Runs, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(TOKEN)
    env = {"PREFETCH_LISTEN_TOKEN_FILE": str(file), "PREFETCH_LISTEN_BASIC": "ann:hidden-password"}
    with watched(runs, "--linger", "600", "--log-format", "json", **env) as run:
        assert ask(f"{run.url}/metrics").status == 401
        text = run.metrics(TOKEN)
        until(lambda: ask(f"{run.url}/readyz").status == 200, "the end of the run", run.process)
        command_line = Path(f"/proc/{run.process.pid}/cmdline").read_text()
        said = run.end()
    kept = "".join(
        file.read_text(errors="replace") for file in (runs.volume / ".prefetch").rglob("*") if file.is_file()
    )
    for secret in (TOKEN, "hidden-password"):
        assert secret not in text + command_line + said + kept + "".join(run.said)


def test_a_place_that_is_taken_is_told_before_anything_is_fetched(runs: Runs) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as taken:
        outcome = runs.run("--listen", f"127.0.0.1:{taken.server_port}")
    assert outcome.returncode == 2
    assert "cannot be listened on" in outcome.stderr
    assert runs.sent() == 0


def test_a_textfile_has_the_last_state(runs: Runs, tmp_path: Path) -> None:
    textfile = tmp_path / "metrics" / "prefetch.prom"
    refused = runs.run("--textfile", str(textfile))
    assert refused.returncode == 2 and "must exist" in refused.stderr
    textfile.parent.mkdir()
    outcome = runs.run("--textfile", str(textfile))
    assert outcome.returncode == 0
    text = textfile.read_text()
    assert value(text, 'prefetch_downloaded_bytes_total{host="127.0.0.1"}') == TOTAL
    assert value(text, "prefetch_run_active") == 0
    assert list(textfile.parent.iterdir()) == [textfile]
    assert textfile.stat().st_mode & 0o777 == 0o644


def test_a_failed_run_leaves_the_last_success_of_the_volume(runs: Runs, tmp_path: Path) -> None:
    textfile = tmp_path / "prefetch.prom"
    assert runs.run().returncode == 0
    lost = MODELS[0].entry(path="models/lost.safetensors", source="hf://acme/models/lost.safetensors", sha256=None)
    assert runs.run("--textfile", str(textfile), entries=[lost]).returncode == 1
    text = textfile.read_text()
    assert value(text, 'prefetch_failures_total{cause="source"}') == 1
    assert value(text, 'prefetch_models{state="failed"}') == 1
    assert value(text, "prefetch_last_run_exit_code") == 1
    success, ended = (
        value(text, "prefetch_last_success_timestamp_seconds"),
        value(text, "prefetch_last_run_timestamp_seconds"),
    )
    assert success and ended and success < ended


def test_a_run_that_could_not_begin_is_left_behind_too(runs: Runs, tmp_path: Path) -> None:
    textfile = tmp_path / "prefetch.prom"
    assert runs.run().returncode == 0
    assert runs.run("--textfile", str(textfile), entries=[{"path": "models/x"}]).returncode == 2
    text = textfile.read_text()
    assert value(text, "prefetch_last_run_exit_code") == 2
    assert value(text, "prefetch_run_active") == 0
    success = value(text, "prefetch_last_success_timestamp_seconds")
    assert success and success < (value(text, "prefetch_last_run_timestamp_seconds") or 0)


def test_a_stopped_run_leaves_its_last_state(runs: Runs, tmp_path: Path) -> None:
    textfile = tmp_path / "prefetch.prom"
    with runs.start("--limit-rate", "2M", "--textfile", str(textfile)) as process:
        until(lambda: runs.sent() > 0, "the first byte", process)
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    text = textfile.read_text()
    assert value(text, "prefetch_run_active") == 0
    assert value(text, "prefetch_last_run_exit_code") == 130
    assert value(text, 'prefetch_models{state="failed"}') == len(MODELS)


def test_a_pushgateway_that_is_down_is_told_once_and_fails_nothing(runs: Runs) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as taken:
        port = taken.server_port
    outcome = runs.run(env={"PREFETCH_PUSHGATEWAY": f"http://ann:hidden@127.0.0.1:{port}"})
    assert outcome.returncode == 0
    assert (
        outcome.stderr.count(f"The Pushgateway http://127.0.0.1:{port} did not take the metrics: Connection refused.")
        == 1
    )
    assert "hidden" not in outcome.stderr + outcome.stdout


def test_the_history_tells_what_was_done(runs: Runs) -> None:
    lost = MODELS[0].entry(path="models/lost.safetensors", source="hf://acme/models/lost.safetensors", sha256=None)
    assert runs.run().returncode == 0
    assert runs.run().returncode == 0
    assert runs.run(entries=[lost]).returncode == 1
    words = ("status", "--history", "--volume", runs.volume)
    failed, first = runs.commands.run(*words, "--json").document["history"]
    assert (first["exit_code"], first["code"], first["fetched"], first["models"]) == (0, None, 2, 2)
    assert first["bytes_downloaded"] == TOTAL and first["speed"] > 0
    assert (failed["exit_code"], failed["code"], failed["failed"]) == (1, "source", 1)
    table = runs.commands.run(*words).stdout.splitlines()
    assert len(table) == 3
    assert "source" in table[1] and "2 of 2 fetched" in table[2]


def test_no_history_yet(runs: Runs) -> None:
    runs.volume.mkdir()
    outcome = runs.commands.run("status", "--history", "--volume", runs.volume)
    assert outcome.returncode == 0
    assert "no run has fetched anything here yet" in outcome.stdout
