"""The main job against an origin that misbehaves: the right bytes in the end, or a sentence, and never a wrong file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import (
    Action,
    Cut,
    Expired,
    Flip,
    Hide,
    HtmlPage,
    IgnoreRange,
    JsonError,
    LfsPointer,
    Long,
    NoLength,
    Redirect,
    RedirectLoop,
    Short,
    Stall,
    Status,
    TooMany,
    Trickle,
    WrongRange,
)
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault, corrupt, covers
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, Outcome
from tests.support.models import (
    BLOCK,
    assert_never_wrong,
    assert_whole,
    repo_of,
    sent_bytes,
    wanted,
    write_manifest,
)

MODELS = wanted(24 * BLOCK + 1, BLOCK)
LARGE, SMALL = MODELS
TOTAL = sum(model.content.size for model in MODELS)
Run = Callable[..., Outcome]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return tmp_path / "volume"


@pytest.fixture
def run(commands: Commands, origin: DemoServer, volume: Path, tmp_path: Path) -> Run:
    def call(*options: str, entries: Any = None, env: Mapping[str, str] | None = None) -> Outcome:
        chosen = [model.entry() for model in MODELS] if entries is None else entries
        manifest = write_manifest(tmp_path / "m.yaml", chosen)
        environment = {"HF_ENDPOINT": origin.endpoint, **(env or {})}
        return commands.run("run", manifest, "--volume", volume, "--json", *options, env=environment)

    return call


PASSING: list[tuple[str, Action, str]] = [
    ("connection closed in the middle", Cut(5_000_000), "cdn"),
    ("connection reset in the middle", Cut(1_000_000, "reset"), "cdn"),
    ("closed before the first byte", Cut(0), "cdn"),
    ("stalled in the middle", Stall(3_000_000), "cdn"),
    ("stalled before the first byte", Stall(0), "cdn"),
    ("a trickle", Trickle(50_000), "cdn"),
    ("too many requests, wait told in seconds", TooMany(1), "cdn"),
    ("too many requests, wait told as a date", TooMany(1, "date"), "cdn"),
    ("too many requests, wait told by RateLimit", TooMany(1, "ratelimit"), "cdn"),
    ("too many requests at the Hub", TooMany(1), "hub"),
    ("too many requests at the Hub by RateLimit", TooMany(1, "ratelimit"), "hub"),
    ("bad gateway", Status(502), "cdn"),
    ("unavailable", Status(503), "cdn"),
    ("unavailable at the Hub", Status(503), "hub"),
    ("an expired link", Expired(), "cdn"),
    ("the whole file instead of a range", IgnoreRange(), "cdn"),
    ("another range than the one asked for", WrongRange(shift=1), "cdn"),
    ("a short body that says so", Short(1000), "cdn"),
    ("no length", NoLength(), "cdn"),
    ("a mirror that hides the commit", Hide(("X-Repo-Commit",)), "hub"),
    ("a mirror that hides the size", Hide(("X-Linked-Size",)), "hub"),
]


@pytest.mark.parametrize(("why", "fault", "server"), PASSING, ids=[why for why, _, _ in PASSING])
def test_a_fault_that_passes_costs_little(
    run: Run, origin: DemoServer, volume: Path, why: str, fault: Action, server: Any
) -> None:
    times = None if isinstance(fault, Hide) else 1
    origin.add_faults(Fault(do=fault, path=f"*/{LARGE.name}", method="*", server=server, times=times))
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)
    assert any(request.faults for request in origin.requests), "the fault never struck"
    if not isinstance(fault, IgnoreRange | NoLength):
        assert outcome.document["bytes_downloaded"] <= TOTAL + 4 * BLOCK


LASTING: list[tuple[str, Action, str, str]] = [
    ("a page for people", HtmlPage(), "cdn", "HTML"),
    ("an error in JSON", JsonError(), "cdn", "JSON|Unauthorized|error"),
    ("a pointer", LfsPointer(), "cdn", "LFS|bytes"),
    ("a redirect to itself", RedirectLoop(), "cdn", "redirect"),
    ("a refusal", Status(404), "hub", "m0.safetensors"),
    ("gone", Status(410), "hub", "m0.safetensors"),
    ("another size", WrongRange(total=12), "cdn", "bytes|size"),
]


@pytest.mark.parametrize(("why", "fault", "server", "said"), LASTING, ids=[why for why, *_ in LASTING])
def test_a_fault_that_lasts_is_one_sentence(
    run: Run, origin: DemoServer, volume: Path, why: str, fault: Action, server: Any, said: str
) -> None:
    origin.add_faults(Fault(do=fault, path=f"*/{LARGE.name}", method="*", server=server, times=None))
    outcome = run()
    assert outcome.returncode == 1, outcome.stderr
    assert not (volume / LARGE.path).exists()
    assert_whole(volume, [SMALL])
    error = outcome.models[LARGE.path]["error"]
    assert re.search(said, error), error


def test_a_byte_damaged_in_transit_once_is_found(run: Run, origin: DemoServer, volume: Path) -> None:
    origin.add_faults(corrupt(f"*/{LARGE.name}", 11 * BLOCK + 5))
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)
    assert outcome.models[LARGE.path]["bytes_downloaded"] <= 2 * LARGE.content.size


def test_another_byte_damaged_in_the_second_pass_is_found_too(run: Run, origin: DemoServer, volume: Path) -> None:
    first, second = 11 * BLOCK + 5, 3 * BLOCK + 7
    again = Fault(do=Flip(second), path=f"*/{LARGE.name}", range=covers(second), skip=1)
    origin.add_faults(corrupt(f"*/{LARGE.name}", first), again)
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)
    # The third time only what came differently the second time.
    assert outcome.models[LARGE.path]["bytes_downloaded"] <= 2 * LARGE.content.size + 4 * BLOCK


def test_a_small_file_damaged_twice_is_fetched_once_more(run: Run, origin: DemoServer, volume: Path) -> None:
    path = f"*/{SMALL.name}"
    origin.add_faults(corrupt(path, 1000), Fault(do=Flip(2000), path=path, range=covers(2000), skip=1))
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)


def test_a_suspicious_block_is_fetched_again_first(run: Run, origin: DemoServer, volume: Path) -> None:
    """The damage comes over the one connection that broke, and not by chance at the file's beginning."""
    origin.add_faults(
        Fault(do=Flip(17 * BLOCK + 9), path=f"*/{LARGE.name}", range=lambda a, b: a <= 17 * BLOCK + 9 < b),
        Fault(do=Cut(6_000_000), path=f"*/{LARGE.name}", range=lambda a, b: a <= 17 * BLOCK + 9 < b),
    )
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)
    assert outcome.models[LARGE.path]["bytes_downloaded"] <= LARGE.content.size + 13 * BLOCK


@pytest.mark.parametrize("offset", [0, 13 * BLOCK, 24 * BLOCK])
def test_a_host_that_always_damages_is_found_out(run: Run, origin: DemoServer, volume: Path, offset: int) -> None:
    old = b"the old file"
    (volume / LARGE.path).parent.mkdir(parents=True)
    (volume / LARGE.path).write_bytes(old)
    origin.add_faults(corrupt(f"*/{LARGE.name}", offset, times=None))
    outcome = run()
    assert outcome.returncode == 1, outcome.stderr
    assert (volume / LARGE.path).read_bytes() == old
    assert_whole(volume, [SMALL])
    error = outcome.models[LARGE.path]["error"]
    if offset:
        assert LARGE.content.sha256 in error
        assert len(re.findall(r"\b[0-9a-f]{64}\b", error)) == 2
    assert outcome.models[LARGE.path]["bytes_downloaded"] <= 2 * LARGE.content.size


def test_a_good_mirror_makes_up_for_a_bad_host(run: Run, origin: DemoServer, volume: Path) -> None:
    mirror = origin.put_file("mirror.safetensors", LARGE.content)
    origin.add_faults(corrupt(f"*/{LARGE.name}", 3 * BLOCK, times=None))
    outcome = run(entries=[LARGE.entry(mirrors=[mirror])])
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, [LARGE])


@pytest.mark.parametrize(
    "fault", [IgnoreRange(), NoLength(), Long(10)], ids=["no ranges", "no length", "longer than it says"]
)
def test_a_host_with_one_bad_habit_is_coped_with(run: Run, origin: DemoServer, volume: Path, fault: Action) -> None:
    origin.add_faults(Fault(do=fault, path=f"*/{LARGE.name}", server="cdn", times=None))
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)


def test_a_host_without_ranges_that_breaks_is_read_from_the_start(run: Run, origin: DemoServer, volume: Path) -> None:
    origin.add_faults(
        Fault(do=IgnoreRange(), path=f"*/{LARGE.name}", server="cdn", times=None),
        Fault(do=Cut(30_000_000), path=f"*/{LARGE.name}", server="cdn", times=2),
    )
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)


def test_an_unpinned_page_is_no_model(run: Run, origin: DemoServer, volume: Path) -> None:
    address = origin.put_file("m.safetensors", LARGE.content)
    origin.add_faults(Fault(do=HtmlPage(), path="*files/m.safetensors", method="*", times=None))
    outcome = run(entries=[LARGE.entry(source=address, sha256=None, size=None)])
    assert outcome.returncode == 1
    assert_never_wrong(volume, MODELS)
    assert "HTML" in outcome.models[LARGE.path]["error"]


def test_links_that_expire_under_way_are_renewed_once(run: Run, origin: DemoServer, volume: Path) -> None:
    origin.add_faults(Fault(do=Expired(), path=f"*/{LARGE.name}", server="cdn", times=4))
    outcome = run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(volume, MODELS)


def test_a_token_is_never_carried_to_another_host(run: Run, origin: DemoServer, volume: Path) -> None:
    token = "hf_planted_secret_0123456789"
    outcome = run(env={"HF_TOKEN": token})
    assert outcome.returncode in (0, 3), outcome.stderr
    assert not [request for request in origin.requests if request.server == "cdn" and request.authorized]
    assert token not in outcome.stdout + outcome.stderr
    for file in (volume / ".prefetch").rglob("*"):
        assert not file.is_file() or token.encode() not in file.read_bytes()


def test_a_redirect_to_a_third_host_carries_no_token(run: Run, origin: DemoServer, volume: Path) -> None:
    with running_origin(repos=[repo_of(MODELS)]) as other:
        origin.add_faults(
            Fault(do=Redirect(other.signed_link("x", LARGE.content)), path=f"*/{LARGE.name}", server="cdn", times=None)
        )
        outcome = run(env={"HF_TOKEN": "hf_x"})
        assert outcome.returncode in (0, 3), outcome.stderr
        assert not [request for request in other.requests if request.authorized]


def test_what_was_sent_is_what_is_reported(run: Run, origin: DemoServer, volume: Path) -> None:
    origin.add_faults(Fault(do=Cut(5_000_000), path=f"*/{LARGE.name}", server="cdn"))
    reported = run().document["bytes_downloaded"]
    assert TOTAL <= reported <= sent_bytes(origin.requests)


@pytest.mark.parametrize("habits", [[], [IgnoreRange()], [IgnoreRange(), NoLength()]], ids=["416", "0 bytes", "chunks"])
def test_a_host_that_has_an_empty_file_is_found_out(
    run: Run, origin: DemoServer, volume: Path, habits: list[Action]
) -> None:
    source = origin.put_file("empty.dat", BytesFile(b""))
    origin.add_faults(*(Fault(do=habit, path="/files/*", times=None) for habit in habits))
    outcome = run(entries=[{"path": "models/m.dat", "source": source, "sha256": SMALL.content.sha256}])
    assert outcome.returncode == 1, outcome.stderr
    assert re.search("is empty on|has the SHA-256|no bytes from 0 on", outcome.models["models/m.dat"]["error"])
    assert not (volume / "models" / "m.dat").exists()
