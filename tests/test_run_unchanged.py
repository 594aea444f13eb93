"""A run with nothing to do: it says what any run says, and neither reads nor imports what it does not need."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.models import assert_whole, repo_of, wanted, write_manifest
from tests.support.runs import Runs

MODELS = wanted(50_000, 40_000, 30_000)
FIRST, SECOND, THIRD = MODELS

MODULES = """if True:
    import sys
    before = set(sys.modules)
    from prefetch.cli import main
    code = main()
    new = (module for name, module in sys.modules.items() if name not in before)
    print(*(getattr(module, "__file__", None) or "" for module in new), sep="\\n")
    sys.exit(code)"""


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, origin: DemoServer) -> Path:
    """A folder with a manifest that includes another, and the volume that a run has filled from it."""
    base = tmp_path_factory.mktemp("unchanged")
    (base / "home").mkdir()
    runs = Runs(Commands(base / "home"), origin, base / "volume", tuple(MODELS))
    write_manifest(base / "home" / "more.yaml", [THIRD.entry(groups=["b"])])
    models = [FIRST.entry(groups=["a"]), SECOND.entry(sha256=None, size=None)]
    (base / "home" / "m.yaml").write_text(json.dumps({"version": 1, "models": models, "include": ["more.yaml"]}))
    outcome = runs.commands.run("run", "m.yaml", "--volume", runs.volume, "--json", env=runs.environment())
    assert outcome.returncode == 0, outcome.stderr
    return base


@pytest.fixture
def runs(filled: Path, origin: DemoServer, tmp_path: Path) -> Runs:
    for name in ("home", "volume"):
        shutil.copytree(filled / name, tmp_path / name)
    return Runs(Commands(tmp_path / "home"), origin, tmp_path / "volume", tuple(MODELS))


def run(runs: Runs, *options: str) -> dict[str, Any]:
    """The document of one more run, and what it said on standard error."""
    outcome = runs.commands.run("run", "m.yaml", "--volume", runs.volume, "--json", *options, env=runs.environment())
    said = outcome.stderr.replace(f" in {outcome.document['seconds']:.1f}s", "")
    return {**outcome.document, "seconds": None, "said": said, "returncode": outcome.returncode}


@pytest.mark.parametrize("options", [(), ("--group", "a"), ("--group", "a", "--group", "b")], ids=str)
def test_it_says_what_a_run_says_that_reads_everything(runs: Runs, options: tuple[str, ...]) -> None:
    quick = run(runs, *options)
    shutil.rmtree(runs.volume / ".prefetch" / "applied")
    assert run(runs, *options) == quick
    assert {model["status"] for model in quick["models"]} == {"present"}
    assert (f"{SECOND.path} is not pinned" in quick["said"]) is (not options)


def test_it_imports_nothing_but_the_standard_library_and_asks_nobody(runs: Runs) -> None:
    before = len(runs.origin.requests)
    done = subprocess.run(
        [sys.executable, "-c", MODULES, "run", "m.yaml", "--volume", runs.volume],
        env=runs.commands.environment(runs.environment()),
        cwd=runs.commands.home,
        capture_output=True,
        text=True,
        check=True,
    )
    files = done.stdout.splitlines()
    assert any(file.endswith("prefetch/unchanged.py") for file in files)
    assert not [file for file in files if "site-packages" in file or "asyncio" in file]
    assert len(runs.origin.requests) == before


def test_it_opens_neither_records_nor_models(runs: Runs) -> None:
    for file in (runs.volume / ".prefetch" / "inventory").iterdir():
        file.write_text("{}")
    assert run(runs)["returncode"] == 0, "what was applied is enough"


def remove(runs: Runs) -> None:
    (runs.volume / THIRD.path).unlink()


def cut(runs: Runs) -> None:
    os.truncate(runs.volume / THIRD.path, 10)


def change_the_include(runs: Runs) -> None:
    write_manifest(runs.commands.home / "more.yaml", [THIRD.entry(path="models/elsewhere.safetensors")])


def lose_the_include(runs: Runs) -> None:
    (runs.commands.home / "more.yaml").unlink()


def damage_what_was_applied(runs: Runs) -> None:
    for file in (runs.volume / ".prefetch" / "applied").iterdir():
        file.write_text(file.read_text().replace(THIRD.path, "models/other"))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (remove, "downloaded"),
        (cut, "downloaded"),
        (change_the_include, "linked"),
        (damage_what_was_applied, "present"),
    ],
)
def test_whatever_changed_is_seen(runs: Runs, change: Callable[[Runs], None], status: str) -> None:
    change(runs)
    document = run(runs)
    assert document["returncode"] == 0, document
    assert [model["status"] for model in document["models"]].count(status) >= 1
    assert_whole(runs.volume, [FIRST, SECOND])
    again = run(runs)
    assert {model["status"] for model in again["models"]} == {"present"}


def test_verify_believes_the_manifest_and_not_what_was_noted_on_the_volume(runs: Runs) -> None:
    damage_what_was_applied(runs)
    (runs.volume / THIRD.path).write_bytes(bytes((runs.volume / THIRD.path).stat().st_size))
    outcome = runs.commands.run("verify", "m.yaml", "--volume", runs.volume, "--json", env=runs.environment())
    found = {model["path"]: model["status"] for model in outcome.document["models"]}
    assert outcome.returncode != 0
    assert found.pop(THIRD.path) in ("changed", "corrupt")
    assert found == {FIRST.path: "ok", SECOND.path: "ok"}


def test_an_include_that_is_gone_is_an_error(runs: Runs) -> None:
    lose_the_include(runs)
    document = run(runs)
    assert (document["returncode"], document["error"]["code"]) == (2, "manifest")


def test_a_group_that_no_model_is_in_is_an_error(runs: Runs) -> None:
    assert "The groups are a, b." in run(runs, "--group", "c")["error"]["message"]


def test_a_lock_counts_from_when_it_is_there(runs: Runs) -> None:
    assert "--locked" in run(runs, "--locked")["error"]["message"]
    outcome = runs.commands.run("lock", "m.yaml", env=runs.environment())
    assert outcome.returncode == 0, outcome.stderr
    for _ in range(2):
        document = run(runs, "--locked")
        assert (document["returncode"], document["error"]) == (0, None)
    (runs.commands.home / "m.lock.json").write_text("{}")
    assert run(runs)["error"]["code"] == "manifest"


def test_another_layout_is_another_run(runs: Runs) -> None:
    write_manifest(runs.commands.home / "m.yaml", [FIRST.entry(path="models/text_encoders/x.safetensors")])
    for layout, path in (("modern", "text_encoders"), ("worker-comfyui", "clip"), ("modern", "text_encoders")):
        document = run(runs, "--layout", layout)
        assert [model["path"] for model in document["models"]] == [f"models/{path}/x.safetensors"]


def test_refresh_asks_again(runs: Runs) -> None:
    before = len(runs.origin.requests)
    assert run(runs, "--refresh")["returncode"] == 0
    assert len(runs.origin.requests) > before


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_a_manifest_that_can_be_read_only_once_is(runs: Runs, name: str) -> None:
    text = write_manifest(runs.commands.home / "m.yaml", [FIRST.entry()]).read_text()
    words = ("run", name, "--volume", runs.volume, "--json")
    outcome = runs.commands.run(*words, env=runs.environment(), stdin=text)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.models[FIRST.path]["status"] == "present"
