"""Every command that README and docs/ show, run as it stands there, on stand-ins of the hosts and of what it is run on.

Only names of places are exchanged: the volume, the command behind ``hook --``, the port, ids of volumes at RunPod. The
tutorial's commands have a test of their own, as they follow one another.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.images import LayerMaker, docker_archive
from tests.support.models import repo_of, wanted, write_manifest
from tests.support.pods import real_run
from tests.support.runpod import KEY, RunPod
from tests.support.runpod_api import running_runpod
from tests.support.runs import Runs, until

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
VAE, LORA = (
    replace(model, folder=f"models/{folder}")
    for model, folder in zip(wanted(40_000, 30_000), ("vae", "loras"), strict=True)
)
MODELS = (VAE, LORA)
GROUPS = (["vae"], ["i2v"])
HUB_TOKEN = "hf_of_the_account"

NEITHER_HERE = {
    # `make run` and the tests of the demonstration run it: it takes as long as all of these.
    "prefetch demo",
    # An address of the world: the pod fetches it, and the stand-in's pod has no network.
    (
        "PREFETCH_MANIFEST_URL=https://example.com/models.yaml prefetch runpod populate --volume-id abc123 "
        "--image you/prefetch"
    ),
}
ENDS_WITH = {
    # The models of an image have no source before somebody writes one.
    r"image audit image\.tar --manifest models\.yaml$": 1,
}


def shown() -> list[str]:
    """The commands as they stand in code blocks, without comments, each once."""
    found: dict[str, None] = {}
    for page in PAGES:
        if page.stem == "tutorial":
            continue
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^ *```(?:sh|console)?\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        blocks += re.findall(r"^    (prefetch .*)$", text, re.MULTILINE)
        lines = re.sub(r"\\\n\s*", "", "\n".join(blocks)).splitlines()
        for line in lines:
            match = re.match(r"\s*(?:\$ )?((?:[A-Z_]+=\S+ )*prefetch [a-z].*)", line)
            if match:
                found[re.split(r"\s+(?:#|>|\|)", match[1])[0].strip()] = None
    return [line for line in found if line not in NEITHER_HERE]


def test_there_are_commands_to_try() -> None:
    assert len(shown()) > 60


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], tokens={HUB_TOKEN: "user"}) as server:
        yield server


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, origin: DemoServer) -> Path:
    """A folder with all that the commands name: manifests and their locks, workflows, an image, and a filled volume."""
    home = tmp_path_factory.mktemp("documented")
    entries = [model.entry(groups=group) for model, group in zip(MODELS, GROUPS, strict=True)]
    for name in ("manifests", "workflows", "comfyui", "metrics"):
        (home / name).mkdir()
    (home / "comfyui" / "main.py").touch()
    for name in ("models.yaml", "m.yaml", "manifests/wan22-i2v-lightning.yaml"):
        (home / name).write_text(yaml.safe_dump({"version": 1, "models": entries}))
    write_manifest(home / "loras.yaml", [])
    workflow = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": VAE.name}}}
    for name in ("workflow.json", "w.json", "workflows/a.json"):
        (home / name).write_text(json.dumps(workflow))
    image = LayerMaker("FROM base").file(f"comfyui/{VAE.path}", VAE.content.read(0, VAE.content.size))
    docker_archive(home / "image.tar", [image])
    (home / "root").mkdir()
    (home / "start.sh").write_text("#!/bin/sh\nexit 0\n")
    (home / "start.sh").chmod(0o755)
    runs = Runs(Commands(home), origin, home / "volume", tuple(MODELS))
    for words in (("run", "m.yaml", "--volume", "volume"), ("lock", "models.yaml", "--blocks", "--volume", "volume")):
        outcome = runs.commands.run(*words, env=runs.environment())
        assert outcome.returncode == 0, outcome.stderr
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "home", symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def runpod(home: Path, tmp_path: Path, origin: DemoServer) -> Iterator[RunPod]:
    job = real_run(Commands(home), HF_ENDPOINT=origin.endpoint)
    with running_runpod(tmp_path / "volumes", job=job) as account:
        account.secrets["hf_token"] = HUB_TOKEN
        yield account


def expanded(word: str, home: Path) -> list[str]:
    """The names that a shell makes of a pattern."""
    return [str(path.relative_to(home)) for path in sorted(home.glob(word))] if "*.json" in word else [word]


def here(line: str, home: Path, runpod: RunPod) -> list[str]:
    """The command's words with the places of this test in place of the reader's."""
    for pattern, place in (
        (r"/start\.sh", f"{home}/start.sh"),
        (r"(?<=\s)(?:/workspace|/data|DIR)(?=\s|$)", f"{home}/volume"),
        (r"/opt/prefetch/manifests", f"{home}/manifests"),
        (r"/metrics/", f"{home}/metrics/"),
        (r":9464", ":0"),
        (r"--linger \d+", "--linger 0"),
        (r"https://push\.example\.com", "http://127.0.0.1:9"),
        (r"image audit /", f"image audit {home}/root"),
    ):
        line = re.sub(pattern, place, line)
    for name, data_center in (("abc", "EU-RO-1"), ("def", "US-KS-2")):
        if re.search(rf"\b{name}(?:\d+)?\b", line) and "runpod" in line:
            volume = runpod.add_volume(name, size=50, data_center=data_center)
            line = re.sub(rf"\b{name}(?:\d+)?\b", volume, line)
    words = [name for word in shlex.split(line) for name in expanded(word, home)]
    if "populate" in words:
        words += [
            *(() if "--image" in words else ("--image", "you/prefetch")),
            *(() if "--yes" in words else ("--yes",)),
        ]
    return words


@pytest.mark.parametrize("line", shown())
def test_a_command_that_is_shown_works(line: str, home: Path, origin: DemoServer, runpod: RunPod) -> None:
    words = here(line, home, runpod)
    named = dict(word.split("=", 1) for word in words[: words.index("prefetch")])
    words = words[words.index("prefetch") + 1 :]
    env = {
        "HF_ENDPOINT": origin.endpoint,
        "PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint,
        "PREFETCH_RUNPOD_ENDPOINT": runpod.endpoint,
        "RUNPOD_API_KEY": KEY,
        "PREFETCH_VOLUME": str(home / "volume"),
        "PREFETCH_MANIFEST": "models.yaml",
        # As `export` in the same block of the page says.
        **({"PREFETCH_LISTEN_TOKEN": "your-token"} if "0.0.0.0" in line else {}),
        **named,
    }
    if "image audit image.tar --manifest models.yaml" in line:
        (home / "models.yaml").unlink()
    pod = runpod.add_pod(name="job") if "--on-success" in line else None
    if pod is not None:
        env["RUNPOD_POD_ID"] = pod.id
    commands = Commands(home)
    if words[0] == "serve":
        said, code = served(commands, words, env)
        assert code in (0, 130), said
    elif pod is not None:
        # It waits for its end, which comes from outside.
        with commands.start(*words, env=env, cwd=home) as process:
            until(lambda: pod.id not in runpod.pods, "the end of its pod", process)
    else:
        outcome = commands.run(*words, env=env, cwd=home)
        expected = next((code for pattern, code in ENDS_WITH.items() if re.search(pattern, line)), 0)
        assert outcome.returncode == expected, outcome.stderr


def served(commands: Commands, words: list[str], env: dict[str, str]) -> tuple[str, int]:
    """What a sidecar says until its first run is done and it is stopped, and its exit code."""
    with commands.start(*words, env=env, cwd=commands.home) as process:
        assert process.stderr is not None
        said = ""
        for told in process.stderr:
            said += told
            if told.startswith("done:"):
                process.send_signal(signal.SIGTERM)
        return said, process.wait(timeout=30)
