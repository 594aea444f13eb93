"""prefetch as a contender: its command lines, and what its log and its document tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.filesets import Pin
from tests.bench.jobs import Contender, Job
from tests.bench.origin import REPO
from tests.support.commands import Commands

__all__ = ["OURS", "PREFETCH", "document_of", "our_command", "write_manifest"]

OURS = "prefetch"


def write_manifest(path: Path, pins: Mapping[str, Pin]) -> Path:
    """A manifest of models of the repository, by path. JSON is YAML, and needs no quoting rules."""
    models = [
        {"path": model, "source": f"hf://{REPO}@main/{model}", "sha256": pin.sha256, "size": pin.size}
        for model, pin in pins.items()
    ]
    path.write_text(json.dumps({"version": 1, "models": models}))
    return path


def our_command(command: str, job: Job, *options: str) -> list[str]:
    """``prefetch COMMAND`` of the job's files on its target, its document and its log as JSON."""
    manifest = write_manifest(job.work / "manifest.yaml", job.files.pins)
    said = ["--json", "--log-format", "json"]
    return Commands(job.work).argv(command, manifest, "--volume", job.target, *said, *options)


def document_of(output: Path) -> dict[str, Any]:
    """The document of ``--json`` in a command's output."""
    return next(
        record for record in _records(output) if "exit_code" in record and isinstance(record.get("models"), list)
    )


def _run(job: Job) -> list[str]:
    limit = [] if job.connections is None else ["--connections", str(job.connections)]
    return our_command("run", job, *limit)


def _facts(job: Job, output: Path) -> dict[str, float]:
    """Seconds from a model's last byte to its hash and to its name, the longest; and bytes fetched more than once."""
    verified = {record["path"]: record for record in _told(output, "model_verified")}
    named = {record["path"]: record for record in _told(output, "model_done")}
    waits = [
        (record["behind"], record["behind"] + _time(named[path]) - _time(record))
        for path, record in verified.items()
        if record["behind"] is not None
    ]
    facts = {"fetched_again": float(document_of(output)["bytes_downloaded"] - job.files.size)}
    if waits:
        facts["hashed_after"], facts["published_after"] = map(max, zip(*waits, strict=True))
    return facts


def _told(output: Path, event: str) -> list[dict[str, Any]]:
    return [record for record in _records(output) if record.get("event") == event]


def _time(record: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(record["ts"]).timestamp()


def _records(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines() if line.startswith("{")]


PREFETCH = Contender(
    OURS,
    _run,
    (sys.executable, "-m", "prefetch", "--version"),
    lambda job: {"HF_ENDPOINT": job.origin.hub},
    verifies=True,
    facts=_facts,
)
