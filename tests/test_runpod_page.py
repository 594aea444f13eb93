"""deploy/runpod and docs/runpod.md: the definitions keep RunPod's contract, and the page's commands do what it says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from prefetch.arguments import parse
from prefetch.commands.table import COMMANDS
from prefetch.demo.content import BytesFile
from prefetch.demo.repo import Repo
from prefetch.demo.server import running_origin
from prefetch.loading import load_settings, misspelt_variables
from tests.support.commands import Commands
from tests.support.contract import request_breach
from tests.support.models import assert_whole, repo_of, wanted
from tests.support.pods import real_run
from tests.support.runpod import KEY
from tests.support.runpod_api import running_runpod
from tests.support.runs import until

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "runpod"
PAGE = (ROOT / "docs" / "runpod.md").read_text(encoding="utf-8")
TARGETS = {
    "volume": "/v2/network-volumes",
    "fill-template": "/v2/templates",
    "fill-pod": "/v2/pods",
    "endpoint-template": "/v2/templates",
    "endpoint": "/v2/serverless",
}
HEADERS = {"Authorization": "Bearer x", "Content-Type": "application/json"}
BY_NAME = {command.name: command for command in COMMANDS}


def definition(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_bytes())
    return found


def test_every_definition_is_known_here_and_shown_on_the_page() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(TARGETS)
    assert all(f"deploy/runpod/{name}.json" in PAGE for name in TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_definition_keeps_the_contract(name: str) -> None:
    document = definition(name)
    assert request_breach("POST", TARGETS[name], HEADERS, json.dumps(document).encode()) == []
    assert request_breach("POST", TARGETS[name], HEADERS, json.dumps({**document, "colour": 1}).encode()) != []


@pytest.mark.parametrize("name", ["fill-template", "fill-pod", "endpoint-template"])
def test_the_variables_of_a_definition_are_ours_and_hold_no_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = definition(name)["env"]
    assert misspelt_variables(variables) == []
    for variable, text in variables.items():
        assert variable in PAGE
        assert "TOKEN" not in variable or re.fullmatch(r"\{\{ RUNPOD_SECRET_\w+ \}\}", text)
    load_settings({}, environ=variables)


def test_the_job_of_the_template_is_one_that_prefetch_takes() -> None:
    command, *words = shlex.split(definition("fill-template")["args"])
    settings = load_settings(parse(BY_NAME[command], words), environ={})
    assert (settings.on_success, settings.on_failed) == ("terminate", "stop") and settings.max_hours
    assert definition("fill-template")["args"] in PAGE


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


class Terminal:
    """A shell in the repository, in which the page's lines are typed one by one."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._folder, self._endpoint = folder, endpoint
        self._environment = {"PATH": "/usr/bin:/bin", "RUNPOD_API_KEY": KEY}
        self._functions = ""
        self.answers: list[dict[str, Any]] = []

    def type(self, line: str) -> None:
        if line.startswith("api()"):
            self._functions = line.replace("https://api.runpod.io", self._endpoint)
        elif export := re.fullmatch(r"export (\w+)=…", line):
            self._environment[export[1]] = self.answers[-1]["id"]
        else:
            done = subprocess.run(
                ["bash", "-c", f"{self._functions}\n{line}"],
                cwd=self._folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            self.answers.append(json.loads(done.stdout))


def lines_of(heading: str) -> list[list[str]]:
    return [
        block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.needs("curl")
def test_the_lines_of_the_page_fill_a_volume_and_make_an_endpoint(commands: Commands, tmp_path: Path) -> None:
    models = wanted(300_000, 70_000)
    manifest = json.dumps({"version": 1, "models": [model.entry() for model in models]})
    shelf = Repo(id="you/models", files={"prefetch.yaml": BytesFile(manifest.encode())})
    filling, serving = lines_of("The same by the API")
    token = "hf_planted0secret"
    with running_origin(repos=[repo_of(models), shelf], tokens={token: "you"}) as origin:
        job = real_run(commands, HF_ENDPOINT=origin.endpoint)
        with running_runpod(tmp_path / "volumes", job=job) as account:
            account.secrets["hf_token"] = token
            terminal = Terminal(ROOT, account.endpoint)
            for line in filling:
                terminal.type(line)
            (pod,) = account.ever
            until(lambda: pod.status == "TERMINATED", "the end of the pod")
            for line in serving:
                terminal.type(line)
            (volume,) = account.volumes
            assert_whole(account.folder_of(volume), models)
            assert account.shelf.endpoints[terminal.answers[-1]["id"]]["networkVolumes"] == [volume]
            assert account.pods == {} and pod.starts == 1
    text = "\n".join(entry.line for entry in pod.lines)
    assert 'PREFETCH_RESULT {"ok": true' in text and token not in text
