"""Planning on a system without POSIX's calls (Windows): the real commands in a Python that has them hidden."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prefetch.blockfile import blocks_path
from prefetch.cli import main
from prefetch.commands.table import COMMANDS
from prefetch.demo.content import SyntheticFile
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.drawn import drawn, end, node
from tests.support.images import LayerMaker, oci_archive
from tests.support.models import BLOCK, repo_of, sent_bytes, wanted, write_manifest
from tests.support.pods import finishing, idle
from tests.support.populates import Populates, result_document
from tests.support.runpod_api import running_runpod
from tests.support.runs import until

BIG, SMALL = MODELS = wanted(BLOCK, 70_000)
HIDDEN = Path(__file__).parent / "support" / "elsewhere"


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture
def elsewhere(commands: Commands, origin: DemoServer) -> Commands:
    """The command where what Windows lacks is hidden, and where a text file without an encoding is an error."""
    env = {"PYTHONPATH": str(HIDDEN), "PYTHONWARNDEFAULTENCODING": "1", "HF_ENDPOINT": origin.endpoint}
    return replace(commands, env=env)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "m.yaml", [model.entry(sha256=None, size=None) for model in MODELS])


def test_what_is_hidden_is_hidden(elsewhere: Commands) -> None:
    program = """
import os
for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "fdatasync", "getuid", "pread", "statvfs", "uname", "fork"):
    assert not hasattr(os, name), name
for module in ("fcntl", "resource", "pwd"):
    try:
        __import__(module)
    except ModuleNotFoundError:
        continue
    raise AssertionError(module)
try:
    os.open("x", os.O_RDONLY, dir_fd=3)
except NotImplementedError:
    print("hidden")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], env=elsewhere.environment(), capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("hidden\n", "")


@pytest.mark.parametrize("hidden", [False, True], ids=["here", "elsewhere"])
def test_a_plan_without_a_volume_is_for_an_empty_one(
    hidden: bool, elsewhere: Commands, origin: DemoServer, manifest: Path
) -> None:
    chosen = elsewhere if hidden else replace(elsewhere, env={"HF_ENDPOINT": origin.endpoint})
    outcome = chosen.run("plan", manifest)
    assert outcome.returncode == 0, outcome.stderr
    assert "this plan is for an empty one" in outcome.stderr
    assert outcome.stdout.count("fetch  ") == len(MODELS)
    assert "free: no volume was named; pass --quota with the size you mean to buy" in outcome.stdout
    assert "it fits" in chosen.run("plan", manifest, "--quota", "1G").stdout
    document = chosen.run("plan", manifest, "--json").document
    assert document["volume"] is None
    assert {model["size"] for model in document["models"]} == {model.content.size for model in MODELS}


@pytest.mark.parametrize("hidden", [False, True], ids=["here", "elsewhere"])
def test_a_plan_for_a_volume_that_a_run_would_make_is_for_an_empty_one(
    hidden: bool, elsewhere: Commands, origin: DemoServer, manifest: Path, tmp_path: Path
) -> None:
    chosen = elsewhere if hidden else replace(elsewhere, env={"HF_ENDPOINT": origin.endpoint})
    volume = tmp_path / "volume"
    outcome = chosen.run("plan", manifest, "--volume", volume)
    assert outcome.returncode == 0, outcome.stderr
    assert f"{volume} is not there yet: this plan is for an empty volume" in outcome.stderr
    assert outcome.stdout.count("fetch  ") == len(MODELS) and "it fits" in outcome.stdout
    assert "it does not fit" in chosen.run("plan", manifest, "--volume", volume, "--quota", "1M").stdout
    assert chosen.run("plan", manifest, "--volume", volume, "--json").document["volume"] == str(volume)
    assert not volume.exists()
    refused = chosen.run("plan", manifest, "--volume", volume / "below")
    assert refused.returncode == 2 and "cannot be used as a volume" in refused.stderr


def test_a_plan_without_a_volume_and_a_manifest_names_what_could_be_one(elsewhere: Commands) -> None:
    outcome = elsewhere.run("plan")
    assert outcome.returncode == 2
    assert "No manifest was given, and there is no /etc/prefetch/manifest.yaml." in outcome.stderr


def test_a_lock_made_elsewhere_is_the_lock_made_here(
    commands: Commands, elsewhere: Commands, origin: DemoServer, manifest: Path
) -> None:
    lock = manifest.with_name("m.lock.json")
    before = sent_bytes(origin.requests)
    assert elsewhere.run("lock", manifest).returncode == 0
    made = lock.read_bytes()
    assert b"\r" not in made and sent_bytes(origin.requests) == before
    lock.unlink()
    assert commands.run("lock", manifest, env={"HF_ENDPOINT": origin.endpoint}).returncode == 0
    assert lock.read_bytes() == made
    assert elsewhere.run("lock", manifest, "--check").returncode == 0


def test_block_digests_are_read_elsewhere_too(elsewhere: Commands, tmp_path: Path) -> None:
    model = tmp_path / "local.safetensors"
    content = SyntheticFile("local", 2 * BLOCK, "safetensors", 0)
    model.write_bytes(b"".join(map(bytes, content.views(0, content.size))))
    manifest = write_manifest(tmp_path / "f.yaml", [{"path": "models/vae/x.safetensors", "source": model.as_uri()}])
    outcome = elsewhere.run("lock", manifest, "--blocks")
    assert outcome.returncode == 0, outcome.stderr
    locked = json.loads(manifest.with_name("f.lock.json").read_bytes())["models"]
    assert [entry["sha256"] for entry in locked] == [content.sha256]
    assert blocks_path(manifest).exists()


def test_a_volume_that_is_at_hand_is_looked_at(elsewhere: Commands, manifest: Path, tmp_path: Path) -> None:
    standing = tmp_path / "volume" / SMALL.path
    standing.parent.mkdir(parents=True)
    standing.write_bytes(b"of another size")
    outcome = elsewhere.run("plan", manifest, "--volume", tmp_path / "volume", "--json")
    assert outcome.returncode == 0, outcome.stderr
    assert {path: model["status"] for path, model in outcome.models.items()} == {BIG.path: "fetch", SMALL.path: "check"}
    assert "free: " in elsewhere.run("plan", manifest, "--volume", tmp_path / "volume").stdout


def test_workflows_are_read_elsewhere(elsewhere: Commands, tmp_path: Path) -> None:
    workflow, output = tmp_path / "w.json", tmp_path / "new.yaml"
    nodes = [node(1, "VAELoader", ("wan.safetensors",), outputs=[("VAE", [9])]), end(2, 9)]
    workflow.write_text(json.dumps(drawn(nodes, [(9, 1, 0, 2, 0, "*")])), encoding="utf-8")
    catalog = write_manifest(tmp_path / "c.yaml", [SMALL.entry(path="models/vae/wan.safetensors")])
    models = elsewhere.run("workflow", "models", workflow)
    assert models.returncode == 0 and "wan.safetensors" in models.stdout, models.stderr
    written = elsewhere.run("workflow", "manifest", workflow, "--catalog", catalog, "-o", output)
    assert written.returncode == 0 and "wan.safetensors" in output.read_text(encoding="utf-8"), written.stderr
    check = elsewhere.run("workflow", "check", workflow, "--manifest", output, "--volume", tmp_path, "--json")
    assert check.returncode == 1
    assert [model["status"] for model in check.document["models"]] == ["missing"]


def test_an_image_is_audited_elsewhere(elsewhere: Commands, tmp_path: Path) -> None:
    content = SyntheticFile("vae", 50_000, "safetensors", 0)
    layer = LayerMaker().file("models/vae/x.safetensors", b"".join(map(bytes, content.views(0, content.size))))
    image, manifest = oci_archive(tmp_path / "image.tar", [layer]), tmp_path / "slim.yaml"
    outcome = elsewhere.run("image", "audit", image, "--manifest", manifest)
    assert outcome.returncode in (0, 1), outcome.stderr
    assert "x.safetensors" in outcome.stdout and "x.safetensors" in manifest.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", ["schema", "auth check", "comfyui paths", "completion bash", "--help"])
def test_the_others_that_plan_work_elsewhere(words: str, elsewhere: Commands, origin: DemoServer) -> None:
    outcome = elsewhere.run(*words.split(), env={"PREFETCH_CIVITAI_ENDPOINT": origin.endpoint})
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout


@pytest.mark.parametrize("name", [command.name for command in COMMANDS if command.needs_linux])
def test_what_needs_linux_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("prefetch.system.DESCRIPTORS", False)
    assert main([name]) == 2
    assert f"'prefetch {name}' needs Linux" in capsys.readouterr().err


def test_a_run_elsewhere_ends_with_what_to_do_instead(elsewhere: Commands, manifest: Path, tmp_path: Path) -> None:
    outcome = elsewhere.run("run", manifest, "--volume", tmp_path / "volume", "--json")
    assert (outcome.returncode, outcome.document["error"]["code"]) == (2, "usage")
    assert outcome.stderr == f"prefetch: error: {outcome.document['error']['message']}\n"
    assert "needs Linux" in outcome.stderr and "prefetch runpod populate" in outcome.stderr
    assert not (tmp_path / "volume").exists()
    kept = elsewhere.run("lock", manifest, "--blocks", "--volume", tmp_path / "volume")
    assert kept.returncode == 2 and "'prefetch lock --volume' needs Linux" in kept.stderr


def test_volumes_on_runpod_are_filled_from_elsewhere(elsewhere: Commands, tmp_path: Path) -> None:
    with running_runpod(tmp_path / "volumes", job=finishing(result_document(MODELS))) as runpod:
        populates = Populates(elsewhere, runpod, MODELS)
        done = populates.run("--data-center", "EU-RO-1", "--create", "new", "--size", "10")
        assert done.returncode == 0, done.stderr
        assert runpod.pods == {} and [volume["name"] for volume in runpod.volumes.values()] == ["new"]
        cleaned = populates.clean("--yes")
        assert cleaned.returncode == 0, cleaned.stderr


def test_ctrl_c_elsewhere_removes_the_pod(elsewhere: Commands, tmp_path: Path) -> None:
    with running_runpod(tmp_path / "volumes", job=idle) as runpod:
        populates = Populates(elsewhere, runpod, MODELS)
        with populates.start("--volume-id", populates.volume()) as process:
            until(lambda: [pod.status for pod in runpod.ever] == ["RUNNING"], "a pod that runs", process)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        assert runpod.pods == {}
