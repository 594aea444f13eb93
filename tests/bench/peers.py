"""Who is compared with prefetch, each with the options that serve it best here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.jobs import Contender, Job
from tests.bench.origin import REPO

__all__ = ["PEERS"]


def _aria2c(job: Job) -> list[str]:
    return _aria2c_with(job, lambda sha256: "")


def _aria2c_checksum(job: Job) -> list[str]:
    return _aria2c_with(job, lambda sha256: f" checksum=sha-256={sha256}\n")


def _aria2c_with(job: Job, option: Callable[[str], str]) -> list[str]:
    entries = [f"{job.origin.url(path)}\n out={path}\n{option(sha256)}" for path, sha256 in job.files.hashes.items()]
    listing = job.work / "aria2.txt"
    listing.write_text("".join(entries))
    # With -x16 or -k1M it took longer here: more handshakes than the pace makes up for.
    at_once = min(len(entries), 16) if job.connections is None else job.connections // 8
    parallel = ["-x8", "-s8", "-k8M", f"-j{at_once}"]
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


def _curl(job: Job) -> list[str]:
    configuration = job.work / "curl.txt"
    configuration.write_text(
        "".join(f'url = "{job.origin.url(path)}"\noutput = "{job.target / path}"\nfail\n' for path in job.files.hashes)
    )
    parallel = ["--parallel", "--parallel-immediate", "--parallel-max", str(job.connections or 50)]
    return ["curl", "-sS", *parallel, "--create-dirs", "-K", str(configuration)]


def _wget(job: Job) -> list[str]:
    listing = job.work / "wget.txt"
    listing.write_text("".join(f"{job.origin.url(path)}\n" for path in job.files.hashes))
    trust = f"--ca-certificate={job.origin.cdn.authority}"
    return ["wget", "-nv", "--no-hsts", trust, "-x", "-nH", "-P", str(job.target), "-i", str(listing)]


def _beside_python(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


PEERS = {
    peer.name: peer
    for peer in (
        Contender("aria2c", _aria2c, ("aria2c", "--version")),
        Contender("aria2c checksum=", _aria2c_checksum, ("aria2c", "--version"), verifies=True),
        Contender("hf download", _hf, (_beside_python("hf"), "version", "--format", "quiet"), _hf_settings),
        Contender("curl --parallel", _curl, ("curl", "--version")),
        Contender("wget", _wget, ("wget", "--version")),
    )
}
