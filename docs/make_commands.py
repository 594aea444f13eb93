"""Writes docs/commands.md from the commands themselves: ``python docs/make_commands.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prefetch.commands.table import COMMANDS, Command
from prefetch.settings import flag_of, option_of

__all__ = ["page"]

TARGET = Path(__file__).with_name("commands.md")

INTRODUCTION = """\
# Commands

What each command is for, how it is called, and examples. This page is written by `python docs/make_commands.py`;
`prefetch COMMAND --help` says the same. [settings.md](settings.md) tells what each option does, its variable and its
default; [results.md](results.md) has the exit codes and the documents of `--json`.
"""


def page() -> str:
    """The whole page."""
    rows = (
        f"| [`prefetch {command.name}`](#prefetch-{command.name.replace(' ', '-')}) | {command.help} |"
        for command in COMMANDS
    )
    contents = "\n".join(["| command | |", "|---|---|", *rows])
    return "\n".join([INTRODUCTION, contents, "", *map(_section, COMMANDS)])


def _section(command: Command) -> str:
    takes = [f"`{_shown(field)}`" for field in command.options if option_of(field).positional]
    options = [f"`{_shown(field)}`" for field in command.options if not option_of(field).positional]
    parts = [
        f"## prefetch {command.name}",
        command.about.replace("<", "&lt;"),
        _block(_examples(command)),
        *(f"Arguments: {field}." for field in takes),
        f"Options: {', '.join(options)}.",
    ]
    return "\n\n".join(parts) + "\n"


def _examples(command: Command) -> Iterator[str]:
    width = max(len(line) for line, _ in command.examples)
    yield from (f"{line:{width}}   # {meaning}" for line, meaning in command.examples)


def _shown(field: str) -> str:
    option = option_of(field)
    metavar = option.kind.metavar or ""
    return f"{metavar}…" if option.positional else f"{flag_of(field)} {metavar}".strip()


def _block(lines: Iterator[str]) -> str:
    return "\n".join(["```sh", *lines, "```"])


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
