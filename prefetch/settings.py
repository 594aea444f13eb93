"""Every option of this program, each defined once: its type, its default, its help and how it is written.

A value comes from the command line, else from ``PREFETCH_<OPTION>`` in the environment, else it is the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from prefetch.errors import UsageError
from prefetch.spelling import shown

__all__ = [
    "ByteSize",
    "Option",
    "Settings",
    "flag_of",
    "load_settings",
    "misspelt_variables",
    "option_of",
    "parse_size",
    "variable_of",
]

_PREFIX = "PREFETCH_"
_READ_ELSEWHERE = frozenset({"PREFETCH_DEBUG", "PREFETCH_CIVITAI_ENDPOINT", "PREFETCH_RUNPOD_ENDPOINT"})
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,18})?)\s*(?:([KMGT])(i?))?B?")
_POWER = {"K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True, slots=True)
class Option:
    """How a field is written: ``metavar`` in the help, ``expects`` and ``example`` in the sentence on a bad value;
    ``alone`` is what the option means without a value, where it may stand so."""

    expects: str
    example: str = "1"
    metavar: str | None = None
    positional: bool = False
    alone: str | None = None


def parse_size(text: str) -> int:
    """The bytes that ``100G``, ``1.5Ki`` or ``50MB`` mean: K M G T are powers of 1000, Ki Mi Gi Ti of 1024.

    Raises:
        ValueError: the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a size")
    number, unit, binary = match.groups()
    return int(Decimal(number) * (1024 if binary else 1000) ** _POWER.get(unit, 0))


def _as_size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _as_items(value: object) -> object:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _not_blank(value: object) -> object:
    # An unset shell variable (--volume "$DIR") must not come to mean the current directory.
    if isinstance(value, str) and not value.strip():
        raise ValueError("blank")
    return value


ByteSize: TypeAlias = Annotated[int, BeforeValidator(_as_size), Field(gt=0)]
_GivenPath: TypeAlias = Annotated[Path, BeforeValidator(_not_blank)]
_GivenName: TypeAlias = Annotated[str, BeforeValidator(_not_blank)]
_Paths: TypeAlias = Annotated[tuple[_GivenPath, ...], NoDecode, BeforeValidator(_as_items)]
_Names: TypeAlias = Annotated[tuple[_GivenName, ...], NoDecode, BeforeValidator(_as_items)]
_Switch: TypeAlias = Annotated[bool, Option("1 or 0")]


class Settings(BaseSettings):
    """What a person asked for. Made by `load_settings`; sizes are bytes, rates bytes a second, None means unset."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, validate_by_name=True, validate_by_alias=True
    )

    manifest: Annotated[_Paths, Option("a file's path", "models.yaml", "MANIFEST", positional=True)] = Field(
        default=(),
        description="YAML files that name the models; without one, the first that exists of <volume>/prefetch.yaml "
        "and /etc/prefetch/manifest.yaml",
    )
    volume: Annotated[_GivenPath | None, Option("a directory's path", "/workspace", "DIR")] = Field(
        default=None,
        description="the directory models are put below; without it, the first mount point of /runpod-volume and "
        "/workspace (for demo: ./volume)",
    )
    group: Annotated[_Names, Option("a group's name", "i2v", "GROUP")] = Field(
        default=(), description="only the models of this group; may be given more than once"
    )
    refresh: _Switch = Field(default=False, description="ask the hosts again what a branch such as @main stands for")
    connections: Annotated[int, Option("a whole number from 1 to 64", "16", "N")] = Field(
        default=16, ge=1, le=64, description="most connections open at once, over all models"
    )
    memory: Annotated[ByteSize, Option("a size in bytes above 0", "200M", "SIZE")] = Field(
        default=160_000_000,
        description="most memory for bytes between the network and the volume, beside some 80M of the program's own",
    )
    range_size: Annotated[ByteSize | None, Option("a size in bytes above 0", "32Mi", "SIZE")] = Field(
        default=None,
        description="bytes asked for in one request; without it, as many as each host's first byte takes to hide",
    )
    limit_rate: Annotated[ByteSize | None, Option("a number of bytes a second above 0", "50M", "RATE")] = Field(
        default=None, description="most bytes a second, over all connections: 50M is 50,000,000 bytes a second"
    )
    quota: Annotated[ByteSize | None, Option("a size in bytes above 0", "100G", "SIZE")] = Field(
        default=None,
        description="the volume's size as you bought it, where the file system does not tell (RunPod's network "
        "volumes): 100G or 93.1Gi",
    )
    fail_fast: _Switch = Field(default=False, description="stop everything at the first model that fails for good")
    no_wait: _Switch = Field(
        default=False, description="end with exit code 5 where another process is fetching a model, do not wait for it"
    )
    wait_timeout: Annotated[float | None, Option("a number of seconds, 0 or more", "600", "S")] = Field(
        default=None, ge=0, allow_inf_nan=False, description="wait at most so many seconds for other processes"
    )
    claim_ttl: Annotated[float, Option("a number of seconds from 1 to 3600", "60", "S")] = Field(
        default=60.0, ge=1, le=3600, description="seconds after which a process that gives no sign of life is given up"
    )
    allow_private: _Switch = Field(
        default=False, description="let a manifest's https:// sources lead to private and link-local addresses"
    )
    allow_unpinned: _Switch = Field(
        default=False, description="fetch .pth, .pt, .ckpt and .bin files that no hash pins; loading one can run code"
    )
    locked: _Switch = Field(default=False, description="refuse models that no lock beside their manifest pins")
    upgrade: Annotated[str | None, Option("a model's path or a pattern", "'models/loras/*'", "PATH", alone="*")] = (
        Field(default=None, description="ask the hosts anew for this model, or for all of them, and change the lock")
    )
    check: _Switch = Field(
        default=False, description="only compare the manifest with its lock, offline; exit code 1 if they disagree"
    )
    yes: _Switch = Field(default=False, description="remove what is listed, do not only list it")
    replaced: _Switch = Field(
        default=False, description="list also the files that stood under a model's name before and were kept"
    )
    quick: _Switch = Field(default=False, description="compare sizes and times with the record, read no model")
    json_: _Switch = Field(
        default=False,
        validation_alias="PREFETCH_JSON",
        description="print one JSON document on standard output, on errors too",
    )
    log_format: Annotated[Literal["text", "json"], Option("text or json", "json", "text|json")] = Field(
        default="text", description="how progress is written on standard error: for people, or one JSON object a line"
    )


def flag_of(field: str) -> str:
    """The option a field is given by on the command line: ``limit_rate`` → ``--limit-rate``."""
    return "--" + field.rstrip("_").replace("_", "-")


def variable_of(field: str) -> str:
    """The environment variable a field is read from: ``limit_rate`` → ``PREFETCH_LIMIT_RATE``."""
    return _PREFIX + field.rstrip("_").upper()


def option_of(field: str) -> Option:
    """How a field of `Settings` is written."""
    return next(item for item in Settings.model_fields[field].metadata if isinstance(item, Option))


def load_settings(given: Mapping[str, Any]) -> Settings:
    """The settings of this run: ``given`` (text by field name, from the command line) over the environment.

    Raises:
        UsageError: a value cannot be used; the sentence names the option or variable as the user wrote it.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise _bad_value(str(first["loc"][0]), first["input"], written=given) from None


def _bad_value(where: str, value: object, *, written: Mapping[str, Any]) -> UsageError:
    field = next(name for name in Settings.model_fields if where in (name, variable_of(name)))
    option = option_of(field)
    before = f"{variable_of(field)}="
    if field in written:
        before = option.metavar + " " if option.positional and option.metavar else flag_of(field) + " "
    example = option.example if field in written and option.positional else f"{before}{option.example}"
    return UsageError(f"{before}{shown(value)} is not {option.expects}.", remedy=f"Write for example: {example}")


def misspelt_variables(environ: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """Variables that look like a setting's and are none, each with the nearest one that is."""
    known = {variable_of(name) for name in Settings.model_fields} | _READ_ELSEWHERE
    strangers = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known)
    nearest = ((name, get_close_matches(name, known, n=1, cutoff=0.85)) for name in strangers)
    return [(name, matches[0]) for name, matches in nearest if matches]
