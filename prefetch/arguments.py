"""A command's arguments, generated from the settings it takes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from prefetch.commands.table import Command
from prefetch.errors import UsageError
from prefetch.settings import Settings, default_of, flag_of, option_names, option_of, variable_of
from prefetch.spelling import did_you_mean, shown, split_at_dashes

__all__ = ["help_of", "parse", "parser_of_all", "written"]

_EXIT_CODES = """\
exit codes:
  0    done; after run, demo and verify: all there and verified
  1    some model failed
  2    usage, manifest or settings
  3    access: a token, a gate or a licence
  4    no space
  5    another owner holds a model, and the wait ran out
  130  stopped by SIGINT, SIGTERM or SIGHUP"""

_SIZE_METAVARS = frozenset({"SIZE", "RATE"})
_UNITS = re.compile(r"[KMGTkmgt]i?[Bb]?|B")


def parse(command: Command, arguments: Sequence[str]) -> dict[str, Any]:
    """What was written, by the settings' field names; not yet validated.

    Raises:
        UsageError: an unknown option, a missing value, an argument too many.
    """
    words, plain = split_at_dashes(arguments)
    _refuse_split_sizes(command, words)
    parser = _parser(command)
    # Else argparse puts one together of all options, for sentences of its own, which nobody sees.
    parser.usage = ""
    try:
        namespace, strangers = parser.parse_known_intermixed_args(words)
    except argparse.ArgumentError as error:
        raise _malformed(command, error.argument_name or "") from None
    if strangers:
        raise _unknown(command, next((word for word in strangers if word.startswith("-")), strangers[0]))
    given = vars(namespace)
    if plain:
        field = _positional(command, plain[0])
        given[field] = [*given.get(field, ()), *plain]
    return given


def written(settings: Settings, fields: Collection[str]) -> list[str]:
    """The words that give a command those of the fields that differ from their defaults: the way back of `parse`."""
    words: list[str] = []
    plain: list[str] = []
    for field in filter(fields.__contains__, option_names()):
        value = getattr(settings, field)
        if value == default_of(field):
            continue
        option, values = option_of(field), value if isinstance(value, tuple) else (value,)
        if option.positional:
            plain += map(str, values)
        elif option.kind.is_switch:
            words.append(flag_of(field))
        else:
            words += [f"{flag_of(field)}={item}" for item in values]
    return [*words, "--", *plain]


def help_of(command: Command) -> str:
    """The command's help page."""
    from textwrap import fill

    parser = _parser(command)
    parser.description = fill(command.about, 80)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser.format_help()


def parser_of_all(
    commands: Iterable[Command], *, adorn: Callable[[argparse.Action, str], None]
) -> argparse.ArgumentParser:
    """One parser of the whole command line, for what reads parsers: nothing is parsed by it.

    Args:
        adorn: called with each option's action and its field of `Settings`.
    """
    whole = argparse.ArgumentParser(prog="prefetch", allow_abbrev=False)
    whole.add_argument("--version", action="store_true", help="print the version")
    words = whole.add_subparsers()
    families: dict[str, Any] = {}
    for command in commands:
        family, _, word = command.name.rpartition(" ")
        if family and family not in families:
            families[family] = words.add_parser(family, help=f"commands of {family}").add_subparsers()
        below = families[family] if family else words
        parser = below.add_parser(word, help=command.help, description=command.help, allow_abbrev=False)
        for field in command.options:
            adorn(_add(parser, field), field)
    return whole


def _parser(command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"prefetch {command.name}",
        epilog=f"{_examples(command)}\n\n{_EXIT_CODES}",
        # argparse makes one of them for each option; asking the terminal's width each time costs a start milliseconds.
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=80),
        allow_abbrev=False,
        exit_on_error=False,
    )
    for field in command.options:
        _add(parser, field)
    return parser


def _add(parser: argparse.ArgumentParser, field: str) -> argparse.Action:
    option, flag = option_of(field), flag_of(field)
    kind = option.kind
    text = f"{option.help} [{_default(default_of(field))}{variable_of(field)}]".replace("%", "%%")
    common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
    if option.positional:
        return parser.add_argument(field, metavar=kind.metavar, nargs="*", **common)
    if kind.is_switch:
        return parser.add_argument(flag, dest=field, action="store_true", **common)
    if option.alone is not None:
        return parser.add_argument(flag, dest=field, metavar=kind.metavar, nargs="?", const=option.alone, **common)
    action = "append" if kind.many else "store"
    flags = [flag] if option.short is None else [option.short, flag]
    return parser.add_argument(*flags, dest=field, metavar=kind.metavar, action=action, **common)


def _default(value: object) -> str:
    return f"default {value}; " if value and not isinstance(value, bool) else ""


def _examples(command: Command) -> str:
    width = max(len(line) for line, _ in command.examples)
    return "examples:\n" + "\n".join(f"  {line:{width}}   {meaning}" for line, meaning in command.examples)


def _refuse_split_sizes(command: Command, words: Sequence[str]) -> None:
    """Raise UsageError for a size in two words, of which the second would be taken for a manifest's name."""
    sizes = {flag_of(field) for field in command.options if option_of(field).kind.metavar in _SIZE_METAVARS}
    for flag, number, unit in zip(words, words[1:], words[2:], strict=False):
        if flag in sizes and re.fullmatch(r"[0-9.]+", number) and _UNITS.fullmatch(unit):
            raise UsageError(
                f"{flag} {number} {unit} is a size in two words.", remedy=f"Write it as one: {flag} {number}{unit}"
            )


def _positional(command: Command, word: str) -> str:
    for field in command.options:
        if option_of(field).positional:
            return field
    raise _too_many(command, word)


def _malformed(command: Command, flag: str) -> UsageError:
    # argparse joins an option's two forms with a slash.
    flag = flag.rpartition("/")[2]
    field = next(name for name in command.options if flag_of(name) == flag)
    kind = option_of(field).kind
    if kind.is_switch:
        return UsageError(f"{flag} takes no value.", remedy=f"Write {flag} alone.")
    return UsageError(f"{flag} needs a value.", remedy=f"Write for example: {flag} {kind.example}")


def _unknown(command: Command, word: str) -> UsageError:
    if not word.startswith("-"):
        return _too_many(command, word)
    flag = word.partition("=")[0]
    remedy = _help_page(command)
    if "token" in flag or "key" in flag:
        remedy = "Secrets are read from the environment, as in HF_TOKEN, where ps does not show them."
    flags = [flag_of(field) for field in command.options if not option_of(field).positional]
    remedy = did_you_mean(flag, flags, otherwise=remedy)
    return UsageError(f"'prefetch {command.name}' has no option {shown(flag)}.", remedy=remedy)


def _too_many(command: Command, word: str) -> UsageError:
    remedy = _help_page(command)
    if command.name == "status" and word.endswith((".yaml", ".yml", ".json")):
        remedy = f"To compare the volume with a manifest: prefetch verify --quick {shown(word)}"
    return UsageError(f"'prefetch {command.name}' takes no argument {shown(word)}.", remedy=remedy)


def _help_page(command: Command) -> str:
    return f"'prefetch {command.name} --help' tells what it takes."
