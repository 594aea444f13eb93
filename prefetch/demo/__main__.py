"""The origin as a process: ``python -m prefetch.demo``. Prints its addresses as one JSON line when it is ready."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import ssl
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

from prefetch.demo.content import ZeroFile
from prefetch.demo.log import RequestLog
from prefetch.demo.repo import Repo
from prefetch.demo.seeds import TOKEN, common_faults, seed_repo, seed_set
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link

__all__ = ["main"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, or until standard input ends where that was asked for."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        _serve(options)
    except OSError as error:
        parser.error(f"it cannot serve: {error}")
    return 0


def _serve(options: argparse.Namespace) -> None:
    stopped = Event()
    with running_origin(
        repos=[options.set],
        faults=common_faults() if options.faults == "default" else (),
        tokens={TOKEN: "demo"},
        port=options.port,
        cdn_port=options.cdn_port,
        link=Link(tls=_tls(options.tls), pace=options.pace, delay=options.delay),
        lifetime=options.lifetime,
        log=RequestLog.to_file(options.log) if options.log else None,
    ) as origin:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: stopped.set())
        if options.follow_stdin:
            Thread(target=_set_at_end_of_stdin, args=(stopped,), daemon=True).start()
        _announce(origin, options.set, options.ready_file)
        stopped.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prefetch.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the Hub's port (0: any free one)")
    parser.add_argument("--cdn-port", type=int, default=0, help="the CDN's port (0: any free one)")
    parser.add_argument(
        "--set", type=_repo, default="seed", metavar="SET", help="seed, seed:TOTAL or zeros:SIZE, as in zeros:8G"
    )
    parser.add_argument(
        "--faults", choices=["default", "none"], default="none", help="default: one of each common kind"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="append each finished request as a JSON line")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="write the printed line there, too")
    parser.add_argument("--tls", nargs=2, type=Path, metavar=("CERT", "KEY"), help="PEM files: serve https")
    parser.add_argument("--pace", type=_size, metavar="RATE", help="bytes a second on each connection, as in 40M")
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="seconds before each reply's first byte")
    parser.add_argument(
        "--lifetime", type=int, default=3600, metavar="S", help="seconds that a signed link is good for"
    )
    parser.add_argument("--follow-stdin", action="store_true", help="stop when standard input ends, as with its parent")
    return parser


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]i?)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 500, 40M or 8Gi")
    return int(match[1]) * _UNITS[match[2] or ""]


def _repo(text: str) -> Repo:
    match text.partition(":"):
        case ("seed", "", ""):
            return seed_repo(seed_set())
        case ("seed", ":", total):
            return seed_repo(seed_set(_size(total)))
        case ("zeros", ":", size):
            return Repo(id="prefetch-demo/zeros", files={"zeros.dat": ZeroFile(_size(size))})
    raise argparse.ArgumentTypeError(f"{text!r} is neither seed, seed:TOTAL nor zeros:SIZE")


def _tls(files: list[Path] | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[0], files[1])
    return context


def _announce(origin: DemoServer, repo: Repo, ready_file: Path | None) -> None:
    files = {path: {"size": content.size, "sha256": content.sha256} for path, content in repo.files.items()}
    ready = {"endpoint": origin.endpoint, "cdn_endpoint": origin.cdn_endpoint, "repo": repo.id, "files": files}
    line = json.dumps(ready)
    print(line, flush=True)
    if ready_file is not None:
        # Renamed into place, so that whoever waits for the file never reads half of it.
        partial = ready_file.with_name(f"{ready_file.name}.partial")
        partial.write_text(line + "\n", encoding="utf-8")
        partial.replace(ready_file)


def _set_at_end_of_stdin(stopped: Event) -> None:
    # Not through sys.stdin, whose lock a blocked thread would hold while the interpreter shuts down.
    while os.read(0, 4096):
        pass
    stopped.set()


if __name__ == "__main__":
    raise SystemExit(main())
