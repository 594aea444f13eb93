"""Where a run's metrics are left behind: a file for node_exporter, a Pushgateway. Blocking calls."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from prometheus_client import generate_latest, push_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from prefetch.errors import PrefetchError, UsageError
from prefetch.net.credentials import may_carry_secrets
from prefetch.net.urls import SecretURL, redact

__all__ = ["Outlet", "Pushgateway", "Snapshot", "Textfile"]


class Snapshot(Collector):
    """Metrics as they were at one moment, for another thread to write out."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        """The metrics."""
        return self._metrics


class Outlet(Protocol):
    """Somewhere metrics are written to, again and again."""

    @property
    def every(self) -> float:
        """Seconds between two writes."""
        ...

    def write(self, snapshot: Snapshot, *, within: float) -> None:
        """Put the metrics there, in the place of those before. Raises PrefetchError."""
        ...


@dataclass(frozen=True, slots=True)
class Textfile:
    """A file that node_exporter's textfile collector reads: written whole or not at all."""

    path: Path
    every: float = 5.0

    def check(self) -> None:
        """Raise UsageError unless the file's directory is there and can be written to."""
        if self.path.suffix != ".prom":
            raise UsageError(
                f"--textfile {self.path} does not end in .prom.",
                remedy="node_exporter reads no other files: write for example --textfile /metrics/prefetch.prom",
            )
        if self.path.is_dir() or not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise UsageError(
                f"--textfile {self.path} cannot be written.", remedy="Its directory must exist and be writable."
            )

    def write(self, snapshot: Snapshot, *, within: float) -> None:
        """Replace the file. It waits for nobody, so ``within`` bounds nothing."""
        # Its name ends otherwise, so that it is not read before it is whole.
        draft = self.path.with_name(f".{self.path.name}.{token_hex(8)}")
        try:
            # Exclusive, for others may be able to write to that directory too.
            with draft.open("xb") as file:
                file.write(generate_latest(snapshot))
            draft.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise PrefetchError(f"The metrics cannot be written to {self.path}: {error.strerror}.") from None


@dataclass(frozen=True, slots=True)
class Pushgateway:
    """A group of metrics on a Pushgateway.

    Attributes:
        url: the gateway's address, without name and password, without a slash at its end.
        job, grouping: what the group is known by.
        login: name and password, where the address had them.
    """

    url: SecretURL
    job: str
    grouping: Mapping[str, str]
    login: tuple[str, str] | None = field(default=None, repr=False)
    every: float = 10.0
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def at(cls, address: str, environ: Mapping[str, str]) -> Pushgateway:
        """The group that an address means, as ``https://name:password@host:9091`` with or without ``/metrics/job/…``.

        Without that path, the job is ``prefetch`` and the instance this pod's or this host's name.

        Raises:
            UsageError: it is no such address; it is not shown, for it may hold a password.
        """
        remedy = "Write for example: --pushgateway https://pushgateway.example.com:9091"
        try:
            whole = SecretURL(address)
        except ValueError as error:
            raise UsageError(f"--pushgateway is {error}.", remedy=remedy) from None
        parts = urlsplit(whole.reveal())
        if parts.query or parts.fragment:
            raise UsageError("--pushgateway carries more than a host and a path.", remedy=remedy)
        login = (unquote(parts.username or ""), unquote(parts.password or "")) if whole.has_userinfo else None
        if login is not None and not may_carry_secrets(whole):
            raise UsageError(
                f"No password is sent to {whole.host}, which is neither https nor this machine.", remedy=remedy
            )
        prefix, found, group = parts.path.rstrip("/").partition("/metrics/job/")
        job, labels = _grouping(group) if found else ("prefetch", {"instance": _this_machine(environ)})
        host = parts.netloc.rpartition("@")[2]
        return cls(SecretURL(f"{parts.scheme}://{host}{prefix}"), job, labels, login)

    def write(self, snapshot: Snapshot, *, within: float) -> None:
        """Put the group in the place of the one before, in so many seconds."""
        send = (
            partial(basic_auth_handler, username=self.login[0], password=self.login[1])
            if self.login
            else default_handler
        )
        # Else an earlier one that hung could take the last one's place.
        if not self._one_at_a_time.acquire(timeout=within):
            raise PrefetchError(f"The Pushgateway {self.url} did not answer in time.")
        try:
            push_to_gateway(self.url.reveal(), self.job, snapshot, dict(self.grouping), timeout=within, handler=send)
        except (OSError, HTTPException, ssl.SSLError) as error:
            raise PrefetchError(f"The Pushgateway {self.url} did not take the metrics: {_why(error)}.") from None
        finally:
            self._one_at_a_time.release()


def _why(error: Exception) -> str:
    """Why the metrics were not taken, in words."""
    if isinstance(error, HTTPError):
        # What it says beside the number might repeat the login.
        return f"it answered {error.code}"
    reason = error.reason if isinstance(error, URLError) else error
    words = reason.strerror if isinstance(reason, OSError) and not isinstance(reason, ssl.SSLError) else None
    return redact(words or str(reason))


def _grouping(text: str) -> tuple[str, dict[str, str]]:
    job, *rest = map(unquote, text.split("/"))
    if not job or len(rest) % 2 or not all(rest):
        raise UsageError(
            "The path of --pushgateway is not /metrics/job/NAME followed by pairs of label and value.",
            remedy="Write for example: --pushgateway https://host:9091/metrics/job/models/instance/pod-1",
        )
    return job, dict(zip(rest[::2], rest[1::2], strict=True))


def _this_machine(environ: Mapping[str, str]) -> str:
    return environ.get("RUNPOD_POD_ID") or socket.gethostname()
