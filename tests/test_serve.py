"""``prefetch serve`` from outside: manifests that change, break and vanish, signals, and what is left behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import Delay, Stall, Status
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from tests.support.models import (
    BLOCK,
    Wanted,
    asked_blocks,
    assert_whole,
    journals,
    repo_of,
    sha256_of,
    wanted,
    write_manifest,
)
from tests.support.runs import Runs, since
from tests.support.sidecars import SECRET, receiver, sidecar

MODELS = wanted(3 * BLOCK + 7, 50_000, 60_000, 70_000)
LARGE, ONE, TWO, THREE = MODELS
[PICKLE] = wanted(50_000, kind="pth")


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture(autouse=True)
def no_faults(origin: DemoServer) -> None:
    origin.clear_faults()


def edit(manifest: Path, *models: object, text: str | None = None) -> None:
    """Put another manifest in its place at once, as editors and ConfigMaps do."""
    draft = manifest.with_name("draft")
    if text is None:
        write_manifest(draft, models)  # type: ignore[arg-type]
    else:
        draft.write_text(text)
    draft.replace(manifest)


def mount(directory: Path, root: list[dict[str, Any]], included: list[dict[str, Any]]) -> Path:
    """A manifest and one that it includes, as Kubernetes mounts a ConfigMap: another version takes over at once."""
    version = directory / f"..{secrets.token_hex(4)}"
    version.mkdir(parents=True)
    text = json.dumps({"version": 1, "include": ["extras.yaml"], "models": root})
    (version / "models.yaml").write_text(text)
    write_manifest(version / "extras.yaml", included)
    (directory / "..draft").symlink_to(version.name)
    (directory / "..draft").replace(directory / "..data")
    for name in ("models.yaml", "extras.yaml"):
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    return directory / "models.yaml"


def test_an_edited_manifest_is_brought_about_without_a_restart(runs: Runs, tmp_path: Path) -> None:
    manifest = mount(tmp_path / "config", [ONE.entry()], [TWO.entry()])
    with sidecar(runs, manifest=manifest) as serving:
        serving.until_at_rest(runs.volume / ONE.path, runs.volume / TWO.path)
        assert serving.metric("prefetch_manifest_usable") == 1
        mount(tmp_path / "config", [ONE.entry()], [TWO.entry(), THREE.entry()])
        serving.until_at_rest(runs.volume / THREE.path)
        document = serving.end()
    assert document["ok"] and {model["path"] for model in document["models"]} == {ONE.path, TWO.path, THREE.path}
    assert_whole(runs.volume, [ONE, TWO, THREE])


def test_a_broken_manifest_is_said_everywhere_and_changes_nothing(runs: Runs) -> None:
    manifest = runs.manifest([ONE.entry()])
    with sidecar(runs, manifest=manifest) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        edit(manifest, text="version: 1\nmodels: [{path: x")
        serving.until_said("What was wanted before is kept.")
        assert serving.word == "ready"
        assert serving.metric("prefetch_manifest_usable") == 0
        edit(manifest, TWO.entry())
        serving.until_at_rest(runs.volume / TWO.path)
        assert serving.metric("prefetch_manifest_usable") == 1
        assert serving.said.count("What was wanted before is kept.") == 1
        assert serving.end()["exit_code"] == 0
    assert_whole(runs.volume, [ONE, TWO])


@pytest.mark.parametrize("name", ["m.yaml", "m.lock.json", "m.blocks"])
def test_a_pipe_in_the_place_of_a_document_holds_up_nothing(runs: Runs, name: str) -> None:
    manifest = runs.manifest([ONE.entry()])
    with sidecar(runs, manifest=manifest) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        os.mkfifo(manifest.with_name("pipe"))
        manifest.with_name("pipe").replace(manifest.with_name(name))
        if name != "m.yaml":
            edit(manifest, ONE.entry(), TWO.entry())
        serving.until_said("it is no regular file")
        manifest.with_name(name).unlink()
        edit(manifest, ONE.entry(), TWO.entry(), THREE.entry())
        serving.process.send_signal(signal.SIGHUP)
        serving.until_at_rest(runs.volume / TWO.path, runs.volume / THREE.path)
        assert serving.end()["exit_code"] == 0


def test_a_stop_in_the_middle_goes_on_next_time(runs: Runs) -> None:
    manifest = runs.manifest([LARGE.entry()])
    with sidecar(runs, "--limit-rate", "4M", "--connections", "1", manifest=manifest) as serving:
        serving.until(lambda: bool(journals(runs.volume).get(LARGE.path)), "a block")
        assert serving.word == "working"
        document = serving.end()
    assert (document["exit_code"], document["error"]["code"]) == (130, "interrupted")
    with sidecar(runs, manifest=manifest) as serving:
        serving.until_at_rest(runs.volume / LARGE.path)
        document = serving.end(signal.SIGINT)
    assert document["exit_code"] == 0
    assert document["models"][0]["bytes_resumed"] >= BLOCK


def test_what_is_required_makes_it_ready_before_the_rest(runs: Runs) -> None:
    manifest = runs.manifest([ONE.entry(groups=["first"]), LARGE.entry(groups=["rest"])])
    with sidecar(runs, "--require", "first", "--limit-rate", "2M", manifest=manifest) as serving:
        serving.until_ready(runs.volume / ONE.path)
        assert not (runs.volume / LARGE.path).exists()
        edit(manifest, ONE.entry(groups=["first"]))
        serving.until_said("what is under way stops")
        serving.until_at_rest()
        assert serving.word == "ready"
        assert serving.end()["exit_code"] == 0


def test_sighup_reads_the_manifest_at_once_and_mends_what_is_gone(runs: Runs) -> None:
    manifest = runs.manifest([ONE.entry()])
    with sidecar(runs, "--poll", "3600", manifest=manifest) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        (runs.volume / ONE.path).unlink()
        serving.process.send_signal(signal.SIGHUP)
        serving.until_at_rest(runs.volume / ONE.path)
        assert "SIGHUP" in serving.said
        assert serving.end()["models"][0]["status"] == "downloaded"


def test_what_failed_is_tried_again(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Status(404), path=f"*{THREE.name}", method="*", times=1))
    manifest = runs.manifest([ONE.entry(), THREE.entry()])
    with sidecar(runs, manifest=manifest) as serving:
        serving.until_at_rest(runs.volume / ONE.path, runs.volume / THREE.path)
        assert "is tried again in" in serving.said
        assert serving.end()["exit_code"] == 0


@pytest.mark.parametrize("left_open", ["sha256", "source"])
def test_what_no_other_try_can_mend_waits_for_a_change(runs: Runs, origin: DemoServer, left_open: str) -> None:
    entry = PICKLE.entry(source=origin.put_file(PICKLE.name, PICKLE.content))
    loose = {key: value for key, value in entry.items() if key not in ("sha256", "size")}
    manifest = runs.manifest([ONE.entry(), {**entry, left_open: None} if left_open == "source" else loose])
    with sidecar(runs, manifest=manifest) as serving:
        serving.until_said("is tried again as soon as the manifests or their locks change")
        assert (runs.volume / ONE.path).exists()
        assert serving.word == "failed"
        serving.process.send_signal(signal.SIGHUP)
        serving.until(lambda: serving.said.count("as soon as the manifests") == 2, "another try that was asked for")
        runs.manifest([ONE.entry(), entry])
        serving.until_at_rest(runs.volume / ONE.path, runs.volume / PICKLE.path)
        assert "is tried again in" not in serving.said
        assert serving.end()["exit_code"] == 0


def test_why_a_run_cannot_begin_is_said_while_it_serves(runs: Runs) -> None:
    with sidecar(runs, "--quota", "1K", manifest=runs.manifest([ONE.entry()])) as serving:
        serving.until_said("warning: 50.0 kB are to be fetched and the volume has room for")
        assert serving.end()["error"]["code"] == "space"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("version: 2", [], "version"),
        (json.dumps({"version": 1, "models": [ONE.entry()]}), ["--require", "nobody"], "nobody"),
        (json.dumps({"version": 1, "models": [ONE.entry()]}), ["--poll", "0"], "--poll"),
        (json.dumps({"version": 1, "models": [ONE.entry()]}), ["--listen", "0.0.0.0:0"], "--insecure-listen"),
    ],
)
def test_what_cannot_be_used_at_first_ends_it(runs: Runs, text: str, options: list[str], said: str) -> None:
    manifest = runs.commands.home / "m.yaml"
    manifest.write_text(text)
    textfile = runs.commands.home / "prefetch.prom"
    words: list[str | Path] = ["serve", manifest, "--volume", runs.volume, "--listen", "127.0.0.1:0"]
    words += ["--textfile", textfile, "--json", *options]
    outcome = runs.commands.run(*words, env=runs.environment())
    assert outcome.returncode == outcome.document["exit_code"] == 2
    assert said in outcome.stderr
    if not any(option in options for option in ("--poll", "--listen")):
        assert "prefetch_last_run_exit_code 2" in textfile.read_text()


# What is at an address -------------------------------------------------------------------------------------------


def put(origin: DemoServer, *models: Wanted) -> str:
    """Put a manifest of these at an address."""
    text = json.dumps({"version": 1, "models": [model.entry() for model in models]})
    return origin.put_file("followed.yaml", BytesFile(text.encode()))


def test_an_address_is_followed_and_what_was_there_outlives_it(runs: Runs, origin: DemoServer) -> None:
    env = {"PREFETCH_MANIFEST_URL": put(origin, ONE)}
    with sidecar(runs, env=env) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        asked = len(origin.requests)
        serving.until(lambda: any(entry.status == 304 for entry in since(origin, asked)), "an answer without a body")
        put(origin, ONE, TWO)
        serving.until_at_rest(runs.volume / TWO.path)
        origin.add_faults(Fault(do=Status(503), path="*followed*", times=None))
        serving.until_said("What was wanted before is kept.")
        assert (serving.word, serving.metric("prefetch_manifest_usable")) == ("ready", 0)
        assert serving.end()["exit_code"] == 0
    (runs.volume / TWO.path).unlink()
    with sidecar(runs, env=env) as serving:
        serving.until_at_rest(runs.volume / TWO.path)
        assert "The copy on the volume is used" in serving.said
        origin.clear_faults()
        put(origin, THREE)
        serving.until_at_rest(runs.volume / THREE.path)
        assert serving.metric("prefetch_manifest_usable") == 1
    assert_whole(runs.volume, [ONE, TWO, THREE])


def test_an_address_that_was_never_reached_is_waited_for_if_another_try_may_help(
    runs: Runs, origin: DemoServer
) -> None:
    env = {"PREFETCH_MANIFEST_URL": put(origin, ONE)}
    origin.add_faults(Fault(do=Status(404), path="*followed*", times=1))
    with sidecar(runs, env=env) as serving:
        assert serving.process.wait(30) == 1
    origin.add_faults(Fault(do=Status(503), path="*followed*", times=2))
    with sidecar(runs, env=env) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        assert "It is asked again until it answers." in serving.said


def test_an_address_that_hangs_holds_up_nothing(runs: Runs, origin: DemoServer) -> None:
    env = {"PREFETCH_MANIFEST_URL": put(origin, ONE)}
    with sidecar(runs, env=env) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        origin.add_faults(Fault(do=Stall(), path="*followed*", method="*", times=None))
        put(origin, TWO)
        asked = len(origin.requests)
        (runs.volume / ONE.path).unlink()
        serving.process.send_signal(signal.SIGHUP)
        serving.until_at_rest(runs.volume / ONE.path)
        (entry, *_) = [entry for entry in since(origin, asked) if "followed" in entry.path]
        assert entry.faults == ("Stall",)
        origin.clear_faults()
        serving.process.send_signal(signal.SIGHUP)
        serving.until_at_rest(runs.volume / TWO.path)
        assert serving.end()["exit_code"] == 0


def test_a_start_at_an_address_that_hangs_goes_on_with_the_copy(runs: Runs, origin: DemoServer) -> None:
    env = {"PREFETCH_MANIFEST_URL": put(origin, ONE)}
    with sidecar(runs, env=env) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        serving.end()
    (runs.volume / ONE.path).unlink()
    origin.add_faults(Fault(do=Stall(), path="*followed*", method="*", times=None))
    with sidecar(runs, env=env) as serving:
        serving.until_at_rest(runs.volume / ONE.path)
        assert "has not answered yet. The copy on the volume is used: what it was the last time." in serving.said
        assert serving.metric("prefetch_manifest_usable") == 0
        origin.clear_faults()
        put(origin, TWO)
        serving.process.send_signal(signal.SIGHUP)
        serving.until_at_rest(runs.volume / TWO.path)
        assert serving.metric("prefetch_manifest_usable") == 1
        assert serving.end()["exit_code"] == 0


def test_a_first_start_says_that_it_waits_for_an_answer_and_takes_it(runs: Runs, origin: DemoServer) -> None:
    """The question is asked once: who answers slowly would else never be heard."""
    env = {"PREFETCH_MANIFEST_URL": put(origin, ONE)}
    origin.add_faults(Fault(do=Delay(3.0), path="*followed.yaml", method="*", times=None))
    with sidecar(runs, env=env) as serving:
        serving.until_said("has not answered yet. It is asked again until it answers.")
        serving.until_at_rest(runs.volume / ONE.path)


def test_a_stop_before_any_run_is_no_interruption(runs: Runs, origin: DemoServer) -> None:
    env = {"PREFETCH_MANIFEST_URL": put(origin, ONE)}
    origin.add_faults(Fault(do=Stall(), path="*followed*", method="*", times=None))
    with sidecar(runs, env=env) as serving:
        serving.until_said("It is asked again until it answers.")
        document = serving.end()
    assert (document["exit_code"], document["error"]) == (0, None)


# What is removed -------------------------------------------------------------------------------------------------


def test_what_is_named_no_more_is_removed_and_nothing_else(runs: Runs) -> None:
    assert runs.of(THREE).run().returncode == 0
    users = runs.volume / "models" / "mine.safetensors"
    users.write_bytes(b"mine")
    manifest = runs.manifest([ONE.entry(), TWO.entry()])
    with sidecar(runs, "--prune", manifest=manifest) as serving:
        serving.until_at_rest(runs.volume / ONE.path, runs.volume / TWO.path)
        accidents = {"models: [": "What was wanted before is kept.", '{"version": 1, "models": []}': "is removed of 2"}
        for text, said in accidents.items():
            edit(manifest, text=text)
            serving.until_said(said)
            assert_whole(runs.volume, [ONE, TWO])
        edit(manifest, ONE.entry())
        serving.until(lambda: not (runs.volume / TWO.path).exists(), "the removal")
        serving.until_at_rest(runs.volume / ONE.path)
        assert f"removed {TWO.path}" in serving.said
        assert serving.end()["exit_code"] == 0
    edit(manifest, LARGE.entry())
    with sidecar(runs, "--prune", manifest=manifest) as serving:
        serving.until(lambda: not (runs.volume / ONE.path).exists(), "the removal after a restart")
    assert_whole(runs.volume, [LARGE, THREE])
    assert users.read_bytes() == b"mine"


# What is told to others ------------------------------------------------------------------------------------------


def test_messages_tell_of_success_failure_and_a_broken_manifest(runs: Runs, origin: DemoServer) -> None:
    lost = TWO.entry(path="models/lost.safetensors", source="hf://acme/models/lost.safetensors")
    manifest = runs.manifest([ONE.entry()])
    with receiver() as took:
        env = {"PREFETCH_WEBHOOK": took.url, "PREFETCH_WEBHOOK_SECRET": SECRET}
        with sidecar(runs, "--prune", manifest=manifest, env=env) as serving:
            serving.until(lambda: took.kinds() == ["models.ready"], "the first message")
            edit(manifest, text="models: [")
            serving.until(lambda: took.kinds()[1:] == ["manifest.refused"], "the second message")
            edit(manifest, TWO.entry(), lost)
            serving.until(lambda: took.kinds()[2:] == ["models.failed"], "the third message")
            edit(manifest, TWO.entry())
            serving.until(lambda: took.kinds()[3:] == ["models.ready"], "the last message")
            said = serving.said + json.dumps(serving.end())
    first, refused, failed, last = (message.data for message in took.received)
    assert (first["changed"], first["models"], first["error"]) == ([ONE.path], {"downloaded": 1}, None)
    assert first["volume"] == str(runs.volume) and first["bytes_downloaded"] == ONE.content.size
    assert refused["error"]["code"] == "manifest" and "this is not YAML" in refused["error"]["message"]
    assert failed["exit_code"] == 1 and [each["path"] for each in failed["failed"]] == [lost["path"]]
    assert last["removed"] == [ONE.path] and last["failed"] == []
    assert "very-secret-key" not in said and SECRET not in said


# What is read again ----------------------------------------------------------------------------------------------


def test_a_turned_bit_is_found_said_and_mended(runs: Runs, origin: DemoServer) -> None:
    manifest = runs.manifest([LARGE.entry(), ONE.entry()])
    file = runs.volume / LARGE.path
    with receiver() as took:
        env = {"PREFETCH_WEBHOOK": took.url, "PREFETCH_WEBHOOK_SECRET": SECRET}
        with sidecar(runs, "--scrub", "0.00002", manifest=manifest, env=env) as serving:
            serving.until_at_rest(file)
            before, times = len(origin.requests), file.stat()
            with file.open("r+b") as opened:
                opened.seek(BLOCK + 5)
                opened.write(bytes([LARGE.content.read(BLOCK + 5, BLOCK + 6)[0] ^ 1]))
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
            serving.until_said("1 of 4 blocks differ")
            serving.until(lambda: sha256_of(file) == LARGE.content.sha256, "the mending")
            serving.until_at_rest(file)
            serving.until(lambda: [m.kind for m in took.received][-2:] == ["model.damaged", "models.ready"], "both")
            assert serving.metric("prefetch_damaged_models_total") == 1
            assert (serving.metric("prefetch_scrubbed_bytes_total") or 0) > BLOCK
            assert serving.metric('prefetch_repaired_bytes_total{where="disk"}') == BLOCK
            serving.end()
    assert asked_blocks(since(origin, before), LARGE) == {1}
    assert took.of("model.damaged")[0].data["path"] == LARGE.path
