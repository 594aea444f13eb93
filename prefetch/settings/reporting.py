"""What is told of a run, and to whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from prefetch import values
from prefetch.settings.option import option, switch
from prefetch.values import Endpoint

__all__ = ["Reporting"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Reporting:
    """Where a run can be watched, and how it writes what it tells."""

    __slots__ = ()

    listen: Endpoint | None = field(
        default=None,
        metadata=option(
            values.endpoint("an address of this machine and a port", "127.0.0.1:9464", "HOST:PORT"),
            "serve a page, /metrics, /healthz and /readyz there while the command runs",
        ),
    )
    listen_token_file: Path | None = field(
        default=None,
        metadata=option(
            values.path("a file's path", "/run/secrets/prefetch-token", "FILE"),
            "a file with the bearer token that requests must carry",
        ),
    )
    listen_basic_file: Path | None = field(
        default=None,
        metadata=option(
            values.path("a file's path", "/run/secrets/prefetch-login", "FILE"),
            "a file with the name:password that requests must carry",
        ),
    )
    insecure_listen: bool = field(
        default=False, metadata=switch("listen on an address that others reach without a token or a password")
    )
    linger: float = field(
        default=0.0,
        metadata=option(
            values.seconds(0, example="60"), "go on listening for so many seconds after the run, for a last scrape"
        ),
    )
    textfile: Path | None = field(
        default=None,
        metadata=option(
            values.path("a file's path", "/metrics/prefetch.prom", "FILE"),
            "write the metrics to this file, every five seconds and at the end, for node_exporter's textfile collector",
        ),
    )
    pushgateway: str | None = field(
        default=None,
        metadata=option(
            values.name("an address", "https://pushgateway.example.com:9091", "URL"),
            "push the metrics there, every ten seconds and at the end",
        ),
    )
    json_: bool = field(default=False, metadata=switch("print one JSON document on standard output, on errors too"))
    log_format: Literal["text", "json"] = field(
        default="text",
        metadata=option(
            values.choice("text", "json"),
            "how progress is written on standard error: for people, or one JSON object a line",
        ),
    )
