"""What a manifest or a command line points to by mistake: a folder for a file, a misspelt volume, nothing at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from prefetch.comfyui.kinds import FOLDERS
from prefetch.comfyui.misplaced import meant_path
from prefetch.comfyui.workflow.loaders import load_table
from prefetch.demo.server import DemoServer
from tests.support.commands import Commands, Outcome
from tests.support.models import assert_whole, wanted, write_manifest
from tests.support.runs import Runs

MODELS = wanted(30_000, 20_000)
ONE, TWO = MODELS
TABLE = load_table()
FOLDER_NAMES = sorted(folder for folders in FOLDERS.values() for folder in folders)


@pytest.mark.parametrize("command", ["run", "plan", "verify"])
@pytest.mark.parametrize("folder", ["models", "models/vae", "models/diffusion_models"])
def test_a_folder_of_models_is_no_path_of_a_file(runs: Runs, command: str, folder: str) -> None:
    runs.volume.mkdir()
    outcome = runs.do(command, entries=[ONE.entry(path=folder)])
    assert outcome.returncode == 2
    assert outcome.document["error"]["message"].endswith(f"Write {folder}/{ONE.name}.")
    assert not (runs.volume / folder).exists()


def test_what_is_a_directory_on_the_volume_is_told_before_anything_is_fetched(runs: Runs, origin: DemoServer) -> None:
    (runs.volume / "models/own/kind").mkdir(parents=True)
    entries = [ONE.entry(path="models/own/kind"), TWO.entry()]
    planned = runs.do("plan", entries=entries)
    assert planned.returncode == 1 and planned.models["models/own/kind"]["status"] == "unresolved"
    outcome = runs.run(entries=entries)
    assert outcome.returncode == 1
    assert f"Write models/own/kind/{ONE.name}" in outcome.models["models/own/kind"]["error"]
    assert not [request for request in origin.requests if request.file.endswith(ONE.name)]
    assert_whole(runs.volume, [TWO])
    verified = runs.do("verify", entries=entries).models["models/own/kind"]
    assert verified["status"] == "missing" and verified["error"].startswith("A directory stands there")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_model_beside_the_models_folder_is_warned_of(runs: Runs, command: str) -> None:
    for _ in range(2):
        # The second run has nothing to do, and says it too.
        outcome = runs.do(command, entries=[ONE.entry(path="checkpoints/a.safetensors"), TWO.entry(path="x/b.bin")])
        assert outcome.returncode == 0, outcome.stderr
        assert "(did you mean models/checkpoints/a.safetensors?)" in outcome.stderr
        assert not [line for line in outcome.stderr.splitlines() if "will not find" in line and "x/b.bin" in line]


@pytest.mark.parametrize("folder", FOLDER_NAMES)
def test_every_folder_that_comfyui_knows_is_warned_of_at_the_top(commands: Commands, folder: str) -> None:
    assert meant_path(f"{folder}/x.bin", TABLE) == f"models/{folder}/x.bin"
    assert meant_path(f"models/{folder}/x.bin", TABLE) is None


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("model/vae/b.pt", "models/vae/b.pt"),
        ("Models/vae/b.pt", "models/vae/b.pt"),
        ("modles/lora/b.pt", "models/loras/b.pt"),
        ("models/lora/c.pt", "models/loras/c.pt"),
        ("models/LoRAs/flux/c.pt", "models/loras/flux/c.pt"),
        ("models/vea/d.pt", "models/vae/d.pt"),
        ("models/vaes/d.pt", "models/vae/d.pt"),
        ("models/chekpoints/d.pt", "models/checkpoints/d.pt"),
        ("models/clip-vision/d.pt", "models/clip_vision/d.pt"),
        ("models/Ultralytics/bbox/d.pt", "models/ultralytics/bbox/d.pt"),
        ("workspace/models/vae/a.pt", "models/vae/a.pt"),
        ("runpod-volume/models/lora/a.pt", "models/loras/a.pt"),
        ("workspace/ComfyUI/models/vae/a.pt", "ComfyUI/models/vae/a.pt"),
        ("models/vae/a.safetensor", "models/vae/a.safetensors"),
        ("models/own/a.saftensors", "models/own/a.safetensors"),
        # What may well be meant.
        ("models/vae/a.SafeTensors", None),
        ("models/blip/a.pt", None),
        ("models/sam/a.pt", None),
        ("models/vad/a.pt", None),
        ("models/clap/a.pt", None),
        ("models/my_own/a.pt", None),
        ("model/a.pt", None),
        ("model/own/a.pt", None),
        ("ComfyUI/models/vae/a.pt", None),
        ("a.safetensor", None),
    ],
)
def test_a_slip_of_a_known_folder_is_told_and_another_s_own_is_not(path: str, meant: str | None) -> None:
    assert meant_path(path, TABLE) == meant


def test_no_folder_that_a_loader_names_is_a_slip_of_another() -> None:
    known = {folder for kind in TABLE.kinds.values() for folder in kind.folders} | TABLE.fixed
    assert {meant_path(f"models/{folder}/a.pt", TABLE) for folder in known} == {None}


@pytest.mark.parametrize("command", ["run", "plan", "lock"])
def test_a_folder_that_was_left_open_is_an_error(runs: Runs, command: str) -> None:
    where = () if command == "lock" else ("--volume", runs.volume)
    manifest = runs.manifest([ONE.entry(path="models/FOLDER/f.pt")])
    outcome = runs.commands.run(command, manifest, *where, "--json", env=runs.environment())
    assert outcome.returncode == 2, outcome.stderr
    assert "says FOLDER where the folder belongs" in outcome.stderr
    assert "as in models/loras/f.pt" in outcome.stderr


@pytest.mark.parametrize("text", ["models: []", "models:", "models:\n#   - path: models/vae/x.pt\n#     source:"])
def test_nothing_wanted_is_said(commands: Commands, text: str) -> None:
    (commands.home / "m.yaml").write_text(f"version: 1\n{text}\n")
    (commands.home / "v").mkdir()
    left_open = ": models/vae/x.pt stands there as comments only" if "#" in text else ""
    for words in (("run",), ("plan",), ("hook",)):
        where = {"PREFETCH_MANIFEST": "m.yaml", "PREFETCH_VOLUME": "v"}
        outcome = commands.run(*words, *(("--", "true") if words == ("hook",) else ()), env=where)
        assert outcome.returncode == 0, outcome.stderr
        assert f"warning: m.yaml wants no model{left_open}\n" in outcome.stderr
    assert commands.run("verify", "m.yaml", "--volume", "v").returncode == 1


def test_a_volume_where_nothing_was_placed_does_not_verify(commands: Commands) -> None:
    (commands.home / "v").mkdir()
    for options in ((), ("--quick",)):
        outcome = commands.run("verify", "--volume", "v", *options)
        assert outcome.returncode == 1
        assert "There is nothing to verify" in outcome.stderr


@pytest.mark.parametrize("command", ["plan", "run", "lock", "verify"])
def test_entries_that_are_left_as_comments_are_told(runs: Runs, command: str) -> None:
    runs.run(entries=[ONE.entry()])
    manifest = runs.manifest([ONE.entry()], name="part.yaml")
    manifest.write_text(yaml.safe_dump(json.loads(manifest.read_text())) + NOT_RESOLVED)
    words = (command, manifest, *(() if command == "lock" else ("--volume", runs.volume)))
    outcome = runs.commands.run(*words, env=runs.environment())
    assert outcome.returncode == 0, outcome.stderr
    told = "models/vae/x.pt, models/vae/y.pt stand there as comments only, for want of a source: a run leaves them out"
    assert f"warning: {manifest}: {told}\n" in outcome.stderr
    assert "mine.pt" not in outcome.stderr


NOT_RESOLVED = """
# - path: models/vae/mine.pt
#   source: hf://a/b/mine.pt

# # Not resolved: uncomment and write a source
#   # no source is known; wanted by w.json
#   - path: models/vae/x.pt
#     source:
#   - path: models/vae/y.pt
#     source:
# # End of what is not resolved.
# - path: models/vae/mine.pt
"""


def test_an_entry_without_a_source_fails_alone(runs: Runs) -> None:
    entries = [ONE.entry(), {"path": "models/vae/open.pt", "source": None}]
    outcome = runs.run(entries=entries)
    assert outcome.returncode == 1
    assert "models/vae/open.pt has no source yet" in outcome.models["models/vae/open.pt"]["error"]
    assert outcome.models[ONE.path]["status"] == "downloaded"
    for command in ("verify", "prune", "lock"):
        words = [command, runs.manifest(entries), *(() if command == "lock" else ("--volume", runs.volume))]
        assert runs.commands.run(*words, env=runs.environment()).returncode == 1


def run_on(commands: Commands, volume: str) -> Outcome:
    write_manifest(commands.home / "m.yaml", [])
    return commands.run("run", "m.yaml", "--volume", volume)


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("there", "named"), [("workspace", "worksapce"), ("my-models", "my-modles"), ("volume", "volumes")]
)
def test_a_volume_with_a_name_like_anothers_is_not_made(
    commands: Commands, command: str, there: str, named: str
) -> None:
    (commands.home / there).mkdir()
    write_manifest(commands.home / "m.yaml", [])
    outcome = commands.run(command, "m.yaml", "--volume", named)
    assert outcome.returncode == 2
    assert f"Did you mean {commands.home / there}?" in outcome.stderr
    assert not (commands.home / named).exists()


@pytest.mark.parametrize("named", ["workspace", "./Workspace", "runpod-volume"])
def test_a_usual_volume_without_its_slash_is_not_made(commands: Commands, named: str) -> None:
    outcome = run_on(commands, named)
    assert outcome.returncode == 2
    assert f"Did you mean /{named.lower().removeprefix('./')}? " in outcome.stderr
    assert not (commands.home / named).exists()


@pytest.mark.parametrize(("there", "named"), [("volume1", "volume2"), ("volume-a", "volume-b"), ("data", "models")])
def test_a_volume_that_is_made_is_told(commands: Commands, there: str, named: str) -> None:
    (commands.home / there).mkdir()
    outcome = run_on(commands, named)
    assert outcome.returncode == 0, outcome.stderr
    assert f"note: made {commands.home / named}, which was not there\n" in outcome.stderr
    assert "note: made" not in run_on(commands, named).stderr


@pytest.mark.parametrize(("named", "hint"), [("/worksapce", "Did you mean /workspace? "), ("/zzqq", "")])
def test_nothing_is_made_below_the_root_directory(commands: Commands, named: str, hint: str) -> None:
    outcome = run_on(commands, named)
    assert outcome.returncode == 2
    assert f"{hint}If it is meant, make it first: mkdir {named}" in outcome.stderr
    assert not Path(named).exists()


def test_a_plan_that_does_not_fit_ends_with_4(runs: Runs) -> None:
    runs.volume.mkdir()
    outcome = runs.do("plan", "--quota", "10K")
    assert outcome.returncode == 4
    assert outcome.document["error"]["code"] == "space"
    assert [model["status"] for model in outcome.document["models"]] == ["fetch", "fetch"]
    assert runs.do("plan", "--quota", "1M").returncode == 0
