"""Civitai by the command line, against a stand-in with its habits: hashes, login pages, early access."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
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
from tests.support.models import BLOCK, Wanted, assert_whole, sha256_of, wanted, write_manifest

FREE, SECOND, MEMBERS, EARLY, OLD, NEW, FULL, PRUNED, VAE, QUANT, DEEP = wanted(
    2 * BLOCK + 77, 60_000, 50_000, 40_000, 30_000, 20_000, 10_000, 11_000, 12_000, 13_000, 14_000
)
DOWNLOAD = "https://civitai.com/api/download/models/5"
FIVE = [
    CivitaiFile(51, FULL.name, FULL.content, metadata={"format": "SafeTensor", "size": "full", "fp": "fp32"}),
    CivitaiFile(
        52,
        PRUNED.name,
        PRUNED.content,
        primary=False,
        metadata={"format": "SafeTensor", "size": "pruned", "fp": "fp16"},
    ),
    CivitaiFile(
        53,
        VAE.name,
        VAE.content,
        primary=False,
        type="VAE",
        metadata={"format": "SafeTensor", "size": "pruned", "fp": "fp16"},
        linked=True,
    ),
    CivitaiFile(54, QUANT.name, QUANT.content, primary=False, metadata={"format": "GGUF", "quantType": "Q4_K_M"}),
    CivitaiFile(55, DEEP.name, DEEP.content, primary=False, metadata={"format": "GGUF", "quantType": "Q8_0"}),
]
"""Files of one version, told apart by all that a download link may say; the VAE is another version's."""
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
        CivitaiVersion(id=5, files=FIVE, model=5),
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


SELECTED = {
    "civitai:1": FREE,
    "civitai:1/12": SECOND,
    "https://civitai.com/models/9/some-name?modelVersionId=1": FREE,
    "https://civitai.com/api/download/models/1?fileId=12": SECOND,
    "https://civitai.red/models/9?modelVersionId=1": FREE,
    "https://www.civitai.red/api/download/models/1?fileId=12": SECOND,
    "urn:air:sdxl:lora:civitai:1@1+12.safetensor": SECOND,
    DOWNLOAD: FULL,
    f"{DOWNLOAD}?type=VAE&format=SafeTensor&size=pruned&fp=fp16": VAE,
    f"{DOWNLOAD}?type=Model&format=SafeTensor&size=pruned&fp=fp16": PRUNED,
    f"{DOWNLOAD}?size=full": FULL,
    f"{DOWNLOAD}?fp=FP32": FULL,
    f"{DOWNLOAD}?format=GGUF&quantType=Q8_0": DEEP,
    f"{DOWNLOAD}?fileId=54&type=Model": QUANT,
}
SEVERAL_OR_NONE = {
    "type=Model&format=SafeTensor": "civitai:5 has 2 files that are type=Model, format=SafeTensor.",
    "format=GGUF": "civitai:5 has 2 files that are format=GGUF.",
    "type=Text+Encoder": "civitai:5 has no file that is type=Text Encoder.",
    "format=SafeTensor&fp=bf16": "civitai:5 has no file that is format=SafeTensor, fp=bf16.",
    "fileId=51&type=VAE": "civitai:5 has no file that is fileId=51, type=VAE.",
    "fileId=99": "civitai:5 has no file 99.",
}


def unpinned(tmp_path: Path, sources: Iterable[str]) -> Path:
    entries = ({"path": f"models/{number:02}.safetensors", "source": source} for number, source in enumerate(sources))
    return write_manifest(tmp_path / "m.yaml", entries)


def test_each_part_of_a_link_selects_the_file(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    environment = {"PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint}
    outcome = commands.run(
        "run", unpinned(tmp_path, SELECTED), "--volume", tmp_path / "volume", "--json", env=environment
    )
    assert outcome.returncode == 0, outcome.stderr
    found = [model["sha256"] for model in outcome.document["models"]]
    assert dict(zip(SELECTED, found, strict=True)) == {
        source: model.content.sha256 for source, model in SELECTED.items()
    }
    for number, model in enumerate(SELECTED.values()):
        assert sha256_of(tmp_path / f"volume/models/{number:02}.safetensors") == model.content.sha256
    assert {request.method for request in origin.requests} == {"GET"}


def test_where_several_files_fit_or_none_they_are_listed(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    manifest = unpinned(tmp_path, (f"{DOWNLOAD}?{query}" for query in SEVERAL_OR_NONE))
    environment = {"PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint}
    outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", "--json", env=environment)
    assert outcome.returncode == 1
    listed = f"Write civitai:5/FILE-ID with one of 51 ('{FULL.name}', Model, SafeTensor, full, fp32); 52 ("
    for model, sentence in zip(outcome.document["models"], SEVERAL_OR_NONE.values(), strict=True):
        assert sentence in model["error"]
        assert listed in model["error"]
    assert not any(request.path.startswith("/api/download/") for request in origin.requests)


def test_a_hash_tells_a_file_from_others_that_fit(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path / "m.yaml", [DEEP.entry(source=f"{DOWNLOAD}?format=GGUF")])
    environment = {"PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint}
    outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", env=environment)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", [DEEP])


def test_the_key_goes_to_civitai_for_a_link_of_its_other_name(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    source = "https://civitai.red/api/download/models/2?type=Model&format=SafeTensor"
    outcome = run(commands, origin, tmp_path, MEMBERS, source, CIVITAI_API_TOKEN="civ_member")
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(tmp_path / "volume", [MEMBERS])
    assert {request.server for request in origin.requests if request.authorized} == {"civitai"}


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
        ("civitai:4", MEMBERS, {"CIVITAI_TOKEN": "civ_member"}, ["CIVITAI_TOKEN is set and not read: name it CIV"]),
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
        (
            "https://civitai.com/api/download/models/7?type=Model&format=SafeTensor",
            CivitaiRef(7, None, (("type", "Model"), ("format", "SafeTensor"))),
        ),
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
