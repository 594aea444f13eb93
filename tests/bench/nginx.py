"""A real nginx that serves a folder over TLS, each accepted connection paced."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.slots import tool_environment

__all__ = ["Nginx", "nginx_serving"]

SHIM = Path(__file__).with_name("accept_paced.c")
START_SECONDS = 10.0

CONFIGURATION = """
daemon off;
env PACE;
{user}
worker_processes 2;
pid {work}/nginx.pid;
error_log {work}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    default_type application/octet-stream;
    keepalive_requests 100000;
    output_buffers 2 256k;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {work}/chain.pem;
        ssl_certificate_key {work}/key.pem;
        root {folder};
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """Where it serves, and the certificate authority to trust for it."""

    endpoint: str
    authority: Path


@contextmanager
def nginx_serving(folder: Path, *, work: Path, pace: int) -> Iterator[Nginx]:
    """Serve ``folder`` on a free port of 127.0.0.1; ``pace`` is bytes a second for each connection, 0 for no limit."""
    authority = _write_certificates(work)
    port = _free_port()
    configuration = work / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(CONFIGURATION.format(work=work, port=port, folder=folder, user=user))
    process = subprocess.Popen(
        ["nginx", "-c", str(configuration), "-p", str(work)],
        env=tool_environment() | (_pacing(work, pace) if pace else {}),
        start_new_session=True,
    )
    try:
        _wait_until_it_accepts(port, process)
        yield Nginx(f"https://127.0.0.1:{port}", authority)
    finally:
        process.terminate()
        process.wait()


def _write_certificates(work: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    for chain, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(work / "chain.pem", append=chain > 0)
    certificate.private_key_pem.write_to_path(work / "key.pem")
    authority.cert_pem.write_to_path(work / "authority.pem")
    return work / "authority.pem"


def _pacing(work: Path, pace: int) -> dict[str, str]:
    compiler = shutil.which("cc") or "gcc"
    library = work / "accept_paced.so"
    subprocess.run([compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "PACE": str(pace)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_accepts(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("nginx did not start.") from None
            time.sleep(0.02)
        else:
            return
