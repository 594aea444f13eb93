"""The system's Chromium without a window, and an nginx that leads to a server below a path."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.origins import ask
from tests.support.prometheus import free_port
from tests.support.runs import until

__all__ = ["chromium", "proxied"]

_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location {prefix} {{
            proxy_pass {url}/;
            proxy_read_timeout {limit}s;
        }}
    }}
}}
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. While it runs, no other event loop can run in this thread."""
    with sync_playwright() as playwright:
        # Root, as which the whole check runs, is refused the sandbox.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def proxied(url: str, folder: Path, *, prefix: str, limit: int = 100) -> Iterator[str]:
    """What is at ``url``, below ``prefix`` of another server, which cuts what is silent for ``limit`` seconds."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, port=port, prefix=prefix, url=url, limit=limit))
    words = ["nginx", "-e", str(folder / "error.log"), "-c", str(file)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _answers(f"http://127.0.0.1:{port}/"), "nginx")
            yield f"http://127.0.0.1:{port}{prefix}"
        finally:
            process.send_signal(signal.SIGTERM)


def _answers(url: str) -> bool:
    try:
        return ask(url).status > 0
    except OSError:
        return False
