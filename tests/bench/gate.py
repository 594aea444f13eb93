"""The delay of a far origin: a server that lets each request pass after a while, which nginx asks before it answers.

nginx cannot wait by itself, and a shim that slept in its sends would hold up every other connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefetch.demo.faults import Script
from prefetch.demo.log import RequestLog
from prefetch.demo.messages import Reply, Request, text_reply
from prefetch.demo.wire import Link, Server

__all__ = ["CONFIGURATION", "LOCATION", "gate"]

CONFIGURATION = """
    upstream gate {{
        server 127.0.0.1:{port};
        keepalive 64;
    }}
    auth_request /gate;
"""
"""For nginx's http block, with `LOCATION` in its server block."""

LOCATION = """
        location = /gate {
            internal;
            proxy_pass http://gate;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header Connection "";
        }
"""


@contextmanager
def gate(delay: float) -> Iterator[int]:
    """A server on 127.0.0.1 that says yes to everything after ``delay`` seconds; its port."""
    server = Server("hub", 0, script=Script(), log=RequestLog(), link=Link(delay=delay))
    with server.serving(_yes):
        yield server.port


def _yes(request: Request) -> Reply:
    return text_reply(200, "")
