"""The main job by the command line, against a Hub on loopback: what it fetches, what it says, what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import IgnoreRange, NoLength
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, Wanted, assert_whole, repo_of, sent_bytes, wanted, write_manifest

MODELS = wanted(9 * BLOCK + 12_345, BLOCK, 70_000)
Run = Callable[..., Outcome]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return tmp_path / "volume"


@pytest.fixture
def run(commands: Commands, origin: DemoServer, volume: Path, tmp_path: Path) -> Run:
    """``prefetch run --json`` of these entries (by default all of MODELS, pinned) onto the volume."""

    def call(*options: str, entries: Any = None, env: Mapping[str, str] | None = None) -> Outcome:
        chosen = [model.entry() for model in MODELS] if entries is None else entries
        manifest = write_manifest(tmp_path / "m.yaml", chosen)
        environment = {"HF_ENDPOINT": origin.endpoint, **(env or {})}
        return commands.run("run", manifest, "--volume", volume, "--json", *options, env=environment)

    return call


def test_an_empty_volume_is_filled(run: Run, volume: Path, origin: DemoServer) -> None:
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)
    document = outcome.document
    assert list(document) == ["ok", "exit_code", "error", "volume", "seconds", "bytes_downloaded", "models"]
    total = sum(model.content.size for model in MODELS)
    assert (document["ok"], document["exit_code"], document["error"]) == (True, 0, None)
    assert (document["volume"], document["bytes_downloaded"]) == (str(volume), total)
    assert document["models"] == [
        {
            "path": model.path,
            "status": "downloaded",
            "size": model.content.size,
            "sha256": model.content.sha256,
            "bytes_downloaded": model.content.size,
            "bytes_resumed": 0,
            "error": None,
        }
        for model in MODELS
    ]
    assert sent_bytes(origin.requests) == total


def test_the_log_counts_what_was_moved(run: Run, volume: Path) -> None:
    outcome = run("--log-format", "json", "--quota", "100M")
    records = [json.loads(line) for line in outcome.stderr.splitlines()]
    traffic = [record for record in records if record["event"] == "traffic"][-1]
    total = sum(model.content.size for model in MODELS)
    assert sum(host["bytes"] for host in traffic["received"]) == outcome.document["bytes_downloaded"] == total
    assert traffic["written"] == total and traffic["write_seconds"] > 0
    assert traffic["hashed"] == total and traffic["hash_seconds"] > 0
    (space,) = [record for record in records if record["event"] == "space"]
    assert space["quota"] == 100_000_000 and space["used"] < 10_000
    claims = [record for record in records if record["event"] == "claims"]
    assert all(record["waiting"] == 0 for record in claims)


def test_a_second_run_asks_nobody_for_anything(run: Run, origin: DemoServer) -> None:
    run()
    before = len(origin.requests)
    outcome = run()
    assert outcome.returncode == 0
    assert {model["status"] for model in outcome.document["models"]} == {"present"}
    assert outcome.document["bytes_downloaded"] == 0
    assert len(origin.requests) == before


def test_what_the_host_tells_is_enough(run: Run, volume: Path) -> None:
    outcome = run(entries=[model.entry(sha256=None, size=None) for model in MODELS])
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)
    assert [model["sha256"] for model in outcome.document["models"]] == [model.content.sha256 for model in MODELS]


def test_nothing_partial_is_left_behind(run: Run, volume: Path) -> None:
    run()
    assert list((volume / ".prefetch" / "partial").iterdir()) == []
    assert list((volume / ".prefetch" / "tmp").iterdir()) == []


def test_what_was_applied_is_on_the_volume(run: Run, volume: Path) -> None:
    run()
    (applied,) = (volume / ".prefetch" / "applied").iterdir()
    models = json.loads(applied.read_text())["models"]
    assert [(m["path"], m["size"], m["sha256"]) for m in models] == [
        (m.path, m.content.size, m.content.sha256) for m in MODELS
    ]


def test_a_right_file_is_adopted_and_a_wrong_one_is_kept(run: Run, volume: Path, origin: DemoServer) -> None:
    right, wrong, _ = MODELS
    for model, content in ((right, right.content.read(0, right.content.size)), (wrong, b"somebody's own work")):
        (volume / model.path).parent.mkdir(parents=True, exist_ok=True)
        (volume / model.path).write_bytes(content)
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)
    assert outcome.models[right.path]["status"] == "adopted"
    assert outcome.models[wrong.path]["status"] == "downloaded"
    assert not [request for request in origin.requests if request.file.endswith(right.name)]
    assert (volume / ".prefetch/replaced/1" / wrong.path).read_bytes() == b"somebody's own work"
    assert ".prefetch/replaced/1" in outcome.stderr


def test_the_same_content_at_two_paths_is_fetched_once(run: Run, volume: Path, origin: DemoServer) -> None:
    model = MODELS[0]
    outcome = run(entries=[model.entry(), model.entry(path="models/elsewhere/copy.safetensors")])
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.models["models/elsewhere/copy.safetensors"]["status"] == "linked"
    assert sent_bytes(origin.requests) == model.content.size
    assert (volume / "models/elsewhere/copy.safetensors").samefile(volume / model.path)


def test_a_manifest_that_changes_changes_the_volume(run: Run, volume: Path) -> None:
    first, second = MODELS[0], MODELS[1]
    run(entries=[first.entry(path="models/m.safetensors")])
    outcome = run(entries=[second.entry(path="models/m.safetensors")])
    assert outcome.returncode == 0, outcome.stderr
    assert (volume / "models/m.safetensors").read_bytes() == second.content.read(0, second.content.size)
    # What we had placed there ourselves is not the user's, so it is not kept.
    assert not (volume / ".prefetch" / "replaced").exists()


def test_a_branch_that_moves_is_followed_only_when_asked(run: Run, origin: DemoServer, volume: Path) -> None:
    old, new = MODELS[0], wanted(BLOCK, 3 * BLOCK)[1]
    entries = [old.entry(sha256=None, size=None)]
    run(entries=entries)
    origin.put(repo_of([Wanted(old.name, new.content)]))
    assert run(entries=entries).models[old.path]["status"] == "present"
    refreshed = run("--refresh", entries=entries)
    assert refreshed.returncode == 0, refreshed.stderr
    assert refreshed.models[old.path]["sha256"] == new.content.sha256
    assert_whole(volume, [Wanted(old.name, new.content)])
    assert run("--refresh", entries=entries).models[old.path]["status"] == "present"


def test_one_missing_model_does_not_stop_the_others(run: Run, volume: Path) -> None:
    lost = MODELS[0].entry(path="models/lost.safetensors", source="hf://acme/models/lost.safetensors", sha256=None)
    outcome = run(entries=[lost, *(model.entry() for model in MODELS)])
    assert outcome.returncode == 1
    assert_whole(volume, MODELS)
    assert outcome.models["models/lost.safetensors"]["status"] == "failed"
    assert "lost.safetensors" in outcome.models["models/lost.safetensors"]["error"]
    assert outcome.document["error"]["message"]


def test_too_small_a_quota_stops_before_the_first_byte(run: Run, origin: DemoServer) -> None:
    outcome = run("--quota", "20M")
    assert outcome.returncode == 4
    assert outcome.document["error"]["code"] == "space"
    assert sent_bytes(origin.requests) == 0


def test_a_quota_counts_what_is_there(run: Run) -> None:
    total = sum(model.content.size for model in MODELS)
    assert run("--quota", str(total + 1_000_000)).returncode == 0
    assert run("--quota", str(total)).returncode == 0


def test_a_mirror_takes_over(run: Run, origin: DemoServer, volume: Path) -> None:
    model = MODELS[0]
    mirror = origin.put_file("mirror.safetensors", model.content)
    entry = model.entry(source="hf://acme/gone/m0.safetensors", mirrors=[mirror])
    outcome = run(entries=[entry])
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, [model])


def test_a_file_source_is_copied_and_verified(run: Run, tmp_path: Path, volume: Path) -> None:
    model = MODELS[0]
    (tmp_path / "local.bin").write_bytes(model.content.read(0, model.content.size))
    outcome = run(entries=[model.entry(source=f"file://{tmp_path}/local.bin")])
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, [model])


def test_a_cap_on_the_bandwidth_holds(run: Run, volume: Path) -> None:
    model = MODELS[1]
    outcome = run("--limit-rate", "2M", entries=[model.entry()])
    assert outcome.returncode == 0
    assert outcome.document["seconds"] >= model.content.size / 2_000_000 * 0.9


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_every_size_comes_whole(run: Run, origin: DemoServer, volume: Path, size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(min(size, 1000))) * (size // 1000 + 1)
    content = BytesFile(data[:size])
    model = Wanted("any.dat", content)
    origin.put(repo_of([model]))
    outcome = run(entries=[model.entry()])
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, [model])


@pytest.mark.parametrize("size", [1, BLOCK, 2 * BLOCK, 2 * BLOCK + 1])
def test_a_host_that_tells_no_size_is_read_to_its_end(run: Run, origin: DemoServer, volume: Path, size: int) -> None:
    content = BytesFile(bytes(index * 11 % 241 for index in range(min(size, 999))) * (size // 999 + 1))
    content = BytesFile(content.read(0, size))
    address = origin.put_file("any.dat", content)
    origin.add_faults(Fault(do=IgnoreRange(), times=None), Fault(do=NoLength(), times=None))
    model = Wanted("any.dat", content)
    outcome = run(entries=[model.entry(source=address, sha256=None, size=None)])
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, [model])
    assert outcome.models[model.path]["size"] == size


def test_links_without_an_owner_and_links_that_end_in_a_slash_are_files(
    run: Run, volume: Path, origin: DemoServer
) -> None:
    large, _, small = MODELS
    files = {"model.safetensors": large.content, "onnx/a.json": small.content}
    origin.put(Repo(id="google-bert/bert-base-uncased", files=files, formerly=("bert-base-uncased",)))
    link = "https://huggingface.co/bert-base-uncased"
    seafile = origin.put_file("578df07c8fc04ffbadf3", small.content)
    entries = [
        {"path": "models/a/link.safetensors", "source": f"{link}/resolve/main/model.safetensors"},
        {"path": "models/a/short.safetensors", "source": "hf://bert-base-uncased/model.safetensors"},
        {"path": "models/bert-base-uncased/", "source": f"{link}/tree/main"},
        {"path": "models/seafile.safetensors", "source": f"{seafile}/?dl=1"},
        {"path": "models/folder.safetensors", "source": f"{seafile}/?p=%2Fckpts%2Flast.safetensors&dl=1"},
    ]
    outcome = run(entries=entries)
    assert outcome.returncode == 0, outcome.stderr
    found = {path: model["sha256"] for path, model in outcome.models.items()}
    assert found == {
        "models/a/link.safetensors": large.content.sha256,
        "models/a/short.safetensors": large.content.sha256,
        "models/bert-base-uncased/model.safetensors": large.content.sha256,
        "models/bert-base-uncased/onnx/a.json": small.content.sha256,
        "models/seafile.safetensors": small.content.sha256,
        "models/folder.safetensors": small.content.sha256,
    }
