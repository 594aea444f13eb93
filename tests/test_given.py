"""Manifests that stand in no file: models in a variable, an inline text, an address; and which of them counts."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import HtmlPage, Status
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from prefetch.errors import ManifestError, UsageError
from prefetch.given import Remote, Written, find_given
from prefetch.manifest import load_manifests
from tests.support.commands import Commands, Outcome
from tests.support.models import assert_whole, repo_of, wanted, write_manifest
from tests.support.namespaces import place

MODELS = wanted(300_000, 70_000, 50_000)
ONE, TWO, THREE = MODELS
READER = "hf_reader"


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], tokens={READER: "alice"}) as server:
        yield server


class Given:
    """``prefetch run`` with no manifest on the command line."""

    def __init__(self, commands: Commands, origin: DemoServer, volume: Path) -> None:
        self.commands, self.origin, self.volume = commands, origin, volume

    def __call__(self, *options: str, command: str = "run", **env: str) -> Outcome:
        environment = {"HF_ENDPOINT": self.origin.endpoint, **env}
        return self.commands.run(command, "--volume", self.volume, "--json", *options, env=environment)


@pytest.fixture
def given(commands: Commands, origin: DemoServer, tmp_path: Path) -> Given:
    return Given(commands, origin, tmp_path / "volume")


def text_of(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"version": 1, "models": list(entries)}).encode()


def inline(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data)).decode()


def test_models_of_a_variable_are_fetched_and_a_second_run_asks_nobody(given: Given, origin: DemoServer) -> None:
    models = f"{ONE.source} -> {ONE.path}; {TWO.source} -> models/ sha256={TWO.content.sha256};\n"
    outcome = given(PREFETCH_MODELS=models)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(given.volume, [ONE, TWO])
    before = len(origin.requests)
    assert {model["status"] for model in given(PREFETCH_MODELS=models).models.values()} == {"present"}
    assert given(command="verify", PREFETCH_MODELS=models).returncode == 0
    assert len(origin.requests) == before


def test_a_whole_directory_in_a_variable(given: Given) -> None:
    outcome = given(PREFETCH_MODELS="hf://acme/models/ -> models/")
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(given.volume, MODELS)


def test_an_inline_manifest_and_models_beside_it(given: Given) -> None:
    env = {"PREFETCH_MANIFEST_INLINE": inline(text_of(ONE.entry())), "PREFETCH_MODELS": f"{TWO.source} -> {TWO.path}"}
    outcome = given(**env)
    assert outcome.returncode == 0, outcome.stderr
    assert sorted(outcome.models) == [ONE.path, TWO.path]


@pytest.mark.parametrize("lock", [False, True])
def test_a_manifest_at_an_address_is_fetched_with_the_lock_beside_it(
    given: Given, origin: DemoServer, commands: Commands, tmp_path: Path, lock: bool
) -> None:
    entry = {"path": ONE.path, "source": ONE.source}
    address = origin.put_file("models.yaml", BytesFile(text_of(entry)))
    if lock:
        manifest = write_manifest(tmp_path / "models.yaml", [entry])
        assert commands.run("lock", manifest, env={"HF_ENDPOINT": origin.endpoint}).returncode == 0
        origin.put_file("models.lock.json", BytesFile((tmp_path / "models.lock.json").read_bytes()))
    outcome = given(*(["--locked"] if lock else []), PREFETCH_MANIFEST_URL=address)
    assert outcome.returncode == 0, outcome.stderr
    assert ("not pinned" in outcome.stderr) is not lock
    assert_whole(given.volume, [ONE])


def test_a_manifest_in_a_private_repository_is_fetched_with_the_token(given: Given, origin: DemoServer) -> None:
    files = {"prefetch.yaml": BytesFile(text_of(ONE.entry()))}
    origin.put(Repo(id="acme/manifests", files=files, private=True, readers=frozenset({READER})))
    address = "hf://acme/manifests/prefetch.yaml"
    refused = given(PREFETCH_MANIFEST_URL=address)
    assert (refused.returncode, refused.document["error"]["code"]) == (3, "access")
    assert given(PREFETCH_MANIFEST_URL=address, HF_TOKEN=READER).returncode == 0


def test_a_pinned_manifest_that_changed_is_refused_with_both_hashes(given: Given, origin: DemoServer) -> None:
    data = text_of(ONE.entry())
    address = origin.put_file("m.yaml", BytesFile(data))
    digest = hashlib.sha256(data).hexdigest()
    assert given(PREFETCH_MANIFEST_URL=f"{address}#sha256={digest}").returncode == 0
    assert not [request for request in origin.requests if request.path.endswith(".lock.json")]
    refused = given(PREFETCH_MANIFEST_URL=f"{address}#sha256={'0' * 64}")
    assert refused.returncode == 2
    assert digest in refused.document["error"]["message"]
    assert "0" * 64 in refused.document["error"]["message"]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Status(404), 1, "has no m.yaml"),
        (Status(401), 3, "PREFETCH_TOKENS"),
        (HtmlPage(), 1, "an HTML page titled 'Log in' instead of m.yaml"),
    ],
)
def test_an_address_that_gives_no_manifest(given: Given, origin: DemoServer, fault: Any, code: int, words: str) -> None:
    address = origin.put_file("m.yaml", BytesFile(text_of(ONE.entry())))
    origin.add_faults(Fault(do=fault, path="/files/*"))
    outcome = given(PREFETCH_MANIFEST_URL=address)
    assert outcome.returncode == code, outcome.document
    assert words in outcome.document["error"]["message"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://models.example/m.yaml", "is plain http, where anyone on the way"),
        ("file:///etc/passwd", "names no address that a manifest can be fetched from"),
        ("civitai:7", "names no address that a manifest can be fetched from"),
        ("models.yaml", "has no scheme"),
        ("https://h/m.yaml?token=planted", "carries a credential"),
        ("https://h/m.yaml#sha256=abc", "is no hash"),
        ("https://10.1.2.3/m.yaml", "--allow-private"),
        ("https://169.254.169.254/latest/meta-data", "--allow-private"),
    ],
)
def test_an_address_that_may_not_be_fetched(given: Given, address: str, words: str) -> None:
    outcome = given(PREFETCH_MANIFEST_URL=address)
    assert outcome.returncode in (1, 2)
    assert words in outcome.document["error"]["message"], outcome.document
    assert "planted" not in outcome.stdout + outcome.stderr


FETCHED = [
    ({"models": [{"path": "models/x", "source": "file:///etc/passwd"}]}, "may not name a file of this machine"),
    ({"models": [{"path": "models/x", "source": "http://127.0.0.1:1/x"}]}, "may not name an address of this machine"),
    (
        {
            "models": [
                {"path": "models/x", "source": "hf://a/b/x", "mirrors": ["file:///x"], "sha256": "0" * 64},
            ]
        },
        "may not name a file of this machine",
    ),
    ({"include": ["more.yaml"]}, "is relative to a file"),
]


@pytest.mark.parametrize(("document", "words"), FETCHED)
def test_a_fetched_manifest_is_a_stranger(document: dict[str, Any], words: str) -> None:
    text = Written("https://h/m.yaml", json.dumps({"version": 1, **document}).encode(), fetched=True)
    with pytest.raises(ManifestError) as caught:
        load_manifests([text])
    assert words in str(caught.value)
    assert str(caught.value).startswith("https://h/m.yaml:1: ")


@pytest.mark.needs("mounts")
def test_a_fetched_manifest_leads_to_this_machine_by_no_name(
    given: Given, origin: DemoServer, commands: Commands, tmp_path: Path
) -> None:
    here = place(tmp_path)
    here.know("127.0.0.1 localhost models.test")
    inside = Given(replace(commands, prefix=tuple(here.words(()))), origin, given.volume)
    address = origin.put_file("one", ONE.content).replace("127.0.0.1", "models.test")
    entry = {**ONE.entry(), "source": address}
    url = origin.put_file("m.yaml", BytesFile(text_of(entry)))
    refused = inside(PREFETCH_MANIFEST_URL=url)
    assert refused.returncode == 1
    assert "models.test (127.0.0.1) is inside a private network or on this machine" in str(refused.document)
    assert not [request for request in origin.requests if request.path.endswith("/one")]
    own = write_manifest(tmp_path / "own.yaml", [entry])
    assert inside(str(own)).returncode == 0
    (given.volume / ONE.path).unlink()
    assert inside("--allow-private", PREFETCH_MANIFEST_URL=url).returncode == 0


def test_what_is_too_large_is_not_read_to_its_end(given: Given, origin: DemoServer) -> None:
    address = origin.put_file("m.yaml", BytesFile(b"# " * (9 << 20)))
    outcome = given(PREFETCH_MANIFEST_URL=address)
    assert outcome.returncode == 1
    assert "larger than 16 MiB" in outcome.document["error"]["message"]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PREFETCH_MODELS": "hf://a/b/c"}, "Model 1 of PREFETCH_MODELS is not SOURCE -> PATH"),
        ({"PREFETCH_MODELS": "hf://a/b/c -> models/c; -> models/d"}, "Model 2 of PREFETCH_MODELS"),
        ({"PREFETCH_MANIFEST_INLINE": "???"}, "is not gzip in base64"),
        ({"PREFETCH_MANIFEST_INLINE": base64.b64encode(b"no gzip").decode()}, "is not gzip in base64"),
        ({"PREFETCH_MANIFEST_INLINE": inline(b"{}" * 900)[:20]}, "is cut"),
        ({"PREFETCH_MANIFEST_INLINE": "A" * 40_000}, "is longer than 32 KiB"),
    ],
)
def test_a_variable_that_means_nothing(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_given((), environ, tmp_path)
    assert words in caught.value.message
    assert caught.value.remedy


def test_a_wrong_model_is_told_by_its_number(given: Given) -> None:
    outcome = given(PREFETCH_MODELS=f"{ONE.source} -> {ONE.path}; hf://a/b/c -> ../c")
    assert outcome.returncode == 2
    assert outcome.document["error"]["message"].startswith("PREFETCH_MODELS:2: entry 2: the path '../c'")


def test_an_inline_text_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    bomb = inline(b"\0" * (20 << 20))
    (text,) = find_given((), {"PREFETCH_MANIFEST_INLINE": bomb}, tmp_path)
    assert isinstance(text, Written)
    with pytest.raises(ManifestError):
        load_manifests([text])


def test_which_of_them_counts(tmp_path: Path) -> None:
    (tmp_path / "prefetch.yaml").write_text("version: 1")
    url, text, models = "https://h/m.yaml", inline(b"{}"), "hf://a/b/c -> models/c"
    everything = {"PREFETCH_MANIFEST_URL": url, "PREFETCH_MANIFEST_INLINE": text, "PREFETCH_MODELS": models}

    def kinds(*paths: Path, **environ: str) -> list[str]:
        found = find_given(paths, environ, tmp_path)
        return ["url" if isinstance(each, Remote) else each.name.removeprefix("PREFETCH_") for each in found]

    assert kinds(Path("x.yaml"), **everything) == ["x.yaml", "MODELS"]
    assert kinds(**everything) == ["url", "MODELS"]
    assert kinds(PREFETCH_MANIFEST_INLINE=text) == ["MANIFEST_INLINE"]
    assert kinds(PREFETCH_MODELS=models) == ["MODELS"]
    assert kinds() == ["prefetch.yaml"]


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ("https://h/d/a%20b.pth?x=1 -> models/", "models/a b.pth"),
        ("hf://a/b/c%20d.pth->models/", "models/c%20d.pth"),
        ("hf://a/b/c.pth  ->  models/x y.pth", "models/x y.pth"),
    ],
)
def test_a_folder_takes_the_file_under_its_own_name(tmp_path: Path, item: str, path: str) -> None:
    (text,) = find_given((), {"PREFETCH_MODELS": item}, tmp_path)
    assert isinstance(text, Written)
    assert [entry.model.path for entry in load_manifests([text]).entries] == [path]
