"""Messages to an address of the user's, signed as Standard Webhooks has it, so that any library of it can verify them.

Who receives one can tell by its id that it came before, and by its signed time that it is not an old one played again.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import hmac
import json
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prefetch.errors import PatienceError, PrefetchError, TransientError, UsageError
from prefetch.monitor.access import read_secret
from prefetch.net.call import tell
from prefetch.net.client import Session, open_session
from prefetch.net.urls import SecretURL, origin_text
from prefetch.report.events import Listener, Notice
from prefetch.settings import Settings
from prefetch.sidecar.backoff import Backoff

__all__ = ["SECRET", "Signer", "Webhook", "webhook_of"]

SECRET = "PREFETCH_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
TRIES = 5
FIRST_RETRY = 5.0
"""With this, the fifth try comes after a minute or so."""
PATIENCE = 15.0
"""Seconds for an answer."""
MOST_WAITING = 100
_GONE = 410
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_REMEDY = f'Make one, for both sides: {SECRET}="whsec_$(openssl rand -base64 32)"'


@dataclass(frozen=True, slots=True)
class Signer:
    """Keys that a message is signed with: one, or while it is being replaced, the new one and the old one."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Signer:
        """The keys of a secret as Standard Webhooks writes it, several with blanks between them.

        Raises:
            UsageError: it is none; it is not shown.
        """
        keys = tuple(map(_key, text.split()))
        if not keys or any(not 24 <= len(key) <= 64 for key in keys):
            raise UsageError(f"{SECRET} is not 24 to 64 bytes in base64.", remedy=_REMEDY)
        return cls(keys)

    def headers(self, identity: str, body: bytes, *, now: int) -> dict[str, str]:
        """The headers that prove a message to be ours, sent at ``now`` (seconds since 1970)."""
        signed = f"{identity}.{now}.".encode() + body
        digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in self.keys)
        return {
            "webhook-id": identity,
            "webhook-timestamp": str(now),
            "webhook-signature": " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests),
        }


@dataclass(frozen=True, slots=True)
class _Message:
    kind: str
    identity: str
    body: bytes


class Webhook:
    """Delivers messages in their order, each tried a few times; what waits is bounded.

    Args:
        first_retry: seconds until the second try; each further wait is twice as long.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        url: SecretURL,
        signer: Signer,
        listener: Listener,
        *,
        first_retry: float = FIRST_RETRY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        # Many such addresses are secrets from the path on.
        self._where = origin_text(url.origin)
        self._signer = signer
        self._listener = listener
        self._first_retry = first_retry
        self._clock = clock
        self._is_gone = False
        self._waiting: asyncio.Queue[_Message] = asyncio.Queue(MOST_WAITING)

    def post(self, kind: str, data: Mapping[str, Any]) -> None:
        """Have a message of this type delivered."""
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = json.dumps({"type": kind, "timestamp": moment, "data": data}, separators=(",", ":")).encode()
        if self._is_gone:
            return
        if self._waiting.full():
            lost = self._waiting.get_nowait()
            self._warn(f"The webhook at {self._where} is too slow: a message {lost.kind} is left out.")
        self._waiting.put_nowait(_Message(kind, f"msg_{secrets.token_hex(16)}", body))

    async def deliver(self) -> None:
        """Send what is posted, for ever, or until the receiver says that it is gone."""
        async with open_session(connections=1, allow_private=True) as session:
            while True:
                message = await self._waiting.get()
                try:
                    await self._send(session, message)
                except _Gone:
                    self._warn(f"The webhook at {self._where} is gone (410): nothing is sent there any more.")
                    self._is_gone = True
                    break
                except PrefetchError as error:
                    self._warn(f"The webhook at {self._where} did not take a message {message.kind}. {error}")

    async def _send(self, session: Session, message: _Message) -> None:
        backoff = Backoff(self._first_retry)
        for left in reversed(range(TRIES)):
            try:
                await self._try(session, message)
                return
            except PatienceError:
                raise PrefetchError("It asks for a longer pause than it is given.") from None
            except TransientError:
                if not left:
                    raise
                await asyncio.sleep(backoff.next())

    async def _try(self, session: Session, message: _Message) -> None:
        headers = self._signer.headers(message.identity, message.body, now=int(self._clock()))
        status = await tell(session, self._url, headers=headers, body=message.body, patience=PATIENCE)
        if status >= 500 or status in _WORTH_ANOTHER_TRY:
            raise TransientError(f"It answered {status}.", cause=f"status_{status}")
        if status == _GONE:
            raise _Gone
        if not 200 <= status < 300:
            raise PrefetchError(f"It answered {status}.", remedy="A message counts as taken where the answer is 2xx.")

    def _warn(self, sentence: str) -> None:
        self._listener(Notice("warning", sentence))


class _Gone(Exception):
    """The receiver wants no messages any more."""


def webhook_of(settings: Settings, environ: Mapping[str, str]) -> tuple[SecretURL, Signer] | None:
    """Where messages go, and what they are signed with; None where none are asked for.

    Raises:
        UsageError: it is no address, or there is nothing to sign with.
    """
    if settings.webhook is None:
        return None
    try:
        url = SecretURL(settings.webhook)
    except ValueError as error:
        # It is not shown, for it may hold a secret.
        raise UsageError(f"--webhook is {error}.", remedy="Write for example: https://example.com/hooks/1") from None
    secret = read_secret(environ, SECRET, settings.webhook_secret_file)
    if secret is None:
        raise UsageError("--webhook needs a secret, by which its receiver knows us.", remedy=_REMEDY)
    return url, Signer.of(secret.reveal())


def _key(text: str) -> bytes:
    try:
        return b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return b""
