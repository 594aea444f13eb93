"""RunPod's REST API v2, as far as it is used here: each call of it a method, each refusal an error of ours."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

import aiohttp

from prefetch.errors import AccessError, UsageError
from prefetch.net.call import Reply, call
from prefetch.net.client import Session, open_session
from prefetch.net.credentials import Credential, Token, may_carry_secrets
from prefetch.net.failures import connection_error
from prefetch.net.pages import read_start
from prefetch.net.request import get
from prefetch.net.retry import FullJitter, RetryListener, metadata_retrying
from prefetch.net.urls import SecretURL
from prefetch.runpod.answers import (
    Flavor,
    LogLine,
    Pod,
    Volume,
    flavors_of,
    log_line_of,
    pod_of,
    pods_of,
    volume_of,
    volumes_of,
)
from prefetch.runpod.events import EventReader
from prefetch.runpod.problems import Gone, problem_of
from prefetch.sources.tokens import RUNPOD, misnamed, name_it, read_token

__all__ = ["ENDPOINT", "RunPod", "Told", "open_runpod", "runpod_endpoint"]

ENDPOINT = "PREFETCH_RUNPOD_ENDPOINT"

_RUNPOD = "https://api.runpod.io"
_SILENCE = 120.0  # seconds without a byte after which a log stream is opened anew

Action = Literal["start", "stop", "restart", "terminate"]


@dataclass(frozen=True, slots=True)
class Told:
    """A line of a pod's log, and where the stream can be taken up again after it."""

    cursor: str | None
    line: LogLine


@dataclass(frozen=True, slots=True)
class RunPod:
    """The API with one account's key.

    Questions and removals are asked again on 429, 5xx and a lost connection. `create_pod` and `create_volume` are
    not: after a `TransientError` the caller has to look whether it is there.

    Every method raises AccessError (401, 402, 403), Gone (404), Rejected (400), Conflict (409), SourceError (any other
    refusal), ContentError (an answer that is none), TransientError (no answer in several tries).
    """

    _session: Session
    _endpoint: SecretURL
    _key: Token
    _on_retry: RetryListener = field(default=lambda error, attempt, delay: None, repr=False)

    async def pods(self) -> list[Pod]:
        """Every pod of the account."""
        return pods_of((await self._ask("GET", "/v2/pods", "list the pods")).body)

    async def create_pod(self, request: Mapping[str, Any]) -> Pod:
        """Make a pod, once."""
        return pod_of((await self._once("POST", "/v2/pods", "create a pod", request)).body)

    async def remove_pod(self, pod_id: str) -> None:
        """Terminate a pod; one that is gone already is no error."""
        try:
            await self._ask("DELETE", f"/v2/pods/{_segment(pod_id)}", f"remove the pod {pod_id}")
        except Gone:
            return

    async def act(self, pod_id: str, action: Action) -> None:
        """Start, stop, restart or terminate a pod."""
        path = f"/v2/pods/{_segment(pod_id)}/action"
        await self._ask("POST", path, f"{action} the pod {pod_id}", {"action": action})

    async def volumes(self) -> list[Volume]:
        """Every network volume of the account."""
        return volumes_of((await self._ask("GET", "/v2/network-volumes", "list the network volumes")).body)

    async def create_volume(self, *, name: str, size: int, data_center: str) -> Volume:
        """Make a network volume of ``size`` GB, once."""
        request = {"name": name, "size": size, "dataCenter": data_center}
        return volume_of((await self._once("POST", "/v2/network-volumes", "create a network volume", request)).body)

    async def remove_volume(self, volume_id: str) -> None:
        """Delete a network volume and all that is on it; one that is gone already is no error."""
        path = f"/v2/network-volumes/{_segment(volume_id)}"
        try:
            await self._ask("DELETE", path, f"delete the network volume {volume_id}")
        except Gone:
            return

    async def flavors(self, *, cpus: int) -> list[Flavor]:
        """The kinds of CPU pods, with the stock of those that have so many virtual CPUs."""
        path = f"/v2/catalog/cpus?include=AVAILABILITY&product=POD&vcpuCount={cpus}"
        return flavors_of((await self._ask("GET", path, "tell which CPU pods are in stock")).body)

    async def logs(self, pod_id: str, *, after: str | None) -> AsyncGenerator[Told, None]:
        """The lines of a pod's log as they come, from its beginning or behind a cursor, until the stream ends.

        One stream, once: whoever follows a pod opens it anew, with the cursor of the last line that came.
        """
        path = f"/v2/pods/{_segment(pod_id)}/logs{'' if after else '?tail=5000'}"
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
        url = self._url(path)
        async with get(self._session, url, headers=headers, credentials=self._credentials) as answer:
            response = answer.response
            if response.status != 200:
                body = await read_start(response)
                reply = Reply(response.status, response.headers, body, answer.sent)
                raise problem_of(reply, f"show the log of {pod_id}")
            async for told in _lines(response, url.host):
                yield told

    @property
    def _credentials(self) -> tuple[Credential, ...]:
        return (Credential.bearer(self._endpoint.origin, self._key.secret),)

    def _url(self, path: str) -> SecretURL:
        return SecretURL(self._endpoint.reveal() + path)

    async def _ask(self, method: str, path: str, doing: str, document: object = None) -> Reply:
        retrying = metadata_retrying(on_retry=self._on_retry, wait=FullJitter(base=0.5, overload_base=2.0))
        reply: Reply = await retrying(partial(self._once, method, path, doing, document))
        return reply

    async def _once(self, method: str, path: str, doing: str, document: object = None) -> Reply:
        body = None if document is None else json.dumps(document).encode()
        reply = await call(self._session, method, self._url(path), credentials=self._credentials, body=body)
        if not 200 <= reply.status < 300:
            raise problem_of(reply, doing)
        return reply


async def _lines(response: aiohttp.ClientResponse, host: str) -> AsyncGenerator[Told, None]:
    reader, silent_since = EventReader(), time.monotonic()
    try:
        while True:
            async with asyncio.timeout(_SILENCE - (time.monotonic() - silent_since)):
                piece = await response.content.readany()
            silent_since = time.monotonic()
            if not piece:
                return
            for event in reader.feed(piece):
                if (line := log_line_of(event.data)) is not None:
                    yield Told(event.id, line)
    except (aiohttp.ClientError, OSError) as error:
        raise connection_error(error, host) from None


@asynccontextmanager
async def open_runpod(
    environ: Mapping[str, str], *, on_retry: RetryListener = lambda error, attempt, delay: None
) -> AsyncIterator[RunPod]:
    """The API with the key of ``RUNPOD_API_KEY`` (or the file of ``RUNPOD_API_KEY_FILE``).

    Args:
        environ: also names another endpoint, in ``PREFETCH_RUNPOD_ENDPOINT``.
        on_retry: told of each question that is asked again.

    Raises:
        AccessError: there is no key.
        UsageError: the endpoint is no address that a key may be sent to.
    """
    endpoint, key = runpod_endpoint(environ), read_token(environ, RUNPOD)
    if key is None:
        stranger = misnamed(environ, RUNPOD)
        make = "Make a key at https://console.runpod.io/user/settings and put it into this variable."
        raise AccessError(
            "RUNPOD_API_KEY is not set.", remedy=make if stranger is None else f"{name_it(stranger, RUNPOD)}."
        )
    if not may_carry_secrets(endpoint):
        raise UsageError(
            f"PREFETCH_RUNPOD_ENDPOINT is {endpoint}, which is neither https nor this machine: no key is sent there.",
            remedy="Use https.",
        )
    async with open_session(connections=4) as session:
        session.guard.trust(endpoint.host)
        yield RunPod(session, endpoint, key, on_retry)


def runpod_endpoint(environ: Mapping[str, str]) -> SecretURL:
    """Where RunPod's API is, without a slash at its end.

    Raises:
        UsageError: ``PREFETCH_RUNPOD_ENDPOINT`` is no address.
    """
    text = environ.get(ENDPOINT, "").strip().rstrip("/") or _RUNPOD
    try:
        return SecretURL(text)
    except ValueError as error:
        raise UsageError(f"PREFETCH_RUNPOD_ENDPOINT is {error}.", remedy="Write it as https://host.") from None


def _segment(text: str) -> str:
    return quote(text, safe="")
