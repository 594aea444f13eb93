"""Which tokens the environment gives, and what each host makes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from prefetch.errors import AccessError, PrefetchError, TransientError
from prefetch.net.client import Session
from prefetch.net.credentials import Credential, Token, may_carry_secrets
from prefetch.net.daemon import in_daemon_thread
from prefetch.net.quoting import hide
from prefetch.net.retry import FullJitter, metadata_retrying
from prefetch.net.urls import SecretURL, origin_text
from prefetch.report.events import Listener
from prefetch.report.notice import asked_again
from prefetch.runpod.client import runpod_endpoint
from prefetch.sources.access import Access
from prefetch.sources.document import fetch_document
from prefetch.sources.tokens import CIVITAI, HUB, RUNPOD, misnamed, name_it, read_token

__all__ = ["Account", "check_accounts"]

Verdict = Literal["accepted", "refused", "none", "not asked", "no answer"]

_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Account:
    """One host, and the secret for it.

    Attributes:
        host: its origin.
        found_in: the variable, or what else the secret was found in; None where there is none.
        verdict: what the host made of it.
        says: one sentence on it: whose token it is, or what to do.
    """

    host: str
    found_in: str | None
    verdict: Verdict
    says: str


@dataclass(frozen=True, slots=True)
class _Question:
    """What one host is asked, to have it judge a token."""

    endpoint: SecretURL
    path: str
    token: Token | None
    without: str
    make: str

    @property
    def host(self) -> str:
        return origin_text(self.endpoint.origin)


async def check_accounts(
    session: Session, access: Access, environ: Mapping[str, str], *, listener: Listener
) -> list[Account]:
    """One line a host: the Hub, Civitai, RunPod, and the origins of the user's own headers.

    Raises:
        UsageError: a setting or a stored token cannot be read.
    """
    questions = [
        _Question(
            access.hf_endpoint,
            "/api/whoami-v2",
            await _hub_token(access),
            _without(environ, HUB, "only public repositories can be read; set HF_TOKEN for others"),
            "Make a new token at https://huggingface.co/settings/tokens.",
        ),
        _Question(
            access.civitai_endpoint,
            "/api/v1/me",
            access.civitai_token,
            _without(environ, CIVITAI, "only files that need no login can be read; set CIVITAI_API_TOKEN for others"),
            "Make a new key at https://civitai.com/user/account.",
        ),
        _Question(
            runpod_endpoint(environ),
            "/v2/network-volumes",
            read_token(environ, RUNPOD),
            _without(environ, RUNPOD, "only runpod populate and runpod clean need one; set RUNPOD_API_KEY for them"),
            "Make a new key at https://console.runpod.io/user/settings.",
        ),
    ]
    for question in questions:
        session.guard.trust(question.endpoint.host)
    answers = await asyncio.gather(*(_ask(session, question, listener) for question in questions))
    return [*answers, *map(_own, _one_an_origin(access.own))]


def _without(environ: Mapping[str, str], names: Sequence[str], usual: str) -> str:
    """What to say where there is no token: the variable that may hold it under another name, else what that means."""
    stranger = misnamed(environ, names)
    return usual if stranger is None else name_it(stranger, names)


async def _hub_token(access: Access) -> Token | None:
    if access.hf_token is not None or not access.hf_login:
        return access.hf_token

    def stored() -> Token | None:
        # Half a second of imports that are only needed to find what hf auth login stored.
        from prefetch.sources.hub import Hub

        return Hub(access).token()[0]

    return await in_daemon_thread(stored, name="hub")


async def _ask(session: Session, question: _Question, listener: Listener) -> Account:
    token = question.token
    if token is None:
        return Account(question.host, None, "none", question.without)
    if not may_carry_secrets(question.endpoint):
        return Account(question.host, token.found_in, "not asked", "no token is sent over plain http: use https")

    def retried(error: TransientError, attempt: int, delay: float) -> None:
        listener(asked_again(error, delay))

    retrying = metadata_retrying(on_retry=retried, wait=FullJitter())
    try:
        data: bytes = await retrying(partial(_fetch, session, question, token))
    except AccessError as error:
        return Account(question.host, token.found_in, "refused", f"{error.message} {question.make}")
    except PrefetchError as error:
        return Account(question.host, token.found_in, "no answer", str(error))
    return Account(question.host, token.found_in, "accepted", hide(_whose(data), (token.secret.reveal(),)))


async def _fetch(session: Session, question: _Question, token: Token) -> bytes:
    answer = await fetch_document(
        session,
        SecretURL(question.endpoint.reveal() + question.path),
        name="the account",
        most=_LARGEST,
        credentials=(Credential.bearer(question.endpoint.origin, token.secret),),
    )
    return answer.data


def _whose(data: bytes) -> str:
    """Whose token it is, as far as the host tells."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    name = document.get("name") or document.get("username")
    shown = f"as {name[:80]}" if isinstance(name, str) and name.isprintable() else ""
    role = _role(document.get("auth"))
    return f"{shown}, a {role} token" if shown and role else shown


def _role(auth: Any) -> str:
    token = auth.get("accessToken") if isinstance(auth, dict) else None
    role = token.get("role") if isinstance(token, dict) else None
    known = {"read": "read", "write": "write", "fineGrained": "fine-grained"}
    return known.get(role, "") if isinstance(role, str) else ""


def _one_an_origin(credentials: Sequence[Credential]) -> list[list[Credential]]:
    grouped: dict[Any, list[Credential]] = {}
    for credential in credentials:
        grouped.setdefault(credential.origin, []).append(credential)
    return list(grouped.values())


def _own(credentials: Sequence[Credential]) -> Account:
    headers = ", ".join(credential.header for credential in credentials)
    found_in = ", ".join(dict.fromkeys(credential.found_in for credential in credentials))
    return Account(origin_text(credentials[0].origin), found_in, "not asked", f"{headers} is sent to it")
