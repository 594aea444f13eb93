"""A sidecar as tests from outside have it: a process that listens, what it says, and what it serves."""

from __future__ import annotations

import http.server
import json
import re
import signal
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import standardwebhooks

from tests.support.origins import ask
from tests.support.runs import Runs, until

__all__ = ["SECRET", "Received", "Receiver", "Sidecar", "receiver", "sidecar"]

SECRET = "whsec_" + b64encode(bytes(range(32))).decode()


class Sidecar:
    """``prefetch serve`` at work: where it listens, and what it has said on standard error so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        self.url = ""
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._listening.wait(30)
        assert self.url, self.said

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if found := re.search(r"Listening on (http://[\w.:]+)", line):
                self.url = found[1]
                self._listening.set()
        self._listening.set()

    @property
    def word(self) -> str:
        """What ``/readyz`` says, checked against its status."""
        answer = ask(f"{self.url}/readyz")
        word = answer.body.decode().strip()
        assert answer.status == (200 if word == "ready" else 503)
        return word

    def metric(self, series: str) -> float | None:
        """The value of a series right now."""
        text = ask(f"{self.url}/metrics").body.decode()
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    def until(self, condition: Any, what: str) -> None:
        """Wait for ``condition()``."""
        try:
            until(condition, what, self.process)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said}") from None

    def until_ready(self, *models: Path) -> None:
        """Wait until all ``models`` stand and it says ``ready``."""
        self.until(lambda: all(model.exists() for model in models) and self.word == "ready", "the word ready")

    def until_at_rest(self, *models: Path) -> None:
        """Wait until all ``models`` stand, and the last run has ended well."""
        self.until_ready(*models)
        self.until(
            lambda: self.metric("prefetch_run_active") == 0 and self.metric("prefetch_last_run_exit_code") == 0, "rest"
        )

    def until_said(self, text: str) -> None:
        """Wait until it has said something with ``text`` in it."""
        self.until(lambda: text in self.said, f"the words {text!r}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> dict[str, Any]:
        """Send a signal and wait; the document it printed."""
        self.process.send_signal(number)
        assert self.process.stdout is not None
        printed = self.process.stdout.read()
        self.process.wait()
        self._reader.join()
        document: dict[str, Any] = json.loads(printed)
        assert document["exit_code"] == self.process.returncode, self.said
        return document


@contextmanager
def sidecar(
    runs: Runs, *options: str, manifest: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Sidecar]:
    """``prefetch serve`` of a manifest on the volume, by default all models; it is killed at the end of the block."""
    words: list[str | Path] = ["serve", *([manifest] if manifest else []), "--volume", runs.volume, "--json"]
    words += ["--listen", "127.0.0.1:0", "--poll", "0.2", *options]
    with runs.commands.start(*words, env=runs.environment(env)) as process:
        yield Sidecar(process)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that came with a right signature."""

    identity: str
    headers: Mapping[str, str]
    document: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.document["type"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.document["data"]
        return data


@dataclass(slots=True)
class Receiver:
    """A webhook's receiver: what it took, in order, and the answers it is to give first."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def kinds(self) -> list[str]:
        """The types of what was received."""
        return [message.kind for message in self.received]

    def of(self, kind: str) -> list[Received]:
        """What was received of one type."""
        return [message for message in self.received if message.kind == kind]


@contextmanager
def receiver(*answers: int) -> Iterator[Receiver]:
    """A receiver on loopback that verifies each message as the published library does, and answers 204 in the end."""
    took = Receiver(answers=list(answers))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = dict(self.headers)
            document = standardwebhooks.Webhook(SECRET).verify(body, headers)
            took.received.append(Received(headers["webhook-id"], headers, document))
            self.send_response(took.answers.pop(0) if took.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        took.url = f"http://127.0.0.1:{server.server_port}/hooks/very-secret-key?key=very-secret-key"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield took
        finally:
            server.shutdown()
            thread.join()
