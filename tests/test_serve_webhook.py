"""Messages of a sidecar: how they are signed, when they are tried again, which there are, and what is refused."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from prefetch.errors import UsageError
from prefetch.net.urls import SecretURL
from prefetch.report.events import Event, Notice
from prefetch.sidecar.webhook import MOST_WAITING, Signer, Webhook
from tests.support.commands import Commands
from tests.support.runs import until as wait
from tests.support.sidecars import SECRET, Receiver, receiver

OTHER = b64encode(bytes(24)).decode()


def test_the_signature_of_a_known_message() -> None:
    """The example of the specification's own libraries."""
    signer = Signer.of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signer.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', now=1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_sign_while_one_is_being_replaced() -> None:
    signed = Signer.of(f"{SECRET} {OTHER}").headers("msg_1", b"{}", now=1)["webhook-signature"].split()
    alone = [Signer.of(secret).headers("msg_1", b"{}", now=1)["webhook-signature"] for secret in (SECRET, OTHER)]
    assert signed == alone


@pytest.mark.parametrize("text", ["", "hunter2", "whsec_", "whsec_" + b64encode(bytes(23)).decode(), f"{SECRET} x"])
def test_what_is_no_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError, match="is not 24 to 64 bytes") as caught:
        Signer.of(text)
    assert "hunter2" not in str(caught.value)


def deliver(took: Receiver, until: Callable[[list[str]], bool], *kinds: str) -> list[str]:
    """Post messages and deliver until ``until`` holds of what was said; that."""
    said: list[str] = []

    def listen(event: Event) -> None:
        assert isinstance(event, Notice)
        said.append(event.message)

    async def work() -> None:
        hook = Webhook(SecretURL(took.url), Signer.of(SECRET), listen, first_retry=0.01)
        for kind in kinds:
            hook.post(kind, {"path": "models/ünï.safetensors"})
        task = asyncio.create_task(hook.deliver())
        await asyncio.to_thread(wait, lambda: until(said), "what was to be received")
        task.cancel()

    asyncio.run(work())
    return said


def test_a_message_is_tried_again_under_its_name_and_the_next_one_waits_for_it() -> None:
    with receiver(503, 429) as took:
        deliver(took, lambda said: len(took.received) == 4, "first", "second")
    assert took.kinds() == ["first", "first", "first", "second"]
    assert len({message.identity for message in took.received}) == 2
    assert took.received[0].data == {"path": "models/ünï.safetensors"}
    assert took.received[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answers", "tries", "said"),
    [([500] * 9, 5, "did not take a message first. It answered 500."), ([400], 1, "400"), ([302], 1, "302")],
)
def test_a_message_that_is_not_taken_is_given_up_with_a_word(answers: list[int], tries: int, said: str) -> None:
    with receiver(*answers) as took:
        (word,) = deliver(took, bool, "first")
    assert len(took.received) == tries
    assert said in word and "very-secret-key" not in word


def test_a_receiver_that_is_gone_gets_nothing_more() -> None:
    with receiver(410) as took:
        (word,) = deliver(took, bool, "first", "second")
    assert "nothing is sent there any more" in word
    assert took.kinds() == ["first"]


def test_what_waits_is_bounded() -> None:
    with receiver() as took:
        many = [str(number) for number in range(MOST_WAITING + 2)]
        said = deliver(took, lambda said: len(took.received) == MOST_WAITING, *many)
    assert took.kinds() == many[2:]
    assert len(said) == 2 and "a message 0 is left out" in said[0]


OK = b"HTTP/1.1 200 OK\r\n"
TOO_MANY = b"HTTP/1.1 429 No\r\nRetry-After: 999999\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "after", "said"),
    [
        (b"", "reset", "dropped the connection"),
        (b"", "silence", "did not answer in time"),
        (b"\x00\xff" * 500, "reset", "did not answer in HTTP"),
        (OK, "headers", "did not answer in HTTP"),
        (OK + b"X: " + b"a" * 2_000_000, "reset", "did not answer in HTTP"),
        (b"", "hints", "did not answer in time"),
        (TOO_MANY, "close", "It asks for a longer pause than it is given."),
        (OK + b"\r\n", "headers", None),
        (OK + b"Content-Length: 100000\r\n\r\n", "silence", None),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nzip", "close", None),
    ],
)
def test_a_receiver_that_misbehaves_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, after: str, said: str | None
) -> None:
    """What it says behind its status is nobody's business."""
    monkeypatch.setattr("prefetch.sidecar.webhook.PATIENCE", 0.3)
    monkeypatch.setattr("prefetch.sidecar.webhook.TRIES", 2)
    endless = {"headers": b"X: a\r\n" * 100, "hints": b"HTTP/1.1 103 Early Hints\r\n\r\n"}.get(after)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            while endless:
                writer.write(endless)
                await writer.drain()
                await asyncio.sleep(0)
            if after == "silence":
                await reader.read()
        writer.close() if after == "close" else writer.transport.abort()

    asked: list[bytes] = []
    words: list[str] = []

    async def work() -> None:
        def listen(event: Event) -> None:
            assert isinstance(event, Notice)
            words.append(event.message)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
            hook = Webhook(SecretURL(url), Signer.of(SECRET), listen, first_retry=0.01)
            for kind in ("first", "second"):
                hook.post(kind, {})
            delivery = asyncio.create_task(hook.deliver())
            await asyncio.to_thread(wait, lambda: len(words if said else asked) == 2, "the end of both")
            delivery.cancel()
            await asyncio.wait([delivery])

    asyncio.run(work())
    assert len(words) == (2 if said else 0), words
    assert all((said or "") in word for word in words)


@pytest.mark.parametrize(
    ("address", "secret", "said"),
    [
        ("https://example.com/hooks/hidden-part", "", "needs a secret"),
        ("https://example.com/hooks/hidden-part", "hidden-part", "is not 24 to 64 bytes"),
        ("ftp://example.com/hidden-part", SECRET, "--webhook is not an http or https address"),
    ],
)
def test_a_webhook_of_no_use_ends_the_command(
    commands: Commands, tmp_path: Path, address: str, secret: str, said: str
) -> None:
    env = {"PREFETCH_WEBHOOK": address, "PREFETCH_WEBHOOK_SECRET": secret}
    outcome = commands.run("serve", "--volume", tmp_path / "volume", "--listen", "127.0.0.1:0", env=env)
    assert outcome.returncode == 2
    assert said in outcome.stderr and "hidden-part" not in outcome.stderr
    assert not (tmp_path / "volume").exists()
