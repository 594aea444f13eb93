"""Civitai under two names: what one of them does not give is asked for once at the other, with the same key."""

from __future__ import annotations

import asyncio

import pytest

from prefetch.demo.actions import Status
from prefetch.demo.civitai import CivitaiFile, CivitaiVersion
from prefetch.demo.content import SyntheticFile
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from prefetch.errors import AccessError, PrefetchError, SourceError
from prefetch.net.client import open_session
from prefetch.net.credentials import Secret, Token
from prefetch.net.urls import SecretURL
from prefetch.sources.access import Access
from prefetch.sources.refs.source import parse_source
from prefetch.sources.remote import RemoteFile
from prefetch.sources.resolver import Resolver

MODEL = SyntheticFile("m.safetensors", 50_000, "safetensors", 5)
VERSION = CivitaiVersion(id=1, files=[CivitaiFile(11, "m.safetensors", MODEL)], login=True)
KEY = "civ_member"


def resolved(blue: DemoServer, red: DemoServer | None, source: str = "civitai:1", key: str | None = KEY) -> RemoteFile:
    access = Access(
        civitai_endpoint=SecretURL(blue.civitai_endpoint),
        civitai_other=None if red is None else SecretURL(red.civitai_endpoint),
        civitai_token=None if key is None else Token(Secret(key), "CIVITAI_API_TOKEN"),
    )

    async def resolve() -> RemoteFile:
        async with open_session(connections=1) as session:
            return await Resolver(session, access).resolve(parse_source(source), source=source)

    return asyncio.run(resolve())


def asked(server: DemoServer, path: str = "/") -> list[str]:
    return [
        request.path for request in server.requests if request.server == "civitai" and request.path.startswith(path)
    ]


@pytest.mark.parametrize("source", ["civitai:1", "https://civitai.com/models/1", "https://civitai.red/models/1"])
def test_what_one_host_does_not_know_comes_from_the_other(source: str) -> None:
    with running_origin() as blue, running_origin(versions=[VERSION], tokens={KEY: "member"}) as red:
        remote = resolved(blue, red, source)
        assert (remote.sha256, remote.size) == (MODEL.sha256, MODEL.size)
        assert remote.url == "https://civitai.com/api/download/models/1?fileId=11"
        assert len(asked(blue)) == len(asked(red, "/api/v1"))
        assert asked(blue, "/api/download") == []
        assert all(request.authorized for request in red.requests if request.server == "civitai")


@pytest.mark.parametrize("status", [401, 404])
def test_a_file_that_one_host_lists_and_refuses_comes_from_the_other(status: int) -> None:
    tokens = {KEY: "member"}
    fault = Fault(do=Status(status), path="/api/download/*", server="civitai", times=None)
    with (
        running_origin(versions=[VERSION], tokens=tokens, faults=[fault]) as blue,
        running_origin(versions=[VERSION], tokens=tokens) as red,
    ):
        assert resolved(blue, red).size == MODEL.size
        assert asked(red) == ["/api/download/models/1"]


@pytest.mark.parametrize(("status", "kind"), [(403, AccessError), (410, SourceError), (451, AccessError)])
def test_no_other_refusal_is_asked_about_elsewhere(status: int, kind: type[PrefetchError]) -> None:
    fault = Fault(do=Status(status), path="/api/*", server="civitai", times=None)
    with running_origin(versions=[VERSION], faults=[fault]) as blue, running_origin(versions=[VERSION]) as red:
        with pytest.raises(kind):
            resolved(blue, red)
        assert asked(red) == []


def test_where_both_refuse_the_first_one_is_told_and_the_other_was_asked_once() -> None:
    with running_origin() as blue, running_origin() as red:
        with pytest.raises(SourceError, match=r"127\.0\.0\.1 has no civitai:1 \(404"):
            resolved(blue, red)
        assert len(asked(blue)) == len(asked(red)) == 1


def test_a_named_endpoint_is_the_only_one() -> None:
    named = {"PREFETCH_CIVITAI_ENDPOINT": "https://civitai.example"}
    assert Access.from_environment(named).civitai_other is None
    other = Access.from_environment({}).civitai_other
    assert other is not None and other.reveal() == "https://civitai.red"
    with running_origin() as blue, pytest.raises(SourceError):
        resolved(blue, None)
