"""A real nginx that serves a folder over TLS, its connections paced and its answers delayed as a link says."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.bench import gate
from tests.bench.accesslog import AccessLog
from tests.bench.link import Link
from tests.support.slots import tool_environment

__all__ = ["Nginx", "free_port", "nginx_serving"]

SHIM = Path(__file__).with_name("accept_paced.c")
START_SECONDS = 10.0

CONFIGURATION = """
daemon off;
env PACE;
env SLOWED;
{user}
worker_processes 2;
pid {work}/nginx.pid;
error_log {work}/error.log;
events {{ worker_connections 4096; }}
http {{
    log_format bench '{log_format}';
    access_log {log} bench;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    default_type application/octet-stream;
    keepalive_requests 100000;
    output_buffers 2 256k;
    {gate}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {work}/chain.pem;
        ssl_certificate_key {work}/key.pem;
        root {folder};
        {location}
    }}
    {hub}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """Where it serves, the certificate authority to trust for it, and its log."""

    port: int
    authority: Path
    log: AccessLog

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def nginx_serving(
    folder: Path, *, work: Path, link: Link, hub: Callable[[str], str] = lambda endpoint: ""
) -> Iterator[Nginx]:
    """Serve ``folder`` on a free port of 127.0.0.1; ``work`` is for its own files.

    Args:
        hub: more of the configuration's http block, made from the endpoint at which the folder is served.
    """
    nginx = Nginx(free_port(), _write_certificates(work), AccessLog(work / "access.log"))
    with ExitStack() as cleanup:
        gate_port = cleanup.enter_context(gate.gate(link.delay)) if link.delay else 0
        configuration = work / "nginx.conf"
        more = hub(nginx.endpoint)
        configuration.write_text(_configuration(nginx, folder, work=work, gate_port=gate_port, hub=more))
        # In a session of its own, so that Ctrl-C reaches us and not it; and it ends with us, however we end.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "nginx", "-c", str(configuration), "-p", str(work)],
            env=tool_environment() | (_pacing(work, link) if link.pace else {}),
            start_new_session=True,
        )
        cleanup.callback(process.wait)
        cleanup.callback(process.terminate)
        _wait_until_it_accepts(nginx.port, process)
        yield nginx


def _configuration(nginx: Nginx, folder: Path, *, work: Path, gate_port: int, hub: str) -> str:
    return CONFIGURATION.format(
        work=work,
        folder=folder,
        port=nginx.port,
        log=nginx.log.path,
        log_format=AccessLog.FORMAT,
        user="user root;" if os.geteuid() == 0 else "",
        gate=gate.CONFIGURATION.format(port=gate_port) if gate_port else "",
        location=gate.LOCATION if gate_port else "",
        hub=hub.replace("{gate}", gate.LOCATION if gate_port else ""),
    )


def _write_certificates(work: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    for chain, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(work / "chain.pem", append=chain > 0)
    certificate.private_key_pem.write_to_path(work / "key.pem")
    authority.cert_pem.write_to_path(work / "authority.pem")
    return work / "authority.pem"


def _pacing(work: Path, link: Link) -> dict[str, str]:
    compiler = shutil.which("cc") or "gcc"
    library = work / "accept_paced.so"
    subprocess.run([compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "PACE": str(link.pace), "SLOWED": str(link.slowed)}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
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
