"""The built-in loader table: every row says where it is known from, and names kinds and directories that there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from prefetch.comfyui.kinds import FOLDERS
from tests.support.commands import Commands

TABLE: Mapping[str, Any] = yaml.safe_load(
    files("prefetch.comfyui.workflow").joinpath("loaders.yaml").read_text(encoding="utf-8")
)
UNVERIFIED = 277
"""Rows whose node's source nobody has looked at. It may only become smaller."""


def words() -> Iterator[tuple[str, str]]:
    """Each class with each kind or directory that its row names."""
    for kind, row in TABLE["loaders"].items():
        for name, value in row.items():
            if name != "from":
                said = value["folder"] if isinstance(value, dict) else value
                yield from ((kind, word) for word in said.partition(" @")[0].split("|"))


def test_the_rows_that_nobody_has_looked_up_become_fewer() -> None:
    rows = {**TABLE["kinds"], **TABLE["loaders"]}
    assert sum(row.get("from", "unverified") == "unverified" for row in rows.values()) == UNVERIFIED


def test_every_row_names_a_known_kind_or_a_directory() -> None:
    unknown = {
        kind: word
        for kind, word in words()
        if word not in FOLDERS and word not in TABLE["kinds"] and not word.startswith("models/")
    }
    assert unknown == {}


@pytest.mark.parametrize(
    ("kind", "given", "path"),
    [
        ("easy kolorsLoader", {"chatglm3_name": "chatglm3.safetensors"}, "LLM/chatglm3.safetensors"),
        ("UltralyticsDetectorProvider", {"model_name": "bbox/face.pt"}, "ultralytics/bbox/face.pt"),
        ("ReActorMaskHelper", {"bbox_model_name": "bbox/face.pt"}, "ultralytics/bbox/face.pt"),
    ],
)
def test_a_model_belongs_into_the_directory_that_its_node_reads(
    commands: Commands, tmp_path: Path, kind: str, given: Mapping[str, str], path: str
) -> None:
    workflow = tmp_path / "w.json"
    workflow.write_text(json.dumps({"1": {"class_type": kind, "inputs": given}}))
    (found,) = json.loads(commands.run("workflow", "models", workflow, "--json").stdout)
    assert [f"{model['folder']}/{model['name']}" for model in found["models"]] == [path]


def test_a_list_may_name_a_key_or_its_directory(commands: Commands, tmp_path: Path) -> None:
    workflow, rows = tmp_path / "w.json", tmp_path / "list.csv"
    loader = {"class_type": "easy kolorsLoader", "inputs": {"chatglm3_name": "glm.safetensors"}}
    workflow.write_text(json.dumps({"1": loader, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}}))
    for folder in ("llm", "LLM", "models/LLM"):
        rows.write_text(
            f"filename,folder,url\nglm.safetensors,{folder},https://huggingface.co/a/b/resolve/main/glm.safetensors\n"
        )
        done = commands.run("workflow", "manifest", workflow, "--catalog", rows)
        assert done.returncode == 0, done.stderr
        assert "path: models/LLM/glm.safetensors" in done.stdout
