"""Hosts that work, each in its own way: what they do is told, and the file comes all the same."""

from __future__ import annotations

import hashlib
import itertools
import re
import signal
from collections.abc import Iterator, Mapping
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, journals, sha256_of, write_manifest
from tests.support.oddhosts import OddHost, odd_host
from tests.support.runs import until
from tests.test_content import safetensors

PATH = "models/m.safetensors"
SMALL, LARGE = safetensors(50_000), safetensors(3 * BLOCK + 77)


class Host:
    """A file on a host, the command that fetches it, and where it stands then."""

    def __init__(self, commands: Commands, folder: Path, habit: type[OddHost], data: bytes = LARGE) -> None:
        self.commands = commands
        self.folder = folder
        self.volume = folder / "volume"
        self.data = data
        self.serving = odd_host(habit, {"/m": data})

    def __enter__(self) -> Host:
        self.url, self.asked = self.serving.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.serving.__exit__(*error)

    def words(self, *options: str, **keys: Any) -> list[str | Path]:
        manifest = write_manifest(self.folder / "m.yaml", [{"path": PATH, "source": f"{self.url}/m", **keys}])
        return ["run", manifest, "--volume", self.volume, "--json", *options]

    def run(self, *options: str, **keys: Any) -> Outcome:
        return self.commands.run(*self.words(*options, **keys))

    @property
    def is_whole(self) -> bool:
        return (self.volume / PATH).read_bytes() == self.data


# Hosts that name the same bytes differently --------------------------------------------------------------------------


class TwoNames(OddHost):
    """Two machines behind one name, each with an ETag of its own."""

    numbers: Iterator[int]

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        super().begin(status, {**headers, "ETag": f'"{next(self.numbers) % 2}-abc"'})


class NewNames(TwoNames):
    """A new ETag with each answer."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        OddHost.begin(self, status, {**headers, "ETag": f'"{next(self.numbers)}"'})


@pytest.fixture(autouse=True)
def _counted_anew() -> None:
    TwoNames.numbers = itertools.count()


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("habit", [TwoNames, NewNames])
def test_other_etags_for_the_same_bytes(commands: Commands, tmp_path: Path, habit: type[OddHost], data: bytes) -> None:
    with Host(commands, tmp_path, habit, data) as host:
        outcome = host.run()
        assert outcome.returncode == 0, outcome.stderr
        assert host.is_whole
        assert f"{PATH}: 127.0.0.1 gives another ETag from one answer to the next" in outcome.stderr
        assert "give the" not in outcome.stderr
        assert f"bytes=0-{len(data) - 1}" in [asked for _, asked in host.asked]


def test_with_its_hash_no_etag_is_looked_at(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(LARGE)
    with Host(commands, tmp_path, TwoNames) as host:
        outcome = host.run(sha256=sha256_of(tmp_path / "whole"))
        assert outcome.returncode == 0, outcome.stderr
        assert host.is_whole
        assert "ETag" not in outcome.stderr


# Links that are good for one request ---------------------------------------------------------------------------------


class Once(OddHost):
    """Redirects to a new link with each request; each link answers once."""

    numbers: Iterator[int]
    used: set[str]
    there = ""

    def reply(self, path: str) -> None:
        if path == "/m":
            self.begin(302, {"Location": f"{self.there}/once/{next(self.numbers)}", "Content-Length": "0"})
        elif path in self.used:
            self.refuse()
        else:
            self.used.add(path)
            super().reply("/m")


class OnceElsewhere(Once):
    """The same, with the links on another host."""

    def reply(self, path: str) -> None:
        self.there = f"http://localhost:{self.headers['Host'].rpartition(':')[2]}"
        super().reply(path)


class Spent(OddHost):
    """The address itself answers once."""

    def reply(self, path: str) -> None:
        if len(self.asked) > 1:
            self.refuse()
        else:
            super().reply(path)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("habit", [Once, OnceElsewhere])
def test_links_that_are_good_for_one_request(
    commands: Commands, tmp_path: Path, habit: type[Once], data: bytes
) -> None:
    Once.numbers, Once.used = itertools.count(), set()
    with Host(commands, tmp_path, habit, data) as host:
        outcome = host.run("--range-size", "4M")
        assert outcome.returncode == 0, outcome.stderr
        assert host.is_whole
        # One for the question, and one for an address that was learned; with the ways to them, and those of the blocks.
        assert len(host.asked) <= 2 * (-(-len(data) // BLOCK)) + 16, host.asked


def test_an_address_that_answers_once_is_called_so(commands: Commands, tmp_path: Path) -> None:
    with Host(commands, tmp_path, Spent) as host:
        outcome = host.run()
        assert outcome.returncode == 3, outcome.stderr
        assert "the link may be good for one request only" in outcome.models[PATH]["error"]
        assert "PREFETCH_TOKENS" not in outcome.models[PATH]["error"]


# Hosts without ranges ------------------------------------------------------------------------------------------------


class NoRanges(OddHost):
    """Answers a range with the whole file, and breaks off the second answer."""

    answers: Iterator[int]
    broken = 1

    def part(self, data: bytes, start: int, stop: int) -> None:
        self.whole(data)

    def send(self, data: bytes) -> None:
        if next(self.answers) == self.broken:
            super().send(data[: 2 * BLOCK + 5])
            self.interrupt()
        super().send(data)

    def interrupt(self) -> None:
        """What happens in the middle."""
        self.close_connection = True
        raise ConnectionAbortedError


class Stopping(NoRanges):
    """The same, and goes silent instead."""

    def interrupt(self) -> None:
        self.rfile.read()


def test_a_break_is_told_as_starting_over(commands: Commands, tmp_path: Path) -> None:
    NoRanges.answers = itertools.count()
    with Host(commands, tmp_path, NoRanges) as host:
        outcome = host.run()
        assert outcome.returncode == 0, outcome.stderr
        assert host.is_whole
        assert re.search(
            r"before its end\. The file starts over: 127\.0\.0\.1 serves no ranges\. Try 2", outcome.stderr
        )
        assert "kept" not in outcome.stderr


def test_a_stop_does_not_promise_what_is_lost(commands: Commands, tmp_path: Path) -> None:
    NoRanges.answers = itertools.count()
    with Host(commands, tmp_path, Stopping) as host:
        with commands.start(*host.words()) as process:
            until(lambda: len(journals(host.volume).get(PATH, ())) >= 2, "the second block", process)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=30)
        stopped = Outcome(process.returncode, stdout, stderr)
        assert stopped.returncode == 130, stderr
        said = f"Interrupted: run the same command again to go on; {PATH} starts over: 127.0.0.1 serves no ranges."
        assert said in stderr
        assert stopped.models[PATH]["error"] == said
        assert "state is kept" not in stdout + stderr
        again = host.run()
        assert again.returncode == 0, again.stderr
        assert again.models[PATH]["bytes_resumed"] == 0
        assert host.is_whole


# Hosts that send more than they were asked for -----------------------------------------------------------------------


class _Held:
    """Sends the headers with the body's beginning."""

    def __init__(self, file: Any) -> None:
        self._file, self._held = file, b""

    def write(self, data: bytes) -> None:
        headers = data.startswith(b"HTTP/")
        self._held += data
        if not headers:
            self._file.write(self._held)
            self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class OnePacket(OddHost):
    """As PyPI's ``rangehttpserver`` does: HTTP/1.0, one request at a time, and all of the file for bytes=0-0."""

    protocol_version = "HTTP/1.0"
    server_class = HTTPServer

    def part(self, data: bytes, start: int, stop: int) -> None:
        if stop == 1:
            self.wfile = _Held(self.wfile)  # type: ignore[assignment]
        self.begin(206, {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}", "Content-Length": str(stop - start)})
        self.send(data[start : len(data) if stop == 1 else stop])


class ByteTooMany(OddHost):
    """A byte more than was asked for first, in the packet of the headers, on a connection that stays open."""

    def part(self, data: bytes, start: int, stop: int) -> None:
        if stop == 1:
            self.wfile = _Held(self.wfile)  # type: ignore[assignment]
            self.begin(206, {"Content-Range": f"bytes 0-0/{len(data)}", "Content-Length": "1"})
            self.send(data[:2])
        else:
            super().part(data, start, stop)


@pytest.mark.parametrize("habit", [OnePacket, ByteTooMany])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_more_bytes_than_asked_for(commands: Commands, tmp_path: Path, habit: type[OddHost], data: bytes) -> None:
    with Host(commands, tmp_path, habit, data) as host:
        outcome = host.run()
        assert outcome.returncode == 0, outcome.stderr
        assert host.is_whole
        assert f"{PATH}: 127.0.0.1 sends more than the one byte that it is asked for first." in outcome.stderr
        assert "retry" not in outcome.stderr
        assert [asked for _, asked in host.asked].count("bytes=0-0") == 1


class SaysMore(OddHost):
    """Serves no ranges, and says a length that is not the file's."""

    def part(self, data: bytes, start: int, stop: int) -> None:
        self.whole(data)

    def whole(self, data: bytes) -> None:
        self.begin(200, {"Content-Length": str(len(data) + 500)})
        self.send(data)
        self.close_connection = True


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_body_that_ends_at_the_same_byte_again_is_not_fetched_for_ever(
    commands: Commands, tmp_path: Path, data: bytes
) -> None:
    with Host(commands, tmp_path, SaysMore, data) as host:
        outcome = host.run(sha256=hashlib.sha256(data).hexdigest())
        assert outcome.returncode == 1
        assert outcome.document["bytes_downloaded"] <= 3 * len(data)
        assert not (host.volume / PATH).exists()
    assert f"after {len(data):,} bytes each time" in outcome.models[PATH]["error"]
