"""A workload that downloads: everybody fetches the set, each onto a new volume, until every hash has been compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.bench.filesets import write_files
from tests.bench.jobs import Contender, Job, Stage, digest_command
from tests.bench.link import Link
from tests.bench.origin import origin_for
from tests.bench.ours import OURS, PREFETCH
from tests.bench.peers import PEERS
from tests.bench.rounds import Contestant
from tests.bench.usage import Usage, run_measured
from tests.bench.volumes import Volume
from tests.bench.yardsticks import YARDSTICKS

__all__ = ["CONTENDERS", "EVEN", "Download", "SlowTenth", "contestant", "fetch_verified"]

EVEN = f"{OURS}, none slow"
CONTENDERS = {OURS: PREFETCH, **PEERS, **YARDSTICKS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What is downloaded, over what kind of link, onto what kind of volume, by whom.

    Attributes:
        sizes: bytes by path.
        names: of `CONTENDERS`, prefetch first.
        connections: most that a program may open at once; None for what is best for it.
    """

    sizes: Mapping[str, int]
    link: Link
    volume: Volume
    names: Sequence[str]
    connections: int | None = None

    @property
    def size(self) -> int:
        """Bytes that each turn moves."""
        return sum(self.sizes.values())

    @contextmanager
    def contestants(self, scratch: Path) -> Iterator[list[Contestant]]:
        """Everybody, as long as the origin is up; ``scratch`` is an empty folder for its files."""
        with self.stage(scratch) as stage:
            yield [contestant(name, stage) for name in self.names]

    @contextmanager
    def stage(self, scratch: Path) -> Iterator[Stage]:
        """The files, written below ``scratch``, and the origin that serves them."""
        files = write_files(scratch / "files", self.sizes)
        with origin_for(files, work=scratch / "work", link=self.link) as origin:
            yield Stage(files, origin, scratch / "work", self.volume, self.connections)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowTenth:
    """A download over a link that slows every tenth connection, and prefetch once more over one that does not."""

    download: Download

    @property
    def size(self) -> int:
        """Bytes that each turn moves."""
        return self.download.size

    @contextmanager
    def contestants(self, scratch: Path) -> Iterator[list[Contestant]]:
        """Everybody, as long as both origins are up."""
        link = replace(self.download.link, slowed=1)
        with (
            self.download.stage(scratch) as stage,
            origin_for(stage.files, work=scratch / "even", link=link) as origin,
        ):
            even = Contestant(EVEN, partial(_turn, PREFETCH, replace(stage, origin=origin)))
            yield [*(contestant(name, stage) for name in self.download.names), even]


def contestant(name: str, stage: Stage) -> Contestant:
    """One of `CONTENDERS`, whose turn is a download onto a new volume."""
    return Contestant(name, partial(_turn, CONTENDERS[name], stage))


def _turn(contender: Contender, stage: Stage) -> Usage:
    with stage.job() as job:
        return fetch_verified(contender, job)


def fetch_verified(contender: Contender, job: Job) -> Usage:
    """From an empty folder to hashes that have all been compared; the comparison is ours where it makes none."""
    job.origin.cdn.log.forget()
    output, digests = job.work / "fetch.log", job.work / "digests"
    fetched = run_measured(contender.command(job), env=job.environment | contender.settings(job), output=output)
    targets = [job.target / path for path in job.files.largest_first]
    command = digest_command(targets, listing=job.work / "names")
    verified = run_measured(command, env=job.environment, output=digests)
    _check(digests.read_text(), job)
    # Only now, because nginx writes of a response after its last byte has gone.
    facts = contender.facts(job, output)
    return replace(fetched if contender.verifies else fetched.then(verified), facts=facts)


def _check(digests: str, job: Job) -> None:
    """Every file of the set is there with its hash; ``digests`` are OpenSSL's lines."""
    lines = (line.split(" *", 1) for line in digests.splitlines())
    found = {path: sha256 for sha256, path in lines}
    expected = {str(job.target / path): sha256 for path, sha256 in job.files.hashes.items()}
    if found != expected:
        raise RuntimeError("A file of the set is not what it should be.")
