"""``prefetch hook`` as an image's entrypoint: the models first, then the very same process is the command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from prefetch.demo.actions import Status
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, Wanted, assert_whole, journals, repo_of, sent_bytes, wanted, write_manifest
from tests.support.runs import until
from tests.support.sidecars import Sidecar

MODELS = wanted(50_000, 3 * BLOCK)
SMALL, LARGE = MODELS
NODE = "custom_nodes/comfyui-frame-interpolation/ckpts/rife/x.safetensors"
STARTED = ("sh", "-c", "echo started")


@dataclass(frozen=True)
class Hooks:
    """``prefetch hook`` of both models, the small one in group a and the large one in b."""

    commands: Commands
    origin: DemoServer
    volume: Path

    @property
    def environment(self) -> dict[str, str]:
        manifest = str(self.commands.home / "m.yaml")
        return {"HF_ENDPOINT": self.origin.endpoint, "PREFETCH_MANIFEST": manifest, "PREFETCH_CONNECTIONS": "1"}

    def words(self, options: tuple[str, ...], command: tuple[str, ...]) -> list[str | Path]:
        return ["hook", "--volume", self.volume, *options, "--", *command]

    def run(self, *options: str, command: tuple[str, ...] = STARTED, env: Mapping[str, str] | None = None) -> Outcome:
        return self.commands.run(*self.words(options, command), env={**self.environment, **(env or {})})

    def fill(self) -> None:
        """Have everything on the volume, and its record."""
        env = self.environment
        outcome = self.commands.run("run", "--volume", self.volume, env={**env, "PREFETCH_CONNECTIONS": "16"})
        assert outcome.returncode == 0, outcome.stderr


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], tokens={"hf_planted": "me"}, link=Link(pace=8_000_000)) as server:
        yield server


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, origin: DemoServer) -> Path:
    base = tmp_path_factory.mktemp("hook")
    (base / "home").mkdir()
    write_manifest(base / "home" / "m.yaml", [SMALL.entry(groups=["a"], node_path=NODE), LARGE.entry(groups=["b"])])
    Hooks(Commands(base / "home"), origin, base / "volume").fill()
    return base


@pytest.fixture
def empty(commands: Commands, origin: DemoServer, filled: Path, tmp_path: Path) -> Hooks:
    shutil.copy(filled / "home" / "m.yaml", commands.home)
    return Hooks(commands, origin, tmp_path / "volume")


@pytest.fixture
def full(empty: Hooks, filled: Path) -> Hooks:
    shutil.copytree(filled / "volume", empty.volume)
    return empty


# The command ----------------------------------------------------------------------------------------------------------


def test_the_process_becomes_the_command(full: Hooks) -> None:
    words = full.words((), ("sh", "-c", "echo $$; grep SigIgn /proc/self/status; exit 3"))
    with full.commands.start(*words, env=full.environment) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    number, _, ignored = stdout.split()
    assert number == str(process.pid)
    by_python = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert not int(ignored, 16) & by_python, "what Python ignores, the command does not"
    assert f"2 models in place on {full.volume}" in stderr


def test_signals_reach_the_command(full: Hooks) -> None:
    script = "trap 'echo stopped; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    with full.commands.start(*full.words((), ("sh", "-c", script)), env=full.environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=60)
    assert (stdout, process.returncode) == ("stopped\n", 7)


SECRETS = {
    "HF_TOKEN": "hf_secret",
    "CIVITAI_API_TOKEN": "secret",
    "HF_TOKEN_FILE": "/run/secrets/hf",
    "PREFETCH_TOKENS": "https://a.example.com=FIRST,https://b.example.com=SECOND",
    "FIRST": "secret",
    "SECOND": "secret",
    "PREFETCH_HEADERS": '{"https://c.example.com": {"X-Key": "${THIRD}"}}',
    "THIRD": "secret",
}


@pytest.mark.parametrize(("options", "kept"), [((), False), (("--keep-env",), True)], ids=str)
def test_secrets_are_not_the_command_s(full: Hooks, options: tuple[str, ...], kept: bool) -> None:
    others = {"RUNPOD_API_KEY": "the worker's own", "COMFY_LOG_LEVEL": "INFO"}
    outcome = full.run(*options, command=("cat", "/proc/self/environ"), env={**SECRETS, **others})
    found = dict(item.split("=", 1) for item in outcome.stdout.split("\0") if item)
    assert others.items() <= found.items()
    names = {*SECRETS, *full.environment}
    assert names & found.keys() == (names if kept else {"HF_ENDPOINT"})


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ((), "No command was given to start. Write it behind two dashes: prefetch hook -- /start.sh"),
        (("/no/such",), "There is no command /no/such to start."),
        (("no-such",), "There is no command no-such to start."),
        (("echo x",), "Separate its words: echo,x in PREFETCH_COMMAND"),
    ],
)
def test_a_command_that_cannot_be_started_is_said_before_anything_is_fetched(
    empty: Hooks, command: tuple[str, ...], sentence: str
) -> None:
    outcome = empty.run(command=command)
    assert outcome.returncode == 2
    assert sentence in outcome.stderr
    assert not empty.volume.exists()


def test_a_script_without_an_interpreter_is_said(full: Hooks) -> None:
    script = full.commands.home / "start.sh"
    script.write_text("echo started\n")
    script.chmod(0o755)
    outcome = full.run(command=(str(script),))
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "cannot be started: Exec format error. A script begins with a line such as #!/bin/sh." in outcome.stderr


def test_arguments_of_the_command_are_its_own(full: Hooks) -> None:
    outcome = full.run(command=("printf", "<%s>", "--mode", "", "a,b", "--"))
    assert outcome.stdout == "<--mode><><a,b><-->"


# Nothing to do --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["ensure", "verify", "off"])
def test_nothing_to_do_takes_the_standard_library_and_no_network(full: Hooks, mode: str) -> None:
    """By what is imported, not by the clock."""
    shutil.rmtree(full.volume / ".prefetch" / "inventory")
    before = len(full.origin.requests)
    bare = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"], capture_output=True, text=True, check=True
    )
    outcome = full.run("--mode", mode, command=("/bin/true",), env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert outcome.returncode == 0, outcome.stderr
    modules = imported(outcome.stderr) - imported(bare.stderr)
    assert "prefetch.hook" in modules
    # Python's own copy module asks for a part of Jython.
    strangers = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    assert strangers - {"org"} == {"prefetch"}
    assert not modules & {"asyncio", "ssl", "socket", "subprocess", "shutil", "prefetch.manifest", "prefetch.job"}
    rooms = {"prefetch.net.urls", "prefetch.report.events", "prefetch.report.wording", "prefetch.report.result"}
    assert not modules & rooms
    assert not modules & {"prefetch.runpod.options", "prefetch.comfyui.paths"}
    assert len(full.origin.requests) == before


def imported(stderr: str) -> set[str]:
    return {line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")}


# ensure ---------------------------------------------------------------------------------------------------------------


def test_ensure_fetches_and_links_then_starts(empty: Hooks) -> None:
    comfyui = empty.commands.home / "comfyui"
    (comfyui / "custom_nodes" / "ComfyUI-Frame-Interpolation").mkdir(parents=True)
    place = comfyui / NODE.replace("comfyui-frame", "ComfyUI-Frame").replace("-interpolation", "-Interpolation")
    for _ in range(2):
        place.unlink(missing_ok=True)
        outcome = empty.run("--comfyui", str(comfyui), command=("test", "-e", str(place)))
        assert outcome.returncode == 0, outcome.stderr
        assert place.samefile(empty.volume / SMALL.path)
    assert_whole(empty.volume, MODELS)


def test_run_links_where_it_is_told_to(full: Hooks) -> None:
    comfyui = full.commands.home / "comfyui"
    folder = comfyui / "custom_nodes" / "comfyui-frame-interpolation"
    folder.mkdir(parents=True)
    for options in ((), ("--refresh",)):
        shutil.rmtree(folder / "ckpts", ignore_errors=True)
        words = ("run", "--volume", full.volume, "--comfyui", comfyui, *options)
        made, again = (full.commands.run(*words, env=full.environment) for _ in range(2))
        assert (made.returncode, again.returncode) == (0, 0)
        assert (comfyui / NODE).samefile(full.volume / SMALL.path)
        assert f"note: linked in {comfyui}: {NODE}\n" in made.stderr
        assert "linked in" not in again.stderr
    unknown = full.commands.run("run", "--volume", full.volume, env=full.environment)
    assert f"note: no ComfyUI is known here, so its nodes do not find {NODE}: " in unknown.stderr
    outcome = full.commands.run("run", "--comfyui", "nowhere", "--volume", full.volume, env=full.environment)
    assert (outcome.returncode, "--comfyui nowhere is no directory." in outcome.stderr) == (2, True)


@pytest.mark.parametrize("mode", ["ensure", "verify"])
def test_a_model_that_cannot_be_had_stops_the_start(full: Hooks, mode: str) -> None:
    (full.volume / SMALL.path).unlink()
    full.origin.add_faults(Fault(do=Status(404), path=f"*{SMALL.name}", method="*", times=None))
    try:
        outcome = full.run("--mode", mode)
        assert (outcome.returncode, outcome.stdout) == (1, "")
        assert SMALL.path in outcome.stderr
        outcome = full.run("--mode", mode, "--on-failure", "continue")
    finally:
        full.origin.clear_faults()
    assert (outcome.returncode, outcome.stdout) == (0, "started\n")
    assert "The command is started all the same." in outcome.stderr


def test_no_manifest_stops_the_start(empty: Hooks) -> None:
    for mode, words in (("ensure", "No manifest was given"), ("verify", "nothing tells what to look for")):
        empty.volume.mkdir(exist_ok=True)
        outcome = empty.run("--mode", mode, env={"PREFETCH_MANIFEST": ""})
        assert (outcome.returncode, outcome.stdout) == (2, "")
        assert words in outcome.stderr
    assert empty.run("--mode", "off", env={"PREFETCH_MANIFEST": ""}).stdout == "started\n"


def test_a_signal_while_it_fetches_ends_it_without_the_command(empty: Hooks) -> None:
    words = empty.words(("--on-failure", "continue"), STARTED)
    with empty.commands.start(*words, env=empty.environment) as process:
        until(lambda: (empty.volume / ".prefetch/partial").exists(), "the first bytes", process)
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")


def test_many_workers_fetch_each_byte_once(empty: Hooks) -> None:
    before = sent_bytes(empty.origin.requests)
    words = empty.words((), STARTED)
    with (
        empty.commands.start(*words, env=empty.environment) as first,
        empty.commands.start(*words, env=empty.environment) as second,
    ):
        said = [process.communicate(timeout=60) for process in (first, second)]
    assert [(process.returncode, stdout) for process, (stdout, _) in zip((first, second), said, strict=True)] == [
        (0, "started\n")
    ] * 2
    assert_whole(empty.volume, MODELS)
    assert sent_bytes(empty.origin.requests) - before < 1.5 * sum(model.content.size for model in MODELS)


# A part of them first -------------------------------------------------------------------------------------------------


def is_there(hooks: Hooks) -> bool:
    return (hooks.volume / LARGE.path).exists()


def test_what_is_not_required_goes_on_beside_and_outlives_the_command(empty: Hooks) -> None:
    small, large = empty.volume / SMALL.path, empty.volume / LARGE.path
    outcome = empty.run("--require", "a", command=("sh", "-c", f"test -e {small} && test ! -e {large} && echo started"))
    assert outcome.stdout == "started\n", outcome.stderr
    assert "fetches the other models meanwhile" in outcome.stderr
    until(lambda: is_there(empty), "the other model")
    assert_whole(empty.volume, MODELS)
    status = empty.commands.run("status", "--volume", empty.volume, "--json")
    assert set(status.models) == {SMALL.path, LARGE.path}


def test_what_is_required_counts_as_what_is_there(full: Hooks) -> None:
    (full.volume / LARGE.path).unlink()
    outcome = full.run("--require", "a", "--mode", "verify")
    assert (outcome.returncode, outcome.stdout) == (0, "started\n")
    assert f"Beside what is required: 1 of 2 models not on {full.volume} as recorded" in outcome.stderr
    assert full.run("--require", "b", "--mode", "verify").returncode == 1
    assert "The groups are a, b." in full.run("--require", "c").stderr


def test_at_the_deadline_the_start_is_given_up_or_the_rest_goes_on_beside(empty: Hooks) -> None:
    slow = {"PREFETCH_LIMIT_RATE": "5M"}
    outcome = empty.run("--deadline", "1", "--listen", "127.0.0.1:0", env=slow)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "The models were not there within the deadline of 1.0s; what came is kept." in outcome.stderr
    assert "meanwhile" not in outcome.stderr, "who gives up leaves nothing behind"
    outcome = empty.run("--deadline", "1", "--on-failure", "continue", env={"PREFETCH_LIMIT_RATE": "3M"})
    assert outcome.stdout == "started\n", outcome.stderr
    until(lambda: is_there(empty), "the rest")
    assert_whole(empty.volume, MODELS)


class Silent(BaseRequestHandler):
    """Takes the question and says nothing."""

    def handle(self) -> None:
        while self.request.recv(1 << 16):
            pass


@pytest.fixture
def silent() -> Iterator[dict[str, str]]:
    """An environment whose manifest is at an address that never answers."""
    with ThreadingTCPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/m.yaml#sha256={'0' * 64}"
        yield {"PREFETCH_MANIFEST": "", "PREFETCH_MANIFEST_URL": address}
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("options", [("--mode", "ensure"), ("--mode", "verify"), ("--listen", "127.0.0.1:0")], ids=str)
def test_the_deadline_counts_while_the_manifest_is_fetched(
    full: Hooks, silent: Mapping[str, str], options: tuple[str, ...]
) -> None:
    began = time.monotonic()
    outcome = full.run(*options, "--deadline", "1", env=silent)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "The models were not there within the deadline of 1.0s" in outcome.stderr
    assert time.monotonic() - began < 15, "an answer would have been waited for for two minutes"


def test_a_manifest_that_does_not_come_in_time_is_waited_for_beside_the_command(
    full: Hooks, silent: Mapping[str, str]
) -> None:
    words = full.words(("--deadline", "1", "--on-failure", "continue"), STARTED)
    with full.commands.start(*words, env={**full.environment, **silent}) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read() == "started\n"
        said = next(line for line in process.stderr if "fetches the other models meanwhile" in line)
        os.kill(int(said.split("process ")[1].split()[0]), signal.SIGKILL)


# The sidecar beside it ------------------------------------------------------------------------------------------------

UNTIL_TOLD = ("sh", "-c", "tr '\\0' '\\n' < /proc/self/environ; echo ready; read line; exit 5")


@contextmanager
def beside(hooks: Hooks, *options: str, env: Mapping[str, str] | None = None) -> Iterator[tuple[Sidecar, int]]:
    """A hook with its sidecar, whose command runs until it is told to end; and the sidecar's process."""
    words = hooks.words(("--serve", "--listen", "127.0.0.1:0", "--poll", "0.2", *options), UNTIL_TOLD)
    with hooks.commands.start(*words, env={**hooks.environment, **(env or {})}) as process:
        sidecar = Sidecar(process)
        # The hook has listened before, where it had something to fetch.
        sidecar.until(lambda: re.search(r"is the sidecar[^$]*Listening on", sidecar.said), "the sidecar")
        yield sidecar, int(sidecar.said.partition(" is the sidecar")[0].rpartition(" ")[2])


def end_command(sidecar: Sidecar) -> list[str]:
    """Tell the command to end; what it said."""
    stdout, _ = sidecar.process.communicate("\n", timeout=60)
    assert sidecar.process.returncode == 5
    return str(stdout).splitlines()


def is_gone(process: int) -> bool:
    """Whether it runs no more; its parent may not have asked for its end yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_the_sidecar_follows_the_manifest_beside_the_command_and_ends_with_it(full: Hooks) -> None:
    (full.volume / LARGE.path).unlink()
    secrets = {
        "HF_TOKEN": "hf_planted",
        "PREFETCH_PUSHGATEWAY": "http://me:planted@127.0.0.1:9",
        "PREFETCH_WEBHOOK": "http://127.0.0.1:9/planted",
        "PREFETCH_WEBHOOK_SECRET": "planted/planted/planted/planted/",
        "PREFETCH_SCRUB": "7",
    }
    with beside(full, "--require", "a", env=secrets) as (sidecar, process):
        sidecar.until_at_rest(full.volume / LARGE.path)
        write_manifest(full.commands.home / "m.yaml", [LARGE.entry(path="models/other.safetensors", groups=["a"])])
        sidecar.until_at_rest(full.volume / "models/other.safetensors")
        assert b"HF_TOKEN=hf_planted" in Path(f"/proc/{process}/environ").read_bytes()
        command_line = Path(f"/proc/{process}/cmdline").read_bytes()
        assert b"planted" not in command_line and b"--scrub=7" in command_line
        said = end_command(sidecar)
        until(lambda: is_gone(process), "the end of the sidecar")
    assert said[-1] == "ready" and not [line for line in said if "planted" in line or line.startswith("PREFETCH_")]
    assert_whole(full.volume, MODELS)


def test_the_sidecar_of_a_command_that_ends_stops_in_order(empty: Hooks) -> None:
    with beside(empty, "--mode", "off", "--limit-rate", "4M") as (sidecar, process):
        sidecar.until(lambda: bool(journals(empty.volume).get(LARGE.path)), "a block")
        end_command(sidecar)
        until(lambda: is_gone(process), "the end of the sidecar")
    (journal,) = (empty.volume / ".prefetch/partial").glob("*.journal")
    assert journal.read_text().endswith("released\n"), "which no killed process has written"
    assert empty.run().stdout == "started\n"
    assert_whole(empty.volume, MODELS)


def test_what_cannot_be_had_at_the_start_comes_by_the_sidecar(full: Hooks) -> None:
    (full.volume / LARGE.path).unlink()
    full.origin.add_faults(Fault(do=Status(404), path=f"*{LARGE.name}", method="*", times=None))
    try:
        with beside(full, "--on-failure", "continue") as (sidecar, _):
            sidecar.until_said("What failed is tried again in")
            assert sidecar.word == "failed"
            full.origin.clear_faults()
            sidecar.until_at_rest(full.volume / LARGE.path)
            end_command(sidecar)
    finally:
        full.origin.clear_faults()
    assert_whole(full.volume, MODELS)


def test_a_sidecar_that_is_killed_does_not_hurt_the_command(full: Hooks) -> None:
    with beside(full) as (sidecar, process):
        os.kill(process, signal.SIGKILL)
        until(lambda: is_gone(process), "the end of the sidecar")
        assert sidecar.process.poll() is None
        assert end_command(sidecar)[-1] == "ready"


def test_a_sidecar_that_could_not_listen_so_is_said_before_anything_is_fetched(empty: Hooks) -> None:
    outcome = empty.run("--serve", "--listen", "0.0.0.0:9464")
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "--listen 0.0.0.0:9464 lets everybody in who reaches this machine." in outcome.stderr
    assert not empty.volume.exists()


def test_the_hooks_own_fetching_can_be_watched(empty: Hooks) -> None:
    words = empty.words(("--listen", "127.0.0.1:0", "--limit-rate", "1M"), STARTED)
    with empty.commands.start(*words, env=empty.environment) as process:
        watched = Sidecar(process)
        assert watched.word == "working"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 130


# verify ---------------------------------------------------------------------------------------------------------------


def test_a_serverless_worker_compares_and_fetches_nothing(full: Hooks) -> None:
    serverless = {"RUNPOD_ENDPOINT_ID": "abc"}
    large = full.volume / LARGE.path
    before, requests = large.stat(), len(full.origin.requests)
    large.write_bytes(bytes(before.st_size))
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert full.run(env=serverless).stdout == "started\n", "no byte of a model is read"
    os.utime(large, (1, 1))
    outcome = full.run(env=serverless)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert f"1 of 2 models not on {full.volume} as recorded: {LARGE.path} (changed)." in outcome.stderr
    assert len(full.origin.requests) == requests


def test_without_a_manifest_what_was_applied_last_counts(full: Hooks) -> None:
    env = {"PREFETCH_MANIFEST": "", "RUNPOD_ENDPOINT_ID": "abc"}
    assert full.run(env=env).stdout == "started\n"
    assert full.run("--require", "a", env=env).stdout == "started\n"
    outcome = full.run("--require", "nonesuch", env=env)
    assert outcome.returncode == 2
    assert 'No model is in a group "nonesuch". The groups are a, b.' in outcome.stderr
    (full.volume / SMALL.path).unlink()
    assert f"{SMALL.path} (missing)" in full.run(env=env).stderr


# A manifest at an address ---------------------------------------------------------------------------------------------


def address_of(hooks: Hooks, name: str, *models: Wanted) -> dict[str, str]:
    """An environment whose manifest is at an address, in which each model is in a group of its own."""
    entries = [model.entry(groups=[f"g{number}"]) for number, model in enumerate(models)]
    text = json.dumps({"version": 1, "models": entries})
    return {"PREFETCH_MANIFEST": "", "PREFETCH_MANIFEST_URL": hooks.origin.put_file(name, BytesFile(text.encode()))}


def bring(hooks: Hooks, env: Mapping[str, str], *options: str) -> None:
    outcome = hooks.commands.run("run", "--volume", hooks.volume, *options, env={**hooks.environment, **env})
    assert outcome.returncode == 0, outcome.stderr


def test_of_two_addresses_on_a_volume_each_has_its_own_last_run(full: Hooks) -> None:
    both, one = address_of(full, "both.yaml", SMALL, LARGE), address_of(full, "one.yaml", SMALL)
    bring(full, both)
    bring(full, one)
    requests = len(full.origin.requests)
    for env, count in ((both, "2 models"), (one, "1 model")):
        outcome = full.run("--mode", "verify", env=env)
        assert (outcome.stdout, f"{count} in place" in outcome.stderr) == ("started\n", True)
    (full.volume / LARGE.path).unlink()
    refused = full.run("--mode", "verify", env=both)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{LARGE.path} (missing)" in refused.stderr
    assert full.run("--mode", "verify", env=one).stdout == "started\n"
    assert len(full.origin.requests) == requests, "no host is asked, not for a manifest either"
    written = "".join(path.read_text() for path in (full.volume / ".prefetch/applied").iterdir())
    assert full.origin.endpoint + "/files" not in written, "an address may be a secret"


def test_a_manifest_at_an_address_that_was_never_complete_is_fetched_and_compared(empty: Hooks) -> None:
    """Neither a run of a part of it, nor one of another manifest, nor of an earlier text says that all is there."""
    both = address_of(empty, "both.yaml", SMALL, LARGE)
    bring(empty, both, "--group", "g0")
    refused = empty.run("--mode", "verify", env=both)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert LARGE.path in refused.stderr
    assert empty.run("--mode", "verify", "--require", "g0", env=both).stdout == "started\n"
    bring(empty, address_of(empty, "other.yaml", SMALL, LARGE))
    assert empty.run("--mode", "verify", env=both).stdout == "started\n", "by the records of the other's run"
    nonesuch = empty.run("--mode", "verify", "--require", "nonesuch", env=both)
    assert (nonesuch.returncode, nonesuch.stdout) == (2, "")
    assert 'No model is in a group "nonesuch". The groups are g0, g1.' in nonesuch.stderr
    gone = empty.run("--mode", "verify", env={**both, "PREFETCH_MANIFEST_URL": f"{empty.origin.endpoint}/files/gone"})
    assert (gone.returncode, gone.stdout) == (1, "")


def test_a_pinned_address_is_known_by_its_hash(full: Hooks) -> None:
    one = address_of(full, "pinned.yaml", SMALL)
    url = one["PREFETCH_MANIFEST_URL"]
    text = json.dumps({"version": 1, "models": [SMALL.entry(groups=["g0"])]}).encode()
    pinned = {**one, "PREFETCH_MANIFEST_URL": f"{url}#sha256={hashlib.sha256(text).hexdigest()}"}
    bring(full, pinned)
    requests = len(full.origin.requests)
    for mode in ("verify", "ensure"):
        assert full.run("--mode", mode, env=pinned).stdout == "started\n"
    assert len(full.origin.requests) == requests
    other = full.run("--mode", "verify", env={**one, "PREFETCH_MANIFEST_URL": f"{url}#sha256={'0' * 64}"})
    assert (other.returncode, other.stdout) == (2, "")
    assert f"expected {'0' * 64}" in other.stderr


def test_models_of_the_environment_count_beside_an_address(full: Hooks) -> None:
    one = address_of(full, "one.yaml", SMALL)
    bring(full, one)
    beside = {**one, "PREFETCH_MODELS": f"{LARGE.source} -> models/else.safetensors"}
    refused = full.run("--mode", "verify", env=beside)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "models/else.safetensors" in refused.stderr
    bring(full, beside)
    requests = len(full.origin.requests)
    outcome = full.run("--mode", "verify", env=beside)
    assert (outcome.stdout, "2 models in place" in outcome.stderr) == ("started\n", True)
    assert len(full.origin.requests) == requests


def test_what_an_earlier_version_has_recorded_is_no_proof_for_an_address(full: Hooks) -> None:
    """Its record names neither the address nor the groups; the manifest is fetched until a run of it is complete."""
    both = address_of(full, "both.yaml", SMALL, LARGE)
    for path in (full.volume / ".prefetch/applied").iterdir():
        document = json.loads(path.read_text())
        del document["groups"]
        path.write_text(json.dumps(document))
    assert full.run("--mode", "verify", env=both).stdout == "started\n"
    without = full.run("--mode", "verify", env={"PREFETCH_MANIFEST": ""})
    assert without.stdout == "started\n"
    assert "was of some groups only, as far as its record tells: set PREFETCH_MANIFEST." in without.stderr
    assert "set PREFETCH_MANIFEST" not in full.run("--mode", "verify").stderr


def test_without_a_manifest_a_run_of_a_group_is_told_as_one(empty: Hooks) -> None:
    bring(empty, {}, "--group", "a")
    outcome = empty.run("--mode", "verify", env={"PREFETCH_MANIFEST": ""})
    assert outcome.stdout == "started\n"
    assert f"the last complete run on {empty.volume} was of the group a only" in outcome.stderr


def test_a_manifest_of_which_no_run_was_complete_is_compared_with_the_records(full: Hooks) -> None:
    shutil.rmtree(full.volume / ".prefetch" / "applied")
    comfyui = full.commands.home / "comfyui"
    (comfyui / "custom_nodes" / "comfyui-frame-interpolation").mkdir(parents=True)
    assert full.run("--mode", "verify", "--comfyui", str(comfyui)).stdout == "started\n"
    assert (comfyui / NODE).samefile(full.volume / SMALL.path)
    (full.volume / LARGE.path).unlink()
    outcome = full.run("--mode", "verify")
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert LARGE.path in outcome.stderr


def test_a_workflow_that_cannot_be_read_is_said_before_anything_is_fetched(empty: Hooks) -> None:
    outcome = empty.run("--workflow", "tpyo.json", "--on-failure", "continue")
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "tpyo.json" in outcome.stderr
    assert not empty.volume.exists()
    off = empty.run("--workflow", "tpyo.json", "--mode", "off")
    assert off.stdout == "started\n"
    assert "With --mode off no --workflow is compared" in off.stderr


def test_a_broken_manifest_is_shown_in_lines_before_the_command_starts(empty: Hooks) -> None:
    (empty.commands.home / "m.yaml").write_text("version: 1\nmodels: [{path: x")
    outcome = empty.run("--on-failure", "continue")
    assert outcome.stdout == "started\n"
    assert "\\n" not in outcome.stderr
    assert outcome.stderr.splitlines()[-1] == "warning: The command is started all the same."


def test_a_workflow_that_lacks_a_model_stops_the_start(full: Hooks) -> None:
    for name, started in ((SMALL.name, True), ("other.safetensors", False)):
        nodes = {
            "1": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": name}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
        }
        (full.commands.home / "w.json").write_text(json.dumps(nodes))
        write_manifest(full.commands.home / "m.yaml", [SMALL.entry(path=f"models/loras/{SMALL.name}")])
        outcome = full.run("--workflow", str(full.commands.home / "w.json"))
        assert (outcome.returncode, outcome.stdout.endswith("started\n")) == (0 if started else 1, started)
    assert "other.safetensors" in outcome.stdout


def test_a_log_for_machines_stays_one(full: Hooks) -> None:
    (full.volume / SMALL.path).unlink()
    outcome = full.run("--mode", "verify", "--log-format", "json")
    assert [json.loads(line)["event"] for line in outcome.stderr.splitlines()] == ["error"]
