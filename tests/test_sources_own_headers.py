"""Headers and tokens of the user's own settings: each reaches its origin and nothing else, and shows nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefetch.demo.actions import Redirect
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from prefetch.errors import UsageError
from prefetch.net.credentials import Credential, Secret, headers_for
from prefetch.net.quoting import hide
from prefetch.net.urls import SecretURL
from prefetch.sources.own_headers import read_own_headers
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, assert_whole, wanted, write_manifest

(MODEL,) = wanted(2 * BLOCK + 5)
SECRET = "planted-secret-of-the-company"


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[Repo(id="acme/models", files={MODEL.name: MODEL.content})]) as server:
        yield server


def run(commands: Commands, tmp_path: Path, source: str, **env: str) -> Outcome:
    manifest = write_manifest(tmp_path / "m.yaml", [MODEL.entry(source=source)])
    outcome = commands.run("run", manifest, "--volume", tmp_path / "volume", "--json", env=env)
    written = [file.read_bytes() for file in (tmp_path / "volume" / ".prefetch").rglob("*") if file.is_file()]
    assert SECRET.encode() not in b"".join([outcome.stdout.encode(), outcome.stderr.encode(), *written])
    return outcome


def settings_for(endpoint: str, tmp_path: Path) -> list[dict[str, str]]:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    headers = json.dumps({endpoint: {"X-Api-Key": "${CORP_KEY}"}})
    (tmp_path / "headers").write_text(json.dumps({endpoint: {"x-api-key": SECRET}}))
    return [
        {"PREFETCH_HEADERS": headers, "CORP_KEY": SECRET},
        {"PREFETCH_HEADERS": headers, "CORP_KEY_FILE": str(tmp_path / "secret")},
        {"PREFETCH_HEADERS_FILE": str(tmp_path / "headers")},
    ]


@pytest.mark.parametrize("form", range(3))
def test_a_header_opens_a_private_host(commands: Commands, origin: DemoServer, tmp_path: Path, form: int) -> None:
    source = origin.put_file("m.safetensors", MODEL.content, needs=("X-Api-Key", SECRET))
    refused = run(commands, tmp_path, source)
    assert refused.returncode == 3
    assert f"PREFETCH_TOKENS to {origin.endpoint}=VARIABLE" in refused.document["error"]["message"]
    opened = run(commands, tmp_path, source, **settings_for(origin.endpoint, tmp_path)[form])
    assert opened.returncode == 0, opened.stderr
    assert_whole(tmp_path / "volume", [MODEL])


def test_a_token_opens_a_private_host(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    source = origin.put_file("m.safetensors", MODEL.content, needs=("Authorization", f"Bearer {SECRET}"))
    tokens = {"PREFETCH_TOKENS": f"https://elsewhere.example=OTHER, {origin.endpoint}=CORP_TOKEN", "OTHER": "another"}
    assert run(commands, tmp_path, source, CORP_TOKEN=SECRET, **tokens).returncode == 0


def test_a_host_that_repeats_a_wrong_secret_is_not_quoted(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    source = origin.put_file("m.safetensors", MODEL.content, needs=("Authorization", "Bearer right"))
    outcome = run(commands, tmp_path, source, PREFETCH_TOKENS=f"{origin.endpoint}=CORP_TOKEN", CORP_TOKEN=SECRET)
    assert outcome.returncode == 3
    message = outcome.document["error"]["message"]
    assert "no access with" in message
    assert f"Check the secret that PREFETCH_TOKENS or PREFETCH_HEADERS gives for {origin.endpoint}" in message


def test_no_other_origin_gets_it(commands: Commands, origin: DemoServer, tmp_path: Path) -> None:
    with running_origin() as other:
        target = other.put_file("m.safetensors", MODEL.content)
        source = origin.put_file("m.safetensors", MODEL.content)
        origin.add_faults(Fault(do=Redirect(target), path="/files/*", times=None))
        env = {"PREFETCH_TOKENS": f"{origin.endpoint}=CORP_TOKEN", "CORP_TOKEN": SECRET}
        assert run(commands, tmp_path, source, **env).returncode == 0
        assert {request.authorized for request in origin.requests} == {True}
        assert {request.authorized for request in other.requests} == {False}


def test_a_mirror_of_the_hub_gets_its_header_with_every_question(
    commands: Commands, origin: DemoServer, tmp_path: Path
) -> None:
    env = {"HF_ENDPOINT": origin.endpoint, "PREFETCH_HEADERS": json.dumps({origin.endpoint: {"Authorization": "x y"}})}
    outcome = run(commands, tmp_path, f"hf://acme/models/{MODEL.name}", **env)
    # The stand-in knows no such token, and says so: it was sent.
    assert outcome.returncode == 3
    assert {request.authorized for request in origin.requests} == {True}


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PREFETCH_TOKENS": SECRET}, "origin that is no https address"),
        ({"PREFETCH_TOKENS": f"https://h={SECRET}"}, "names no variable for https://h"),
        ({"PREFETCH_TOKENS": "https://h:8443=MISSING"}, "names for https://h:8443 is not set"),
        ({"PREFETCH_TOKENS": "http://models.example=A", "A": SECRET}, "neither https nor this machine"),
        ({"PREFETCH_TOKENS": "https://h/path=A", "A": SECRET}, "more than an origin"),
        ({"PREFETCH_TOKENS": "https://h=A", "A": f"{SECRET} {SECRET}"}, "A holds characters that no token has"),
        ({"PREFETCH_HEADERS": SECRET}, "PREFETCH_HEADERS holds no JSON object"),
        ({"PREFETCH_HEADERS": "[" * 90_000}, "PREFETCH_HEADERS holds no JSON object"),
        ({"PREFETCH_HEADERS": f'{{"https://h": "{SECRET}"}}'}, "holds no JSON object"),
        ({"PREFETCH_HEADERS": f'{{"https://u:{SECRET}@h": {{}}}}'}, "more than an origin"),
        ({"PREFETCH_HEADERS": f'{{"https://h": {{"Range": "{SECRET}"}}}}'}, "Range is prefetch's own"),
        ({"PREFETCH_HEADERS": f'{{"https://h": {{"X Y": "{SECRET}"}}}}'}, "a header is no name"),
        ({"PREFETCH_HEADERS": '{"https://h": {"X": 1}}'}, "a header is no name with a text"),
        ({"PREFETCH_HEADERS": '{"https://h": {"X": "${MISSING}"}}'}, "the variable MISSING is not set"),
        ({"PREFETCH_HEADERS": f'{{"https://h": {{"X": "{SECRET}\\r\\nHost: evil"}}}}'}, "that no request can carry"),
        ({"PREFETCH_HEADERS_FILE": "/nowhere"}, "PREFETCH_HEADERS_FILE names cannot be read"),
    ],
)
def test_settings_that_cannot_be_used_are_named_and_not_shown(environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_own_headers(environ)
    assert words in caught.value.message
    assert SECRET not in str(caught.value)
    assert caught.value.remedy


def test_of_two_values_for_one_header_the_last_is_sent() -> None:
    url = SecretURL("https://h/x")
    pair = [Credential.bearer(url.origin, Secret("first")), Credential(url.origin, "authorization", Secret("second"))]
    assert headers_for(url, pair) == {"authorization": "second"}


def test_a_secret_shows_only_when_asked() -> None:
    secret = Secret(SECRET)
    assert SECRET not in f"{secret} {secret!r} {secret:>40}" + repr(Credential(("https", "h", 443), "X", secret))
    assert hide(f"no {SECRET}!", [f"Bearer {SECRET}"]) == "no …!"


TEXTS = ["v", f"{SECRET}\r\nX: y", f"{SECRET}é", f"{SECRET}\x00", "${A}", "${UNSET}", "${A", "${LINES}", " ", ""]
HOSTILE: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(TEXTS), st.sampled_from([None, 1, 1.5, True, [], {}]), st.text(max_size=20)
)
NAMES = st.one_of(
    st.sampled_from(["X-Key", "Host", "range", "Content-Length", "X Y", "X:Y", "X\r\nA", "é", "x" * 200, "Cookie", ""]),
    st.text(max_size=10),
)
ADDRESSES = st.sampled_from(
    ["https://a.test"] * 8
    + [
        "https://a.test:444",
        "http://127.0.0.1:8",
        "http://a.test",
        "https://u:p@a.test",
        "https://[::1",
        "",
        "https://\ud800",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(ADDRESSES, st.dictionaries(NAMES, HOSTILE, max_size=3), max_size=2))
def test_whatever_stands_there_is_a_header_that_can_be_sent_or_refused_unseen(document: dict[str, Any]) -> None:
    environ = {"PREFETCH_HEADERS": json.dumps(document), "A": SECRET, "LINES": f"{SECRET}\nb"}
    try:
        own = read_own_headers(environ)
    except UsageError as error:
        assert SECRET not in str(error)
        str(error).encode()
        return
    for item in own:
        line = f"{item.header}: {item.value.reveal()}"
        assert line.isascii() and line.isprintable()
