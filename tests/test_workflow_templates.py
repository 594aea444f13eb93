"""The 644 workflows that ComfyUI ships: what they load is what their own metadata say, of all nodes that run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from prefetch.comfyui.workflow import LoaderTable, WorkflowModels, load_table, models_in

TEMPLATES = files("comfyui_workflow_templates_json").joinpath("templates")
DISAGREE: dict[str, str] = {}
"""Templates whose metadata say something else than their graph, each with the reason: none in 0.1.123."""

Files = set[tuple[str | None, str]]


@pytest.fixture(scope="module")
def table() -> LoaderTable:
    return load_table()


def templates() -> dict[str, dict[str, Any]]:
    found = {}
    for file in TEMPLATES.iterdir():
        document = json.loads(file.read_bytes()) if file.name.endswith(".json") else None
        if isinstance(document, dict) and "nodes" in document:
            found[file.name] = document
    return found


def stated(document: dict[str, Any]) -> Files:
    """What ``properties.models`` say of the nodes that run: a plain walk that knows nothing of widgets."""
    definitions = {one["id"]: one for one in document.get("definitions", {}).get("subgraphs", [])}

    def walk(nodes: list[dict[str, Any]]) -> Iterator[tuple[str | None, str]]:
        for node in nodes:
            if node.get("mode", 0) in (2, 4):
                continue
            for model in node.get("properties", {}).get("models") or []:
                yield model.get("directory"), model["name"]
            if node["type"] in definitions:
                yield from walk(definitions[node["type"]]["nodes"])

    return set(walk(document["nodes"]))


def strip(value: Any) -> Any:
    """The same document without any ``models`` of its nodes."""
    if isinstance(value, list):
        return [strip(item) for item in value]
    if not isinstance(value, dict):
        return value
    stripped = {key: strip(item) for key, item in value.items()}
    if isinstance(stripped.get("properties"), dict):
        stripped["properties"].pop("models", None)
    return stripped


def loaded(found: WorkflowModels) -> Files:
    return {(model.folder, model.name) for model in found.models}


def test_they_are_all_there() -> None:
    assert len(templates()) == 644


@pytest.mark.parametrize("form", ["as found", "stripped"])
def test_what_they_load_is_what_they_state(form: str, table: LoaderTable) -> None:
    wrong, addresses = {}, 0
    for name, document in templates().items():
        drawn = strip(document) if form == "stripped" else document
        found = models_in(json.dumps(drawn).encode(), table=table)
        if loaded(found) != stated(document) or found.unresolved:
            wrong[name] = (loaded(found) ^ stated(document), found.unresolved)
        addresses += sum(model.url is not None for model in found.models)
    assert wrong.keys() == DISAGREE.keys(), wrong
    assert addresses == 0 if form == "stripped" else addresses > 900


def test_an_address_belongs_to_its_file(table: LoaderTable) -> None:
    for name, document in templates().items():
        said = json.dumps(document)
        for model in models_in(said.encode(), table=table).models:
            assert model.url is not None, (name, model)
            entry = next(e for e in entries(document) if e["name"] == model.name and e["url"] == model.url)
            assert entry["directory"] == model.folder


def entries(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        properties = value.get("properties")
        yield from (properties.get("models") or []) if isinstance(properties, dict) else []
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from entries(item)


def test_where_names_and_positions_differ_it_is_said(table: LoaderTable) -> None:
    warned = {name for name, d in templates().items() if models_in(json.dumps(d).encode(), table=table).warnings}
    assert warned == {"image_moss_image_color_depth_control.json", "video_wan_animate2_distilled.json"}
