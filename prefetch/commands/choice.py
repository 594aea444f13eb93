"""Which command the first words of a command line mean: one word, or a family and a word, as in ``image audit``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from prefetch.commands.table import Command
from prefetch.errors import UsageError
from prefetch.spelling import did_you_mean, nearest, shown

__all__ = ["HELP", "choose", "may_mean_a_job", "overview"]

HELP = frozenset({"-h", "--help"})
_MANIFESTS = (".yaml", ".yml", ".json")
"""How files end that a command was probably meant to be given; a workflow ends as a manifest in JSON does."""


def choose(words: Sequence[str], commands: Sequence[Command]) -> tuple[Command, Sequence[str]] | None:
    """The command, and the words behind its name; None where help on a family of commands is asked for.

    Raises:
        UsageError: no command has this name.
    """
    first = words[0] if words else ""
    for command in commands:
        if command.name == first:
            return command, words[1:]
    family = _family(first, commands)
    if not family:
        raise _no_command(first, commands)
    second = words[1] if len(words) > 1 else ""
    for command in family:
        if command.name == f"{first} {second}":
            return command, words[2:]
    if second in HELP:
        return None
    raise _no_member(first, second, family)


def may_mean_a_job(words: Sequence[str], commands: Sequence[Command]) -> bool:
    """Whether words that `choose` refuses may be a pod's only job: unless they are nearest to another command."""
    first = words[0] if words else ""
    if _family(first, commands):
        return False
    name = nearest(first, [command.name.partition(" ")[0] for command in commands])
    return name is None or any(command.may_end_a_pod for command in commands if command.name == name)


def overview(commands: Sequence[Command], family: str = "") -> str:
    """The list of commands, or of those of one family, for a person who has named none."""
    listed = _family(family, commands) if family else commands
    width = max(len(command.name) for command in listed)
    return "\n".join(
        [
            f"usage: prefetch {f'{family} COMMAND' if family else 'COMMAND'} [OPTION]...",
            "",
            "Puts a manifest's models on a volume: in parallel, resumed, verified, each whole or not at all.",
            "",
            "commands:",
            *(f"  {command.name:{width}}  {command.help}" for command in listed),
            "",
            "examples:",
            "  prefetch demo                                  see it work, offline",
            "  prefetch run models.yaml --volume /workspace   put the models there",
            "",
            "'prefetch help COMMAND' tells what a command takes. Every option can also be set in the environment,",
            "as in PREFETCH_VOLUME=/workspace. 'prefetch --version' prints the version.",
        ]
    )


def _family(first: str, commands: Sequence[Command]) -> list[Command]:
    return [command for command in commands if first and command.name.startswith(first + " ")]


def _no_command(word: str, commands: Sequence[Command]) -> UsageError:
    if not word:
        print(overview(commands), file=sys.stderr)
        return UsageError("No command was given.", remedy="Write for example: prefetch run models.yaml")
    options = ["--version", "help", *sorted(HELP)]
    if word.startswith("-"):
        otherwise = "Options come after the command, as in: prefetch run --json"
        remedy = did_you_mean(word, options, otherwise=otherwise)
        return UsageError(f"prefetch has no option {shown(word)}.", remedy=remedy)
    if word.lower().endswith(_MANIFESTS):
        other = f" or: prefetch workflow models {shown(word)}" if word.lower().endswith(".json") else ""
        return UsageError(
            f"prefetch has no command {shown(word)}.", remedy=f"Did you mean: prefetch run {shown(word)}{other}?"
        )
    names = [command.name for command in commands]
    firsts = [name.partition(" ")[0] for name in names]
    remedy = did_you_mean(word, [*firsts, *options], otherwise=f"The commands are {', '.join(names)}.")
    return UsageError(f"prefetch has no command {shown(word)}.", remedy=remedy)


def _no_member(first: str, second: str, family: Sequence[Command]) -> UsageError:
    names = [command.name for command in family]
    known = f"The commands are {', '.join(names)}." if len(names) > 1 else f"Write: prefetch {names[0]}"
    if not second or second.startswith("-"):
        return UsageError(f"'prefetch {first}' needs one more word.", remedy=known)
    found = nearest(second, [name.partition(" ")[2] for name in names])
    remedy = known if found is None else f"Did you mean {first} {found}?"
    return UsageError(f"prefetch has no command {shown(f'{first} {second}')}.", remedy=remedy)
