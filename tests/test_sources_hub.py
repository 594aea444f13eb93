"""Whatever the Hub holds: models, datasets, spaces, tags, pull requests, repositories that moved, mirrors.

By the command line; and the stand-in that it is fetched from is checked by the Hub's own client.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.actions import Hide
from prefetch.demo.content import BytesFile, Content, SyntheticFile
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.models import sha256_of, write_manifest


def weights(seed: int) -> SyntheticFile:
    return SyntheticFile(f"{seed}.safetensors", 200_000, "safetensors", seed)


MAIN, TAGGED, BRANCH, REQUESTED, DATA, SPACE, XET = map(weights, range(1, 8))
SMALL = BytesFile(b'{"kept": "in git"}')
NAME = "d/m v2.safetensors"
REPOS = [
    Repo(
        id="acme/models",
        files={NAME: MAIN, "config.json": SMALL},
        revisions={"v1.0": {NAME: TAGGED}, "feature/x": {NAME: BRANCH}, "refs/pr/3": {NAME: REQUESTED}},
        formerly=("acme/was-called",),
    ),
    Repo(id="acme/data", kind="dataset", files={"d.bin": DATA, "a/notes.txt": SMALL}),
    Repo(id="acme/space", kind="space", files={"s.safetensors": SPACE}),
    Repo(id="acme/xet", files={"x.safetensors": XET}, xet=True),
]
SOURCES: dict[str, Content] = {
    f"hf://acme/models/{NAME}": MAIN,
    f"hf://acme/was-called/{NAME}": MAIN,
    f"hf://acme/models@v1.0/{NAME}": TAGGED,
    f"hf://acme/models@feature%2Fx/{NAME}": BRANCH,
    f"hf://acme/models@refs%2Fpr%2F3/{NAME}": REQUESTED,
    "hf://acme/models/config.json": SMALL,
    "https://huggingface.co/acme/models/blob/main/config.json": SMALL,
    "hf://datasets/acme/data/d.bin": DATA,
    "https://huggingface.co/datasets/acme/data/resolve/main/d.bin?download=true": DATA,
    "hf://spaces/acme/space/s.safetensors": SPACE,
    "hf://acme/xet/x.safetensors": XET,
}


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=REPOS) as server:
        yield server


def test_every_form_of_a_source_is_fetched_and_pinned(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    before, paths = len(origin.requests), {source: f"models/{n}.dat" for n, source in enumerate(SOURCES)}
    entries = [{"path": path, "source": source} for source, path in paths.items()]
    manifest, volume = write_manifest(tmp_path / "m.yaml", entries), tmp_path / "volume"
    outcome = commands.run("run", manifest, "--volume", volume, "--json", env={"HF_ENDPOINT": origin.endpoint})
    assert outcome.returncode == 0, outcome.stderr
    for source, path in paths.items():
        assert sha256_of(volume / path) == SOURCES[source].sha256, source
    asked = [request for request in origin.requests[before:] if request.server == "hub" and request.method == "HEAD"]
    # One question a source; the repository that moved costs its redirect.
    assert len(asked) == len(SOURCES) + 1


def test_a_mirror_that_drops_headers_serves_what_a_hash_pins(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    hidden = Hide(("X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size", "ETag", "Accept-Ranges"))
    with running_origin(repos=REPOS, faults=[Fault(do=hidden, server="hub", method="*", times=None)]) as mirror:
        entry = {"path": "models/m.safetensors", "source": f"hf://acme/models/{NAME}"}
        volume, env = tmp_path / "volume", {"HF_ENDPOINT": mirror.endpoint}
        loose = write_manifest(tmp_path / "loose.yaml", [entry])
        refused = commands.run("run", loose, "--volume", volume, "--json", env=env)
        assert "tells neither commit nor hash" in refused.document["error"]["message"]
        pinned = write_manifest(tmp_path / "pinned.yaml", [{**entry, "sha256": MAIN.sha256}])
        outcome = commands.run("run", pinned, "--volume", volume, "--json", env=env)
        assert outcome.returncode == 0, outcome.stderr
        assert sha256_of(volume / "models" / "m.safetensors") == MAIN.sha256


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["acme/data", "--repo-type", "dataset"], {"d.bin": DATA, "a/notes.txt": SMALL}),
        (["acme/data", "--repo-type", "dataset", "--include", "a/*"], {"a/notes.txt": SMALL}),
        (["acme/space", "--repo-type", "space"], {"s.safetensors": SPACE}),
        (["acme/models", "--revision", "v1.0", "--exclude", "*.json"], {NAME: TAGGED}),
        (["acme/models", "--revision", "feature/x"], {NAME: BRANCH}),
        (["acme/was-called", "--include", "d/*", "--include", "*.json"], {NAME: MAIN, "config.json": SMALL}),
        (["acme/xet", "x.safetensors"], {"x.safetensors": XET}),
    ],
)
def test_hf_download_reads_the_same_from_the_stand_in(
    origin: DemoServer, tmp_path: Path, words: list[str], files: dict[str, Content]
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HF_ENDPOINT": origin.endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    program = Path(sys.executable).with_name("hf")
    command = [str(program), "download", *words, "--local-dir", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    found = {str(file.relative_to(out)): sha256_of(file) for file in out.rglob("*") if file.is_file()}
    assert {name: found[name] for name in found if not name.startswith(".cache")} == {
        name: content.sha256 for name, content in files.items()
    }
