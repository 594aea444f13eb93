"""Work on what stands already: nothing to do, verification, a plan."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.downloads import fetch_verified
from tests.bench.filesets import Pin, write_files
from tests.bench.jobs import Job, digest_command
from tests.bench.link import Link
from tests.bench.origin import origin_for
from tests.bench.ours import OURS, PREFETCH, document_of, our_command, write_manifest
from tests.bench.rounds import Contestant
from tests.bench.usage import Usage, run_measured
from tests.bench.volumes import Volume
from tests.support.commands import Commands

__all__ = ["MANY", "OPENSSL", "Idle", "Planning", "Verification"]

MANY = f"{OURS}, 1,000 models"
OPENSSL = "openssl dgst"
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """``prefetch run`` where everything is there already: two sets on one volume."""

    few: Mapping[str, int]
    many: Mapping[str, int]
    volume: Volume
    size: int = 0

    @contextmanager
    def contestants(self, scratch: Path) -> Iterator[list[Contestant]]:
        """A run over each set; its origin is gone by then."""
        with self.volume(sum(self.few.values()) + sum(self.many.values())) as root:
            few = _standing(self.few, scratch / "few", target=root / "few")
            many = _standing(self.many, scratch / "many", target=root / "many")
            yield [Contestant(OURS, partial(_run_again, few)), Contestant(MANY, partial(_run_again, many))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """``prefetch verify`` of a set, beside OpenSSL on every core; each finds no page cached."""

    sizes: Mapping[str, int]
    volume: Volume

    @property
    def size(self) -> int:
        """Bytes that each turn reads."""
        return sum(self.sizes.values())

    @contextmanager
    def contestants(self, scratch: Path) -> Iterator[list[Contestant]]:
        """Both, as long as the volume stands."""
        with self.volume(self.size) as root:
            job = _standing(self.sizes, scratch, target=root / "volume")
            yield [Contestant(OURS, partial(_verify, job)), Contestant(OPENSSL, partial(_digest, job))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """``prefetch plan`` of a manifest that pins ``entries`` models, none of which is on the volume."""

    entries: int
    volume: Volume
    size: int = 0

    @contextmanager
    def contestants(self, scratch: Path) -> Iterator[list[Contestant]]:
        """The one, as long as the volume stands."""
        manifest = write_manifest(scratch / "manifest.yaml", _pins(self.entries))
        with self.volume(1) as root:
            commands = Commands(scratch)
            command = commands.argv("plan", manifest, "--volume", root, "--json")
            # Nobody answers there: a plan of pinned models asks nobody.
            env = commands.environment({"HF_ENDPOINT": NOWHERE})
            yield [Contestant(OURS, lambda: run_measured(command, env=env, output=scratch / "plan.log"))]


def _pins(entries: int) -> dict[str, Pin]:
    """As many models, each a file that holds its own path."""
    paths = (f"models/loras/{number:05}.safetensors" for number in range(entries))
    return {path: Pin(hashlib.sha256(path.encode()).hexdigest(), len(path)) for path in paths}


def _standing(sizes: Mapping[str, int], scratch: Path, *, target: Path) -> Job:
    """A set that prefetch has put on ``target``, which is made."""
    target.mkdir()
    files = write_files(scratch / "files", sizes)
    with origin_for(files, work=scratch / "work", link=Link()) as origin:
        job = Job(files, origin, target, scratch / "work")
        fetch_verified(PREFETCH, job)
    return job


def _run_again(job: Job) -> Usage:
    return _measured("run", job, status="present")


def _verify(job: Job) -> Usage:
    _drop_pages(job)
    return _measured("verify", job, status="ok")


def _digest(job: Job) -> Usage:
    _drop_pages(job)
    command = digest_command(_targets(job), listing=job.work / "names")
    return run_measured(command, env=job.environment, output=job.work / "digests")


def _measured(command: str, job: Job, *, status: str) -> Usage:
    output = job.work / f"{command}.log"
    usage = run_measured(our_command(command, job), env=job.environment | PREFETCH.settings(job), output=output)
    if any(model["status"] != status for model in document_of(output)["models"]):
        raise RuntimeError(f"'prefetch {command}' found a model that is not {status}.")
    return usage


def _drop_pages(job: Job) -> None:
    for path in _targets(job):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _targets(job: Job) -> list[Path]:
    return [job.target / path for path in job.files.largest_first]
