"""The command line as a person and a script meet it: the real program in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from prefetch import __version__
from prefetch.arguments import help_of, parse, written
from prefetch.cli import main
from prefetch.commands.table import COMMANDS, Command
from prefetch.errors import UsageError
from prefetch.loading import load_settings
from prefetch.settings import flag_of, option_names, option_of, variable_of

RUN = COMMANDS[0]
TOP_KEYS = ["ok", "exit_code", "error", "volume", "seconds", "bytes_downloaded", "models"]

STUBS = """
import asyncio, os, sys, threading, time
from prefetch.__main__ import main
from prefetch.commands.table import Command
from prefetch.errors import AccessError, SpaceError
from prefetch.report.events import RunStarted
from prefetch.report.result import ModelResult, RunResult
from prefetch.signals import interrupted, run_until_signal
import prefetch.cli, prefetch.__main__

def works(settings, listener):
    return RunResult(0, "/volume", 1.0, 5, (ModelResult("models/é.bin", "downloaded", 5),), text="path é")

def refused(settings, listener):
    listener(RunStarted("/volume", 1))
    raise AccessError("The repository is gated.", remedy="Open its page and accept.")

def broken(settings, listener):
    raise TypeError("no hf_abcdefghijklmnop at https://cdn/x?X-Amz-Signature=secret\\nsecond line")

async def full():
    raise SpaceError("No space left.", remedy="Make room.")

async def together(work):
    async with asyncio.TaskGroup() as group:
        group.create_task(work)
        group.create_task(asyncio.sleep(60))

def grouped(settings, listener):
    asyncio.run(together(together(full())))

def hangs(settings, listener):
    async def work():
        stuck = asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
        print("ready", file=sys.stderr, flush=True)
        while True:
            try:
                await asyncio.shield(stuck)
            except asyncio.CancelledError:
                pass
    return run_until_signal(work)

def tidies(settings, listener):
    async def work():
        print("ready", file=sys.stderr, flush=True)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return RunResult(130, "/volume", 1.0, 7, error=interrupted())
    return run_until_signal(work)

def blocks(settings, listener):
    print("ready", file=sys.stderr, flush=True)
    time.sleep(60)

def ignores(settings, listener):
    import signal
    async def work():
        print("ready", file=sys.stderr, flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            print("stopping", file=sys.stderr, flush=True)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            time.sleep(60)
    return run_until_signal(work)

names = ("works", "refused", "broken", "grouped", "hangs", "tidies", "blocks", "ignores", "begins")
begins = hangs
options = ("volume", "quota", "json_", "log_format")
table = [Command(n, n, n, options, (("x", "y"),), f"__main__:{n}", resumes=n != "begins") for n in names]
prefetch.__main__.run_command_line = lambda: prefetch.cli.main(commands=table)
main()
"""


def environment(**extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFETCH_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(Path(__file__).parent.parent), **extra}


def prefetch(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return _finish([sys.executable, "-m", "prefetch", *words], environ)


def stubbed(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return _finish([sys.executable, "-c", STUBS, *words], environ)


def _finish(command: Sequence[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment(**environ), capture_output=True, text=True, encoding="utf-8", timeout=30, check=False
    )


def test_version_needs_no_library() -> None:
    script = "import sys; from prefetch.cli import main; main(['--version']); print(*sys.modules, file=sys.stderr)"
    done = _finish([sys.executable, "-c", script], {})
    assert done.stdout == f"prefetch {__version__}\n"
    assert not {"pydantic", "aiohttp", "rich", "huggingface_hub", "yaml"} & set(done.stderr.split())


def test_arguments_and_settings_need_the_standard_library_only() -> None:
    script = f"""if True:
        import sys
        before = set(sys.modules)
        from prefetch.cli import main
        from prefetch.commands.table import Command
        table = [Command("run", "", "", {RUN.options!r}, (("", ""),), "json:dumps")]
        main(["run", "--quota", "5G"], commands=table)
        new = [module for name, module in sys.modules.items() if name not in before]
        print(*(getattr(module, "__file__", None) or "" for module in new), sep="\\n")"""
    done = _finish([sys.executable, "-c", script], {})
    files = done.stdout.splitlines()
    assert any(file.endswith("prefetch/loading.py") for file in files), done.stderr
    assert not [file for file in files if "site-packages" in file]


def test_no_command_is_help_and_an_error() -> None:
    done = prefetch()
    assert (done.returncode, done.stdout) == (2, "")
    assert all(f"  {command.name}" in done.stderr for command in COMMANDS)
    assert done.stderr.endswith("prefetch: error: No command was given. Write for example: prefetch run models.yaml\n")


def test_a_misspelt_option_with_json_in_the_middle_of_it() -> None:
    done = prefetch("run", "--quata", "5G", "--json")
    document = json.loads(done.stdout)
    sentence = "'prefetch run' has no option --quata. Did you mean --quota?"
    assert done.returncode == 2
    assert list(document) == TOP_KEYS
    assert document["error"] == {"code": "usage", "message": sentence}
    assert (document["ok"], document["exit_code"], document["volume"], document["models"]) == (False, 2, None, [])
    assert done.stderr == f"prefetch: error: {sentence}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rnu"], "prefetch has no command rnu. Did you mean run?"),
        (["hepl"], "prefetch has no command hepl. Did you mean --help?"),
        (["help", "rnu"], "prefetch has no command rnu. Did you mean run?"),
        (
            ["zzz"],
            f"prefetch has no command zzz. The commands are {', '.join(command.name for command in COMMANDS)}.",
        ),
        (["--verison"], "prefetch has no option --verison. Did you mean --version?"),
        (
            ["--json", "run"],
            "prefetch has no option --json. Options come after the command, as in: prefetch run --json",
        ),
        (["run", "--volume"], "--volume needs a value. Write for example: --volume /workspace"),
        (["run", "--volume", "--json"], "--volume needs a value. Write for example: --volume /workspace"),
        (["run", "--json=1"], "--json takes no value. Write --json alone."),
        (["run", "--vol", "/x"], "'prefetch run' has no option --vol. Did you mean --volume?"),
        (
            ["status", "a.yaml"],
            (
                "'prefetch status' takes no argument a.yaml. "
                "To compare the volume with a manifest: prefetch verify --quick a.yaml"
            ),
        ),
        (
            ["status", "--", "-h"],
            "'prefetch status' takes no argument -h. 'prefetch status --help' tells what it takes.",
        ),
        (["status", "--zzz"], "'prefetch status' has no option --zzz. 'prefetch status --help' tells what it takes."),
        (
            ["run", "--hf-token=hf_abcdefghijkl"],
            (
                "'prefetch run' has no option --hf-token. Secrets are read from the environment, as in HF_TOKEN, "
                "where ps does not show them."
            ),
        ),
        (["run", "--quota", "5X"], "--quota 5X is not a size in bytes above 0. Write for example: --quota 100G"),
    ],
)
def test_what_is_wrong_and_what_to_write(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in map(variable_of, option_names()):
        monkeypatch.delenv(variable, raising=False)
    assert in_process(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"prefetch: error: {sentence}"


def in_process(words: list[str], commands: Sequence[Command] = COMMANDS) -> int:
    former = signal.getsignal(signal.SIGTERM)
    try:
        return main(words, commands=commands)
    finally:
        signal.signal(signal.SIGTERM, former)


FAMILY = [Command(f"image {word}", f"{word} it", "", (), (("", ""),), "json:dumps") for word in ("audit", "slim")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["image"], "'prefetch image' needs one more word. The commands are image audit, image slim."),
        (["image", "--json"], "'prefetch image' needs one more word. The commands are image audit, image slim."),
        (["image", "adit"], "prefetch has no command 'image adit'. Did you mean image audit?"),
        (["image", "zzz"], "prefetch has no command 'image zzz'. The commands are image audit, image slim."),
        (["imago"], "prefetch has no command imago. Did you mean image?"),
        (["image", "slim", "x"], "'prefetch image slim' takes no argument x. 'prefetch image slim --help' tells what"),
    ],
)
def test_a_family_of_commands_wants_a_second_word(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process(words, FAMILY) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"prefetch: error: {sentence}")


def test_help_on_a_family_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(["image", "--help"], [RUN, *FAMILY]) == 0
    page = capsys.readouterr().out
    assert page.startswith("usage: prefetch image COMMAND ")
    assert "  image audit  audit it\n" in page and f"  {RUN.name} " not in page.partition("examples:")[0]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_tells_every_option_its_variable_and_the_exit_codes(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    page = help_of(command)
    for field in command.options:
        option = option_of(field)
        assert str(option.kind.metavar if option.positional else flag_of(field)) in page
        assert variable_of(field) in page
    assert "examples:\n  prefetch " in page and "  130  stopped by SIGINT, SIGTERM or SIGHUP" in page
    assert max(map(len, page.splitlines())) <= 100


def test_settings_are_written_as_they_are_read() -> None:
    words = ["--volume", "/a b", "--group=x", "--group=-y", "--limit-rate=5M", "--wait-timeout", "1.5", "--locked"]
    settings = load_settings(parse(RUN, [*words, "--", "-m.yaml", "n.yaml"]), environ={})
    again = load_settings(parse(RUN, written(settings, RUN.options)), environ={})
    assert asdict(again) == asdict(settings)
    assert written(load_settings({}, environ={}), RUN.options) == ["--"]
    assert written(settings, ["group"]) == ["--group=x", "--group=-y", "--"], "only these"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_examples_in_the_help_are_right(command: Command) -> None:
    for line, _ in command.examples:
        words = line.partition(" > ")[0].split()
        name = ["prefetch", *command.name.split()]
        assert words[: len(name)] == name
        parse(command, words[len(name) :])


def test_help_and_version_are_text_even_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(["run", "--json", "--help"]) == 0
    assert in_process(["--help"]) == 0
    assert in_process(["help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("usage: prefetch run ") and "\nusage: prefetch COMMAND" in output


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], {}),
        (["a.yaml", "b.yaml"], {"manifest": ["a.yaml", "b.yaml"]}),
        (["a.yaml", "--volume", "/x", "b.yaml"], {"manifest": ["a.yaml", "b.yaml"], "volume": "/x"}),
        (["--group", "i2v", "--group=t2i", "--refresh"], {"group": ["i2v", "t2i"], "refresh": True}),
        (["--json", "a", "--", "--odd.yaml", "-h"], {"manifest": ["a", "--odd.yaml", "-h"], "json_": True}),
    ],
)
def test_arguments(words: list[str], given: dict[str, Any]) -> None:
    assert parse(RUN, words) == given


def test_options_of_other_commands_are_refused() -> None:
    with pytest.raises(UsageError, match="no option --quick"):
        parse(RUN, ["--quick"])


def test_a_bad_variable_is_a_usage_error_in_json_too() -> None:
    done = prefetch("run", PREFETCH_QUOTA="lots", PREFETCH_JSON="1")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"].startswith("PREFETCH_QUOTA=lots is not a size in bytes above 0.")
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


def test_results_go_to_standard_output() -> None:
    text, document = stubbed("works"), stubbed("works", "--json", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (text.returncode, text.stdout) == (0, "path é\n")
    assert json.loads(document.stdout)["models"][0]["path"] == "models/é.bin"


def test_an_error_is_one_sentence_and_its_exit_code() -> None:
    done = stubbed("refused", "--volume", "sub", "--json")
    sentence = "The repository is gated. Open its page and accept."
    assert done.returncode == 3
    assert done.stderr == f"1 model wanted on /volume\nprefetch: error: {sentence}\n"
    document = json.loads(done.stdout)
    assert document["error"] == {"code": "access", "message": sentence}
    assert document["volume"] == str(Path.cwd() / "sub")


def test_a_json_log_has_nothing_but_json() -> None:
    done = stubbed("refused", "--log-format", "json", PREFETCH_QUOTTA="5G")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"] for event in events] == ["notice", "run_started", "error"]
    assert events[0]["message"] == "PREFETCH_QUOTTA is not a setting of this program; did you mean PREFETCH_QUOTA?"
    assert done.stdout == ""


def test_a_fault_of_ours_is_a_sentence_too() -> None:
    done = stubbed("broken", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "internal")
    assert re.fullmatch(
        r"prefetch: internal error: TypeError: no hf_\S* at https://cdn/x - please report it with the output of "
        r"PREFETCH_DEBUG=1\n",
        done.stderr,
    )


def test_a_group_of_errors_is_told_by_its_first_cause() -> None:
    done = stubbed("grouped", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"], document["error"]["code"]) == (4, 4, "space")
    assert done.stderr == "prefetch: error: No space left. Make room.\n"


def test_debug_adds_the_traceback_without_secrets() -> None:
    done = stubbed("broken", PREFETCH_DEBUG="1")
    assert "Traceback" in done.stderr and "in broken" in done.stderr
    assert "abcdefghijklmnop" not in done.stderr.replace(STUBS, "") and "=secret" not in done.stderr


@pytest.mark.parametrize("words", [["works", "--json"], ["--help"]])
def test_a_closed_pipe_is_quiet(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", STUBS, *words], env=environment(), stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_under_standard_output_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", STUBS, "works"], env=environment(), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"prefetch: error: Standard output cannot be written: No space left on device.\n"


def start(command: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBS, command, "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    return process


SENTENCE = "Interrupted: state is kept; run the same command again to go on."


@pytest.mark.parametrize("command", ["hangs", "tidies", "blocks"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_a_second_with_a_document(command: str, number: signal.Signals) -> None:
    process = start(command)
    sent = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert time.monotonic() - sent < 1.0
    assert process.returncode == 130
    assert errors == f"prefetch: error: {SENTENCE}\n"
    document = json.loads(output)
    assert document["error"] == {"code": "interrupted", "message": SENTENCE}
    assert document["bytes_downloaded"] == (7 if command == "tidies" else 0)


def test_what_keeps_no_state_does_not_say_so() -> None:
    process = start("begins")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    said = "prefetch: error: Interrupted: run the same command again; it begins anew.\n"
    assert (process.returncode, errors) == (130, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models.yaml"], "Did you mean: prefetch run models.yaml?"),
        (["a/x.YML", "--volume", "v"], "Did you mean: prefetch run a/x.YML?"),
        (["x.json"], "Did you mean: prefetch run x.json or: prefetch workflow models x.json?"),
        (["run", "m.yaml", "--quota", "50", "GB"], "Write it as one: --quota 50GB"),
        (["run", "--limit-rate", "1.5", "M", "m.yaml"], "Write it as one: --limit-rate 1.5M"),
        (["plan", "m.yaml", "--volume=~/vol"], "the shell did not expand ~. Write the whole path: --volume /h/ann/vol"),
        (["plan", "~/m.yaml"], "the shell did not expand ~. Write the whole path: /h/ann/m.yaml"),
        (["demo", "--volume", __file__], "cannot be used as a volume: Not a directory."),
    ],
)
def test_what_was_meant_is_said(words: list[str], said: str) -> None:
    done = prefetch(*words, HOME="/h/ann")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr


def test_a_second_signal_ends_it_at_once() -> None:
    process = start("ignores")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "stopping\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 130
    process.communicate()
