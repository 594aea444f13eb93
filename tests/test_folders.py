"""Whole directories of a repository: chosen by patterns, listed once, remembered, locked file by file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils._paths import filter_repo_objects

from prefetch.demo.actions import HtmlPage
from prefetch.demo.content import BytesFile, Content, SyntheticFile
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from prefetch.errors import ManifestError
from prefetch.manifest import load_manifests
from prefetch.sources.listing import matches
from prefetch.sources.refs.folder import parse_folder
from prefetch.sources.refs.hub import HuggingFolderRef
from tests.support.commands import Commands, Outcome
from tests.support.models import sha256_of, write_manifest

FILES: dict[str, Content] = {
    "README.md": BytesFile(b"# about"),
    "base/config.json": BytesFile(b'{"model_type": "demo"}'),
    "base/model-00001.safetensors": SyntheticFile("a.safetensors", 5_000_000, "safetensors", 1),
    "base/model-00002.safetensors": SyntheticFile("b.safetensors", 300_000, "safetensors", 2),
    "base/onnx/model ü.onnx": SyntheticFile("c.onnx", 200_000, "raw", 3),
    "other/x.safetensors": SyntheticFile("x.safetensors", 200_000, "safetensors", 4),
}
BASE = ["config.json", "model-00001.safetensors", "model-00002.safetensors", "onnx/model ü.onnx"]


def repo(files: dict[str, Content] = FILES, **keys: Any) -> Repo:
    return Repo(id="acme/florence", files=files, **keys)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo(formerly=("acme/old",))], page_size=3, tokens={"hf_a": "a"}) as server:
        yield server


def folder(**keys: Any) -> dict[str, Any]:
    return {"path": "models/llm/", "source": "hf://acme/florence/base/", **keys}


class Folders:
    """Commands on a manifest of one directory."""

    def __init__(self, commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
        self.commands, self.origin, self.path = commands, origin, tmp_path
        self.volume = tmp_path / "volume"
        self.volume.mkdir()

    def __call__(self, command: str, *options: str, entries: Any = None, **env: str) -> Outcome:
        manifest = write_manifest(self.path / "m.yaml", [folder()] if entries is None else entries)
        words: list[str | Path] = [command, manifest, *options, "--json"]
        if command != "lock":
            words += ["--volume", self.volume]
        return self.commands.run(*words, env={"HF_ENDPOINT": self.origin.endpoint, **env})

    def here(self) -> list[str]:
        """The files of the directory on the volume, each with the right bytes."""
        root = self.volume / "models" / "llm"
        names = sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
        assert all(sha256_of(root / name) == FILES[f"base/{name}"].sha256 for name in names)
        return names


@pytest.fixture
def folders(commands: Commands, origin: DemoServer, tmp_path: Path) -> Folders:
    return Folders(commands, origin, tmp_path)


def test_a_directory_is_brought_whole_and_asked_for_once(folders: Folders, origin: DemoServer) -> None:
    planned = folders("plan")
    assert {model["status"] for model in planned.models.values()} == {"fetch"}
    assert list(folders.volume.iterdir()) == []
    outcome = folders("run")
    assert outcome.returncode == 0, outcome.stderr
    assert folders.here() == BASE
    assert sorted(outcome.models) == [f"models/llm/{name}" for name in BASE]
    before = len(origin.requests)
    again = folders("run")
    assert {model["status"] for model in again.models.values()} == {"present"}
    assert folders("verify").returncode == 0
    assert folders("prune").document["models"] == []
    assert len(origin.requests) == before


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"include": ["*.json", "onnx/"]}, ["config.json", "onnx/model ü.onnx"]),
        ({"exclude": ["*.safetensors"]}, ["config.json", "onnx/model ü.onnx"]),
        ({"include": ["*.safetensors"], "exclude": ["*-00002*"]}, ["model-00001.safetensors"]),
        ({"source": "hf://acme/florence@main/base/onnx/"}, ["model ü.onnx"]),
        ({"source": "https://huggingface.co/acme/old/tree/main/base", "include": ["*.json"]}, ["config.json"]),
    ],
)
def test_patterns_choose(folders: Folders, keys: dict[str, Any], names: list[str]) -> None:
    outcome = folders("run", entries=[folder(**keys)])
    assert outcome.returncode == 0, outcome.stderr
    assert sorted(outcome.models) == [f"models/llm/{name}" for name in names]


def test_a_whole_repository_with_a_node_path_and_groups(folders: Folders) -> None:
    whole = {
        "path": "models/all/",
        "source": "hf://acme/florence/",
        "groups": ["llm"],
        "node_path": "custom_nodes/n/ckpts/",
    }
    other = {"path": "models/x.safetensors", "source": "hf://acme/florence/other/x.safetensors"}
    outcome = folders("run", "--group", "llm", entries=[whole, other])
    assert outcome.returncode == 0, outcome.stderr
    assert sorted(outcome.models) == sorted(f"models/all/{name}" for name in FILES)


def test_a_stopped_run_goes_on_with_the_commit_it_began_with(folders: Folders, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=HtmlPage(), server="cdn", path="*00002*", times=None))
    assert folders("run").returncode == 1
    origin.clear_faults()
    changed = FILES | {"base/new.json": BytesFile(b"{}"), "base/config.json": BytesFile(b"[]")}
    origin.put(repo(changed))
    assert folders("run").returncode == 0
    assert folders.here() == BASE
    assert "models/llm/new.json" in folders("run", "--refresh").models


def test_a_directory_is_locked_file_by_file(folders: Folders, origin: DemoServer) -> None:
    done = folders("lock")
    assert done.returncode == 0, done.stderr
    lock = json.loads((folders.path / "m.lock.json").read_text())
    assert [model["path"] for model in lock["models"]] == [f"models/llm/{name}" for name in BASE]
    assert {model["source"] for model in lock["models"]} == {f"hf://acme/florence/base/{name}" for name in BASE}
    assert lock["directories"] == [{**folder(), "include": [], "exclude": []}]
    assert folders("lock", "--check").returncode == 0
    origin.put(repo(FILES | {"base/new.json": BytesFile(b"{}"), "base/config.json": BytesFile(b"[]")}))
    before = len(origin.requests)
    outcome = folders("run", "--locked")
    assert outcome.returncode == 0, outcome.stderr
    assert folders.here() == BASE
    assert not [each for each in origin.requests[before:] if "/tree/" in each.path]
    assert not [each for each in origin.requests[before:] if each.path.startswith("/api") and "/main" in each.path]


def test_a_lock_knows_a_directory_that_changed(folders: Folders, origin: DemoServer) -> None:
    assert folders("lock").returncode == 0
    changed = folder(exclude=["*.onnx"])
    checked = folders("lock", "--check", entries=[changed])
    assert checked.returncode == 1
    assert checked.models["models/llm/"]["status"] == "changed"
    refused = folders("run", "--locked", entries=[changed])
    assert refused.returncode == 2
    assert "no lock agrees with the manifest on models/llm/" in refused.document["error"]["message"]
    assert folders("lock", entries=[changed]).returncode == 0
    assert folders("lock", "--check", entries=[changed]).returncode == 0
    origin.put(repo(FILES | {"base/new.json": BytesFile(b"{}")}))
    assert folders("lock", entries=[changed]).document["models"][-1]["path"].endswith("00002.safetensors")
    upgraded = folders("lock", "--upgrade", "models/llm/", entries=[changed])
    assert "models/llm/new.json" in upgraded.models


@pytest.mark.parametrize(
    ("keys", "code", "words"),
    [
        ({"source": "hf://acme/florence/nothing/"}, 1, "has no directory 'nothing'"),
        ({"source": "hf://acme/florence@v9/base/"}, 1, "no revision 'v9'"),
        ({"source": "hf://acme/missing/base/"}, 3, "acme/missing is missing or private"),
        ({"include": ["*.gguf"]}, 1, "holds no file that is wanted"),
    ],
)
def test_a_directory_that_cannot_be_had_does_not_stop_the_rest(
    folders: Folders, keys: dict[str, Any], code: int, words: str
) -> None:
    other = {"path": "models/x.safetensors", "source": "hf://acme/florence/other/x.safetensors"}
    outcome = folders("run", entries=[folder(**keys), other])
    assert outcome.returncode == code, outcome.stderr
    assert words in outcome.models["models/llm/"]["error"]
    assert outcome.models["models/x.safetensors"]["status"] == "downloaded"
    planned = folders("plan", entries=[folder(**keys), other])
    assert (planned.returncode, planned.models["models/llm/"]["status"]) == (1, "unresolved")
    assert folders("lock", entries=[folder(**keys), other]).returncode == code
    assert folders("prune", "--yes", entries=[folder(**keys)]).returncode == code
    assert (folders.volume / "models" / "x.safetensors").exists()


def test_a_listing_that_leaves_the_directory_is_refused(folders: Folders, origin: DemoServer) -> None:
    origin.put(repo({"base/../../../escape.json": BytesFile(b"{}"), "base/ok.json": BytesFile(b"{}")}))
    outcome = folders("run")
    assert outcome.returncode == 1
    assert "which cannot be placed" in outcome.models["models/llm/"]["error"]


def test_an_unpinned_pickle_of_a_directory_is_refused_until_it_is_locked(folders: Folders, origin: DemoServer) -> None:
    origin.put(repo({"base/a.bin": SyntheticFile("a.bin", 100_000, "raw", 9)}))
    assert "may run code" in folders("run").models["models/llm/a.bin"]["error"]
    assert folders("lock").returncode == 0
    assert folders("run").returncode == 0


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"path": "models/x", "source": "hf://a/b/c/"}, "the path 'models/x' of a directory has to end with a slash"),
        ({"path": "models/x/", "source": "hf://a/b"}, "the source of a whole directory ends with a slash"),
        ({"path": "models/x/", "source": "https://h/c/"}, "only the Hub lists"),
        ({"path": "../x/", "source": "hf://a/b/"}, "has a '..'"),
        ({"path": "models/x/", "source": "hf://a/b/", "sha256": "0" * 64}, 'the key "sha256" is unknown'),
        ({"path": "models/x/", "source": "hf://a/b/", "include": "*.json"}, "include must be a list of at most 100"),
        ({"path": "models/x/", "source": "hf://a/b/", "include": [3]}, "include[0] must be text"),
        ({"path": "models/x/", "source": "hf://a/b/", "exclude": ["/x"]}, "pattern over the paths below"),
        ({"path": "models/x.bin", "source": "hf://a/b/x.bin", "include": ["x"]}, 'the key "include" is unknown'),
    ],
)
def test_a_wrong_entry_is_told_with_its_remedy(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_manifests([write_manifest(tmp_path / "m.yaml", [entry])])
    assert words in str(caught.value)
    assert "m.yaml:1: entry 1" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("hf://a/b/", HuggingFolderRef("a/b", "")),
        ("hf://datasets/a/b@v%2F1/c/d/", HuggingFolderRef("a/b", "c/d", "v/1", "dataset")),
        ("hf://spaces/a/b/c/", HuggingFolderRef("a/b", "c", "main", "space")),
        ("https://huggingface.co/a/b/tree/refs%2Fpr%2F1/c", HuggingFolderRef("a/b", "c", "refs/pr/1")),
        ("https://hf.co/datasets/a/b/tree/main/c/", HuggingFolderRef("a/b", "c", "main", "dataset")),
    ],
)
def test_directories_are_understood(text: str, ref: HuggingFolderRef) -> None:
    assert parse_folder(text) == ref
    assert parse_folder(str(ref)) == ref
    assert str(ref.file("x/y.json")).endswith("/x/y.json")


@pytest.mark.parametrize("text", ["hf://a/", "hf://a/b", "hf://a/b/../", "civitai:1/", "file:///a/", "https://h/a/"])
def test_what_is_no_directory(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_folder(text)


def test_patterns_are_those_of_hf_download() -> None:
    paths = [f"base/{name}" for name in BASE] + ["README.md", "base/[1].json"]
    for include in ([], ["*.json"], ["base/onnx/"], ["base/*", "*.md"], ["base/model-0000?.*"], ["base/[[]1*"]):
        for exclude in ([], ["*.safetensors"], ["base/"]):
            theirs = filter_repo_objects(paths, allow_patterns=include or None, ignore_patterns=exclude or None)
            assert [path for path in paths if matches(path, include=include, exclude=exclude)] == list(theirs)
