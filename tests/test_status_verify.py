"""What `status` and `verify` say of a volume: each model once, and nothing that is not so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.models import BLOCK, journals, repo_of, wanted
from tests.support.runs import Runs, until

MODELS = wanted(6 * BLOCK + 1, 2 * BLOCK, 40_000)
LARGE, OTHER, SMALL = MODELS


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000)) as server:
        yield server


def status(runs: Runs) -> list[str]:
    shown = runs.commands.run("status", "--volume", runs.volume)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.splitlines()


def begun(runs: Runs) -> bool:
    return any(map(len, journals(runs.volume).values()))


def test_each_model_is_told_once(runs: Runs) -> None:
    runs.of(SMALL, OTHER).run()
    newer = OTHER.entry(source=LARGE.source, sha256=LARGE.content.sha256, size=LARGE.content.size)
    with runs.start(entries=[newer]) as process:
        until(lambda: begun(runs), "the first block of another version", process)
        process.kill()
        process.wait()
    shown = [word for line in status(runs) for word in line.split() if word in {model.path for model in MODELS}]
    assert shown == [OTHER.path, SMALL.path]
    document = runs.commands.run("status", "--volume", runs.volume, "--json").document
    told = [(model["path"], model["status"], model["bytes_resumed"] > 0) for model in document["models"]]
    assert told == [(OTHER.path, "present", True), (SMALL.path, "present", False)]


def test_a_process_that_is_gone_is_not_at_work(runs: Runs) -> None:
    assert runs.of(LARGE).run_until_killed(lambda: begun(runs))
    (line, total) = status(runs)
    assert line.startswith("unfinished") and line.endswith("nobody is at work on it") and "process" not in line
    assert total == "1 model, 0 B"


def test_what_was_replaced_is_counted(runs: Runs) -> None:
    for model in (SMALL, OTHER):
        (runs.volume / model.path).parent.mkdir(parents=True, exist_ok=True)
        (runs.volume / model.path).write_bytes(b"mine" * 1000)
    assert runs.of(SMALL, OTHER).run().returncode == 0
    assert status(runs)[-1].startswith("kept of what models replaced: 2 files, 8.0 kB;")
    document = runs.commands.run("status", "--volume", runs.volume, "--json").document
    assert [file["size"] for file in document["replaced"]] == [4000, 4000]


def test_a_manifest_is_compared_by_verify(runs: Runs) -> None:
    runs.run()
    outcome = runs.commands.run("status", "m.yaml", "--volume", runs.volume)
    assert outcome.returncode == 2
    assert "prefetch verify --quick m.yaml" in outcome.stderr


def test_verify_counts_what_it_read(runs: Runs) -> None:
    runs.run()
    total = f"{sum(model.content.size for model in MODELS) / 1e6:.1f} MB"
    words = ("--volume", runs.volume)
    outcome = runs.commands.run("verify", *words)
    assert f"verifying 3 models on {runs.volume}\n" in outcome.stderr
    assert f"verified: 3 models as it should be; {total} read in " in outcome.stderr
    assert "wanted on" not in outcome.stderr and "downloaded" not in outcome.stderr
    outcome = runs.commands.run("verify", "--quick", *words)
    assert "comparing 3 models on " in outcome.stderr and "; nothing read in " in outcome.stderr


def test_a_manifest_that_wants_another_file_by_now_is_told_so(runs: Runs) -> None:
    runs.of(SMALL).run()
    entries = [SMALL.entry(sha256=OTHER.content.sha256, size=None)]
    (told,) = runs.do("verify", entries=entries).models.values()
    assert told["status"] == "changed"
    assert "The file is the one that was verified" in told["error"] and OTHER.content.sha256 in told["error"]
    (told,) = runs.do("verify", "--quick", entries=entries).models.values()
    assert told["status"] == "unverified"
    assert told["error"].startswith("What was verified here is another file than the manifest wants;")


def test_quick_says_nothing_of_hashes_where_there_is_no_record(runs: Runs) -> None:
    runs.volume.joinpath("models").mkdir(parents=True)
    runs.volume.joinpath(SMALL.path).write_bytes(SMALL.content.read(0, SMALL.content.size))
    (told,) = runs.do("verify", "--quick", entries=[SMALL.entry()]).models.values()
    assert (told["status"], told["error"]) == ("unverified", "It was never verified here; `prefetch run` verifies it.")
    assert runs.do("verify", entries=[SMALL.entry()]).returncode == 0


def test_verify_and_run_agree_on_right_bytes_under_a_wrong_ending(runs: Runs) -> None:
    path = "models/unet/m.gguf"
    (runs.volume / path).parent.mkdir(parents=True)
    (runs.volume / path).write_bytes(SMALL.content.read(0, SMALL.content.size))
    entries = [SMALL.entry(path=path)]
    said = [runs.do(command, entries=entries) for command in ("run", "verify")]
    assert [outcome.returncode for outcome in said] == [1, 1]
    assert all("it is a safetensors file" in outcome.models[path]["error"] for outcome in said)
