"""Block digests beside a lock: wrong bytes cost their block, mirrors serve at once, and the list itself is doubted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from prefetch.blockfile import BlockDigests, Digests, parse_blocks
from prefetch.demo.actions import IgnoreRange, Status
from prefetch.demo.content import BytesFile, Content, Flipped, SyntheticFile
from prefetch.demo.faults import Fault, corrupt
from prefetch.demo.log import LogEntry
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from prefetch.volume.hashing import block_digest
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, Wanted, assert_whole, journals, repo_of, sent_bytes, wanted, write_manifest
from tests.support.runs import Runs

COUNT = 20
MODELS = MODEL, SMALL = wanted(COUNT * BLOCK + 5, 50_000)
SIZE, SHA256 = MODEL.content.size, MODEL.content.sha256
OTHER = SyntheticFile("other", SIZE, "safetensors", 99)


@dataclass(frozen=True, slots=True)
class Bench:
    commands: Commands
    origin: DemoServer
    folder: Path

    @property
    def volume(self) -> Path:
        return self.folder / "volume"

    @property
    def blocks(self) -> Path:
        return self.folder / "m.blocks"

    def write(self, *sources: str) -> None:
        """A manifest of MODEL alone, from these sources, pinned."""
        write_manifest(self.folder / "m.yaml", [MODEL.entry(source=sources[0], mirrors=list(sources[1:]) or None)])

    def do(self, command: str, *options: str | Path) -> Outcome:
        env = {"HF_ENDPOINT": self.origin.endpoint}
        return self.commands.run(command, self.folder / "m.yaml", *options, "--json", env=env)

    def run(self, *options: str) -> Outcome:
        return self.do("run", "--volume", self.volume, *options)

    def put(self, name: str, content: Content) -> str:
        """Serve ``content`` as a plain file."""
        return self.origin.put_file(name, content)

    def sent(self, name: str) -> int:
        """Bytes of bodies sent of a plain file."""
        return sum(request.sent for request in self.of(name))

    def of(self, name: str) -> list[LogEntry]:
        return [request for request in self.origin.requests if request.file == name]


@pytest.fixture
def bench(commands: Commands, origin: DemoServer, tmp_path: Path) -> Bench:
    bench = Bench(commands, origin, tmp_path)
    write_manifest(tmp_path / "m.yaml", [model.entry() for model in MODELS])
    return bench


def digests_of(content: Content) -> bytes:
    starts = range(0, content.size, BLOCK)
    return b"".join(block_digest(content.read(at, min(content.size, at + BLOCK))) for at in starts)


def write_blocks(bench: Bench, content: Content, *, sha256: str = SHA256) -> None:
    bench.blocks.write_bytes(BlockDigests({sha256: Digests(content.size, digests_of(content))}).to_bytes())


def overhead(outcome: Outcome) -> int:
    """Bytes received beyond the model's own."""
    received: int = outcome.document["bytes_downloaded"] - SIZE
    return received


# Written -------------------------------------------------------------------------------------------------------------


def test_the_digests_of_a_finished_run_are_written_without_a_byte(bench: Bench) -> None:
    assert bench.run().returncode == 0
    assert bench.do("lock").returncode == 0
    before = len(bench.origin.requests)
    outcome = bench.do("lock", "--blocks", "--volume", bench.volume)
    assert outcome.returncode == 0, outcome.stderr
    assert len(bench.origin.requests) == before
    found = parse_blocks(bench.blocks.read_bytes(), file="m.blocks").files
    assert found == {SHA256: Digests(SIZE, digests_of(MODEL.content))}, "a model of one block needs none"
    assert len(bench.blocks.read_bytes()) < 200 + 24 * (COUNT + 1), "compact"


@pytest.mark.parametrize("keep", [True, False])
def test_without_a_record_the_models_are_read(bench: Bench, keep: bool) -> None:
    outcome = bench.do("lock", "--blocks", *(("--volume", bench.volume) if keep else ()))
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.document["bytes_downloaded"] == SIZE
    assert f"no block digests of {MODEL.path}: it is downloaded for that" in outcome.stderr
    assert SMALL.path not in outcome.stderr
    assert set(parse_blocks(bench.blocks.read_bytes(), file="m.blocks").files) == {SHA256}
    if keep:
        assert_whole(bench.volume, [MODEL])
    before = bench.blocks.read_bytes(), len(bench.origin.requests)
    assert bench.do("lock", "--blocks").returncode == 0
    assert (bench.blocks.read_bytes(), len(bench.origin.requests)) == before, "what is known is not read again"


def test_check_tells_what_the_digests_lack(bench: Bench) -> None:
    bench.do("lock", "--blocks")
    assert bench.do("lock", "--check", "--blocks").returncode == 0
    write_blocks(bench, OTHER, sha256="0" * 64)
    assert bench.do("lock", "--check").returncode == 0
    outcome = bench.do("lock", "--check", "--blocks")
    assert outcome.returncode == 1
    assert {path: model["status"] for path, model in outcome.models.items()} == {
        MODEL.path: "missing",
        "0" * 64: "extra",
    }


def test_a_lock_made_anew_drops_what_it_no_longer_pins(bench: Bench) -> None:
    bench.do("lock", "--blocks")
    bench.origin.put(repo_of([Wanted(MODEL.name, OTHER), SMALL]))
    write_manifest(bench.folder / "m.yaml", [MODEL.entry(sha256=None, size=None)])
    outcome = bench.do("lock", "--upgrade")
    assert outcome.returncode == 0, outcome.stderr
    assert parse_blocks(bench.blocks.read_bytes(), file="m.blocks").files == {}


# Used ----------------------------------------------------------------------------------------------------------------


def test_a_byte_flipped_in_transit_costs_its_block(bench: Bench) -> None:
    bench.write(MODEL.source)
    write_blocks(bench, MODEL.content)
    bench.origin.add_faults(corrupt(f"*/{MODEL.name}", 11 * BLOCK + 3))
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert overhead(outcome) == BLOCK
    assert "damaged in transit" in outcome.stderr


def test_two_mirrors_serve_one_file_at_once(bench: Bench) -> None:
    bench.write(bench.put("a", MODEL.content), bench.put("b", MODEL.content))
    write_blocks(bench, MODEL.content)
    outcome = bench.run("--connections", "4")
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert min(bench.sent("a"), bench.sent("b")) >= 4 * BLOCK
    assert sent_bytes(bench.origin.requests) == 0
    assert overhead(outcome) <= BLOCK


def test_without_digests_a_mirror_is_only_asked_when_the_first_fails(bench: Bench) -> None:
    bench.write(bench.put("a", MODEL.content), bench.put("b", MODEL.content))
    assert bench.run().returncode == 0
    assert bench.of("b") == []
    assert_whole(bench.volume, [MODEL])


@pytest.mark.parametrize("first", [True, False], ids=["the source", "the mirror"])
def test_a_mirror_of_another_file_is_found_out_in_its_first_blocks(bench: Bench, first: bool) -> None:
    addresses = bench.put("bad", OTHER), bench.put("good", MODEL.content)
    bench.write(*(addresses if first else reversed(addresses)))
    write_blocks(bench, MODEL.content)
    outcome = bench.run("--connections", "4", "--range-size", "8Mi")
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert bench.sent("bad") <= 10 * BLOCK
    assert "sends other bytes" in outcome.stderr


def test_a_mirror_that_is_down_costs_little(bench: Bench) -> None:
    bench.write(bench.put("a", MODEL.content), f"{bench.origin.endpoint}/files/nothing")
    write_blocks(bench, MODEL.content)
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert len([request for request in bench.origin.requests if request.path == "/files/nothing"]) <= 2


def test_a_mirror_that_fails_on_the_way_is_replaced_by_the_other(bench: Bench) -> None:
    bench.write(bench.put("a", MODEL.content), bench.put("b", MODEL.content))
    write_blocks(bench, MODEL.content)
    bench.origin.add_faults(Fault(do=Status(500), path="a", skip=3, times=None))
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])


def test_a_mirror_without_ranges_is_not_waited_for(bench: Bench) -> None:
    bench.write(bench.put("a", MODEL.content), bench.put("b", MODEL.content))
    write_blocks(bench, MODEL.content)
    bench.origin.add_faults(Fault(do=IgnoreRange(), path="b", times=None))
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])


def test_one_host_of_another_file_is_refused_in_the_first_megabytes(bench: Bench) -> None:
    bench.write(bench.put("bad", OTHER))
    write_blocks(bench, MODEL.content)
    outcome = bench.run("--connections", "2", "--range-size", "8Mi", "--limit-rate", "40M")
    assert outcome.returncode == 1
    assert "sends other bytes" in outcome.models[MODEL.path]["error"]
    assert bench.sent("bad") <= 14 * BLOCK
    assert not (bench.volume / MODEL.path).exists()


def test_one_changed_byte_at_the_host_is_refused_with_both_hashes_and_mended_from_a_mirror(bench: Bench) -> None:
    changed = Flipped(MODEL.content, 13 * BLOCK)
    bench.write(bench.put("bad", changed))
    write_blocks(bench, MODEL.content)
    outcome = bench.run()
    assert outcome.returncode == 1
    message = outcome.models[MODEL.path]["error"]
    assert SHA256 in message
    assert BytesFile(changed.read(0, SIZE)).sha256 in message
    assert overhead(outcome) == BLOCK, "no second pass: the list says which block it is"
    bench.write(bench.put("bad", changed), bench.put("good", MODEL.content))
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert outcome.document["bytes_downloaded"] <= 2 * BLOCK, "the right blocks were kept"


# Doubted -------------------------------------------------------------------------------------------------------------


MISFITS = {
    "garbage": b"\x00\xff" * 40,
    "empty": b"",
    "another version": b'{"version": 2}\n',
    "brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("data", MISFITS.values(), ids=MISFITS.keys())
def test_what_is_no_list_is_ignored_with_a_warning(bench: Bench, data: bytes) -> None:
    bench.blocks.write_bytes(data)
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, MODELS)
    assert "warning" in outcome.stderr
    assert "m.blocks" in outcome.stderr
    assert "lock --blocks" in outcome.stderr


def test_a_digest_that_was_changed_spoils_the_list_and_not_the_run(bench: Bench) -> None:
    write_blocks(bench, MODEL.content)
    text = bench.blocks.read_text()
    at = text.index(f"{SHA256} {SIZE} ") + len(f"{SHA256} {SIZE} ")
    bench.blocks.write_text(text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :])
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert "line 2 was cut or changed" in outcome.stderr
    assert outcome.document["bytes_downloaded"] == SIZE + SMALL.content.size


def test_a_list_that_does_not_fit_the_lock_is_told_and_not_believed(bench: Bench) -> None:
    bench.do("lock")
    write_blocks(bench, OTHER, sha256=OTHER.sha256)
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, MODELS)
    assert "does not fit m.lock.json" in outcome.stderr


def test_a_list_with_a_wrong_digest_has_the_sha256_decide(bench: Bench) -> None:
    bench.write(MODEL.source)
    write_blocks(bench, Flipped(MODEL.content, 9 * BLOCK))
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert "block digests" in outcome.stderr
    assert overhead(outcome) == BLOCK


def test_a_list_that_two_hosts_contradict_is_not_believed(bench: Bench) -> None:
    bench.write(bench.put("a", MODEL.content), bench.put("b", MODEL.content))
    write_blocks(bench, OTHER)
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert "two hosts send the same" in outcome.stderr


def test_a_block_of_an_earlier_run_that_the_list_contradicts_is_fetched_again(bench: Bench) -> None:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=8_000_000)) as origin:
        runs = Runs(bench.commands, origin, bench.volume, (MODEL,))
        origin.add_faults(corrupt(f"*/{MODEL.name}", 2 * BLOCK, times=None))
        assert runs.run_until_killed(lambda: {0, 2} <= journals(bench.volume).get(MODEL.path, set()))
    here = journals(bench.volume)[MODEL.path]
    bench.write(MODEL.source)
    write_blocks(bench, MODEL.content)
    outcome = bench.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(bench.volume, [MODEL])
    assert outcome.document["bytes_downloaded"] == SIZE - sum(min(BLOCK, SIZE - index * BLOCK) for index in here - {2})
