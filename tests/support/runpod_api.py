"""The stand-in for RunPod's REST API v2 on loopback.

Each request and each answer is held against the published contract: a request that breaks it is answered with 422, an
answer that breaks it is a fault of the stand-in, and both stand in `RunPod.breaches`.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.contract import answer_breach, request_breach
from tests.support.pods import Job, after, idle
from tests.support.runpod import Call, Refusal, RunPod, Trouble

__all__ = ["running_runpod"]


class _Handler(BaseHTTPRequestHandler):
    """HTTP around `RunPod.answer`."""

    protocol_version = "HTTP/1.1"
    account: RunPod
    numbers: Iterator[int]

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        path = urlsplit(self.path).path
        headers = dict(self.headers.items())
        trouble = next((one for one in list(self.account.troubles) if one.strikes(self.command, path)), None)
        number = next(self.numbers)
        self.account.watch(number)
        if trouble is not None and trouble.hold is not None:
            trouble.hold.wait(30)
        if trouble is not None and not trouble.harmless and not trouble.effect:
            self._hit(trouble, body)
            return
        try:
            if breach := request_breach(self.command, self.path, headers, body):
                self.account.breaches += [f"{self.command} {self.path}: {each}" for each in breach]
                raise Refusal(422, "Request validation failed.", breach)
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if path.endswith("/logs"):
                self._logs(path, key)
                return
            status, document = self.account.answer(
                self.command, path, parse_qs(urlsplit(self.path).query), json.loads(body or b"null"), key
            )
        except Refusal as refusal:
            self._refuse(refusal, body)
            return
        self.account.watch(number)
        if trouble is not None and trouble.effect:
            self._hit(trouble, body)
            return
        self._send(status, document, body)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the base class has these names

    def _hit(self, trouble: Trouble, body: bytes) -> None:
        if trouble.status is None:
            self.account.calls.append(Call(self.command, self.path, None, body))
            self.close_connection = True
            return
        self._refuse(Refusal(trouble.status, trouble.detail), body, retry_after=trouble.retry_after)

    def _refuse(self, refusal: Refusal, body: bytes, *, retry_after: int | None = None) -> None:
        document: dict[str, Any] = {"title": "Refused", "status": refusal.status, "detail": refusal.detail}
        if refusal.errors:
            document["errors"] = refusal.errors
        extra = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._send(refusal.status, document, body, kind="application/problem+json", extra=extra)

    def _send(
        self,
        status: int,
        document: Any,
        asked: bytes,
        *,
        kind: str = "application/json",
        extra: Mapping[str, str] | None = None,
    ) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        headers = {"RateLimit": '"minute";r=59;t=12', **(extra or {})}
        if body:
            headers["Content-Type"] = kind
        self._check(status, headers, body)
        self.account.calls.append(Call(self.command, self.path, status, asked))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _check(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        asked = dict(self.headers.items())
        for each in answer_breach(self.command, self.path, asked, status, headers, body):
            self.account.breaches.append(f"answer {status} to {self.command} {self.path}: {each}")

    def _logs(self, path: str, key: str) -> None:
        account = self.account
        words = path.removeprefix("/v2/").split("/")
        with account.changed:
            account.check_key(key, words, {"action": "logs"})
            pod = account.pod(words[1])
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        self._check(200, headers, b"data: {}\n\n")
        account.calls.append(Call(self.command, self.path, 200))
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        cursor = self.headers.get("Last-Event-ID")
        tail = int(parse_qs(urlsplit(self.path).query).get("tail", ["100"])[0])
        try:
            while True:
                with account.changed:
                    lines = list(after(pod.lines, cursor, tail))
                    if not lines and pod.stopped.is_set():
                        return
                    if not lines:
                        account.changed.wait(0.2)
                for entry in lines:
                    data = json.dumps({"ts": entry.cursor, "source": entry.source, "line": entry.line})
                    self.wfile.write(f"id: {entry.cursor}\ndata: {data}\n\n".encode())
                    cursor = entry.cursor
                self.wfile.write(b": nothing\n\n" if not lines else b"")
                self.wfile.flush()
        except OSError:
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no error of ours."""


@contextmanager
def running_runpod(folder: Path, *, job: Job = idle) -> Iterator[RunPod]:
    """An account that serves on loopback until the block is left; every breach of the contract then fails the test."""
    account = RunPod(folder, job=job)
    handler: Callable[..., BaseHTTPRequestHandler] = type(
        "Handler", (_Handler,), {"account": account, "numbers": itertools.count(1)}
    )
    server = _Server(("127.0.0.1", 0), handler)
    account.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield account
    finally:
        account.close()
        server.shutdown()
        server.server_close()
        thread.join()
