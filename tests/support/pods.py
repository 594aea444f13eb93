"""The pods of the RunPod stand-in: a status, a log, and a container that runs a job in a thread and is restarted."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.commands import Commands

__all__ = ["Container", "Job", "Pod", "finishing", "idle", "real_run", "silent"]

_SECRET = re.compile(r"\{\{ RUNPOD_SECRET_(\w+) \}\}")
_ACTIONS = {
    "PROVISIONING": ["stop", "terminate"],
    "STARTING": ["stop", "terminate"],
    "RUNNING": ["stop", "restart", "terminate"],
    "EXITED": ["start", "terminate"],
    "ERROR": ["start", "terminate"],
    "TERMINATED": [],
}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line; ``cursor`` is its time, which no other line of the pod has."""

    cursor: str
    source: str
    line: str


@dataclass(slots=True)
class Pod:
    """A pod's state. Its lock and its news are those of the stand-in."""

    id: str
    request: dict[str, Any]
    created: datetime
    price: float
    changed: threading.Condition
    status: str = "PROVISIONING"
    started: datetime | None = None
    lines: list[LogEntry] = field(default_factory=list)
    starts: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def env(self) -> dict[str, str]:
        """Its variables as they were given."""
        return dict(self.request.get("env", {}))

    @property
    def volume(self) -> str | None:
        """The network volume that it mounts."""
        network = self.request.get("mounts", {}).get("network", [])
        return network[0]["volumeId"] if network else None

    @property
    def actions(self) -> list[str]:
        """What may be done to it now."""
        return _ACTIONS[self.status]

    def document(self) -> dict[str, Any]:
        """The pod as the API shows it."""
        cpu = self.request.get("cpu", {"id": "cpu3c", "vcpuCount": 2})
        live = self.status == "RUNNING"
        return {
            "id": self.id,
            "name": self.request["name"],
            "image": self.request.get("image", ""),
            "args": self.request.get("args", ""),
            "disk": self.request.get("disk", 10),
            "ports": self.request.get("ports", []),
            "env": self.env,
            "registry": None,
            "status": self.status,
            "actions": self.actions,
            "mounts": self.request.get("mounts", {}),
            "cpu": {**cpu, "memory": 2 * cpu["vcpuCount"]},
            "cloud": self.request.get("cloud", "SECURE"),
            "dataCenterId": (self.request.get("dataCenterIds") or [None])[0],
            "cudaVersion": None,
            "ssh": {"proxy": None, "direct": None},
            "template": None,
            "cost": 0.0 if self.status in ("EXITED", "TERMINATED") else self.price,
            "locked": False,
            "globalNetworking": {"enabled": False},
            "runtime": {"uptime": 1} if live else None,
            "createdAt": _text(self.created),
            "startedAt": _text(self.started) if self.started else None,
        }

    def log(self, line: str, *, source: str = "container") -> None:
        """Add a line; the first of the container's own makes the pod RUNNING."""
        with self.changed:
            moment = self.created + timedelta(milliseconds=len(self.lines) + 1)
            self.lines.append(LogEntry(_text(moment), source, line))
            if source == "container" and self.status == "STARTING":
                self.status, self.started = "RUNNING", datetime.now(UTC)
            self.changed.notify_all()

    def stop(self, status: str) -> None:
        """End its container: the pod is EXITED or TERMINATED."""
        with self.changed:
            self.status = status
            self.stopped.set()
            self.changed.notify_all()


@dataclass(frozen=True, slots=True)
class Container:
    """What a job sees of its pod."""

    pod: Pod
    env: Mapping[str, str]
    volume: Path | None

    def log(self, line: str, *, source: str = "container") -> None:
        """Write a line."""
        self.pod.log(line, source=source)

    @property
    def stopped(self) -> threading.Event:
        """Set when the pod is stopped or removed."""
        return self.pod.stopped


Job = Callable[[Container], None]
"""A container's main process; when it returns, RunPod starts it again, unless the pod was stopped or removed."""


def idle(container: Container) -> None:
    """Do nothing until the pod is stopped."""
    container.log("idle")
    container.stopped.wait()


def silent(container: Container) -> None:
    """An image that is never pulled: the pod never runs."""
    container.log("pulling the image", source="system")
    container.stopped.wait()


def finishing(document: Mapping[str, Any], *, before: Iterable[str] = (), then: Job = idle) -> Job:
    """A job that writes some lines and its result, and then idles."""

    def job(container: Container) -> None:
        for line in before:
            container.log(line)
        container.log("PREFETCH_RESULT " + json.dumps(document))
        then(container)

    return job


def real_run(commands: Commands, **env: str) -> Job:
    """``prefetch`` itself, as another process, with the pod's arguments and variables, on the volume's folder."""

    def job(container: Container) -> None:
        words = shlex.split(container.pod.request.get("args", ""))
        variables = {**container.env, **env}
        if container.volume is not None:
            variables["PREFETCH_VOLUME"] = str(container.volume)
        process = subprocess.Popen(
            [sys.executable, "-m", "prefetch", *words],
            env=commands.environment(variables),
            cwd=commands.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=_kill_when_stopped, args=(container, process), daemon=True).start()
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                container.log(line.rstrip("\n"))

    return job


def _kill_when_stopped(container: Container, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        if container.stopped.wait(0.05):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            return


def with_secrets(env: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """Variables with RunPod's secrets in place of their references."""
    return {name: _SECRET.sub(lambda m: secrets.get(m[1], m[0]), text) for name, text in env.items()}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def after(lines: list[LogEntry], cursor: str | None, tail: int) -> Iterator[LogEntry]:
    """The lines behind a cursor, or else the last ``tail`` ones."""
    if cursor is None:
        yield from lines[len(lines) - min(tail, len(lines)) :]
        return
    yield from (entry for entry in lines if entry.cursor > cursor)
