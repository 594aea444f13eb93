"""``plan``, ``verify``, ``status`` and ``demo`` by the command line, and manifests that mean harm."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.cli import main
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.models import BLOCK, assert_whole, journals, repo_of, wanted, write_manifest
from tests.support.runs import Runs, until

MODELS = wanted(8 * BLOCK + 5, 2 * BLOCK, 60_000, 50_000, 40_000)
LARGE, SECOND, THIRD, FOURTH, FIFTH = MODELS


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000)) as server:
        yield server


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume to copy: all models but the large one, which a killed run has left unfinished."""
    base = tmp_path_factory.mktemp("commands")
    (base / "home").mkdir()
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000)) as server:
        runs = Runs(Commands(base / "home"), server, base / "volume", tuple(MODELS))
        assert runs.of(*MODELS[1:]).run().returncode == 0
        assert runs.run_until_killed(lambda: len(journals(runs.volume).get(LARGE.path, ())) >= 2, "--connections", "2")
    return base / "volume"


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, filled: Path, tmp_path: Path) -> Runs:
    shutil.copytree(filled, tmp_path / "volume")
    return Runs(commands, origin, tmp_path / "volume", tuple(MODELS))


def tree(volume: Path) -> dict[str, tuple[int, int, str]]:
    """Everything below a directory: size, time of modification, and content."""
    return {
        str(path.relative_to(volume)): (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory",
        )
        for path in volume.rglob("*")
    }


def change(file: Path, *, seconds: int) -> None:
    """Invert the first byte, and have the file modified so many seconds later than it was."""
    before = file.stat()
    content = file.read_bytes()
    file.write_bytes(bytes([content[0] ^ 0xFF]) + content[1:])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + seconds * 10**9))


# plan ----------------------------------------------------------------------------------------------------------------


def test_a_plan_tells_each_model_s_part_and_touches_nothing(runs: Runs) -> None:
    change(runs.volume / THIRD.path, seconds=10)
    (runs.volume / FOURTH.path).unlink()
    before, here = tree(runs.volume), len(journals(runs.volume)[LARGE.path]) * BLOCK
    entries = [model.entry() for model in MODELS[:4]]
    entries.append(SECOND.entry(path="models/copy.safetensors"))
    entries.append(FIFTH.entry(path="models/unpinned.dat", sha256=None, size=None))
    entries.append(FIFTH.entry(path="models/lost.dat", source="hf://acme/nothing/x.dat", sha256=None, size=None))
    outcome = runs.do("plan", entries=entries)
    assert outcome.returncode == 1, "one of them could not be resolved"
    assert {path: model["status"] for path, model in outcome.models.items()} == {
        LARGE.path: "fetch",
        SECOND.path: "present",
        THIRD.path: "check",
        FOURTH.path: "fetch",
        "models/copy.safetensors": "link",
        "models/unpinned.dat": "link",
        "models/lost.dat": "unresolved",
    }
    assert outcome.models[LARGE.path]["bytes_resumed"] == here
    assert outcome.models["models/unpinned.dat"]["sha256"] == FIFTH.content.sha256, "the host told it"
    assert "acme/nothing" in outcome.models["models/lost.dat"]["error"]
    assert outcome.document["bytes_downloaded"] == 0
    assert tree(runs.volume) == before
    assert runs.sent() == 0


def test_a_plan_for_people_sums_up(runs: Runs) -> None:
    manifest = runs.manifest()
    outcome = runs.commands.run("plan", manifest, "--volume", runs.volume, env=runs.environment())
    assert outcome.returncode == 0, outcome.stderr
    here = len(journals(runs.volume)[LARGE.path]) * BLOCK
    assert f"to fetch: {(LARGE.content.size - here) / 1e6:.1f} MB" in outcome.stdout
    assert "it fits" in outcome.stdout
    assert len([line for line in outcome.stdout.splitlines() if line.startswith("present")]) == 4
    assert runs.origin.requests == [], "the manifest tells it all"


def test_ten_thousand_pinned_models_are_planned(commands: Commands, tmp_path: Path) -> None:
    hashes = (hashlib.sha256(bytes(str(number), "ascii")).hexdigest() for number in range(10_000))
    entries = [
        {"path": f"models/{number % 50}/{sha256}.dat", "source": f"hf://a/b/{number}", "sha256": sha256, "size": 1000}
        for number, sha256 in enumerate(hashes)
    ]
    (tmp_path / "volume").mkdir()
    manifest = write_manifest(tmp_path / "m.yaml", entries)
    outcome = commands.run("plan", manifest, "--volume", tmp_path / "volume", "--json")
    assert outcome.returncode == 0, outcome.stderr
    assert len(outcome.models) == 10_000
    assert {model["status"] for model in outcome.models.values()} == {"fetch"}
    assert outcome.document["seconds"] < 10, "it takes one, on a machine with nothing else to do"
    assert list((tmp_path / "volume").iterdir()) == []


# verify --------------------------------------------------------------------------------------------------------------


def test_verify_tells_what_became_of_each_model(runs: Runs) -> None:
    change(runs.volume / SECOND.path, seconds=10)
    change(runs.volume / THIRD.path, seconds=0)
    (runs.volume / FOURTH.path).unlink()
    stranger = runs.volume / "models/stranger.dat"
    stranger.write_bytes(b"never verified")
    entries = [model.entry() for model in MODELS[1:]]
    entries.append(FIFTH.entry(path="models/stranger.dat", sha256=None, size=None))
    rest = {SECOND.path: "changed", FOURTH.path: "missing", FIFTH.path: "ok"}

    quick = runs.do("verify", "--quick", entries=entries)
    assert quick.returncode == 1
    looked_at = {**rest, THIRD.path: "ok", "models/stranger.dat": "unverified"}
    assert {path: model["status"] for path, model in quick.models.items()} == looked_at

    full = runs.do("verify", entries=entries)
    assert full.returncode == 1
    read = {**rest, THIRD.path: "corrupt", "models/stranger.dat": "unverified"}
    assert {path: model["status"] for path, model in full.models.items()} == read
    assert full.models[FIFTH.path]["sha256"] == FIFTH.content.sha256
    for path, model in full.models.items():
        assert (model["error"] is None) == (read[path] == "ok")

    recorded = runs.commands.run("verify", "--quick", "--volume", runs.volume, "--json")
    assert recorded.returncode == 1
    assert {path: model["status"] for path, model in recorded.models.items()} == {**rest, THIRD.path: "corrupt"}
    assert stranger.read_bytes() == b"never verified"

    mended = runs.run(entries=entries[:-1])
    assert mended.returncode == 0, mended.stderr
    assert_whole(runs.volume, MODELS[1:])
    assert runs.do("verify", entries=entries[:-1]).returncode == 0


# status --------------------------------------------------------------------------------------------------------------


def statuses(runs: Runs) -> dict[str, str]:
    outcome = runs.commands.run("status", "--volume", runs.volume, "--json")
    assert outcome.returncode == 0, outcome.stderr
    return {path: model["status"] for path, model in outcome.models.items()}


def test_status_tells_what_is_here_and_what_comes(runs: Runs) -> None:
    before = tree(runs.volume)
    present = {model.path: "present" for model in MODELS[1:]}
    assert statuses(runs) == {**present, LARGE.path: "unfinished"}
    assert tree(runs.volume) == before
    with runs.start("--limit-rate", "4M") as process:
        until(lambda: runs.sent() > 0, "the first byte", process)
        assert statuses(runs) == {**present, LARGE.path: "fetching"}
        assert process.wait(timeout=60) == 0
    assert statuses(runs) == {**present, LARGE.path: "present"}
    (runs.volume / SECOND.path).unlink()
    change(runs.volume / THIRD.path, seconds=10)
    assert statuses(runs) == {**present, LARGE.path: "present", SECOND.path: "missing", THIRD.path: "changed"}


def test_status_of_a_volume_that_was_never_used(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    outcome = commands.run("status", "--volume", tmp_path / "volume", "--json")
    assert (outcome.returncode, outcome.document["models"]) == (0, [])
    assert list((tmp_path / "volume").iterdir()) == []


# demo ----------------------------------------------------------------------------------------------------------------


def test_the_demo_leaves_a_volume_that_needs_no_origin(commands: Commands) -> None:
    outcome = commands.run("demo", "--json")
    assert outcome.returncode == 0, outcome.stderr
    volume = commands.home / "volume"
    assert len(outcome.models) == 7
    assert {model["status"] for model in outcome.models.values()} == {"downloaded"}
    assert "retry" in outcome.stderr, "there were troubles on the way"
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    again = commands.run("run", volume / "demo.yaml", "--volume", volume, "--json", env=nowhere)
    assert again.returncode == 0, again.stderr
    assert {model["status"] for model in again.models.values()} == {"present"}
    assert again.document["bytes_downloaded"] == 0


# Manifests that mean harm --------------------------------------------------------------------------------------------


def entry(**keys: Any) -> str:
    known = {"path": "models/a.dat", "source": "hf://a/b/c.dat", **keys}
    return json.dumps({"version": 1, "models": [known]})


HOSTILE = [
    ("an absolute path", entry(path="/etc/passwd")),
    ("a path that climbs", entry(path="models/../../etc/passwd")),
    ("a path of our own", entry(path=".prefetch/FORMAT")),
    ("a NUL", entry(path="models/a\0b")),
    ("a drive letter", entry(path="C:/models/a.dat")),
    ("a node path that climbs", entry(node_path="../x")),
    ("a number for a path", entry(path=7)),
    ("a list for a source", entry(source=["hf://a/b/c"])),
    ("a source of another kind", entry(source="gopher://a/b")),
    ("a password in a source", entry(source="https://user:hunter2@example.com/a.dat")),
    ("a negative size", entry(size=-1)),
    ("half a hash", entry(sha256="abc")),
    ("an unknown key", entry(shasum="0" * 64)),
    ("aliases that explode", "a: &a [x, x]\nb: &b [*a, *a]\nversion: 1\nmodels: [*b, *b]\n"),
    ("a tag that runs", "!!python/object/apply:os.system ['true']\n"),
    ("nested too deep", "[" * 5000),
    ("another version", '{"version": 99, "models": []}'),
    ("no mapping", "- a\n- b\n"),
    ("a binary", "\x7fELF\x02\x01\x01\x00"),
    ("a private key", "-----BEGIN PRIVATE KEY-----\nhunter2hunter2hunter2\n-----END PRIVATE KEY-----\n"),
]


@pytest.mark.parametrize(("why", "text"), HOSTILE, ids=[why for why, _ in HOSTILE])
def test_a_hostile_manifest_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], why: str, text: str
) -> None:
    (tmp_path / "m.yaml").write_text(text)
    assert_refused(tmp_path, capsys)


def test_damaged_manifests_are_refused_or_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(3)
    sound = entry(sha256="0" * 64, size=5, groups=["a"]).replace("{", "{\n").encode()
    for _ in range(60):
        text = bytearray(sound)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(text))
            text[at : at + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 3))
        (tmp_path / "m.yaml").write_bytes(text)
        code = main(["plan", str(tmp_path / "m.yaml"), "--volume", str(tmp_path), "--json"])
        printed = capsys.readouterr()
        assert code in (0, 2), (bytes(text), printed.err)
        assert json.loads(printed.out)["exit_code"] == code


def assert_refused(volume: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["run", str(volume / "m.yaml"), "--volume", str(volume), "--json"])
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (code, document["exit_code"], document["error"]["code"]) == (2, 2, "manifest")
    message = document["error"]["message"]
    assert "m.yaml" in message
    assert "Traceback" not in printed.err
    assert "hunter2" not in printed.err + printed.out
    assert len(message) < 600
    assert sorted(file.name for file in volume.iterdir()) == ["m.yaml"]


@pytest.mark.parametrize("words", [("run",), ("runpod",), ("image", "audit"), ()])
def test_help_is_a_command_too(commands: Commands, words: tuple[str, ...]) -> None:
    asked = commands.run("help", *words)
    assert (asked.returncode, asked.stdout) == (0, commands.run(*words, "--help").stdout)


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (
            ("hook", "--", "true"),
            {"PREFETCH_MODE": "verfy"},
            "PREFETCH_MODE=verfy is not one of ensure, verify, off. Did you mean PREFETCH_MODE=verify?",
        ),
        (("run", "--layout", "modren"), {}, "is not one of modern, worker-comfyui. Did you mean --layout modern?"),
        (("run", "--log-format", "q"), {}, "is not one of text, json. Write for example: --log-format json"),
    ],
)
def test_a_wrong_choice_is_told_with_all_that_there_are(
    commands: Commands, words: tuple[str, ...], env: dict[str, str], said: str
) -> None:
    outcome = commands.run(*words, env=env)
    assert outcome.returncode == 2
    assert said in outcome.stderr


def test_what_could_not_be_reached_is_told_with_its_port(commands: Commands) -> None:
    for variable, source in (("HF_ENDPOINT", "hf://a/b/x.pt"), ("PREFETCH_CIVITAI_ENDPOINT", "civitai:7")):
        write_manifest(commands.home / "m.yaml", [{"path": "models/vae/x.safetensors", "source": source}])
        with commands.start("plan", "m.yaml", env={variable: "http://127.0.0.1:9"}) as process:
            assert process.stderr is not None
            # It would be asked again for ten seconds.
            assert any("127.0.0.1:9 could not be reached." in line for line in process.stderr)


def test_a_switch_with_a_value_still_gets_its_document(commands: Commands) -> None:
    outcome = commands.run("run", "--json=yes", "m.yaml")
    assert (outcome.returncode, outcome.document["error"]["code"]) == (2, "usage")
