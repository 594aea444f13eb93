"""What a finished run leaves in memory: nothing, before anybody collects garbage; and what a sidecar is after many."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from prefetch.cli import main
from prefetch.demo.actions import Cut, Flip, HtmlPage
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from tests.support.models import BLOCK, repo_of, wanted, write_manifest
from tests.support.origins import ask
from tests.support.runs import Runs
from tests.support.sidecars import Sidecar, sidecar

MODELS = wanted(300_000, 300_000, 900_000, 250_000, 250_000, 200_000, 200_000, 50_000, BLOCK, 3 * BLOCK + 7)
SMALL, MIXED = MODELS[:7], MODELS[6:]


ROOMS = tuple(f"prefetch.{room}." for room in ("transfer", "volume", "sources", "net", "manifest", "report"))
"""What a run is made of. A loop that was closed hangs on connections, which refer to themselves in asyncio."""
SWITCHES, SCRAPES = 40, 10
MEMORY, GROWTH = 130_000_000, 3_000_000
"""Bytes that a sidecar may have after its switches, and how many more than after half of them."""


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


def garbage_of(words: Sequence[str]) -> tuple[int, Counter[str]]:
    """The exit code of a command, and by their class the objects of ours that nothing but themselves refers to."""
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        code = main(words)
        gc.collect()
        found = Counter(type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith(ROOMS))
    finally:
        gc.set_debug(0)
        gc.unfreeze()
        gc.garbage.clear()
    return code, found


@pytest.fixture(autouse=True)
def no_faults(origin: DemoServer) -> None:
    origin.clear_faults()


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ([], 0),
        ([Fault(do=Cut(BLOCK + 100_000), server="cdn", times=3)], 0),
        ([Fault(do=HtmlPage(), server="cdn", times=None)], 1),
        ([Fault(do=Flip(1000), server="cdn", times=None)], 1),
    ],
    ids=["all goes well", "connections break", "pages come", "wrong bytes come"],
)
def test_what_a_run_took_is_given_back_as_it_ends(
    origin: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: list[Fault], code: int
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", origin.endpoint)
    manifest = write_manifest(tmp_path / "m.yaml", [model.entry() for model in MIXED])
    for attempt in ("imports", "counts"):
        origin.clear_faults()
        origin.add_faults(*faults)
        volume = tmp_path / attempt
        volume.mkdir()
        got, found = garbage_of(["run", str(manifest), "--volume", str(volume)])
        assert got == code
    assert not found


def test_a_sidecar_stays_as_it_is_however_often_its_manifest_changes(runs: Runs, tmp_path: Path) -> None:
    manifest, draft = tmp_path / "followed.yaml", tmp_path / "draft.yaml"
    kept, others = SMALL[:3], [runs.volume / model.path for model in SMALL[3:]]
    write_manifest(manifest, [model.entry() for model in SMALL])
    with sidecar(runs, "--prune", manifest=manifest) as serving:
        serving.until_at_rest(*others)
        states = []
        for switch in range(SWITCHES):
            write_manifest(draft, [model.entry() for model in (SMALL if switch % 2 else kept)]).replace(manifest)
            serving.process.send_signal(signal.SIGHUP)
            serving.until(lambda there=bool(switch % 2): {*map(Path.exists, others)} == {there}, "the switch")
            for _ in range(SCRAPES):
                assert ask(f"{serving.url}/metrics").status == ask(f"{serving.url}/").status == 200
            serving.until(lambda: serving.metric("prefetch_run_active") == 0, "the end of the run")
            states.append(state_of(serving))
        assert serving.end()["ok"]
    memory, descriptors, threads = zip(*states, strict=True)
    assert max(memory) < MEMORY
    assert max(memory) - max(memory[: SWITCHES // 2]) < GROWTH
    # At any moment a thread may be at its end, and the connection of the last scrape be open yet. The loop begins its
    # own threads one by one, up to as many as it has for its processors, when several questions come at once.
    for counts, begun_late in ((descriptors, 0), (threads, min(32, (os.cpu_count() or 1) + 4))):
        assert min(counts[-SWITCHES // 4 :]) <= max(counts[: SWITCHES // 2]) + begun_late


def state_of(serving: Sidecar) -> tuple[int, int, int]:
    """Resident bytes of a sidecar, how many descriptors are open, and how many threads there are."""
    process = Path(f"/proc/{serving.process.pid}")
    fields = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", (process / "status").read_text(), re.MULTILINE))
    return int(fields["VmRSS"]) * 1024, len([*(process / "fd").iterdir()]), int(fields["Threads"])
