"""Trouble between this machine and the hosts: what passes is waited for, what does not is one sentence."""

from __future__ import annotations

import datetime
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from prefetch.demo.content import Content, SyntheticFile
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, assert_whole, journals, repo_of, sent_bytes, sha256_of, wanted
from tests.support.namespaces import place, place_with_dead_end
from tests.support.relays import proxy, relay
from tests.support.runs import Runs, until

MODELS = wanted(5 * BLOCK + 1, 50_000)
MODEL, SMALL = MODELS
TOTAL = sum(model.content.size for model in MODELS)


@contextmanager
def started(words: list[str], env: dict[str, str], told: Path) -> Iterator[subprocess.Popen[str]]:
    """A process whose standard error is a file, to be read while it runs."""
    with told.open("w") as file:
        process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=file, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], told: Path) -> Outcome:
    stdout, _ = process.communicate(timeout=60)
    assert "Traceback" not in told.read_text()
    return Outcome(process.returncode, stdout, told.read_text())


def port_of(address: str) -> int:
    return urlsplit(address).port or 0


# Names and connections -----------------------------------------------------------------------------------------------


@pytest.mark.needs("mounts")
def test_a_name_that_is_known_only_after_a_while(runs: Runs, origin: DemoServer, tmp_path: Path) -> None:
    here, told = place(tmp_path), tmp_path / "told"
    here.know("127.0.0.1 localhost")
    words = here.words(runs.commands.argv(*runs.words("run")))
    env = runs.commands.environment({"HF_ENDPOINT": f"http://hub.test:{port_of(origin.endpoint)}"})
    with started(words, env, told) as process:
        until(lambda: "hub.test could not be looked up" in told.read_text(), "the failure", process)
        here.know("127.0.0.1 localhost hub.test")
        outcome = ended(process, told)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)


def test_a_host_that_refuses_connections_for_a_while(runs: Runs, origin: DemoServer, tmp_path: Path) -> None:
    with relay(port_of(origin.endpoint)) as door:
        env = runs.commands.environment({"HF_ENDPOINT": f"http://127.0.0.1:{door.port}"})
        told = tmp_path / "told"
        with started(runs.commands.argv(*runs.words("run")), env, told) as process:
            until(lambda: "could not be reached" in told.read_text(), "the failure", process)
            door.open()
            outcome = ended(process, told)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)


def test_a_host_that_goes_away_in_the_middle_and_comes_back(runs: Runs, tmp_path: Path) -> None:
    env, told = runs.commands.environment(), tmp_path / "told"
    slow = running_origin(files={"m0": MODEL.content}, link=Link(pace=8_000_000))
    with slow as server, relay(port_of(server.endpoint)) as door:
        door.open()
        entry = MODEL.entry(source=f"http://127.0.0.1:{door.port}/files/m0")
        words = runs.commands.argv(*runs.of(MODEL).words("run", ["--connections", "2"], [entry]))
        with started(words, env, told) as process:
            until(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 2, "the second block", process)
            door.shut()
            until(lambda: "could not be reached" in told.read_text(), "the failure", process)
            door.open()
            outcome = ended(process, told)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, [MODEL])
    assert outcome.document["bytes_downloaded"] <= MODEL.content.size + 2 * BLOCK


@pytest.mark.needs("namespaces")
def test_an_address_that_comes_first_and_is_dead(runs: Runs, tmp_path: Path) -> None:
    """An IPv6 route that swallows everything: each connection goes on with IPv4 at once."""
    told = tmp_path / "told"
    with place_with_dead_end(tmp_path, own="2001:db8::1/64", dead="2001:db8::dead") as here:
        here.know("127.0.0.1 localhost", "2001:db8::dead hub.test", "127.0.0.1 hub.test")
        with here.inside(), running_origin(repos=[repo_of(MODELS)]) as inner:
            env = runs.commands.environment({"HF_ENDPOINT": f"http://hub.test:{port_of(inner.endpoint)}"})
            with started(here.words(runs.commands.argv(*runs.words("run"))), env, told) as process:
                outcome = ended(process, told)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)


# Certificates --------------------------------------------------------------------------------------------------------

GOOD = ("127.0.0.1", "localhost", "hub.test")
PAST = datetime.datetime(2020, 1, 1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served(authority: trustme.CA, *names: str, until_when: datetime.datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=until_when).configure_cert(context)
    return context


CERTIFICATES = [
    ("nobody vouches for", GOOD, None, False, "unable to get local issuer certificate"),
    ("ran out", GOOD, PAST, True, "certificate has expired"),
    ("is another host's", ("other.test",), None, True, "IP address mismatch|doesn't match|not valid for"),
]


@pytest.mark.parametrize("kind", ["hub", "file"])
@pytest.mark.parametrize(("what", "names", "end", "trusted", "said"), CERTIFICATES, ids=[c[0] for c in CERTIFICATES])
def test_a_certificate_that_is_wrong_is_never_ignored(
    runs: Runs,
    authority: trustme.CA,
    tmp_path: Path,
    kind: str,
    what: str,
    names: tuple[str, ...],
    end: datetime.datetime | None,
    trusted: bool,
    said: str,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = served(authority, *names, until_when=end)
    with running_origin(repos=[repo_of(MODELS)], files={"m0": MODEL.content}, link=Link(tls=tls)) as secure:
        entry = MODEL.entry() if kind == "hub" else MODEL.entry(source=f"{secure.endpoint}/files/m0")
        env = {"HF_ENDPOINT": secure.endpoint, **({"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if trusted else {})}
        outcome = runs.run(entries=[entry], env=env)
        assert outcome.returncode == 1, outcome.stderr
        error = outcome.models[MODEL.path]["error"]
        assert re.search(r"The certificate of 127\.0\.0\.1:[0-9]+ is not trusted", error)
        assert "SSL_CERT_FILE" in error
        assert re.search(said, error), error
        assert secure.requests == []
        assert "retry" not in outcome.stderr


# A host that changes the file ----------------------------------------------------------------------------------------

OTHER_BYTES = SyntheticFile("m0.safetensors", MODEL.content.size, "safetensors", 77)
OTHER_SIZE = SyntheticFile("m0.safetensors", MODEL.content.size + 3 * BLOCK, "safetensors", 78)


CHANGES = [("other bytes", OTHER_BYTES, False), ("another size", OTHER_SIZE, False), ("pinned", OTHER_BYTES, True)]


@pytest.mark.parametrize(("what", "other", "pinned"), CHANGES, ids=[what for what, *_ in CHANGES])
def test_a_file_that_changes_at_its_host_in_the_middle(
    commands: Commands, tmp_path: Path, what: str, other: Content, pinned: bool
) -> None:
    with running_origin(files={"m0": MODEL.content}, link=Link(pace=10_000_000)) as slow:
        runs = Runs(commands, slow, tmp_path / "volume", (MODEL,))
        pins = {} if pinned else {"sha256": None, "size": None}
        entries = [MODEL.entry(source=f"{slow.endpoint}/files/m0", **pins)]
        options = ("--connections", "1", "--range-size", "4M")
        with runs.start(*options, entries=entries) as process:
            until(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 2, "the second block", process)
            slow.put_file("m0", other)
            stdout, stderr = process.communicate(timeout=60)
        outcome = Outcome(process.returncode, stdout, stderr)
        assert outcome.returncode == 1, outcome.stderr
        assert not (runs.volume / MODEL.path).exists()
        error = outcome.models[MODEL.path]["error"]
        if not pinned:
            assert "changed on 127.0.0.1" in error
            again = runs.run(*options, entries=entries)
            assert again.returncode == 0, again.stderr
            assert sha256_of(runs.volume / MODEL.path) == other.sha256
            return
        assert MODEL.content.sha256 in error or str(MODEL.content.size) in error
        slow.put_file("m0", MODEL.content)
        again = runs.run(*options, entries=entries)
        assert again.returncode == 0, again.stderr
        assert_whole(runs.volume, [MODEL])


# Proxies -------------------------------------------------------------------------------------------------------------

LOGIN = "me:hunter2"


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(tls=served(authority, *GOOD))) as server:
        yield server


def through(secure: DemoServer, authority: trustme.CA, folder: Path, proxy: str, **more: str) -> dict[str, str]:
    """The environment of a run that knows no address of hub.test, and leaves that to its proxy."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    endpoint = f"https://hub.test:{port_of(secure.endpoint)}"
    return {"HF_ENDPOINT": endpoint, "SSL_CERT_FILE": str(folder / "ca.pem"), "HTTPS_PROXY": proxy, **more}


def test_everything_goes_through_the_proxy(
    runs: Runs, secure: DemoServer, authority: trustme.CA, tmp_path: Path
) -> None:
    with proxy(login=LOGIN) as way:
        outcome = runs.run(env=through(secure, authority, tmp_path, f"http://{LOGIN}@127.0.0.1:{way.port}"))
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)
    hub, cdn = f"hub.test:{port_of(secure.endpoint)}", f"localhost:{port_of(secure.cdn_endpoint)}"
    assert set(way.asked) == {hub, cdn}
    assert "hunter2" not in outcome.stdout + outcome.stderr


def test_a_host_in_no_proxy_is_asked_directly(
    runs: Runs, secure: DemoServer, authority: trustme.CA, tmp_path: Path
) -> None:
    with proxy() as way:
        env = through(secure, authority, tmp_path, f"http://127.0.0.1:{way.port}", NO_PROXY="localhost,other.test")
        # A host that is asked through a proxy is not known to be this machine, to which no other may lead.
        outcome = runs.run("--allow-private", env=env)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)
    assert set(way.asked) == {f"hub.test:{port_of(secure.endpoint)}"}
    assert sent_bytes(secure.requests) == TOTAL


def test_a_proxy_that_wants_another_login(
    runs: Runs, secure: DemoServer, authority: trustme.CA, tmp_path: Path
) -> None:
    with proxy(login="me:other") as way:
        outcome = runs.run(env=through(secure, authority, tmp_path, f"http://{LOGIN}@127.0.0.1:{way.port}"))
    assert way.refused
    assert outcome.returncode == 3, outcome.stderr
    assert "wants a login" in outcome.document["error"]["message"]
    assert "hunter2" not in outcome.stdout + outcome.stderr


def test_a_proxy_that_is_not_there(runs: Runs, secure: DemoServer, authority: trustme.CA, tmp_path: Path) -> None:
    with relay(port_of(secure.endpoint)) as door:
        outcome = runs.run(env=through(secure, authority, tmp_path, f"http://127.0.0.1:{door.port}"))
    assert outcome.returncode == 1, outcome.stderr
    assert "HTTPS_PROXY" in outcome.document["error"]["message"]


@pytest.mark.parametrize("source", ["hf", "https"])
def test_a_proxy_whose_name_nobody_knows(
    runs: Runs, secure: DemoServer, authority: trustme.CA, tmp_path: Path, source: str
) -> None:
    env = through(secure, authority, tmp_path, "http://proxy.invalid:3128")
    entry = MODELS[0].entry(**({} if source == "hf" else {"source": "https://hub.test/files/m"}))
    outcome = runs.run(entries=[entry], env=env)
    assert outcome.returncode == 1, outcome.stderr
    message = outcome.document["error"]["message"]
    assert "The name proxy.invalid of the proxy on the way to hub.test could not be looked up." in message
