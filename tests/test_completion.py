"""What a shell completes, asked of the shell itself."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from prefetch.commands.table import COMMANDS
from tests.support.commands import Commands


def completed(script: str, line: str) -> list[str]:
    """What bash offers at the end of ``line``."""
    words = line.split(" ")
    asking = f"""
        source /dev/stdin <<<{shlex.quote(script)}
        COMP_WORDS=({" ".join(map(shlex.quote, words))}) COMP_CWORD={len(words) - 1}
        $(complete -p prefetch | sed 's/.*-F \\([^ ]*\\).*/\\1/') && printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asking], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split()


def test_bash_completes_commands_options_and_choices(commands: Commands) -> None:
    script = commands.run("completion", "bash").stdout
    assert {command.name.split()[0] for command in COMMANDS} <= set(completed(script, "prefetch "))
    assert completed(script, "prefetch image a") == ["audit"]
    assert completed(script, "prefetch run --conn") == ["--connections"]
    assert completed(script, "prefetch run --log-format ") == ["text", "json"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_of_their_own(commands: Commands, shell: str) -> None:
    done = commands.run("completion", shell)
    assert done.returncode == 0
    assert "limit-rate" in done.stdout


@pytest.mark.parametrize("words", [[], ["ksh"], ["bash", "zsh"]])
def test_anything_else_is_a_sentence(commands: Commands, words: list[str]) -> None:
    done = commands.run("completion", *words)
    assert done.returncode == 2
    assert "prefetch: error:" in done.stderr and ("Write for example:" in done.stderr or "Did you mean" in done.stderr)


@pytest.mark.parametrize("words", [("completion", "bash"), ("comfyui", "paths")])
def test_what_prints_another_language_takes_no_json(commands: Commands, words: tuple[str, ...]) -> None:
    refused = commands.run(*words, "--json")
    assert refused.returncode == 2
    assert "has no option --json" in refused.document["error"]["message"]
    plain, asked = commands.run(*words), commands.run(*words, env={"PREFETCH_JSON": "1"})
    assert plain.returncode == asked.returncode == 0
    assert asked.stdout == plain.stdout, "a setting for all commands does not break a file for another program"
