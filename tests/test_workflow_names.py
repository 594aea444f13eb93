"""Names of model files: which endings count, and names without ending or folder beside manifests, catalogs, volumes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prefetch.comfyui.nodes import NodeModel, link_models
from prefetch.comfyui.workflow.names import ENDINGS, doubt, ending_of, is_model_name
from prefetch.comfyui.workflow.naming import AnyOf
from tests.support.commands import Commands
from tests.support.drawn import TABLE, found_in

MANAGED = {
    "1": {"class_type": "Checkpoint Loader (LoraManager)", "inputs": {"ckpt_name": "sub/base.safetensors"}},
    "2": {"class_type": "Unet Loader (LoraManager)", "inputs": {"unet_name": "u.gguf"}},
    "3": {
        "class_type": "Lora Loader (LoraManager)",
        "inputs": {
            "model": ["1", 0],
            "text": "<lora:ink_v2:0.8> <lora:off_one:1>",
            "loras": {
                "__value__": [
                    {"name": "ink_v2", "strength": "0.8", "active": True},
                    {"name": "off_one", "strength": 1, "active": False},
                ]
            },
        },
    },
    "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "more": ["2", 0]}},
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_counts_where_a_loader_or_nobody_knows_the_input(ending: str, tmp_path: Path) -> None:
    assert is_model_name(f"a b{ending.upper()}") and doubt(f"sub/a{ending}", "x") is None
    assert ending_of(f"v1.5{ending}") == ending
    found = found_in({"1": {"class_type": "INPAINT_LoadFooocusInpaint", "inputs": {"patch": f"sub\\p{ending}"}}})
    assert [(model.folder, model.name) for model in found.models] == [("inpaint", f"sub/p{ending}")]
    said: list[str] = []
    (tmp_path / "custom_nodes" / "n").mkdir(parents=True)
    link_models([NodeModel("m", f"custom_nodes/n/p{ending}")], comfyui=tmp_path, volume=tmp_path, tell=said.append)
    assert (tmp_path / "custom_nodes" / "n" / f"p{ending}").is_symlink(), said


@pytest.mark.parametrize(
    "name", ["folder", "svdq-int4-flux.1-dev", "v1.5", "a.py", "a.safetensors.exe", ".safetensors/x"]
)
def test_what_has_no_models_ending(name: str) -> None:
    assert ending_of(name) == "" and not is_model_name(name)


def test_a_loader_of_ones_own_lists_its_own_endings(commands: Commands, tmp_path: Path) -> None:
    file, table = tmp_path / "w.json", tmp_path / "mine.yaml"
    file.write_text(json.dumps({"1": {"class_type": "Mine", "inputs": {"net": "deep/a.XYZ"}}}))
    for loader, expected in (("net: nets", []), ("net: {folder: nets, endings: .abc|.xyz}", ["deep/a.XYZ"])):
        table.write_text(f"version: 1\nloaders:\n  Mine: {{{loader}}}\n")
        found = json.loads(commands.run("workflow", "models", file, "--loaders", table, "--json").stdout)[0]
        assert [model["name"] for model in found["models"]] == expected
        assert len(found["unresolved"]) == 1 - len(expected)


def test_a_name_without_ending_and_folder_is_a_lora_of_any() -> None:
    found = found_in(MANAGED)
    assert [(model.path, model.name, model.required) for model in found.models] == [
        ("models/checkpoints/sub/base.safetensors", "sub/base.safetensors", True),
        ("models/diffusion_models/u.gguf", "u.gguf", True),
        ("models/loras/**/ink_v2.{safetensors,ckpt,pt,bin,…}", "ink_v2", True),
    ]
    assert found.unresolved == ()
    assert [model["any_of"] for model in found.to_json()["models"]] == [
        None,
        None,
        "**/ink_v2.{safetensors,ckpt,pt,bin,…}",
    ]


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        (AnyOf("ink", "stem"), ["ink.pt", "a/ink.safetensors", "b/c/ink.ckpt"]),
        (AnyOf("a/ink", "stem"), ["a/ink.safetensors"]),
        (AnyOf("z/ink", "stem"), ["ink.pt", "a/ink.safetensors", "b/c/ink.ckpt"]),
        (AnyOf("ink.ckpt", "file"), ["b/c/ink.ckpt"]),
        (AnyOf("a/ink.ckpt", "file"), ["b/c/ink.ckpt"]),
        (AnyOf("ink.ckpt", "end"), ["b/c/ink.ckpt"]),
        (AnyOf("c/ink.ckpt", "end"), ["b/c/ink.ckpt"]),
        (AnyOf("a/ink.ckpt", "end"), []),
        (AnyOf("k.ckpt", "end"), []),
        (AnyOf("inky", "beginning"), ["a/inky_v2.safetensors"]),
        (AnyOf("in", "stem"), []),
    ],
)
def test_which_files_a_short_name_means(short: AnyOf, expected: list[str]) -> None:
    files = ["ink.pt", "a/ink.safetensors", "a/inky_v2.safetensors", "b/c/ink.ckpt", "ink", "ink.txt", "ink.json"]
    assert short.choose(files) == expected


@given(st.text("ab./ \\", max_size=8), st.sampled_from(ENDINGS), st.text("ab/", max_size=6))
def test_a_file_fits_its_own_stem_wherever_it_lies(stem: str, ending: str, folder: str) -> None:
    name = stem.rpartition("/")[2]
    if not ending_of(name):
        assert AnyOf(name, "stem").choose([f"{folder}/{name}{ending}", f"{folder}/x{name}{ending}"]) == [
            f"{folder}/{name}{ending}"
        ]


def workflow(folder: Path) -> Path:
    file = folder / "w.json"
    file.write_text(json.dumps({key: MANAGED[key] for key in ("3", "4")}).replace('"model": ["1", 0], ', ""))
    return file


def manifest(folder: Path, *paths: str) -> Path:
    entries = [{"path": path, "source": f"hf://o/r/{number}.bin"} for number, path in enumerate(paths)]
    file = folder / "m.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "models": entries}))
    return file


class TestCheck:
    def test_one_that_fits_is_what_is_needed(self, commands: Commands, tmp_path: Path) -> None:
        held = manifest(tmp_path, "models/loras/styles/ink_v2.safetensors", "models/loras/ink_v2x.safetensors")
        outcome = commands.run("workflow", "check", workflow(tmp_path), "--manifest", held, "--json")
        assert outcome.returncode == 0, outcome.stderr
        assert {model["path"].rpartition("/")[2]: model["status"] for model in outcome.document["models"]} == {
            "ink_v2.safetensors": "needed",
            "ink_v2x.safetensors": "unused",
        }

    def test_several_that_fit_are_told(self, commands: Commands, tmp_path: Path) -> None:
        held = manifest(tmp_path, "models/loras/a/ink_v2.safetensors", "models/loras/b/ink_v2.pt")
        outcome = commands.run("workflow", "check", workflow(tmp_path), "--manifest", held)
        assert outcome.returncode == 0
        assert "ink_v2 may be any of models/loras/a/ink_v2.safetensors, models/loras/b/ink_v2.pt" in outcome.stderr

    def test_none_that_fits_is_missing_and_the_volume_is_looked_at(self, commands: Commands, tmp_path: Path) -> None:
        held, volume = manifest(tmp_path, "models/vae/v.safetensors"), tmp_path / "volume"
        there = volume / "models" / "loras" / "deep" / "ink_v2.safetensors"
        there.parent.mkdir(parents=True)
        there.write_bytes(b"x")
        arguments = ("workflow", "check", workflow(tmp_path), "--manifest", held, "--volume", volume)
        outcome = commands.run(*arguments, "--json")
        assert outcome.returncode == 1
        missing = next(model for model in outcome.document["models"] if model["status"] == "not-in-manifest")
        assert missing["path"].startswith("models/loras/**/ink_v2.")
        assert "though the volume has models/loras/deep/ink_v2.safetensors" in missing["error"]

    def test_a_directory_may_hold_it(self, commands: Commands, tmp_path: Path) -> None:
        held = tmp_path / "m.yaml"
        held.write_text("version: 1\nmodels:\n  - path: models/loras/mine/\n    source: hf://o/r/\n")
        outcome = commands.run("workflow", "check", workflow(tmp_path), "--manifest", held)
        assert outcome.returncode == 0 and "expected of a directory entry" in outcome.stderr


class TestManifest:
    def test_the_one_of_a_catalog(self, commands: Commands, tmp_path: Path) -> None:
        known = manifest(tmp_path, "models/loras/styles/ink_v2.safetensors", "models/loras/ink_v3.safetensors")
        output = tmp_path / "out.yaml"
        arguments = ("workflow", "manifest", workflow(tmp_path), "--catalog", known, "-o", output)
        outcome = commands.run(*arguments)
        assert outcome.returncode == 0, outcome.stderr
        assert yaml.safe_load(output.read_text())["models"] == [
            {"path": "models/loras/styles/ink_v2.safetensors", "source": "hf://o/r/0.bin"}
        ]
        before = output.read_text()
        assert commands.run(*arguments).returncode == 0 and output.read_text() == before

    def test_a_file_that_another_node_names_whole_will_do(self, commands: Commands, tmp_path: Path) -> None:
        file = workflow(tmp_path)
        document = json.loads(file.read_text())
        document["5"] = {"class_type": "LoraLoader", "inputs": {"lora_name": "z/ink_v2.safetensors"}}
        document["4"]["inputs"]["last"] = ["5", 0]
        file.write_text(json.dumps(document))
        outcome = commands.run("workflow", "manifest", file, "--json")
        assert [item["path"] for item in outcome.document["open"]] == ["models/loras/z/ink_v2.safetensors"]

    def test_several_are_left_open(self, commands: Commands, tmp_path: Path) -> None:
        known = manifest(tmp_path, "models/loras/a/ink_v2.safetensors", "models/loras/b/ink_v2.pt")
        outcome = commands.run("workflow", "manifest", workflow(tmp_path), "--catalog", known)
        assert outcome.returncode == 1
        assert (
            "the catalogs have several: models/loras/a/ink_v2.safetensors, models/loras/b/ink_v2.pt" in outcome.stderr
        )

    def test_none_is_left_open_with_what_will_do(self, commands: Commands, tmp_path: Path) -> None:
        outcome = commands.run("workflow", "manifest", workflow(tmp_path))
        assert outcome.returncode == 1
        assert "no source is known; any of models/loras/**/ink_v2.{safetensors,ckpt,pt,bin,…} will do" in outcome.stderr


def test_every_form_of_the_table_is_one_that_is_known() -> None:
    assert {entry.names for kind in TABLE.classes for entry in TABLE.inputs(kind)} > {"file", "stem", "page"}
