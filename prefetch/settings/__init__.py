"""Every option of this program, each defined once: its type, its default, its help and how it is written.

Each module here holds those of one subject. `prefetch.loading` reads them, `prefetch.arguments` makes the command line
of them. Standard library only: every command comes through here, and the container's entrypoint has milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from prefetch.settings.entry import Entry
from prefetch.settings.option import Option
from prefetch.settings.pod import Pod
from prefetch.settings.reporting import Reporting
from prefetch.settings.tools import Tools
from prefetch.settings.transfer import Transfer
from prefetch.settings.upkeep import Upkeep
from prefetch.settings.wanted import Wanted

__all__ = [
    "PREFIX",
    "Option",
    "Settings",
    "default_of",
    "flag_of",
    "option_names",
    "option_of",
    "variable_of",
]

PREFIX = "PREFETCH_"
"""What the variable of every option begins with."""


# A dataclass has the fields of its last base first. No two of these are compared: over so many fields, the code for it
# would cost every start two milliseconds.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings(Tools, Pod, Entry, Reporting, Upkeep, Transfer, Wanted):
    """What a person asked for. Made by `prefetch.loading`; sizes are bytes, rates bytes a second, None means unset."""


def option_names() -> tuple[str, ...]:
    """The fields of `Settings`, in their order."""
    return tuple(item.name for item in fields(Settings))


def option_of(name: str) -> Option:
    """How a field of `Settings` is given."""
    option: Option = Settings.__dataclass_fields__[name].metadata["option"]
    return option


def default_of(name: str) -> object:
    """What a field is where nobody has given it."""
    return Settings.__dataclass_fields__[name].default


def flag_of(name: str) -> str:
    """The option a field is given by on the command line: ``limit_rate`` → ``--limit-rate``."""
    return option_of(name).flag or "--" + name.rstrip("_").replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable a field is read from: ``limit_rate`` → ``PREFETCH_LIMIT_RATE``."""
    return PREFIX + (option_of(name).variable or name.rstrip("_").upper())
