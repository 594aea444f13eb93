"""Civitai by the command line, against a stand-in with its habits: hashes, login pages, early access."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import Status
from prefetch.demo.civitai import CivitaiFile, CivitaiVersion
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from prefetch.sources.refs.civitai import CivitaiModelRef, CivitaiRef
from prefetch.sources.refs.folder import names_folder
from prefetch.sources.refs.source import parse_source
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, Wanted, assert_whole, wanted, write_manifest

FREE, SECOND, MEMBERS, EARLY, OLD, NEW = wanted(2 * BLOCK + 77, 60_000, 50_000, 40_000, 30_000, 20_000)
PAGE = "https://civitai.com/models/9"
TOKENS = {"civ_member": "member", "civ_buyer": "buyer"}


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    two = [CivitaiFile(11, FREE.name, FREE.content), CivitaiFile(12, SECOND.name, SECOND.content, primary=False)]
    versions = [
        CivitaiVersion(id=1, files=two),
        CivitaiVersion(id=2, files=[CivitaiFile(21, MEMBERS.name, MEMBERS.content)], login=True),
        CivitaiVersion(
            id=3, files=[CivitaiFile(31, EARLY.name, EARLY.content)], early=True, buyers=frozenset({"civ_buyer"})
        ),
        # In its author's order: neither the first nor the highest number is the newest that can be had.
        _version_of_nine(92, OLD, "2024-01-01T00:00:00.000Z"),
        _version_of_nine(91, NEW, "2024-06-01T00:00:00.000Z"),
        _version_of_nine(93, EARLY, "2024-07-01T00:00:00.000Z", early=True),
        CivitaiVersion(id=4, files=[CivitaiFile(41, MEMBERS.name, MEMBERS.content)], login=True, page=True),
    ]
    with running_origin(versions=versions, tokens=TOKENS) as server:
        yield server


def _version_of_nine(number: int, model: Wanted, published: str, *, early: bool = False) -> CivitaiVersion:
    file = CivitaiFile(10 * number, model.name, model.content)
    return CivitaiVersion(id=number, files=[file], model=9, published=published, early=early)


def run(
    commands: Commands,
    origin: DemoServer,
    tmp_path: Path,
    model: Wanted,
    source: str,
    *words: str,
    **env: str,
) -> Outcome:
    manifest = write_manifest(tmp_path / "m.yaml", [model.entry(source=source, sha256=None, size=None)])
    environment = {"PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint, **env}
    command, *options = words or ("run",)
    return commands.run(command, manifest, "--volume", tmp_path / "volume", "--json", *options, env=environment)


@pytest.mark.parametrize(
    ("source", "model"),
    [
        ("civitai:1", FREE),
        ("civitai:1/12", SECOND),
        ("https://civitai.com/models/9/some-name?modelVersionId=1", FREE),
        ("https://civitai.com/api/download/models/1?fileId=12", SECOND),
    ],
)
def test_a_version_is_fetched_and_verified(
    commands: Commands, origin: DemoServer, tmp_path: Path, source: str, model: Wanted
) -> None:
    outcome = run(commands, origin, tmp_path, model, source)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", [model])
    assert {request.method for request in origin.requests} == {"GET"}


def test_a_lock_takes_the_hash_from_the_version_and_the_size_from_one_byte(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    outcome = run(commands, origin, tmp_path, FREE, "civitai:1", "lock")
    assert outcome.returncode == 0, outcome.stderr
    (model,) = outcome.document["models"]
    assert (model["size"], model["sha256"]) == (FREE.content.size, FREE.content.sha256)
    assert sum(request.sent for request in origin.requests if request.server == "cdn") == 1
    assert len(origin.requests) == 3


def test_a_models_page_means_its_newest_version_and_the_lock_keeps_to_it(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    locked = run(commands, origin, tmp_path, NEW, f"{PAGE}/some-title", "lock")
    assert locked.returncode == 0, locked.stderr
    assert f"{PAGE} is version 91 now ('v91', of 2024-06-01), the newest; civitai:91 names" in locked.stderr
    (model,) = json.loads((tmp_path / "m.lock.json").read_bytes())["models"]
    assert model["url"] == "https://civitai.com/api/download/models/91?fileId=910"
    assert model["sha256"] == NEW.content.sha256
    later = _version_of_nine(99, OLD, "2025-01-01T00:00:00.000Z")
    origin.put_version(later)
    outcome = run(commands, origin, tmp_path, NEW, f"{PAGE}/some-title")
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", [NEW])
    # Until it is asked for the newest again.
    upgraded = run(commands, origin, tmp_path, NEW, f"{PAGE}/some-title", "lock", "--upgrade")
    assert upgraded.document["models"][0]["sha256"] == OLD.content.sha256, upgraded.stderr


def test_a_hash_says_which_version_of_a_model_is_meant(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "m.yaml", [SECOND.entry(source="https://civitai.com/models/1")])
    environment = {"PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint}
    outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", "--json", env=environment)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", [SECOND])


def test_a_file_that_is_not_found_for_a_moment_is_asked_for_again(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    origin.add_faults(Fault(do=Status(404), path="/api/download/*", server="civitai", times=2))
    outcome = run(commands, origin, tmp_path, FREE, "civitai:1")
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", [FREE])


def test_a_file_that_is_listed_and_gone_is_asked_for_four_times(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    origin.add_faults(Fault(do=Status(404), path="/api/download/*", server="civitai", times=None))
    outcome = run(commands, origin, tmp_path, FREE, "civitai:1")
    assert outcome.returncode == 1
    assert "lists m0.safetensors and does not find it" in outcome.document["models"][0]["error"]
    assert len([request for request in origin.requests if request.path.startswith("/api/download/")]) == 4


def test_a_token_goes_to_civitai_alone(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("civ_member\n")
    outcome = run(commands, origin, tmp_path, MEMBERS, "civitai:2", CIVITAI_API_TOKEN_FILE=str(secret))
    assert outcome.returncode == 0, outcome.stderr
    assert {request.server for request in origin.requests if request.authorized} == {"civitai"}
    assert "civ_member" not in outcome.stdout + outcome.stderr
    assert not [p for p in (tmp_path / "volume").rglob("*") if p.is_file() and b"civ_member" in p.read_bytes()]


@pytest.mark.parametrize(
    ("source", "model", "env", "words"),
    [
        ("civitai:2", MEMBERS, {}, ["logged in", "CIVITAI_API_TOKEN"]),
        ("civitai:4", MEMBERS, {}, ["wants a login", "CIVITAI_API_TOKEN"]),
        ("civitai:2", MEMBERS, {"CIVITAI_API_TOKEN": "civ_wrong"}, ["401", "valid"]),
        ("civitai:3", EARLY, {"CIVITAI_API_TOKEN": "civ_member"}, ["early access"]),
    ],
)
def test_a_refusal_is_an_access_error_with_its_remedy(
    commands: Commands,
    origin: DemoServer,
    tmp_path: Path,
    source: str,
    model: Wanted,
    env: dict[str, str],
    words: list[str],
) -> None:
    outcome = run(commands, origin, tmp_path, model, source, **env)
    assert outcome.returncode == 3
    assert [word for word in words if word not in outcome.document["models"][0]["error"]] == []
    assert "civ_wrong" not in outcome.stdout + outcome.stderr


def test_early_access_opens_to_its_buyer(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    assert run(commands, origin, tmp_path, EARLY, "civitai:3", CIVITAI_API_TOKEN="civ_buyer").returncode == 0


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("civitai:99", "has no civitai:99"),
        ("civitai:1/99", "11 ('m0."),
        ("https://civitai.com/models/77", "has no https://civitai.com/models/77"),
    ],
)
def test_what_is_not_there_is_named(
    commands: Commands, origin: DemoServer, tmp_path: Path, source: str, word: str
) -> None:
    outcome = run(commands, origin, tmp_path, FREE, source)
    assert outcome.returncode == 1
    assert word in outcome.document["models"][0]["error"]


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("civitai:7", CivitaiRef(7)),
        ("CIVITAI:7/8", CivitaiRef(7, 8)),
        ("https://civitai.com/api/download/models/7?type=Model&format=SafeTensor", CivitaiRef(7)),
        ("https://www.civitai.com/models/1?modelVersionId=7", CivitaiRef(7)),
        ("https://civitai.com/models/1", CivitaiModelRef(1)),
        ("https://www.civitai.com/models/1/some-name", CivitaiModelRef(1)),
        ("https://civitai.com/models/1/", CivitaiModelRef(1)),
    ],
)
def test_sources(text: str, ref: Any) -> None:
    assert parse_source(text) == ref
    assert not names_folder(text)
    assert parse_source(str(ref)) == ref


@pytest.mark.parametrize(
    "text", ["civitai:", "civitai:x", "civitai:1/2/3", "civitai://1", "https://civitai.com/user/1", "civitai:-1"]
)
def test_sources_that_name_no_version(text: str) -> None:
    with pytest.raises(ValueError, match=r"civitai:VERSION"):
        parse_source(text)


def test_a_token_in_a_link_is_refused() -> None:
    with pytest.raises(ValueError, match="credential"):
        parse_source("https://civitai.com/api/download/models/7?token=abcdefgh")
