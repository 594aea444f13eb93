"""What a person writes for RunPod, as text → value."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "SecretFor",
    "VolumeAt",
    "parse_cpus",
    "parse_data_center",
    "parse_gigabytes",
    "parse_image",
    "parse_secret",
    "parse_variable",
    "parse_volume",
]

_CENTER = re.compile(r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:[:/@][A-Za-z0-9._-]+)*")
_CREDENTIAL = re.compile(r"(?:hf|rpa|rps)_[A-Za-z0-9]{20,}")
_GIGABYTES = re.compile(r"([0-9]{1,4})\s*(?:G|GB)?")


@dataclass(frozen=True, slots=True)
class VolumeAt:
    """A network volume by its id, and the data center it is said to be in, where that was written."""

    id: str
    data_center: str | None = None


@dataclass(frozen=True, slots=True)
class SecretFor:
    """A variable of a pod, and the name of the RunPod secret that it gets its value from."""

    variable: str
    secret: str

    @property
    def reference(self) -> str:
        """What stands in the variable for RunPod to put the value in."""
        return f"{{{{ RUNPOD_SECRET_{self.secret} }}}}"


def parse_data_center(text: str) -> str:
    """``eu-ro-1`` → ``EU-RO-1``. Raises ValueError for what is no data center's name."""
    return _matched(_CENTER, text.strip().upper())


def parse_volume(text: str) -> VolumeAt:
    """``ID`` or ``DC=ID``. Raises ValueError for anything else."""
    center, equals, volume = text.strip().rpartition("=")
    return VolumeAt(_matched(_ID, volume), parse_data_center(center) if equals else None)


def parse_secret(text: str) -> SecretFor:
    """``VARIABLE=SECRET``; ``VARIABLE`` alone for a secret of the same name.

    Raises ValueError for anything else, and for a token in place of a name: it would stand in the pod in clear.
    """
    variable, equals, secret = text.strip().partition("=")
    if _CREDENTIAL.fullmatch(secret):
        raise ValueError("a token, and no secret's name")
    return SecretFor(_matched(_VARIABLE, variable), _matched(_VARIABLE, secret if equals else variable))


def parse_image(text: str) -> str:
    """An image's name, as registries know it. Raises ValueError for what none can be."""
    return _matched(_IMAGE, text.strip())


def parse_variable(text: str) -> str:
    """A variable's name. Raises ValueError for what is none: a value must not be taken for one."""
    return _matched(_VARIABLE, text.strip())


def parse_gigabytes(text: str) -> int:
    """``50``, ``50G`` or ``50GB``. Raises ValueError for anything else, or a size that RunPod has not."""
    match = _GIGABYTES.fullmatch(text.strip())
    if match is None or not 10 <= int(match[1]) <= 4096:
        raise ValueError("no size of a network volume")
    return int(match[1])


def parse_cpus(text: str) -> int:
    """A number of virtual CPUs. Raises ValueError for one that no pod has: RunPod counts them in powers of two."""
    number = int(text)
    if number not in (2, 4, 8, 16, 32):
        raise ValueError("not one of them")
    return number


def _matched(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError("not of this form")
    return text
