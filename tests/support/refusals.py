"""The kinds of refusal a user can meet: how each comes about at the stand-ins, and how it is told in docs/access.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prefetch.demo.actions import Status
from prefetch.demo.civitai import CivitaiFile, CivitaiVersion
from prefetch.demo.content import SyntheticFile
from prefetch.demo.faults import Fault
from prefetch.demo.repo import Repo
from prefetch.demo.server import DemoServer
from tests.support.secrecy import MARK, PLANTED

__all__ = ["CONTENT", "READER", "REFUSALS", "TOKENS", "Refusal", "refusing_repos", "refusing_versions", "row", "table"]

CONTENT = SyntheticFile("m.safetensors", 300_000, "safetensors", 5)
READER, STRANGER = f"hf_{MARK}0reader", f"hf_{MARK}0stranger"
MEMBER = f"{MARK}0member"
TOKENS = {READER: "alice", STRANGER: "bob", MEMBER: "member"}
_FINE_GRAINED = {
    "X-Error-Code": "GatedRepo",
    "X-Error-Message": "Please enable access to public gated repositories in your fine-grained token settings.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind.

    Attributes:
        what: the first cell of its row.
        source: of the model that is asked for; ``{files}`` is the address of the origin's plain files.
        host: what stands in its row for the stand-in's own address.
        env: variables; ``{home}``, ``{hub}`` and ``{civitai}`` are a folder with a stored token and the two addresses.
        faults: what the origin does on purpose.
    """

    what: str
    source: str
    host: str = "huggingface.co"
    env: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    def environment(self, origin: DemoServer, home: str) -> dict[str, str]:
        """All variables of the run, secrets for other hosts among them."""
        endpoints = {"HF_ENDPOINT": origin.endpoint, "PREFETCH_CIVITAI_ENDPOINT": origin.civitai_endpoint}
        known = {"home": home, "hub": origin.endpoint, "civitai": origin.civitai_endpoint}
        own = {name: re.sub(r"\{(\w+)\}", lambda found: known[found[1]], value) for name, value in self.env.items()}
        planted = {name: value for name, value in PLANTED.items() if name != "CIVITAI_API_TOKEN"}
        return {"PREFETCH_DEBUG": "1", **endpoints, **planted, **own}


def refusing_repos() -> list[Repo]:
    """Repositories for the refusals."""
    files, readers = {"m.safetensors": CONTENT}, frozenset({READER})
    return [
        Repo(id="acme/open", files=files),
        Repo(id="acme/gated", files=files, gated=True, readers=readers),
        Repo(id="acme/private", files=files, private=True, readers=readers),
        Repo(id="acme/disabled", files=files, disabled=True),
    ]


def refusing_versions() -> list[CivitaiVersion]:
    """Versions on Civitai for the refusals."""
    files = [CivitaiFile(1, "m.safetensors", CONTENT)]
    return [
        CivitaiVersion(id=1, files=files, login=True),
        CivitaiVersion(id=2, files=files, login=True, page=True),
        CivitaiVersion(id=3, files=files, early=True),
    ]


def _hub(status: int, headers: Mapping[str, str] | None = None) -> list[Fault]:
    return [Fault(do=Status(status, headers or {}), server="hub", method="HEAD", times=None)]


_GATED, _PRIVATE, _OPEN = (f"hf://acme/{name}/m.safetensors" for name in ("gated", "private", "open"))
_KEY = {"CIVITAI_API_TOKEN": MEMBER}
_NO_KEY = {"CIVITAI_API_TOKEN": ""}
_OWN = {"PREFETCH_TOKENS": "{hub}=CORP_TOKEN"}
_PROXY = [Fault(do=Status(407), method="CONNECT", times=None)]

REFUSALS: tuple[Refusal, ...] = (
    Refusal("a gated repository, no token", _GATED),
    Refusal("a gated repository whose terms this account has not accepted", _GATED, env={"HF_TOKEN": STRANGER}),
    Refusal(
        "a gated repository, a fine-grained token that may read none",
        _GATED,
        env={"HF_TOKEN": STRANGER},
        faults=_hub(403, _FINE_GRAINED),
    ),
    Refusal("a private repository, no token", _PRIVATE),
    Refusal("a private repository, another account's token", _PRIVATE, env={"HF_TOKEN": STRANGER}),
    Refusal("a repository that is not there", "hf://acme/nothing/m.safetensors", env={"HF_TOKEN": STRANGER}),
    Refusal("a token that was revoked", _OPEN, env={"HF_TOKEN": f"hf_{MARK}0revoked"}),
    Refusal("a stored token that was revoked", _OPEN, env={"HF_TOKEN_PATH": "{home}/token"}),
    Refusal("a repository that the Hub took down", "hf://acme/disabled/m.safetensors"),
    Refusal("a file that is blocked for legal reasons", _OPEN, faults=_hub(451)),
    Refusal(
        "an endpoint over plain http, which is sent no token",
        _PRIVATE,
        env={"HF_ENDPOINT": "http://mirror.example", "HTTP_PROXY": "{hub}", "HF_TOKEN": READER},
    ),
    Refusal(
        "a proxy that wants a login, on the way to the Hub",
        _OPEN,
        "proxy.example",
        env={"HF_ENDPOINT": "", "HTTPS_PROXY": "{hub}"},
        faults=_PROXY,
    ),
    Refusal(
        "a proxy that wants a login, on the way to another host",
        "https://models.example/m.safetensors",
        "proxy.example",
        env={"HTTPS_PROXY": "{hub}"},
        faults=_PROXY,
    ),
    Refusal("Civitai: a file for members, no key", "civitai:1", "civitai.com", _NO_KEY),
    Refusal("Civitai: the login page in place of the file", "civitai:2", "civitai.com", _NO_KEY),
    Refusal("Civitai: a key that is not valid", "civitai:1", "civitai.com", {"CIVITAI_API_TOKEN": f"{MARK}0wrong"}),
    Refusal("Civitai: early access that was not bought", "civitai:3", "civitai.com", _KEY),
    Refusal("any other host that wants a login", "{files}", "models.example"),
    Refusal("any other host that does not accept what it was sent", "{files}", "models.example", _OWN),
)


def row(refusal: Refusal, message: str) -> str:
    """The row of the table for what was said."""
    said = re.sub(r"http://127\.0\.0\.1(?::\d+)?", f"https://{refusal.host}", message)
    said = said.replace("127.0.0.1", refusal.host)
    return f"| {refusal.what} | {said} |"


def table(say: Callable[[Refusal], str]) -> str:
    """The whole table; ``say`` tells what a run of a refusal ended with."""
    rows = [row(refusal, say(refusal)) for refusal in REFUSALS]
    return "\n".join(["| what happened | what is said |", "|---|---|", *rows])
