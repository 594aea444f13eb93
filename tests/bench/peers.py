"""Who is compared, each with the options that serve it best here, and how a set is verified for those who do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.origin import REPO, Origin
from tests.bench.seedset import SeedSet
from tests.support.commands import Commands

__all__ = ["PEERS", "Job", "Peer", "verify_command"]


@dataclass(frozen=True, slots=True)
class Job:
    """One download: the whole set from ``origin`` into ``target``; ``work`` is a folder for anything else."""

    seeds: SeedSet
    origin: Origin
    target: Path
    work: Path

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the tester's own settings, an empty home, and the origin's certificate authority."""
        return Commands(self.work).environment({"SSL_CERT_FILE": str(self.origin.cdn.authority)})


@dataclass(frozen=True, slots=True)
class Peer:
    """One program.

    Attributes:
        name: as in the table.
        command: its command line for a job; writes what files it needs into the job's ``work``.
        version: prints its version.
        settings: environment variables beside the job's own.
        verifies: whether it has compared every hash by the time it ends.
    """

    name: str
    command: Callable[[Job], list[str]]
    version: list[str]
    settings: Callable[[Job], dict[str, str]] = lambda job: {}
    verifies: bool = False

    def version_line(self) -> str:
        """Its name and the first line of what it says of its version."""
        told = subprocess.run(self.version, capture_output=True, text=True, check=True)
        return f"{self.name}: {told.stdout.strip().splitlines()[0]}"


def verify_command(job: Job) -> tuple[list[str], Path]:
    """OpenSSL on every core, the largest file first; and the list of files, which it reads from standard input."""
    largest_first = sorted(job.seeds.files, key=lambda file: -file.content.size)
    names = job.work / "names"
    names.write_bytes(b"".join(os.fsencode(job.target / file.path) + b"\0" for file in largest_first))
    return ["xargs", "-0", "-n1", f"-P{os.cpu_count()}", "openssl", "dgst", "-sha256", "-r"], names


def _ours(job: Job) -> list[str]:
    # JSON is YAML, and needs no quoting rules.
    models = [
        {"path": path, "source": f"hf://{REPO}@main/{path}", "sha256": sha256}
        for path, sha256 in job.seeds.hashes.items()
    ]
    manifest = job.work / "manifest.yaml"
    manifest.write_text(json.dumps({"version": 1, "models": models}))
    return Commands(job.work).argv("run", manifest, "--volume", job.target, "--json")


def _aria2c(job: Job) -> list[str]:
    entries = [f"{job.origin.url(file.path)}\n out={file.path}\n" for file in job.seeds.files]
    listing = job.work / "aria2.txt"
    listing.write_text("".join(entries))
    # With -x16 or -k1M it took longer here: more handshakes than the pace makes up for.
    parallel = ["-x8", "-s8", "-k8M", f"-j{len(entries)}"]
    quiet = ["--console-log-level=warn", "--summary-interval=0", "--show-console-readout=false"]
    trust = f"--ca-certificate={job.origin.cdn.authority}"
    return ["aria2c", *parallel, "--file-allocation=none", trust, *quiet, f"-i{listing}", f"-d{job.target}"]


def _hf(job: Job) -> list[str]:
    return [_beside_python("hf"), "download", REPO, "--local-dir", str(job.target)]


def _hf_settings(job: Job) -> dict[str, str]:
    return {
        "HF_ENDPOINT": job.origin.hub,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _beside_python(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "prefetch",
            _ours,
            [sys.executable, "-m", "prefetch", "--version"],
            lambda job: {"HF_ENDPOINT": job.origin.hub},
            verifies=True,
        ),
        Peer("aria2c", _aria2c, ["aria2c", "--version"]),
        Peer("hf download", _hf, [_beside_python("hf"), "version", "--format", "quiet"], _hf_settings),
    )
}
