"""One download: what, from where, to where."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.filesets import FileSet
from tests.bench.origin import Origin
from tests.bench.volumes import Volume
from tests.support.commands import Commands

__all__ = ["Contender", "Job", "Stage", "digest_command"]


@dataclass(frozen=True, slots=True)
class Job:
    """The whole set from ``origin`` into ``target``.

    Attributes:
        work: a folder for anything else.
        connections: most that a program may open at once, where it can be told; None for what is best for it.
    """

    files: FileSet
    origin: Origin
    target: Path
    work: Path
    connections: int | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the tester's own settings, an empty home, and the origin's certificate authority."""
        return Commands(self.work).environment({"SSL_CERT_FILE": str(self.origin.cdn.authority)})


@dataclass(frozen=True, slots=True)
class Stage:
    """Where all programs of a workload download, each onto a volume of its own."""

    files: FileSet
    origin: Origin
    work: Path
    volume: Volume
    connections: int | None = None

    @contextmanager
    def job(self) -> Iterator[Job]:
        """A download onto a new volume, which is there as long as the block."""
        with self.volume(self.files.size) as target:
            yield Job(self.files, self.origin, target, self.work, self.connections)


@dataclass(frozen=True, slots=True)
class Contender:
    """One program.

    Attributes:
        name: as in the table.
        command: its command line for a job; writes what files it needs into the job's ``work``.
        version: the command that prints its version.
        settings: environment variables beside the job's own.
        verifies: whether it has compared every hash by the time it ends.
        facts: what else is known of a download that has just ended, from its output.
    """

    name: str
    command: Callable[[Job], list[str]]
    version: tuple[str, ...] = ()
    settings: Callable[[Job], dict[str, str]] = field(default=lambda job: {})
    verifies: bool = False
    facts: Callable[[Job, Path], dict[str, float]] = field(default=lambda job, output: {})


def digest_command(paths: Sequence[Path], *, listing: Path) -> list[str]:
    """OpenSSL over ``paths`` on every core; they are written to ``listing``."""
    listing.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in paths))
    cores = os.cpu_count() or 1
    # A process for each of thousands of small files would cost more than their hashes; but what one process prints
    # must fit into its buffer, or their lines mix.
    at_once = min(max(len(paths) // (8 * cores), 1), 12)
    return ["xargs", "-a", str(listing), "-0", f"-n{at_once}", f"-P{cores}", "openssl", "dgst", "-sha256", "-r"]
