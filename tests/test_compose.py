"""The compose file means what this project has: its files, its commands, its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from prefetch.arguments import parse
from prefetch.commands.table import COMMANDS
from prefetch.loading import load_settings
from prefetch.manifest import load_manifests
from prefetch.settings import PREFIX, option_names, variable_of

ROOT = Path(__file__).parent.parent
FILE = ROOT / "deploy/compose/compose.yaml"
BY_NAME = {command.name: command for command in COMMANDS}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    assert document["volumes"].keys() >= {"models"}
    services: dict[str, Any] = document["services"]
    return services


def test_each_service_is_built_and_mounts_what_is_there(services: dict[str, Any]) -> None:
    for service in services.values():
        context = (FILE.parent / service["build"]["context"]).resolve()
        assert (context / service["build"]["dockerfile"]).is_file()
        for volume in service["volumes"]:
            host, inside = volume.split(":")[:2]
            assert not host.startswith(".") or (FILE.parent / host).is_dir()
            assert inside.startswith("/")


def test_its_commands_and_variables_are_ours(services: dict[str, Any]) -> None:
    name, *words = services["models"]["command"]
    settings = load_settings(parse(BY_NAME[name], words))
    assert settings.volume == Path("/workspace")
    variables = {key: text for key, text in services["comfyui"]["environment"].items() if key.startswith(PREFIX)}
    assert variables.keys() <= {variable_of(field) for field in option_names()}
    hook = load_settings({}, environ=variables)
    assert (hook.volume, hook.manifest) == (settings.volume, settings.manifest)
    (manifest,) = hook.manifest
    assert load_manifests([ROOT / "manifests" / manifest.name]).entries


def test_comfyui_starts_when_the_models_are_there(services: dict[str, Any]) -> None:
    condition = services["comfyui"]["depends_on"]["models"]["condition"]
    assert condition == "service_completed_successfully"
    shared = [
        {volume for volume in service["volumes"] if volume.startswith("models:")} for service in services.values()
    ]
    assert shared[0] == shared[1] == {"models:/workspace"}
