"""What no downloader can beat: C programs that receive, write and hash the same bytes, all three at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from shlex import join, quote

from tests.bench.jobs import Contender, Job, digest_command

__all__ = ["DD", "LIMIT", "YARDSTICKS", "Piece", "shares"]

LIMIT = "the limit"
DD = "dd alone"
CONNECTIONS = 16

Piece = tuple[str, int, int]
"""A path, and the bytes [start, stop) of it."""


def shares(sizes: Mapping[str, int], parts: int) -> list[list[Piece]]:
    """All bytes of files of these sizes in ``parts`` equal shares, to within a byte, in the files' order."""
    whole = sum(sizes.values())
    bounds = [whole * part // parts for part in range(parts + 1)]
    return [_between(sizes, low, high) for low, high in pairwise(bounds)]


def _between(sizes: Mapping[str, int], low: int, high: int) -> list[Piece]:
    """The bytes [low, high) of all files written one after the other."""
    pieces, at = [], 0
    for path, size in sizes.items():
        start, stop = max(low - at, 0), min(high - at, size)
        if start < stop:
            pieces.append((path, start, stop))
        at += size
    return pieces


def _all_at_once(job: Job) -> list[str]:
    lines = [
        f"{{ {' && '.join(_writing(job))}; }} & writing=$!",
        f"{join(_receiving(job))} & receiving=$!",
        f"{join(_hashing(job))} > /dev/null & hashing=$!",
        "wait $writing && wait $receiving && wait $hashing",
    ]
    return _script(job, "limit.sh", "\n".join(lines))


def _dd(job: Job) -> list[str]:
    return _script(job, "dd.sh", " && ".join(_writing(job)))


def _writing(job: Job) -> list[str]:
    return [
        f"{join(['mkdir', '-p', str((job.target / path).parent)])} && dd bs=8M status=none "
        f"if={quote(str(job.files.folder / path))} of={quote(str(job.target / path))}"
        for path in job.files.hashes
    ]


def _receiving(job: Job) -> list[str]:
    """One curl a connection, so that each share is one connection's work and no more than one core's."""
    configurations = []
    sizes = {file.path: file.content.size for file in job.files.files}
    for number, share in enumerate(shares(sizes, job.connections or CONNECTIONS)):
        configurations.append(job.work / f"receive-{number}.txt")
        configurations[-1].write_text("next\n".join(_request(job, piece) for piece in share))
    listing = job.work / "receive.txt"
    listing.write_text("".join(f"{path}\n" for path in configurations))
    return ["xargs", "-a", str(listing), "-n1", f"-P{len(configurations)}", "curl", "-sS", "-K"]


def _request(job: Job, piece: Piece) -> str:
    path, start, stop = piece
    return f'url = "{job.origin.url(path)}"\nrange = "{start}-{stop - 1}"\noutput = "/dev/null"\nfail\n'


def _hashing(job: Job) -> list[str]:
    origin = [job.files.folder / path for path in job.files.largest_first]
    return digest_command(origin, listing=job.work / "hash.txt")


def _script(job: Job, name: str, text: str) -> list[str]:
    path: Path = job.work / name
    path.write_text(text)
    return ["sh", str(path)]


YARDSTICKS = {
    yardstick.name: yardstick
    for yardstick in (
        Contender(LIMIT, _all_at_once, verifies=True),
        Contender(DD, _dd, verifies=True),
    )
}
