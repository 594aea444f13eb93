"""``prefetch demo`` without the main job: what it leaves, what it serves, and that it cleans up."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from pathlib import Path

import pytest
import yaml

from prefetch.demo.command import demo
from prefetch.errors import VolumeError
from tests.support.origins import ask


def test_it_serves_what_its_manifest_names_while_the_job_runs(tmp_path: Path) -> None:
    seen: list[str] = []

    def run(manifest: Path, environment: Mapping[str, str]) -> int:
        assert manifest == tmp_path / "volume" / "demo.yaml"
        endpoint = environment["HF_ENDPOINT"]
        seen.append(endpoint)
        for model in yaml.safe_load(manifest.read_text())["models"]:
            told = _resolve(endpoint, model["source"], environment["HF_TOKEN"])
            assert (told["X-Linked-Etag"], told["X-Linked-Size"]) == (f'"{model["sha256"]}"', str(model["size"]))
            assert model["path"].startswith("models/")
        return 7

    assert demo(tmp_path / "volume", run) == 7
    with pytest.raises(ConnectionRefusedError):
        ask(seen[0])


def test_the_origin_ends_when_the_job_raises(tmp_path: Path) -> None:
    seen: list[str] = []

    def run(manifest: Path, environment: Mapping[str, str]) -> int:
        seen.append(environment["HF_ENDPOINT"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path, run)
    with pytest.raises(ConnectionRefusedError):
        ask(seen[0])


def test_a_volume_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VolumeError, match=r"demo\.yaml"):
        demo(tmp_path / "file", lambda _manifest, _environment: 0)


def _resolve(endpoint: str, source: str, token: str) -> Message:
    """What the Hub tells about a source, once it is done with its scripted refusals."""
    repo, _, path = source.removeprefix("hf://").partition("@main/")
    url = f"{endpoint}/{repo}/resolve/main/{path}"
    answers = [ask(url, method="HEAD", Authorization=f"Bearer {token}") for _ in range(2)]
    assert answers[1].status == 302
    return answers[1].headers
