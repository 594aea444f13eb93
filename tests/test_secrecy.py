"""Under every kind of failure no planted secret reaches an output, a file of the volume, or a process list."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from prefetch.demo.actions import (
    Action,
    Cut,
    Expired,
    Flip,
    HtmlPage,
    IgnoreRange,
    JsonError,
    LfsPointer,
    Redirect,
    RedirectLoop,
    Short,
    Status,
    TooMany,
    WrongRange,
)
from prefetch.demo.civitai import CivitaiFile, CivitaiVersion
from prefetch.demo.content import SyntheticFile
from prefetch.demo.faults import Fault
from prefetch.demo.messages import Reply, Request, text_reply
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands
from tests.support.models import write_manifest
from tests.support.secrecy import MARK, PLANTED, assert_no_secret, run_watched

HUB, CIVITAI, OTHER = (SyntheticFile(f"{seed}.safetensors", 5_000_000, "safetensors", seed) for seed in (5, 6, 7))
Server = Literal["hub", "cdn", "civitai"]
TOKEN = f"hf_{MARK}0reader"
_HOSTS: Sequence[Server] = ("hub", "civitai")
_CDN: Sequence[Server] = ("cdn",)
_PAGE, _MESSAGE = HtmlPage(f"no {TOKEN} here"), JsonError(f"{TOKEN} is wrong")
FAULTS: dict[str, tuple[Sequence[Server], Action]] = {
    "busy hosts": (_HOSTS, Status(503)),
    "hosts that are asked too often": (_HOSTS, TooMany(0)),
    "a page of a host": (_HOSTS, _PAGE),
    "a message of a host": (_HOSTS, _MESSAGE),
    "a circle": (_HOSTS, RedirectLoop()),
    "a link that expired": (_CDN, Expired()),
    "a cut": (_CDN, Cut(1_000)),
    "a reset": (_CDN, Cut(1_000, "reset")),
    "a short body": (_CDN, Short(10)),
    "another range": (_CDN, WrongRange(shift=1)),
    "no ranges": (_CDN, IgnoreRange()),
    "a page": (_CDN, _PAGE),
    "a message": (_CDN, _MESSAGE),
    "a pointer": (_CDN, LfsPointer()),
    "a flipped bit": (_CDN, Flip(4_000_000)),
    "a way to nowhere": (_CDN, Redirect("ftp://127.0.0.1/x?X-Amz-Signature=abc")),
}


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    readers = frozenset({TOKEN})
    repos = [Repo(id="acme/private", files={"m.safetensors": HUB}, private=True, readers=readers)]
    versions = [CivitaiVersion(id=1, files=[CivitaiFile(1, "m.safetensors", CIVITAI)], login=True)]
    tokens = {TOKEN: "alice", PLANTED["CIVITAI_API_TOKEN"]: "alice"}
    with running_origin(repos=repos, versions=versions, tokens=tokens) as server:
        yield server


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_shows_a_secret(commands: Commands, origin: DemoServer, tmp_path: Path, fault: str) -> None:
    bearer = ("Authorization", f"Bearer {PLANTED['CORP_TOKEN']}")
    own = origin.put_file("m.safetensors", OTHER, needs=bearer)
    sources = {"hf://acme/private/m.safetensors": HUB, "civitai:1": CIVITAI, own: OTHER}
    servers, action = FAULTS[fault]
    for server in servers:
        # Mostly one try is mended by the next: what is told of a retry is looked at too.
        origin.add_faults(Fault(do=action, server=server, method="*", times=1))
    entries = [
        {"path": f"models/{number}.safetensors", "source": source, "sha256": content.sha256}
        for number, (source, content) in enumerate(sources.items())
    ]
    manifest, volume = write_manifest(tmp_path / "m.yaml", entries), tmp_path / "volume"
    env = {
        **PLANTED,
        "HF_ENDPOINT": origin.endpoint,
        "HF_TOKEN": TOKEN,
        "PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint,
        # The Hub's stand-in serves the other host's file too, and one Authorization is all that it is sent.
        "PREFETCH_HEADERS": "",
        "PREFETCH_TOKENS": PLANTED["PREFETCH_TOKENS"],
        "PREFETCH_DEBUG": "1",
    }
    argv = commands.argv("run", manifest, "--volume", volume, "--json", "--log-format", "json")
    done, lines = run_watched(argv, commands.environment(env), commands.home)
    assert any(request.faults for request in origin.requests)
    assert "Traceback" not in done.stderr
    assert_no_secret(done.stdout, done.stderr, *lines, volume=volume)


@dataclass(frozen=True, slots=True)
class Echo:
    """Refuse, and repeat the signature and the headers that came along, written in some way."""

    media_type: str
    page: str
    encode: Callable[[str], str] = str
    seen: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    def __call__(self, request: Request, reply: Reply) -> Reply:
        signature = request.query.get("X-Amz-Signature", [""])[0] or request.headers.get("authorization", "")
        self.seen.append(signature.removeprefix("Bearer "))
        self.written.append(self.encode(signature))
        words = self.page % self.written[-1]
        return text_reply(406, words, content_type=self.media_type).about(reply.file)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse with these words."""

    words: str

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return text_reply(401, self.words, content_type="text/plain").about(reply.file)


ECHOES = {
    "xml": Echo("application/xml", "<Error><SignatureProvided>%s</SignatureProvided></Error>"),
    "entities": Echo("application/xml", "<E>%s</E>", lambda text: "".join(f"&#{ord(char)};" for char in text)),
    "json": Echo("application/json", '{"error": "denied", "signature": "%s"}'),
    "escapes": Echo("application/json", '{"message": "%s"}', lambda text: "".join(f"\\u{ord(c):04x}" for c in text)),
    "percent": Echo(
        "text/plain", "http%%3A%%2F%%2Fh%%2Fx%%3Fs%%3D%s", lambda text: "".join(f"%{ord(c):02X}" for c in text)
    ),
    "bare": Echo("text/plain", "%s", str.upper),
    "title": Echo("text/html", "<title>%s is not valid</title>"),
    "base64": Echo("text/plain", "the key %s is not valid", lambda text: b64encode(text.encode()).decode()),
    "login": Echo("application/json", '{"error": "no %s"}', lambda text: b64encode(f"ann:{text}".encode()).decode()),
    "digits": Echo("text/plain", "0x%s", lambda text: text.encode().hex()),
    "reversed": Echo("text/plain", "%s", lambda text: text[::-1]),
}


def test_what_a_host_repeats_of_a_signature_or_a_header_is_not_quoted(commands: Commands, tmp_path: Path) -> None:
    contents = {name: SyntheticFile(f"{name}.safetensors", 50_000, "safetensors", 9) for name in ECHOES}
    entries = [{"path": f"models/{n}.safetensors", "source": f"hf://acme/m/{n}.safetensors"} for n in ECHOES]
    repo = Repo(id="acme/m", files={content.name: content for content in contents.values()})
    with running_origin(repos=[repo], tokens={PLANTED["CORP_TOKEN"]: "alice"}) as origin:
        for name, echo in ECHOES.items():
            origin.add_faults(Fault(do=echo, server="cdn", path=f"*/{name}.safetensors", times=None))
        guarded = origin.put_file("own.safetensors", OTHER)
        own = Echo("text/plain", "Authorization: %s")
        origin.add_faults(Fault(do=own, server="hub", path="/files/*", times=None))
        entries.append({"path": "models/own.safetensors", "source": guarded})
        manifest, volume = write_manifest(tmp_path / "m.yaml", entries), tmp_path / "volume"
        env = {
            "HF_ENDPOINT": origin.endpoint,
            "CORP_TOKEN": PLANTED["CORP_TOKEN"],
            "PREFETCH_TOKENS": f"{origin.endpoint}=CORP_TOKEN",
        }
        words = ("--json", "--log-format", "json")
        outcome = commands.run("run", manifest, "--volume", volume, *words, env=env)
    assert outcome.returncode == 1
    errors = [model["error"] for model in outcome.document["models"]]
    assert all("answered 406" in error for error in errors), errors
    seen = [signature for echo in (*ECHOES.values(), own) for signature in echo.seen]
    assert len(set(seen)) == len(entries)
    shown = (outcome.stdout + outcome.stderr).lower()
    assert not [signature for signature in seen if signature[:12].lower() in shown]
    assert not [text for echo in ECHOES.values() for text in echo.written if text[-20:-3].lower() in shown]
    assert_no_secret(outcome.stdout, outcome.stderr, volume=volume)


def test_a_header_of_ones_own_is_not_quoted_in_base64_either(commands: Commands, tmp_path: Path) -> None:
    key = PLANTED["CORP_KEY"]
    answers = {
        name: b64encode(f"{before}{key}".encode()).decode() for name, before in (("bare", ""), ("login", "ann:"))
    }
    with running_origin() as origin:
        entries = []
        for name, answer in answers.items():
            source = origin.put_file(f"{name}.safetensors", OTHER)
            refuse = Refuse(f"not allowed: {answer}")
            origin.add_faults(Fault(do=refuse, server="hub", method="*", path=f"*/{name}.safetensors", times=None))
            entries.append({"path": f"models/{name}.safetensors", "source": source})
        manifest, volume = write_manifest(tmp_path / "m.yaml", entries), tmp_path / "volume"
        headers = f'{{"{origin.endpoint}": {{"X-Api-Key": "${{CORP_KEY}}"}}}}'
        env = {"CORP_KEY": key, "PREFETCH_HEADERS": headers}
        words = ("--json", "--log-format", "json")
        outcome = commands.run("run", manifest, "--volume", volume, *words, env=env)
    assert outcome.returncode == 3
    assert all("not allowed: …" in model["error"] for model in outcome.document["models"])
    assert not [answer for answer in answers.values() if answer[4:16] in outcome.stdout + outcome.stderr]
    assert_no_secret(outcome.stdout, outcome.stderr, volume=volume)


def test_a_signed_source_is_told_as_a_secret_and_stored_nowhere(commands: Commands, tmp_path: Path) -> None:
    queries = ("sig=%s", "X-Amz-Signature=%s&X-Amz-Date=1", "Policy=%s&Signature=%s&Key-Pair-Id=K", "a=1&TOKEN=%s")
    sources = (f"https://models.example/m.safetensors?{query.replace('%s', MARK)}" for query in queries)
    entries = [{"path": f"models/{n}.safetensors", "source": source} for n, source in enumerate(sources)]
    manifest = write_manifest(tmp_path / "m.yaml", entries)
    for command in ("run", "plan", "lock"):
        outcome = commands.run(command, manifest, "--volume", tmp_path / "volume", "--json")
        assert outcome.returncode == 2
        assert outcome.stderr.count("carries a credential") == len(queries)
        assert "put it in the environment, in a variable that PREFETCH_TOKENS names" in outcome.stderr
        assert_no_secret(outcome.stdout, outcome.stderr, volume=tmp_path / "volume")
