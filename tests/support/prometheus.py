"""A real Prometheus and a real Pushgateway on loopback, for as long as a test looks."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.origins import ask
from tests.support.runs import until

__all__ = ["Gateway", "Prometheus", "free_port", "prometheus", "promtool", "pushgateway"]


def free_port() -> int:
    """A port of this machine that nobody listens on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def promtool(*arguments: str | Path, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``promtool ARGUMENTS`` to its end."""
    return subprocess.run(
        ["promtool", *map(str, arguments)], input=stdin, cwd=cwd, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that scrapes."""

    url: str

    def query(self, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """The vector or scalar an expression comes to, now or at a moment, as its API answers."""
        asked = {"query": expression} | ({} if at is None else {"time": str(at)})
        answer = json.loads(ask(f"{self.url}/api/v1/query?{urllib.parse.urlencode(asked)}", patience=20).body)
        assert answer["status"] == "success", (expression, answer)
        result = answer["data"]["result"]
        return [{"metric": {}, "value": result}] if answer["data"]["resultType"] == "scalar" else result

    def value(self, expression: str, *, at: float | None = None) -> float | None:
        """The one number an expression comes to; None where it comes to nothing."""
        found = self.query(expression, at=at)
        assert len(found) < 2, (expression, found)
        return float(found[0]["value"][1]) if found else None

    def until(self, expression: str, what: str) -> float:
        """Wait until an expression comes to something; when that was, in seconds since 1970."""
        seen: list[float] = []

        def looked() -> bool:
            now = time.time()
            seen.append(now)
            return bool(self.query(expression, at=now))

        until(looked, what)
        return seen[-1]

    def targets(self) -> Sequence[Mapping[str, Any]]:
        """What it scrapes, with the labels that came of it and the last error."""
        answer = json.loads(ask(f"{self.url}/api/v1/targets").body)
        targets: Sequence[Mapping[str, Any]] = answer["data"]["activeTargets"]
        return targets


@dataclass(frozen=True, slots=True)
class Gateway:
    """A Pushgateway."""

    url: str

    def groups(self, **headers: str) -> list[dict[str, Any]]:
        """Every group that was pushed: its labels, and its metrics by name."""
        answer = json.loads(ask(f"{self.url}/api/v1/metrics", **headers).body)  # type: ignore[arg-type]
        groups: list[dict[str, Any]] = answer["data"]
        return groups


@contextmanager
def prometheus(
    directory: Path, jobs: Sequence[Mapping[str, Any]], *, rules: Sequence[Path] = ()
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes these jobs twice a second; its files are below ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
        "rule_files": list(map(str, rules)),
        "scrape_configs": list(jobs),
    }
    file, port = directory / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(config))
    words = [f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}"]
    with _running(["prometheus", *words, f"--web.listen-address=127.0.0.1:{port}"], directory / "prometheus.log"):
        server = Prometheus(f"http://127.0.0.1:{port}")
        until(lambda: _answers(f"{server.url}/-/ready"), "Prometheus")
        yield server


@contextmanager
def pushgateway(directory: Path, *, users: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """A Pushgateway that holds what it is told in memory, and lets in only these ``users``: bcrypt hashes by name."""
    config, port = directory / "web.yml", free_port()
    config.write_text(yaml.safe_dump({"basic_auth_users": dict(users or {})}))
    with _running(
        ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={config}"],
        directory / "gateway.log",
    ):
        gateway = Gateway(f"http://127.0.0.1:{port}")
        until(lambda: _answers(f"{gateway.url}/-/ready"), "the Pushgateway")
        yield gateway


@contextmanager
def _running(words: Sequence[str], log: Path) -> Iterator[None]:
    with (
        log.open("wb") as output,
        subprocess.Popen(words, stdout=output, stderr=output, start_new_session=True) as process,
    ):
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def _answers(url: str) -> bool:
    try:
        return ask(url).status in (200, 401)
    except OSError:
        return False
