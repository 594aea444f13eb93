"""Every kind of refusal ends with exit code 3, a sentence that names the remedy, and no secret anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.actions import Redirect, Status
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.models import write_manifest
from tests.support.refusals import CONTENT, READER, REFUSALS, TOKENS, Refusal, refusing_repos, refusing_versions, row
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


def test_a_refusal_where_a_redirect_led_blames_no_secret_of_the_host_it_came_from(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    """Of the host that led there, and of the one that refuses, each has a secret, none, or its own."""
    source = origin.put_file("m.safetensors", CONTENT)
    there = origin.cdn_endpoint
    origin.add_faults(
        Fault(do=Redirect(f"{there}/signed/m.safetensors?sig=1"), server="hub", path="/files/*", times=None),
        Fault(do=Status(403), server="cdn", times=None),
    )
    manifest = write_manifest(tmp_path / "m.yaml", [{"path": "models/m.safetensors", "source": source}])

    def remedy(tokens: str) -> str:
        env = {"PREFETCH_TOKENS": tokens, "A": f"{MARK}0a", "B": f"{MARK}0b"}
        outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", "--json", env=env)
        assert outcome.returncode == 3, outcome.stderr
        return str(outcome.models["models/m.safetensors"]["error"])

    for told in (remedy(""), remedy(f"{origin.endpoint}=A")):
        assert f"leads there, and no secret is sent along. Run the same command again; if {there} wants" in told
        assert f"gives for {origin.endpoint}" not in told
    assert f"Check the secret that PREFETCH_TOKENS or PREFETCH_HEADERS gives for {there}." in remedy(f"{there}=B")


def test_a_refusal_where_a_mirror_of_the_hub_leads_blames_no_token(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    origin.add_faults(
        Fault(do=Redirect(f"{origin.cdn_endpoint}/elsewhere"), server="hub", path="/api/*", times=None),
        Fault(do=Status(401), server="cdn", method="*", times=None),
    )
    manifest = write_manifest(tmp_path / "m.yaml", [{"path": "models/", "source": "hf://acme/open/"}])
    env = {"HF_ENDPOINT": origin.endpoint, "HF_TOKEN": READER}
    outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", "--json", env=env)
    assert outcome.returncode == 3, outcome.stderr
    told = outcome.document["error"]["message"]
    assert "HF_TOKEN" not in told
    assert "localhost refuses" in told
