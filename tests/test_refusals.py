"""Every kind of refusal ends with exit code 3, a sentence that names the remedy, and no secret anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.models import write_manifest
from tests.support.refusals import CONTENT, REFUSALS, TOKENS, Refusal, refusing_repos, refusing_versions, row
from tests.support.secrecy import MARK, assert_no_secret, run_watched

PAGE = Path(__file__).parent.parent / "docs" / "access.md"


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=refusing_repos(), versions=refusing_versions(), tokens=TOKENS) as server:
        yield server


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.what for refusal in REFUSALS])
def test_a_refusal_is_told_with_its_remedy(
    commands: Commands, origin: DemoServer, tmp_path: Path, refusal: Refusal
) -> None:
    code, message = refused(commands, origin, tmp_path, refusal)
    assert code == 3, message
    assert row(refusal, message) in PAGE.read_text(encoding="utf-8").splitlines(), "run: python docs/make_access.py"
    assert not [request for request in origin.requests if request.server == "cdn"]


def refused(commands: Commands, origin: DemoServer, tmp_path: Path, refusal: Refusal) -> tuple[int, str]:
    """Run it, and what its document says."""
    (tmp_path / "token").write_text(f"hf_{MARK}0stored")
    files = origin.put_file("m.safetensors", CONTENT, needs=("Authorization", "Bearer something else"))
    origin.add_faults(*refusal.faults)
    source = refusal.source.format(files=files)
    entry = {"path": "models/m.safetensors", "source": source, "sha256": CONTENT.sha256}
    manifest = write_manifest(tmp_path / "m.yaml", [entry])
    volume = tmp_path / "volume"
    argv = commands.argv("run", manifest, "--volume", volume, "--json", "--log-format", "json")
    environment = commands.environment(refusal.environment(origin, str(tmp_path)))
    done, lines = run_watched(argv, environment, commands.home)
    assert any("prefetch" in line for line in lines)
    assert_no_secret(done.stdout, done.stderr, *lines, volume=volume)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)["models"][0]["error"]
