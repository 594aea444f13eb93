"""Locks by the command line: what is asked for, what is written, what a run makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.content import BytesFile, SyntheticFile
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, REPO, Wanted, assert_whole, repo_of, sent_bytes, wanted, write_manifest

BIG, OTHER, THIRD = MODELS = wanted(BLOCK, 70_000, 60_000)
TEXT = Wanted("config.json", BytesFile(b'{"kept": "in git"}'))


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of([*MODELS, TEXT])]) as server:
        yield server


class Bench:
    def __init__(self, commands: Commands, origin: DemoServer, folder: Path) -> None:
        self.commands, self.origin = commands, origin
        self.manifest, self.lock, self.volume = folder / "m.yaml", folder / "m.lock.json", folder / "volume"

    def write(self, *entries: dict[str, Any]) -> None:
        write_manifest(self.manifest, entries)

    def do(self, command: str, *options: str | Path) -> Outcome:
        env = {"HF_ENDPOINT": self.origin.endpoint}
        return self.commands.run(command, self.manifest, *options, "--json", env=env)

    def run(self, *options: str) -> Outcome:
        return self.do("run", "--volume", self.volume, *options)

    @property
    def locked(self) -> dict[str, dict[str, Any]]:
        return {model["path"]: model for model in json.loads(self.lock.read_bytes())["models"]}


@pytest.fixture
def bench(commands: Commands, origin: DemoServer, tmp_path: Path) -> Bench:
    bench = Bench(commands, origin, tmp_path)
    bench.write(*map(loose, MODELS))
    return bench


def loose(model: Wanted, **keys: Any) -> dict[str, Any]:
    return model.entry(sha256=None, size=None, **keys)


def test_a_lock_pins_commit_size_and_hash_and_reads_no_model(bench: Bench) -> None:
    outcome = bench.do("lock")
    assert outcome.returncode == 0, outcome.stderr
    assert sent_bytes(bench.origin.requests) == 0
    assert outcome.document["bytes_downloaded"] == 0
    assert {model["status"] for model in outcome.document["models"]} == {"locked"}
    document = json.loads(bench.lock.read_bytes())
    assert document["version"] == 1
    assert [model["path"] for model in document["models"]] == sorted(model.path for model in MODELS)
    entry = bench.locked[BIG.path]
    assert list(entry) == ["path", "source", "url", "commit", "size", "sha256"]
    assert (entry["source"], entry["size"], entry["sha256"]) == (BIG.source, BIG.content.size, BIG.content.sha256)
    assert entry["url"] == f"https://huggingface.co/{REPO}/resolve/{entry['commit']}/{BIG.name}"


def test_locking_again_asks_nobody_and_changes_nothing(bench: Bench) -> None:
    bench.do("lock")
    before, asked = bench.lock.read_bytes(), len(bench.origin.requests)
    outcome = bench.do("lock")
    assert outcome.returncode == 0
    assert {model["status"] for model in outcome.document["models"]} == {"kept"}
    assert (bench.lock.read_bytes(), len(bench.origin.requests)) == (before, asked)


def test_a_locked_run_follows_the_lock_and_not_the_branch(bench: Bench) -> None:
    bench.do("lock")
    new = wanted(3 * BLOCK, 70_000)
    bench.origin.put(repo_of([Wanted(BIG.name, SyntheticFile("new", BLOCK, "safetensors", 77)), *new[1:]]))
    outcome = bench.run("--locked", "--refresh")
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, MODELS)
    assert "not pinned" not in outcome.stderr


def test_upgrade_follows_the_branch_for_what_it_names(bench: Bench) -> None:
    bench.do("lock")
    old = bench.locked
    newer = SyntheticFile("new", 2 * BLOCK, "safetensors", 77)
    bench.origin.put(repo_of([Wanted(BIG.name, newer), Wanted(OTHER.name, newer), THIRD]))
    outcome = bench.do("lock", "--upgrade", BIG.path)
    assert outcome.returncode == 0, outcome.stderr
    assert bench.locked[BIG.path]["sha256"] == newer.sha256
    assert bench.locked[OTHER.path] == old[OTHER.path]
    bench.do("lock", "--upgrade")
    assert bench.locked[OTHER.path]["sha256"] == newer.sha256


def test_an_upgrade_of_what_is_not_there_is_a_slip_of_the_pen(bench: Bench) -> None:
    outcome = bench.do("lock", "--upgrade", "models/none.bin")
    assert outcome.returncode == 2
    assert "models/none.bin" in outcome.document["error"]["message"]


def test_check_names_every_disagreement_and_asks_nobody(bench: Bench) -> None:
    bench.do("lock")
    assert bench.do("lock", "--check").returncode == 0
    moved = loose(OTHER, source=f"hf://{REPO}@v2/{OTHER.name}")
    bench.write(loose(BIG), moved, loose(TEXT))
    before, asked = bench.lock.read_bytes(), len(bench.origin.requests)
    outcome = bench.do("lock", "--check")
    assert outcome.returncode == 1
    found = {path: model["status"] for path, model in outcome.models.items()}
    assert found == {OTHER.path: "changed", TEXT.path: "missing", THIRD.path: "extra"}
    assert "source" in outcome.models[OTHER.path]["error"]
    assert (bench.lock.read_bytes(), len(bench.origin.requests)) == (before, asked)


def test_a_lock_drops_what_the_manifest_no_longer_names(bench: Bench) -> None:
    bench.do("lock")
    bench.write(loose(BIG))
    bench.do("lock")
    assert list(bench.locked) == [BIG.path]


def test_a_hash_the_host_contradicts_is_an_error_that_names_both(bench: Bench) -> None:
    bench.write(BIG.entry(sha256="0" * 64, size=None), loose(OTHER))
    outcome = bench.do("lock")
    assert outcome.returncode == 1
    message = outcome.models[BIG.path]["error"]
    assert "0" * 64 in message
    assert BIG.content.sha256 in message
    assert not bench.lock.exists()


def test_a_file_kept_in_git_is_read_for_its_hash(bench: Bench) -> None:
    bench.write(loose(TEXT))
    outcome = bench.do("lock")
    assert outcome.returncode == 0, outcome.stderr
    assert bench.locked[TEXT.path]["sha256"] == TEXT.content.sha256
    assert outcome.document["bytes_downloaded"] == TEXT.content.size
    assert "--volume" in outcome.stderr


def test_a_download_made_for_a_hash_is_kept_for_the_run(bench: Bench) -> None:
    model = wanted(3 * BLOCK)[0]
    url = bench.origin.put_file("plain.safetensors", model.content)
    bench.write(loose(model, source=url))
    outcome = bench.do("lock", "--volume", bench.volume)
    assert outcome.returncode == 0, outcome.stderr
    locked = bench.locked[model.path]
    assert (locked["sha256"], locked["size"], locked["commit"]) == (model.content.sha256, model.content.size, None)
    asked = len(bench.origin.requests)
    outcome = bench.run("--locked")
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.models[model.path]["status"] == "present"
    assert len(bench.origin.requests) == asked


def test_a_plain_host_is_read_without_a_volume(bench: Bench) -> None:
    model = wanted(3 * BLOCK)[0]
    bench.write(loose(model, source=bench.origin.put_file("plain.safetensors", model.content)))
    assert bench.do("lock").returncode == 0
    assert bench.locked[model.path]["sha256"] == model.content.sha256


def test_a_changed_byte_at_the_origin_stops_a_locked_run_and_a_mirror_saves_it(bench: Bench) -> None:
    model = BIG
    url = bench.origin.put_file("plain.safetensors", model.content)
    bench.write(loose(model, source=url))
    bench.do("lock")
    bad = bytearray(model.content.read(0, model.content.size))
    bad[-5] ^= 1
    bench.origin.put_file("plain.safetensors", BytesFile(bytes(bad)))
    outcome = bench.run()
    assert outcome.returncode == 1
    message = outcome.models[model.path]["error"]
    assert model.content.sha256 in message
    assert BytesFile(bytes(bad)).sha256 in message
    assert not (bench.volume / model.path).exists()
    mirror = bench.origin.put_file("mirror.safetensors", model.content)
    bench.write(model.entry(source=url, mirrors=[mirror], size=None))
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [model])


def test_locked_refuses_what_no_lock_agrees_on(bench: Bench) -> None:
    bench.write(loose(BIG))
    bench.do("lock")
    bench.write(loose(BIG), loose(OTHER))
    outcome = bench.run("--locked")
    assert outcome.returncode == 2
    assert OTHER.path in outcome.document["error"]["message"]
    assert BIG.path not in outcome.document["error"]["message"]
    assert bench.do("plan", "--volume", bench.volume.parent, "--locked").returncode == 2


def test_a_run_resolves_what_the_lock_lacks_and_says_so(bench: Bench) -> None:
    bench.write(loose(BIG))
    bench.do("lock")
    bench.write(loose(BIG), loose(OTHER))
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert f"{OTHER.path} is not pinned" in outcome.stderr


def test_a_pickle_that_nothing_pins_is_refused(bench: Bench) -> None:
    pickle = wanted(50_000, kind="pth")[0]
    bench.origin.put(repo_of([pickle, OTHER]))
    bench.write(loose(pickle), loose(OTHER))
    bench.volume.mkdir()
    assert bench.do("plan", "--volume", bench.volume).models[pickle.path]["status"] == "unresolved"
    outcome = bench.run()
    assert outcome.returncode == 1, "2 would say that nothing was touched"
    assert outcome.document["error"]["code"] == "unpinned"
    assert "--allow-unpinned" in outcome.models[pickle.path]["error"]
    assert f"FAILED {pickle.path} may run code" in outcome.stderr
    assert outcome.models[OTHER.path]["status"] == "downloaded"
    assert bench.do("lock").returncode == 0
    assert bench.run().returncode == 0
    assert_whole(bench.volume, [pickle])


def test_a_pickle_that_nothing_pins_can_be_allowed(bench: Bench) -> None:
    pickle = wanted(50_000, kind="pth")[0]
    bench.origin.put(repo_of([pickle]))
    bench.write(loose(pickle))
    assert bench.run("--allow-unpinned").returncode == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 2, "models": []}', '{"version": 1}'])
def test_a_lock_that_is_none_is_refused(bench: Bench, text: str) -> None:
    bench.lock.write_text(text)
    outcome = bench.run()
    assert outcome.returncode == 2
    assert str(bench.lock) in outcome.document["error"]["message"]


def test_includes_are_folded_into_the_lock_of_their_root(bench: Bench) -> None:
    write_manifest(bench.manifest.with_name("inner.yaml"), [loose(OTHER)])
    document = {"version": 1, "models": [loose(BIG)], "include": ["inner.yaml"]}
    bench.manifest.write_text(json.dumps(document))
    assert bench.do("lock").returncode == 0
    assert set(bench.locked) == {BIG.path, OTHER.path}
    assert not bench.manifest.with_name("inner.lock.json").exists()


def test_a_mirror_that_stands_in_for_the_source_lends_it_no_commit(bench: Bench) -> None:
    mirror = bench.origin.put(Repo(id="acme/mirror", files={BIG.name: BIG.content}))["main"]
    entry = BIG.entry(source=f"hf://acme/gone/{BIG.name}", mirrors=[f"hf://acme/mirror/{BIG.name}"])
    bench.write(entry)
    assert bench.do("lock").returncode == 0
    assert bench.locked[BIG.path]["commit"] is None, f"{mirror} is a commit of another repository"
    assert bench.run("--locked").returncode == 0
    assert_whole(bench.volume, [BIG])
