"""What a person writes, as text → the value it means. Each kind of value says what it expects, for the sentence on a
bad one.

Standard library only, and no more of it than needed: every command reads its settings through here before it does
anything, and the container's entrypoint has milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "Endpoint",
    "Kind",
    "choice",
    "days",
    "endpoint",
    "hours",
    "imported",
    "is_unexpanded",
    "listed",
    "name",
    "parse_size",
    "parse_switch",
    "path",
    "seconds",
    "several",
    "size",
    "switch",
    "whole",
    "word",
]

# Patterns are texts here: most starts use none of them, and would pay for making them.
_SIZE = r"([0-9]{1,18})(?:\.([0-9]{0,18}))?\s*(?:([KMGT])(i?))?B?"
_POWER = {"K": 1, "M": 2, "G": 3, "T": 4}
_SWITCHES = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}
_Number = TypeVar("_Number", int, float)
_DIGITS = r"[0-9]{1,18}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Attributes:
        read: the value that a text means; raises ValueError for one that means none.
        expects: what the text must be, as in "--quota x is not …".
        example: a text that can be read.
        metavar: its place holder in the help; None where nothing is written after the option.
        many: whether the option may be given again; in a variable, the texts have commas between them.
        commas: whether they may have them on a command line too.
        words: all that it may be, where it is a choice.
    """

    read: Callable[[str], Any]
    expects: str
    example: str
    metavar: str | None
    many: bool = False
    commas: bool = False
    words: tuple[str, ...] = ()

    @property
    def is_switch(self) -> bool:
        """Whether the option stands alone on a command line."""
        return self.metavar is None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of this machine and a port to listen on; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        from ipaddress import ip_address

        return self.host == "localhost" or ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def several(kind: Kind) -> Kind:
    """The same kind of value any number of times."""
    return replace(kind, many=True)


def listed(kind: Kind) -> Kind:
    """The same, and several with commas between them count as several wherever they stand."""
    return replace(kind, many=True, commas=True)


def imported(where: str) -> Callable[[str], Any]:
    """The function at ``module:function``, for `Kind.read`: imported only when there is something to read."""
    module, _, function = where.partition(":")
    return lambda text: getattr(import_module(module), function)(text)


def switch() -> Kind:
    """True where it is given."""
    return Kind(parse_switch, "1 or 0", "1", None)


def path(expects: str, example: str, metavar: str) -> Kind:
    """A `Path`."""
    return Kind(lambda text: Path(_expanded(text)), expects, example, metavar)


def name(expects: str, example: str, metavar: str) -> Kind:
    """Any text but a blank one."""
    return Kind(_not_blank, expects, example, metavar)


def endpoint(expects: str, example: str, metavar: str) -> Kind:
    """An `Endpoint`."""
    return Kind(_endpoint, expects, example, metavar)


def word(expects: str, example: str, metavar: str) -> Kind:
    """Any text, a blank one too."""
    return Kind(str, expects, example, metavar)


def choice(*words: str) -> Kind:
    """One of these words; the last one is the example."""
    expects = f"one of {', '.join(words)}"
    return Kind(lambda text: _one_of(text, words), expects, words[-1], "|".join(words), words=words)


def size(expects: str, example: str, metavar: str) -> Kind:
    """Bytes above 0, as an int."""
    return Kind(lambda text: _within(parse_size(text), 1, None), expects, example, metavar)


def whole(least: int, most: int, *, example: str, metavar: str = "N") -> Kind:
    """An int in these bounds."""
    return Kind(
        lambda text: _within(_int(text), least, most), f"a whole number from {least} to {most}", example, metavar
    )


def seconds(least: float, most: float | None = None, *, example: str, metavar: str = "S") -> Kind:
    """A finite float in these bounds."""
    bounds = f", {least:g} or more" if most is None else f" from {least:g} to {most:g}"
    return Kind(lambda text: _within(_float(text), least, most), f"a number of seconds{bounds}", example, metavar)


def hours(most: float, *, example: str, metavar: str = "H") -> Kind:
    """A float above 0."""

    def read(text: str) -> float:
        if (number := _within(_float(text), 0.0, most)) == 0:
            raise ValueError("no time at all")
        return number

    return Kind(read, f"a number of hours above 0, {most:g} at most", example, metavar)


def days(*, example: str) -> Kind:
    """A finite float above 0."""
    return Kind(lambda text: _within(_float(text), 1e-6, 36500), "a number of days above 0", example, "DAYS")


def parse_size(text: str) -> int:
    """The bytes that ``100G``, ``1.5Ki`` or ``50MB`` mean: K M G T are powers of 1000, Ki Mi Gi Ti of 1024.

    Raises:
        ValueError: the text is not a size.
    """
    match = re.fullmatch(_SIZE, text.strip())
    if match is None:
        raise ValueError("not a size")
    number, fraction, unit, binary = match.groups(default="")
    factor: int = (1024 if binary else 1000) ** _POWER.get(unit, 0)
    # Exact, in whole numbers: a float would lose bytes.
    scaled, digits = int(number + fraction) * factor, len(fraction)
    return scaled // int(f"1{'0' * digits}")


def parse_switch(text: str) -> bool:
    """What ``1``, ``yes``, ``0`` or ``off`` mean. Raises ValueError for another word."""
    word = text.strip().lower()
    if word not in _SWITCHES:
        raise ValueError("not a switch")
    return _SWITCHES[word]


def is_unexpanded(text: str) -> bool:
    """Whether a path begins with a home that a shell would have put in: none does in quotes, behind = or in a file."""
    return text == "~" or text.startswith("~/")


def _expanded(text: str) -> str:
    if is_unexpanded(text):
        raise ValueError("not expanded")
    return _not_blank(text)


def _not_blank(text: str) -> str:
    # An unset shell variable (--volume "$DIR") must not come to mean the current directory.
    if not text.strip():
        raise ValueError("blank")
    return text


def _endpoint(text: str) -> Endpoint:
    from ipaddress import ip_address

    host, _, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address without brackets")
    if host != "localhost":
        # No other name: which of its addresses would be meant, and who else would reach them?
        ip_address(host)
    return Endpoint(host, _within(_int(port), 0, 65535))


def _one_of(text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise ValueError("none of the words")
    return text


def _int(text: str) -> int:
    if not re.fullmatch(_DIGITS, text.strip()):
        raise ValueError("not a whole number")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _within(number: _Number, least: float, most: float | None) -> _Number:
    if number < least or (most is not None and number > most):
        raise ValueError("out of bounds")
    return number
