"""Tokens: what a user without the right one is told, where one may come from, and where it must never show."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.models import BLOCK, REPO, assert_whole, repo_of, wanted
from tests.support.runs import Runs
from tests.support.secrecy import command_lines

TOKEN = "hf_planted0secret0token0of0alice0"
STRANGER = "hf_planted0secret0token0of0bob000"
MODELS = wanted(3 * BLOCK + 7, 50_000)
MODEL = MODELS[0]


def repositories() -> list[Repo]:
    """The same files thrice: gated, private, and open to all."""
    files = repo_of(MODELS).files
    readers = frozenset({TOKEN})
    return [
        Repo(id="acme/gated", files=files, gated=True, readers=readers),
        Repo(id="acme/private", files=files, private=True, readers=readers),
        Repo(id=REPO, files=files),
    ]


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    tokens = {TOKEN: "alice", STRANGER: "bob"}
    with running_origin(repos=repositories(), tokens=tokens, link=Link(pace=10_000_000)) as server:
        yield server


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path) -> Runs:
    return Runs(commands, origin, tmp_path / "volume", (MODEL,))


def at(repository: str, **keys: Any) -> list[dict[str, Any]]:
    return [MODEL.entry(source=f"hf://{repository}/{MODEL.name}", **keys)]


REFUSED: list[tuple[str, str, dict[str, str], int, str]] = [
    (
        "gated, no token",
        "acme/gated",
        {},
        3,
        r"acme/gated is gated.*https://huggingface\.co/acme/gated .*HF_TOKEN",
    ),
    (
        "gated, terms not accepted",
        "acme/gated",
        {"HF_TOKEN": STRANGER},
        3,
        r"acme/gated is gated.*https://huggingface\.co/acme/gated .*HF_TOKEN",
    ),
    ("private, no token", "acme/private", {}, 3, r"acme/private is missing or private.*HF_TOKEN"),
    (
        "gated, a token under another name",
        "acme/gated",
        {"HUGGINGFACE_TOKEN": TOKEN},
        3,
        r"acme/gated is gated.*HUGGINGFACE_TOKEN is set and not read: name it HF_TOKEN\.",
    ),
    ("private, another's token", "acme/private", {"HF_TOKEN": STRANGER}, 3, r"acme/private is missing or private"),
    ("a token nobody gave out", REPO, {"HF_TOKEN": "hf_wrong"}, 3, r"HF_TOKEN is not accepted"),
    ("no such repository", "acme/nothing", {}, 3, r"acme/nothing is missing or private"),
    ("no such revision", f"{REPO}@v9", {}, 1, r"no revision 'v9'"),
]


@pytest.mark.parametrize(("why", "where", "env", "code", "said"), REFUSED, ids=[why for why, *_ in REFUSED])
def test_a_refusal_says_what_to_do(
    runs: Runs, why: str, where: str, env: Mapping[str, str], code: int, said: str
) -> None:
    outcome = runs.run(entries=at(where), env=env)
    assert outcome.returncode == code, outcome.stderr
    assert re.search(said, outcome.document["error"]["message"]), outcome.document["error"]
    assert re.search(said, outcome.models[MODEL.path]["error"])
    assert outcome.models[MODEL.path]["status"] == "failed"
    assert "hf_" not in outcome.stdout + outcome.stderr
    assert runs.sent() == 0


def test_a_missing_file_and_a_gate_together_are_a_plain_failure(runs: Runs) -> None:
    missing = MODEL.entry(path="models/x.dat", source=f"hf://{REPO}/nothing.dat")
    outcome = runs.run(entries=[*at("acme/gated"), missing])
    assert outcome.returncode == 1, outcome.stderr
    assert "has no file 'nothing.dat'" in outcome.models["models/x.dat"]["error"]


def test_the_right_token_opens_what_is_gated_or_private_and_shows_nowhere(runs: Runs, origin: DemoServer) -> None:
    entries = [*at("acme/gated"), *at("acme/private", path="models/again.safetensors", sha256=None, size=None)]
    words = ["--log-format", "json", "--connections", "1"]
    with runs.start(*words, entries=entries, env={"HF_TOKEN": TOKEN, "PREFETCH_DEBUG": "1"}) as process:
        seen = command_lines_until_end(process)
        stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert_whole(runs.volume, [MODEL])
    assert any("prefetch" in line for line in seen)
    assert_no_secret(*seen, stdout, stderr, volume=runs.volume)
    assert {request.server for request in origin.requests if request.authorized} == {"hub"}


def test_a_token_in_a_failed_run_s_words_shows_nowhere(runs: Runs, origin: DemoServer) -> None:
    with running_origin() as other:
        entries = [
            *at("acme/gated"),
            MODEL.entry(path="models/x.dat", source=other.put_file("no", MODEL.content) + "pe"),
        ]
        outcome = runs.run("--log-format", "json", entries=entries, env={"HF_TOKEN": STRANGER, "PREFETCH_DEBUG": "1"})
        assert outcome.returncode == 1
        assert_no_secret(outcome.stdout, outcome.stderr, volume=runs.volume)
        assert other.requests
        assert not [request for request in other.requests if request.authorized]


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_TOKEN_PATH"])
def test_a_stored_token_is_found(runs: Runs, tmp_path: Path, variable: str) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    value = tmp_path / "token" if variable == "HF_TOKEN_PATH" else tmp_path
    outcome = runs.run(entries=at("acme/private"), env={variable: str(value)})
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, [MODEL])
    assert_no_secret(outcome.stdout, outcome.stderr, volume=runs.volume)


def test_a_token_that_no_header_can_carry_is_refused_unseen(runs: Runs, origin: DemoServer) -> None:
    outcome = runs.run(env={"HF_TOKEN": f"{TOKEN} \N{SNOWMAN}"})
    assert outcome.returncode == 2
    assert "HF_TOKEN" in outcome.document["error"]["message"]
    assert_no_secret(outcome.stdout, outcome.stderr, volume=runs.volume)


ADDRESSES = [
    ("unencrypted, without a hash", "http://example.com/m.dat", None, 2, r"plain http:// needs a sha256"),
    (
        "the cloud's metadata",
        "https://169.254.169.254/latest/meta-data",
        MODEL.content.sha256,
        1,
        r"169\.254\.169\.254.*--allow-private",
    ),
    ("a private network", "https://10.1.2.3/m.dat", MODEL.content.sha256, 1, r"10\.1\.2\.3.*--allow-private"),
    (
        "a private network, unencrypted",
        "http://10.1.2.3/m.dat",
        MODEL.content.sha256,
        1,
        r"10\.1\.2\.3.*--allow-private",
    ),
    ("a private network in IPv6", "https://[fd00::1]/m.dat", MODEL.content.sha256, 1, r"fd00::1.*--allow-private"),
]


@pytest.mark.parametrize(("why", "source", "sha256", "code", "said"), ADDRESSES, ids=[why for why, *_ in ADDRESSES])
def test_an_address_that_no_manifest_may_name_is_refused(
    runs: Runs, why: str, source: str, sha256: str | None, code: int, said: str
) -> None:
    outcome = runs.run(entries=[MODEL.entry(source=source, sha256=sha256)])
    assert outcome.returncode == code, outcome.stderr
    assert re.search(said, outcome.document["error"]["message"]), outcome.document


def command_lines_until_end(process: subprocess.Popen[str]) -> set[str]:
    """Every command line of the session that ``process`` leads, looked at again and again while it runs."""
    seen: set[str] = set()
    while process.poll() is None:
        seen |= command_lines(process.pid)
        time.sleep(0.05)
    return seen


def assert_no_secret(*texts: str, volume: Path) -> None:
    """Neither a token nor a signature is in the texts or in any file of our own on the volume."""
    files = [file for file in (volume / ".prefetch").rglob("*") if file.is_file()]
    written = [file.read_text(errors="replace") for file in files] + [str(file) for file in files]
    for text in (*texts, *written):
        assert "planted" not in text
        assert "X-Amz-Signature=" not in text
