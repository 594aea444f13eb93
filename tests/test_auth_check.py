"""``prefetch auth check``: what is found, whether it is accepted, and never its value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.actions import Status
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, Outcome

TOKEN = "hf_planted0secret0token0of0alice0"
CIVITAI = "planted0secret0key0of0alice00000"


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(tokens={TOKEN: "alice", CIVITAI: "alice-civ"}) as server:
        yield server


def check(commands: Commands, origin: DemoServer, *options: str, **env: str) -> Outcome:
    endpoints = {"HF_ENDPOINT": origin.endpoint, "PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint}
    outcome = commands.run("auth", "check", *options, env=endpoints | env)
    assert "planted" not in outcome.stdout + outcome.stderr
    return outcome


def test_what_is_accepted_is_told_with_its_owner(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(CIVITAI)
    done = check(commands, origin, HF_TOKEN=TOKEN, CIVITAI_API_TOKEN_FILE=str(tmp_path / "key"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{origin.endpoint}  HF_TOKEN accepted: as alice, a read token",
        f"{origin.civitai_endpoint}  CIVITAI_API_TOKEN_FILE accepted: as alice-civ",
        "https://api.runpod.io  no token: only runpod populate and runpod clean need one; set RUNPOD_API_KEY for them",
    ]
    assert len(origin.requests) == 2


def test_nothing_found_is_no_error(commands: Commands, origin: DemoServer) -> None:
    done = check(commands, origin, "--json")
    assert done.returncode == 0, done.stderr
    assert [host["verdict"] for host in done.document["hosts"]] == ["none", "none", "none"]
    assert "HF_TOKEN" in done.document["hosts"][0]["says"]
    assert done.document["models"] == []
    assert origin.requests == []


@pytest.mark.parametrize(
    ("host", "variable", "said"),
    [
        (0, "HUGGINGFACE_TOKEN", "name it HF_TOKEN"),
        (0, "HF_API_KEY", "name it HF_TOKEN"),
        (0, "HUGGING_FACE_HUB_TOKEN", ""),
        (0, "HUGGINGFACE_HUB_TOKEN_FILE", "name it HF_TOKEN_FILE"),
        (0, "HF_HUB_DISABLE_IMPLICIT_TOKEN", ""),
        (1, "CIVITAI_TOKEN", "name it CIVITAI_API_TOKEN"),
        (1, "CIVITAI_API_KEY", "name it CIVITAI_API_TOKEN"),
        (2, "RUNPOD_TOKEN", "name it RUNPOD_API_KEY"),
        (2, "RUNPOD_AI_API_KEY", ""),
    ],
)
def test_a_token_under_another_name_is_told(
    commands: Commands, origin: DemoServer, host: int, variable: str, said: str
) -> None:
    """Nobody sends it anywhere: which host it is for is only a guess."""
    account = check(commands, origin, "--json", **{variable: TOKEN}).document["hosts"][host]
    assert (f"{variable} is set and not read: {said}" == account["says"]) == bool(said), account
    assert (account["found_in"] is None) == (variable != "HUGGING_FACE_HUB_TOKEN")
    assert bool(origin.requests) == (variable == "HUGGING_FACE_HUB_TOKEN")


def test_what_is_refused_ends_with_3_and_says_where_to_get_another(commands: Commands, origin: DemoServer) -> None:
    done = check(commands, origin, "--json", HF_TOKEN=f"{TOKEN}x", CIVITAI_API_TOKEN=CIVITAI)
    assert done.returncode == 3
    assert done.document["error"]["code"] == "access"
    hub, civitai, _ = done.document["hosts"]
    assert (hub["found_in"], hub["verdict"], civitai["verdict"]) == ("HF_TOKEN", "refused", "accepted")
    assert "https://huggingface.co/settings/tokens" in hub["says"]


def test_a_stored_token_is_asked_about(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    done = check(commands, origin, HF_TOKEN_PATH=str(tmp_path / "token"))
    assert "the token of hf auth login accepted: as alice" in done.stdout


def test_a_host_that_does_not_answer_is_no_refusal(commands: Commands, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Status(418), path="/api/whoami-v2"))
    done = check(commands, origin, "--json", HF_TOKEN=TOKEN)
    assert done.returncode == 1
    assert done.document["hosts"][0]["verdict"] == "no answer"


def test_runpod_is_asked_where_there_is_a_key(commands: Commands, origin: DemoServer) -> None:
    done = check(
        commands, origin, "--json", RUNPOD_API_KEY="planted0runpod", PREFETCH_RUNPOD_ENDPOINT=origin.civitai_endpoint
    )
    # The stand-in is no RunPod: what counts is who was asked, and with what.
    assert done.document["hosts"][2]["found_in"] == "RUNPOD_API_KEY"
    assert [(each.path, each.authorized) for each in origin.requests] == [("/v2/network-volumes", True)]


def test_own_headers_are_listed_and_plain_http_is_not_asked(commands: Commands, origin: DemoServer) -> None:
    own = {"PREFETCH_TOKENS": "https://models.example:8443=CORP", "CORP": "planted0corp"}
    done = check(commands, origin, **own, HF_TOKEN=TOKEN, HF_ENDPOINT="http://mirror.example")
    assert done.returncode == 0, done.stderr
    assert "http://mirror.example  HF_TOKEN not asked: no token is sent over plain http" in done.stdout
    assert "https://models.example:8443  PREFETCH_TOKENS not asked: Authorization" in done.stdout


@pytest.mark.parametrize("form", ["PREFETCH_HEADERS", "PREFETCH_HEADERS_FILE", "both"])
def test_own_headers_are_told_with_the_variable_that_gave_them(
    commands: Commands, origin: DemoServer, tmp_path: Path, form: str
) -> None:
    text = '{"https://models.example": {"X-Api-Key": "${CORP}"}}'
    (tmp_path / "headers").write_text(text)
    own = {"PREFETCH_HEADERS_FILE": str(tmp_path / "headers")} if form.endswith("FILE") else {"PREFETCH_HEADERS": text}
    tokens = {"PREFETCH_TOKENS": "https://models.example=CORP"} if form == "both" else {}
    done = check(commands, origin, "--json", CORP="planted0corp", **own, **tokens)
    told = "PREFETCH_TOKENS, PREFETCH_HEADERS" if form == "both" else form
    assert done.document["hosts"][-1]["found_in"] == told
