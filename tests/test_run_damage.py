"""Damage between two runs costs the damaged blocks, never a wrong file and never somebody's own one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.models import (
    BLOCK,
    asked_blocks,
    assert_whole,
    flip,
    journals,
    repo_of,
    sent_bytes,
    sha256_of,
    wanted,
)
from tests.support.runs import Runs

MODELS = wanted(11 * BLOCK + 77, 50_000)
MODEL = MODELS[0]
BLOCKS = frozenset(range(12))
KEPT = f".prefetch/replaced/1/{MODEL.path}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two volumes to copy: ``killed`` as a killed run left it, and ``filled``."""
    base = tmp_path_factory.mktemp("damage")
    (base / "home").mkdir()
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=8_000_000)) as origin:
        runs = Runs(Commands(base / "home"), origin, base / "killed", tuple(MODELS))
        assert runs.run_until_killed(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 5, "--connections", "2")
        assert runs.on(base / "filled").run().returncode == 0
    return base


@pytest.fixture
def killed(commands: Commands, origin: DemoServer, made: Path, tmp_path: Path) -> Runs:
    """A volume on which a run was killed when some blocks of MODEL were finished."""
    return copied(made / "killed", Runs(commands, origin, tmp_path / "volume", tuple(MODELS)))


@pytest.fixture
def filled(commands: Commands, origin: DemoServer, made: Path, tmp_path: Path) -> Runs:
    """A volume on which all of MODELS is."""
    return copied(made / "filled", Runs(commands, origin, tmp_path / "volume", tuple(MODELS)))


def copied(volume: Path, runs: Runs) -> Runs:
    shutil.copytree(volume, runs.volume)
    return runs


def age(file: Path, seconds: int) -> None:
    """Have the file modified so many seconds later than it was."""
    modified = file.stat().st_mtime + seconds
    os.utime(file, (modified, modified))


def link(file: Path, target: Path) -> None:
    file.unlink()
    file.symlink_to(target)


def zero(file: Path) -> None:
    size = file.stat().st_size
    os.truncate(file, 0)
    os.truncate(file, size)


def part(runs: Runs, suffix: str) -> Path:
    """The data file or the journal of the unfinished MODEL."""
    journals = (runs.volume / ".prefetch/partial").glob("*.journal")
    journal = next(file for file in journals if json.loads(file.read_text().split("\n")[0])["path"] == MODEL.path)
    return journal.with_suffix(suffix)


# A model on its way --------------------------------------------------------------------------------------------------


def test_an_undamaged_partial_file_is_resumed(killed: Runs, origin: DemoServer) -> None:
    here = journals(killed.volume)[MODEL.path]
    outcome = killed.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == BLOCKS - here
    assert outcome.models[MODEL.path]["bytes_resumed"] == len(here) * BLOCK
    assert_whole(killed.volume, MODELS)


def test_a_damaged_block_of_a_partial_file_is_all_that_is_fetched_again(killed: Runs, origin: DemoServer) -> None:
    here = journals(killed.volume)[MODEL.path]
    damaged = sorted(here)[2]
    flip(part(killed, ".data"), damaged * BLOCK + 4711)
    outcome = killed.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == BLOCKS - here | {damaged}
    assert_whole(killed.volume, MODELS)


def test_a_journal_that_was_cut_costs_the_blocks_of_what_it_lost(killed: Runs, origin: DemoServer) -> None:
    journal = part(killed, ".journal")
    journal.write_bytes(journal.read_bytes()[:-30])
    here = journals(killed.volume)[MODEL.path]
    outcome = killed.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == BLOCKS - here
    assert_whole(killed.volume, MODELS)


def test_a_partial_file_that_was_cut_costs_what_it_lost(killed: Runs, origin: DemoServer) -> None:
    here = journals(killed.volume)[MODEL.path]
    last = max(here)
    os.truncate(part(killed, ".data"), last * BLOCK + 1)
    outcome = killed.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == BLOCKS - here | {last}
    assert_whole(killed.volume, MODELS)


def longer(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(os.urandom(BLOCK))


def of_another_model(file: Path) -> None:
    """The file keeps its name and its journal, and holds what a run had of a model of the same size."""
    file.write_bytes(wanted(50_000, 11 * BLOCK + 77)[1].content.read(0, file.stat().st_size))


PARTIALS: list[tuple[str, Callable[[Path], object], bool]] = [
    ("longer", longer, False),
    ("zeroed", zero, True),
    ("of another model", of_another_model, True),
]


@pytest.mark.parametrize(("why", "damage", "worthless"), PARTIALS, ids=[why for why, *_ in PARTIALS])
def test_a_partial_file_that_is_not_what_its_journal_says(
    killed: Runs, origin: DemoServer, why: str, damage: Callable[[Path], object], worthless: bool
) -> None:
    here = journals(killed.volume)[MODEL.path]
    damage(part(killed, ".data"))
    outcome = killed.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == (BLOCKS if worthless else BLOCKS - here)
    assert outcome.document["bytes_downloaded"] <= sum(model.content.size for model in MODELS)
    assert_whole(killed.volume, MODELS)


LOST: list[tuple[str, Callable[[Path], object]]] = [
    ("deleted", Path.unlink),
    ("garbage", lambda journal: journal.write_bytes(os.urandom(5000))),
    (
        "of another format",
        lambda journal: journal.write_text(journal.read_text().replace('"format": 1', '"format": 9')),
    ),
    ("a link", lambda journal: link(journal, Path("/etc/passwd"))),
]


@pytest.mark.parametrize(("why", "damage"), LOST, ids=[why for why, _ in LOST])
def test_a_journal_that_is_lost_costs_the_partial_file(
    killed: Runs, origin: DemoServer, why: str, damage: Callable[[Path], object]
) -> None:
    damage(part(killed, ".journal"))
    outcome = killed.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == BLOCKS
    assert_whole(killed.volume, MODELS)


def test_a_journal_that_lies_is_found_out(killed: Runs, origin: DemoServer) -> None:
    """It claims every block, with digests that are those of nothing."""
    journal = part(killed, ".journal")
    header = journal.read_text().split("\n")[0]
    lengths = [min(BLOCK, MODEL.content.size - index * BLOCK) for index in BLOCKS]
    lines = [f"{index} {length} {'0' * 32}" for index, length in enumerate(lengths)]
    journal.write_text("\n".join([header, *lines, ""]))
    outcome = killed.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == BLOCKS
    assert_whole(killed.volume, MODELS)


# A model that was published ------------------------------------------------------------------------------------------


def test_a_changed_file_is_mended_and_kept(filled: Runs, origin: DemoServer) -> None:
    file = filled.volume / MODEL.path
    flip(file, 5 * BLOCK + 123)
    age(file, 10)
    changed = sha256_of(file)
    outcome = filled.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == {5}
    assert sent_bytes(origin.requests) == BLOCK
    assert_whole(filled.volume, MODELS)
    assert sha256_of(filled.volume / KEPT) == changed
    assert KEPT in outcome.stderr


def test_a_damaged_file_that_looks_unchanged_is_found_by_verify_and_mended(filled: Runs, origin: DemoServer) -> None:
    file = filled.volume / MODEL.path
    before = file.stat()
    flip(file, 11 * BLOCK + 76)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = filled.do("verify")
    assert found.returncode == 1
    assert found.models[MODEL.path]["status"] == "corrupt"
    assert found.models[MODELS[1].path]["status"] == "ok"
    outcome = filled.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == {11}
    assert_whole(filled.volume, MODELS)
    assert not (filled.volume / ".prefetch/replaced").exists(), "it was our own file, and a broken one"


CHANGED: list[tuple[str, Callable[[Path], object], set[int]]] = [
    ("cut", lambda file: os.truncate(file, 9 * BLOCK + 5), {9, 10, 11}),
    ("grown", lambda file: os.truncate(file, 12 * BLOCK), set()),
    ("emptied", lambda file: os.truncate(file, 0), set(BLOCKS)),
    ("zeroed", zero, set(BLOCKS)),
    ("touched", lambda file: None, set()),
    ("deleted", Path.unlink, set(BLOCKS)),
]


@pytest.mark.parametrize(("why", "damage", "lost"), CHANGED, ids=[why for why, *_ in CHANGED])
def test_a_changed_file_costs_what_it_lost(
    filled: Runs, origin: DemoServer, why: str, damage: Callable[[Path], object], lost: set[int]
) -> None:
    file = filled.volume / MODEL.path
    damage(file)
    if file.exists():
        age(file, 10)
    outcome = filled.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == lost
    assert_whole(filled.volume, MODELS)
    assert (filled.volume / KEPT).exists() == (why not in ("touched", "deleted"))


# Our own state -------------------------------------------------------------------------------------------------------


def records(runs: Runs, suffix: str) -> list[Path]:
    return list((runs.volume / ".prefetch/inventory").glob(f"*{suffix}"))


RECORDS: list[tuple[str, Callable[[Path], object], Callable[[Path], object]]] = [
    ("garbage", lambda record: record.write_bytes(os.urandom(300)), lambda record: record.write_text("[" * 100_000)),
    ("no record", lambda record: record.write_text('{"path": 1, "size": "x"}'), Path.unlink),
]


@pytest.mark.parametrize(("why", "first", "second"), RECORDS, ids=[why for why, *_ in RECORDS])
def test_without_its_record_a_file_is_adopted(
    filled: Runs, why: str, first: Callable[[Path], object], second: Callable[[Path], object]
) -> None:
    for damage, record in zip((first, second), records(filled, ".json"), strict=True):
        damage(record)
    shutil.rmtree(filled.volume / ".prefetch/applied")
    outcome = filled.run()
    assert outcome.returncode == 0, outcome.stderr
    assert {model["status"] for model in outcome.document["models"]} == {"adopted"}
    assert outcome.document["bytes_downloaded"] == 0


def test_without_its_digests_a_damaged_file_is_fetched_whole(filled: Runs, origin: DemoServer) -> None:
    for file in records(filled, ".blocks"):
        file.write_bytes(os.urandom(file.stat().st_size))
    flip(filled.volume / MODEL.path, 3)
    age(filled.volume / MODEL.path, 10)
    outcome = filled.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(origin.requests, MODEL) == BLOCKS
    assert_whole(filled.volume, MODELS)


def swap(state: Path, *, link_to: Path | None = None) -> None:
    state.rename(state.with_name("moved"))
    if link_to is None:
        state.write_text("not a directory")
    else:
        state.symlink_to(link_to)


STATES: list[tuple[str, Callable[[Path, Path], object], int, str]] = [
    ("a newer format", lambda state, _: (state / "FORMAT").write_text("2\n"), 2, "has format 2"),
    ("no format", lambda state, _: (state / "FORMAT").write_text("what?"), 2, "FORMAT"),
    ("a file", lambda state, _: swap(state), 2, ".prefetch"),
    ("a link", lambda state, outside: swap(state, link_to=outside), 2, ".prefetch"),
    ("a dangling link", lambda state, outside: swap(state, link_to=outside / "nothing"), 2, ".prefetch"),
    ("partial a link", lambda state, outside: swap(state / "partial", link_to=outside), 1, "partial"),
    ("inventory a link", lambda state, outside: swap(state / "inventory", link_to=outside), 1, "inventory"),
    ("inventory a file", lambda state, outside: swap(state / "inventory"), 1, "inventory"),
]


@pytest.mark.parametrize(("why", "damage", "code", "named"), STATES, ids=[why for why, *_ in STATES])
def test_a_state_that_is_not_ours_is_refused_in_a_sentence(
    filled: Runs,
    origin: DemoServer,
    tmp_path: Path,
    why: str,
    damage: Callable[[Path, Path], object],
    code: int,
    named: str,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (filled.volume / MODEL.path).unlink()
    damage(filled.volume / ".prefetch", outside)
    outcome = filled.run()
    assert outcome.returncode == code, outcome.stderr
    assert named in outcome.document["error"]["message"]
    assert sent_bytes(origin.requests) == 0
    assert list(outside.iterdir()) == [], "something was written through a link"
    assert not (filled.volume / MODEL.path).exists()
