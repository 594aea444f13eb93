"""The workflows and the action for GitHub: held to the published schemas and an auditor, and the action's steps run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from prefetch.demo.server import running_origin
from tests.support.commands import Commands
from tests.support.models import repo_of, wanted, write_manifest

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTION = ROOT / "deploy/github-action/action.yml"
CHECK = ACTION.parent / "check"
BIN = Path(sys.executable).parent
MODELS = [replace(model, folder="models/vae") for model in wanted(50_000, 40_000)]


def load(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def steps(path: Path) -> Iterator[dict[str, Any]]:
    document = load(path)
    for job in document.get("jobs", {"action": document.get("runs")}).values():
        yield from job["steps"]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-actions", [ACTION]),
        ("dependabot", [GITHUB / "dependabot.yml"]),
    ],
    ids=["workflows", "action", "dependabot"],
)
def test_they_are_what_the_published_schema_wants(schema: str, files: list[Path]) -> None:
    words = [*map(str, [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files])]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_an_auditor_finds_nothing() -> None:
    words = [str(BIN / "zizmor"), "--offline", "--quiet", "--color=never", str(GITHUB), str(ACTION.parent)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.stem)
def test_what_others_wrote_is_pinned_to_a_commit_with_its_version(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    for name, version in used:
        assert name.startswith("./") or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", name), name
        assert name.startswith("./") or re.fullmatch(r" # v\d+\.\d+\.\d+", version), name
    assert used


def test_a_workflow_may_do_no_more_than_it_must() -> None:
    for path in WORKFLOWS:
        assert load(path)["permissions"] == {"contents": "read"}, path.name
        for step in steps(path):
            if str(step.get("uses", "")).startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_every_file_and_target_that_they_name_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in WORKFLOWS:
        for step in steps(path):
            for target in re.findall(r"^make ([a-z]+)", step.get("run", ""), re.MULTILINE):
                assert target in targets
            if str(step.get("uses", "")).startswith("./"):
                assert (ROOT / step["uses"] / "action.yml").exists()
    images = load(GITHUB / "workflows/publish.yml")["jobs"]["image"]["strategy"]["matrix"]["include"]
    assert {(ROOT / image["dockerfile"]).exists() for image in images} == {True}
    named = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "deploy/kubernetes").rglob("*.yaml"))
    assert {image["image"] for image in images} == set(re.findall(r"newName: registry\.example\.com/you/(\S+)", named))


def test_every_supported_python_is_tried() -> None:
    matrix = load(GITHUB / "workflows/ci.yml")["jobs"]["python"]["strategy"]["matrix"]["python"]
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert matrix == re.findall(r"Programming Language :: Python :: (3\.\d+)", metadata)
    assert f'requires-python = ">={matrix[0]}"' in metadata


def test_the_images_come_with_provenance_and_a_list_of_what_is_in_them() -> None:
    (build,) = (each for each in steps(GITHUB / "workflows/publish.yml") if "build-push" in str(each.get("uses")))
    assert (build["with"]["push"], build["with"]["provenance"], build["with"]["sbom"]) == (True, "mode=max", True)


def test_the_workflow_that_the_page_shows(tmp_path: Path) -> None:
    page = (ROOT / "docs/github.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "shown.yml").write_text(shown)
    words = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(tmp_path / "shown.yml")]
    assert subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0
    (ours,) = (step for step in steps(tmp_path / "shown.yml") if "deploy/github-action@" in step["uses"])
    inputs = load(ACTION)["inputs"]
    assert ours["with"].keys() <= inputs.keys()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == inputs.keys()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of a user's: a manifest with its lock, and a workflow in a folder with a blank in its name."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "my workflows/more").mkdir(parents=True)
    workflow = {
        "1": {"class_type": "VAELoader", "inputs": {"vae_name": "m0.safetensors"}},
        "2": {"class_type": "VAEDecode", "inputs": {"vae": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
    }
    (folder / "my workflows/more/one.json").write_text(json.dumps(workflow))
    manifest = write_manifest(folder / "models.yaml", [model.entry() for model in MODELS])
    with running_origin(repos=[repo_of(MODELS)]) as origin:
        done = Commands(folder).run("lock", manifest, env={"HF_ENDPOINT": origin.endpoint})
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def project(locked: Path, tmp_path: Path) -> Path:
    return shutil.copytree(locked, tmp_path / "project")


def checked(project: Path, **inputs: str) -> tuple[int, list[str]]:
    """The action's step in a repository: its exit code and the annotations it made."""
    given = {**{name: value.get("default", "") for name, value in load(ACTION)["inputs"].items()}, **inputs}
    (step,) = (step for step in load(ACTION)["runs"]["steps"] if "run" in step)
    env = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda m: given[m[1]], text) for name, text in step["env"].items()
    }
    done = subprocess.run(
        ["bash", "-c", step["run"]],
        cwd=project,
        env={**env, "PATH": f"{BIN}:{os.environ['PATH']}", "GITHUB_ACTION_PATH": str(ACTION.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, [line for line in done.stdout.splitlines() if line.startswith("::error ")]


def test_the_action_is_content_with_a_lock_and_a_workflow_that_are_covered(project: Path) -> None:
    assert checked(project, manifests="models.yaml\n", workflows="\n  my workflows/**/*.json\n") == (0, [])


def test_the_action_names_a_lock_that_is_out_of_date(project: Path) -> None:
    manifest = project / "models.yaml"
    manifest.write_text(manifest.read_text().replace("m1.safetensors", "m2.safetensors"))
    code, annotations = checked(project, manifests="models.yaml")
    assert code == 1
    (annotation,) = annotations
    assert (
        annotation.startswith("::error title=models.yaml::") and "m2.safetensors" in annotation and "%0A" in annotation
    )
    assert checked(project, manifests="models.yaml", lock="false") == (0, [])


def test_the_action_names_a_model_that_no_manifest_has(project: Path) -> None:
    workflow = (project / "my workflows/more/one.json").read_text()
    (project / "50%, two.json").write_text(workflow.replace("m0", "m9"))
    code, annotations = checked(project, manifests="models.yaml", workflows="my workflows/**/*.json\n50%, two.json")
    assert code == 1
    (annotation,) = annotations
    assert annotation.startswith("::error title=50%25%2C two.json::") and "m9.safetensors" in annotation


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"manifests": " \n"}, "No manifest is named."),
        ({"manifests": "models.yaml", "lock": "yes"}, "The input lock is 'yes' and has to be true or false."),
        ({"manifests": "models.yaml", "workflows": "none/*.json"}, "No workflow is called none/*.json."),
    ],
    ids=["no-manifest", "lock", "no-workflow"],
)
def test_the_action_refuses_what_it_cannot_do(project: Path, inputs: dict[str, str], says: str) -> None:
    code, annotations = checked(project, **inputs)
    assert code == 2
    assert says in annotations[0]


def test_a_manifest_that_is_not_there_is_an_error(project: Path) -> None:
    code, annotations = checked(project, manifests="modles.yaml")
    assert code == 1
    assert "modles.yaml" in annotations[0]
