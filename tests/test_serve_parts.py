"""The parts of a sidecar by themselves: what is ready, when to try again, what is remembered, what is at an address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import ManifestError, PrefetchError, SourceError, TransientError
from prefetch.given import Given, Remote, Written
from prefetch.loading import load_settings
from prefetch.manifest import Model
from prefetch.report.board import Board
from prefetch.report.events import Event, ModelDone, ModelFailed, ModelStarted, Notice, RunFinished, RunStarted
from prefetch.report.result import ModelResult, RunResult
from prefetch.retrieving import Retrieved
from prefetch.sidecar.backoff import LONGEST, Backoff
from prefetch.sidecar.bulletin import Bulletin
from prefetch.sidecar.herald import Herald
from prefetch.sidecar.latest import Latest
from prefetch.sidecar.loader import Loader
from prefetch.sidecar.memory import Memory, machine_of
from prefetch.sidecar.pages import Pages, Unseen
from prefetch.sidecar.readiness import Readiness
from prefetch.sidecar.target import Target
from prefetch.sources.document import Document
from prefetch.volume.followed import read_followed
from prefetch.volume.layout import Volume

ADDRESS = Remote("https://example.com/models.yaml")


def model(path: str, sha256: str = "a" * 64) -> Model:
    return Model(path=path, source=f"hf://acme/models/{path}", sha256=sha256)


def done(path: str) -> ModelDone:
    return ModelDone(path, "present", 1, "a" * 64, True, 0.0)


STARTED, WELL, BADLY = RunStarted("/v", 1), RunFinished(True, 0, 1.0, 0, 0, 0), RunFinished(False, 1, 1.0, 0, 0, 1)


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([], "working"),
        ([STARTED], "working"),
        ([STARTED, done("a")], "working"),
        ([STARTED, done("a"), done("b")], "ready"),
        ([STARTED, done("a"), done("b"), WELL, STARTED], "ready"),
        ([STARTED, done("a"), ModelFailed("b", "source", ""), BADLY], "failed"),
        ([STARTED, done("a"), ModelFailed("b", "source", ""), BADLY, STARTED], "working"),
        ([STARTED, done("a"), done("b"), WELL, STARTED, ModelStarted("b", "h", 1, 0)], "working"),
        ([STARTED, done("a"), done("b"), ModelFailed("c", "source", ""), BADLY], "ready"),
    ],
)
def test_it_is_ready_when_all_that_is_required_is_there(events: Sequence[Event], word: str) -> None:
    readiness = Readiness()
    readiness.expect({"a": model("a"), "b": model("b")})
    for event in events:
        readiness(event)
    assert readiness.word() == word


def test_what_is_wanted_as_before_still_counts_and_what_is_wanted_otherwise_does_not() -> None:
    readiness = Readiness()
    assert readiness.word() == "working"
    readiness.expect({"a": model("a"), "b": model("b")})
    for path in "ab":
        readiness(done(path))
    readiness.expect({"a": model("a")})
    assert readiness.word() == "ready"
    readiness.expect({"a": model("a", "b" * 64)})
    assert readiness.word() == "working"
    readiness.expect({})
    assert readiness.word() == "ready"


def test_a_run_that_ended_before_it_could_tell_is_not_ready() -> None:
    readiness = Readiness()
    readiness.expect({"a": model("a")})
    readiness(done("a"))
    readiness.take(RunResult(1, "/v", 0.0, models=[ModelResult("a", "failed")]))
    assert readiness.word() == "working"
    readiness(done("a"))
    readiness.lose_all()
    assert readiness.word() == "working"


@given(st.floats(0.1, 86400), st.integers(0, 80), st.floats(0, 1, exclude_max=True))
def test_waits_double_within_bounds_and_begin_anew(usual: float, failures: int, drawn: float) -> None:
    backoff = Backoff(usual, uniform=lambda: drawn)
    for _ in range(failures):
        backoff.next()
    wait = backoff.next()
    window = min(max(LONGEST, usual), usual * 2.0**failures)
    assert window / 2 <= wait <= window
    assert 0.9 * usual <= backoff.reset() <= usual
    assert backoff.next() <= usual


class Host:
    """What is at an address, or why it cannot be had, and a clock that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[Event] = []
        self.sent: list[str] = []
        self.known: list[Retrieved | None] = []
        self.answer: Retrieved | PrefetchError = Retrieved("it", Document(b"one", "1"))
        self.board = Board()
        self.bulletin = Bulletin(self.board, Herald(self._post, "/v"), self.said.append)
        self.pages = Pages(self._fetch, poll=60.0, bulletin=self.bulletin, clock=lambda: self.now, uniform=lambda: 0.0)

    def _post(self, kind: str, data: Mapping[str, Any]) -> None:
        self.sent.append(kind)

    async def _fetch(self, remote: Remote, known: Retrieved | None) -> Retrieved:
        self.known.append(known)
        if isinstance(self.answer, PrefetchError):
            raise self.answer
        return self.answer

    def look(self, *, now: bool = False) -> bytes:
        """The text that is known after a look."""
        (found,) = asyncio.run(self.pages.at_hand([ADDRESS], now=now, patience=None))
        assert isinstance(found, Written)
        return found.data


def test_an_address_is_asked_when_its_time_has_come() -> None:
    host = Host()
    assert host.look() == b"one"
    assert host.board.manifest_usable is None, "nobody has read it yet"
    host.answer = Retrieved("it", Document(b"two", "2"))
    host.now = 59.0
    assert (host.look(), len(host.known)) == (b"one", 1)
    assert (host.look(now=True), len(host.known)) == (b"two", 2)
    assert host.known[1] == Retrieved("it", Document(b"one", "1"))


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (TransientError("Down.", cause="connect", floor=100.0), []),
        (SourceError("Gone."), ["manifest.refused"]),
        (ManifestError("Another hash."), ["manifest.refused"]),
    ],
)
def test_what_was_there_is_kept_and_asked_for_ever_more_seldom(error: PrefetchError, sent: list[str]) -> None:
    host = Host()
    host.look()
    host.answer = error
    floor = error.floor if isinstance(error, TransientError) else 0.0
    for wait in (30.0, 60.0, 120.0, 240.0, 450.0, 450.0):
        assert host.look(now=not host.known[1:]) == b"one"
        asked = len(host.known)
        host.now += floor + wait - 1
        host.look()
        assert len(host.known) == asked
        host.now += 1
    assert len(host.said) == 1 and host.sent == sent
    assert (host.board.manifest_usable, list(host.board.warnings)) == (False, ["address"])
    host.answer = Retrieved("it", Document(b"two"))
    assert host.look() == b"two"
    assert (host.board.manifest_usable, host.board.warnings, len(host.said)) == (True, {}, 2)


def test_the_same_trouble_is_said_once_whatever_is_done_about_it() -> None:
    host = Host()
    for instead in ("The copy is used.", "What was wanted before is kept."):
        host.bulletin.wrong("manifest", ManifestError("Broken."), instead=instead)
    assert host.said == [Notice("warning", "Broken. The copy is used.")] and len(host.sent) == 1
    host.bulletin.wrong("address", SourceError("Gone."))
    host.bulletin.well("manifest")
    assert not host.board.manifest_usable
    host.bulletin.well("address")
    assert host.board.manifest_usable and not host.board.warnings


def test_what_was_never_seen_is_an_error() -> None:
    host = Host()
    host.answer = SourceError("Gone.")
    for _ in range(2):
        with pytest.raises(Unseen, match="Gone"):
            host.look()
    assert len(host.known) == 1 and not host.said


def test_the_newest_is_taken_and_what_came_before_it_forgotten() -> None:
    async def work() -> list[int]:
        latest: Latest[int] = Latest()
        waiting = asyncio.create_task(latest.until(lambda value: value > 2))
        for value in (1, 2, 3):
            await asyncio.sleep(0)
            latest.put(value)
        await waiting
        return [await latest.take()]

    assert asyncio.run(work()) == [3]


# What is remembered ----------------------------------------------------------------------------------------------


class Remembering:
    """Sidecars that read manifests on one volume."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.volume = Volume.open(directory / "volume", create=True)

    def memory(self, *given: Given, machine: str = "here") -> Memory:
        return Memory(given, self.volume.root, machine)

    def load(self, memory: Memory, *entries: Mapping[str, Any], **settings: Any) -> Target:
        manifest = self.directory / "m.yaml"
        manifest.write_text(json.dumps({"version": 1, "models": entries}))
        return self.loader(memory, **settings).load([manifest])

    def loader(self, memory: Memory, **settings: Any) -> Loader:
        return Loader(self.volume, load_settings(settings, environ={}), memory, lambda event: None)


def entry(path: str, **keys: Any) -> dict[str, Any]:
    return {"path": path, "source": f"hf://acme/models/{path}", "sha256": "a" * 64, **keys}


@pytest.fixture
def remembering(tmp_path: Path) -> Remembering:
    return Remembering(tmp_path)


def test_only_what_our_own_manifests_named_is_unwanted_unless_another_names_it(remembering: Remembering) -> None:
    ours, others, volume = remembering.memory(Path("a.yaml")), remembering.memory(Path("b.yaml")), remembering.volume
    remembering.load(ours, entry("x"), entry("y"), entry("z", groups=["g"]))
    remembering.load(others, entry("y"), entry("w"))
    target = remembering.load(ours, entry("v"), entry("z", groups=["g"]))
    assert ours.unwanted(target, volume) == {"x"}
    ours.forget(["x"], volume)
    assert ours.unwanted(target, volume) == frozenset()
    # What --group leaves out is named all the same.
    assert ours.unwanted(remembering.load(ours, entry("z", groups=["g"]), entry("v"), group=["g"]), volume) == set()
    remembering.load(others, entry("w"))
    assert ours.unwanted(target, volume) == {"y"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ADDRESS, ADDRESS, True),
        (ADDRESS, Remote("https://example.com/others.yaml"), False),
        (Path("/etc/prefetch/manifest.yaml"), Path("/etc/prefetch/manifest.yaml"), False),
        (Path("VOLUME/prefetch.yaml"), Path("VOLUME/prefetch.yaml"), True),
        (Written("PREFETCH_MODELS", b"one"), Written("PREFETCH_MODELS", b"one"), True),
        (Written("PREFETCH_MODELS", b"one"), Written("PREFETCH_MODELS", b"two"), False),
    ],
)
def test_a_sidecar_on_another_machine_goes_on_with_what_is_the_same_there(
    remembering: Remembering, one: Given, other: Given, same: bool
) -> None:
    def on_volume(given: Given) -> Given:
        is_there = isinstance(given, Path) and given.parts[0] == "VOLUME"
        return remembering.volume.root / given.name if isinstance(given, Path) and is_there else given

    remembering.load(remembering.memory(on_volume(one)), entry("x"))
    elsewhere = remembering.memory(on_volume(other), machine="there")
    target = remembering.load(elsewhere, entry("y"))
    assert elsewhere.unwanted(target, remembering.volume) == ({"x"} if same else set())


@pytest.mark.parametrize(
    ("environ", "host", "machine"),
    [
        ({}, "gpu-7d9f8b6c5-x2x4z", "gpu-7d9f8b6c5-x2x4z"),
        ({"RUNPOD_POD_ID": "k3j2h1"}, "4f5e6d", "k3j2h1"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "comfyui-7d9f8b6c5-x2x4z", "comfyui"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "comfyui-wan-0", "comfyui-wan"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "prefetch-t7k9p", "prefetch"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "worker", "worker"),
    ],
)
def test_what_a_machine_is_called(environ: Mapping[str, str], host: str, machine: str) -> None:
    assert machine_of(environ, host) == machine


def test_the_copy_is_what_was_wanted_with_what_is_required(remembering: Remembering) -> None:
    memory = remembering.memory(ADDRESS)
    assert remembering.loader(memory).recall() is None
    target = remembering.load(memory, entry("x", groups=["g"], size=7), entry("y", mirrors=["hf://b/c/d"]))
    recalled = remembering.loader(memory, require=["g"], locked=True).recall()
    assert recalled is not None and recalled.copied
    assert recalled.models == target.models
    assert list(recalled.required) == ["x"]
    assert remembering.loader(memory, require=["nobody"]).recall() is None


def test_an_address_with_a_secret_is_not_in_its_name_on_the_volume(remembering: Remembering) -> None:
    memory = remembering.memory(Remote("https://example.com/m.yaml?token=very-secret"))
    remembering.load(memory, entry("x"))
    for file in remembering.volume.state.rglob("*"):
        assert "secret" not in file.name and (file.is_dir() or b"secret" not in file.read_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"named": ["../x"]},
        {"wanted": ["/x"]},
        {"named": [1]},
        {"manifest": 1},
        {"version": 2},
        {"manifest": json.dumps({"version": 1, "models": [entry("x", source="file:///etc/passwd")]})},
        {"manifest": "["},
    ],
)
def test_a_copy_that_others_have_written_is_not_trusted(remembering: Remembering, change: Mapping[str, Any]) -> None:
    memory = remembering.memory(ADDRESS)
    remembering.load(memory, entry("x"))
    (file,) = (remembering.volume.state / "followed").iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert remembering.loader(memory).recall() is None
    followed = read_followed(remembering.volume, file.stem)
    assert followed is None or followed.named == {"x"}
