"""What one host may cost a run: room on the volume, a pause it asks for, a rate below use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import Action, IgnoreRange, NoLength, Status, TooMany, Trickle
from prefetch.demo.content import ZeroFile
from prefetch.demo.faults import Fault
from prefetch.demo.messages import Reply, Request
from prefetch.demo.server import DemoServer, running_origin
from prefetch.volume.layout import Volume
from prefetch.volume.space import used_bytes
from tests.support.commands import Commands
from tests.support.models import BLOCK, Wanted, assert_whole, journals, repo_of, sha256_of, wanted
from tests.support.runs import Runs

MODELS = wanted(5 * BLOCK, 70_000)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path) -> Runs:
    volume = tmp_path / "volume"
    volume.mkdir()
    return Runs(commands, origin, volume, tuple(MODELS))


# Room ------------------------------------------------------------------------------------------------------------


def chunked(request: Request, reply: Reply) -> Reply:
    """The whole file, with no word on how long it is."""
    return NoLength()(request, IgnoreRange()(request, reply))


def unsized(origin: DemoServer, size: int) -> dict[str, str]:
    """An entry whose host never tells its size."""
    origin.add_faults(Fault(do=chunked, path="*/unsized.dat", times=None))
    content = ZeroFile(size)
    # Its validator: to hash what has no end takes as long.
    content.__dict__["git_sha1"] = "0" * 40
    return {"path": "models/unsized.dat", "source": origin.put_file("unsized.dat", content)}


def elsewhere(origin: DemoServer, model: Wanted) -> str:
    """A mirror of the model at another host name."""
    origin.put_file(model.name, model.content)
    return origin.endpoint.replace("127.0.0.1", "localhost") + f"/files/{model.name}"


def test_a_body_without_end_stops_at_the_quota_and_the_others_come(runs: Runs, origin: DemoServer) -> None:
    (runs.volume / "mine.txt").write_bytes(bytes(1000))
    known = sum(model.content.size for model in MODELS)
    entries = [unsized(origin, 1 << 44), *(model.entry() for model in MODELS)]
    quota = known + 4 * BLOCK
    outcome = runs.run("--quota", str(quota), entries=entries)
    assert outcome.returncode == 4, outcome.stderr
    assert outcome.document["error"]["code"] == "space"
    failed = outcome.models["models/unsized.dat"]
    assert failed["status"] == "failed"
    assert "does not tell its size" in failed["error"]
    assert 3 * BLOCK <= failed["bytes_downloaded"] < 50 * BLOCK
    assert_whole(runs.volume, MODELS)
    assert (runs.volume / "mine.txt").stat().st_size == 1000
    assert used_bytes(Volume.open(runs.volume)) < quota
    assert not journals(runs.volume), "what has no end holds no room"


def test_a_body_without_end_is_left_for_the_mirror(runs: Runs, origin: DemoServer) -> None:
    model = MODELS[0]
    entry = model.entry(**unsized(origin, 1 << 44), size=None, mirrors=[elsewhere(origin, model)])
    outcome = runs.run("--quota", str(model.content.size + 1_000_000), entries=[entry])
    assert outcome.returncode == 0, outcome.stderr
    assert sha256_of(runs.volume / entry["path"]) == model.content.sha256


def test_a_model_of_unknown_size_that_fits_exactly_is_there(runs: Runs, origin: DemoServer) -> None:
    entry = unsized(origin, 3 * BLOCK + 5)
    room = 3 * BLOCK + 5
    assert runs.run("--quota", str(room - 1), entries=[entry]).returncode == 4
    used = used_bytes(Volume.open(runs.volume))
    outcome = runs.run("--quota", str(used + room), entries=[entry])
    assert outcome.returncode == 0, outcome.stderr
    assert (runs.volume / "models/unsized.dat").stat().st_size == room


# Time ------------------------------------------------------------------------------------------------------------

FOREVER = 999_999


@pytest.mark.parametrize(
    ("met", "pause"),
    [
        ("hub", TooMany(FOREVER)),
        ("cdn", TooMany(FOREVER, "ratelimit")),
        ("cdn", Status(500, {"Retry-After": str(FOREVER)})),
    ],
)
def test_a_host_that_wants_days_is_left_for_the_mirror_at_once(
    runs: Runs, origin: DemoServer, met: Any, pause: Action
) -> None:
    origin.add_faults(Fault(do=pause, server=met, path="*acme/models/*", method="*", times=None))
    entries = [model.entry(mirrors=[elsewhere(origin, model)]) for model in MODELS]
    began = time.monotonic()
    outcome = runs.run(entries=entries)
    assert outcome.returncode == 0, outcome.stderr
    assert time.monotonic() - began < 15
    assert_whole(runs.volume, MODELS)


@pytest.mark.parametrize("met", ["hub", "cdn"])
def test_without_a_mirror_it_is_asked_once_more_and_the_model_fails_with_that_sentence(
    runs: Runs, origin: DemoServer, met: Any
) -> None:
    origin.add_faults(Fault(do=TooMany(FOREVER), server=met, method="*", times=None))
    outcome = runs.of(MODELS[0]).run("--host-patience", "1")
    assert outcome.returncode == 1, outcome.stderr
    assert (
        f"asks for a pause of {FOREVER} s, longer than the 1 s of --host-patience"
        in outcome.document["error"]["message"]
    )
    refused = [entry for entry in origin.requests if entry.status == 429]
    assert 2 <= len(refused) <= 4


def test_a_pause_that_was_too_long_may_be_over_sooner(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(*(Fault(do=TooMany(FOREVER), server=met, method="*") for met in ("hub", "cdn")))
    outcome = runs.of(MODELS[0]).run("--host-patience", "1")
    assert outcome.returncode == 0, outcome.stderr
    assert "It is asked again in 1 s." in outcome.stderr
    assert_whole(runs.volume, MODELS[:1])


def test_a_host_that_was_left_is_asked_again_when_the_mirror_has_nothing(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=TooMany(FOREVER), server="cdn", path="*acme/models/*", times=1))
    gone = origin.endpoint.replace("127.0.0.1", "localhost") + "/files/gone.safetensors"
    outcome = runs.of(MODELS[0]).run("--host-patience", "1", entries=[MODELS[0].entry(mirrors=[gone])])
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS[:1])


def test_refusals_without_a_word_cost_no_more(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=TooMany(tell="nothing"), server="hub", path="*acme/models/*", method="*", times=None))
    model, began = MODELS[0], time.monotonic()
    outcome = runs.run("--host-patience", "1", entries=[model.entry(mirrors=[elsewhere(origin, model)])])
    assert outcome.returncode == 0, outcome.stderr
    assert time.monotonic() - began < 15
    assert_whole(runs.volume, [model])


def test_a_byte_a_second_is_left_for_the_mirror(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Trickle(1), server="cdn", times=None))
    model = MODELS[0]
    outcome = runs.run("--host-patience", "2", entries=[model.entry(mirrors=[elsewhere(origin, model)])])
    assert outcome.returncode == 0, outcome.stderr
    assert "gave less than 1000 bytes a second" in outcome.stderr
    assert_whole(runs.volume, [model])


def test_a_byte_a_second_and_no_mirror_is_a_failure(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Trickle(1), server="cdn", times=None))
    outcome = runs.of(MODELS[0]).run("--host-patience", "2")
    assert outcome.returncode == 1, outcome.stderr
    assert f"gave less than 1000 bytes a second of {MODELS[0].path} for 2 s" in outcome.document["error"]["message"]


def test_what_is_slow_and_of_use_is_waited_for(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Trickle(50_000), server="cdn", times=None))
    outcome = runs.of(MODELS[1]).run("--host-patience", "1", env={"PREFETCH_MIN_RATE": "5K"})
    assert outcome.returncode == 0, outcome.stderr


def test_a_lock_that_has_to_read_a_model_waits_no_longer(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Trickle(1), path="*/files/*", skip=1, times=None))
    entry = {"path": "models/f.dat", "source": origin.put_file("f.dat", MODELS[1].content)}
    manifest = runs.manifest([entry])
    outcome = runs.commands.run("lock", manifest, "--host-patience", "1", "--json")
    assert outcome.returncode == 1, outcome.stderr
    assert "gave less than 1000 bytes a second of models/f.dat for 1 s" in outcome.models["models/f.dat"]["error"]


def test_a_hub_that_trickles_its_answers_is_waited_for_as_long(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Trickle(1), server="hub", path="/api/*", method="*", times=None))
    folder = {"path": "models/", "source": "hf://acme/models/"}
    outcome = runs.run("--host-patience", "2", entries=[folder])
    assert outcome.returncode == 1, outcome.stderr
    assert "did not answer whole within the 2 s of --host-patience" in outcome.document["error"]["message"]
