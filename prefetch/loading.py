"""The settings of a run: each from the command line, else from its variable in the environment, else the default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from prefetch.errors import UsageError
from prefetch.settings import PREFIX, Settings, default_of, flag_of, option_names, option_of, variable_of
from prefetch.spelling import nearest, shown
from prefetch.values import Kind, is_unexpanded

__all__ = ["load_settings", "misspelt_variables"]

_READ_ELSEWHERE = frozenset(
    {
        "PREFETCH_CIVITAI_ENDPOINT",
        "PREFETCH_DEBUG",
        "PREFETCH_HEADERS",
        "PREFETCH_INTENT",
        "PREFETCH_HEADERS_FILE",
        "PREFETCH_MANIFEST_INLINE",
        "PREFETCH_MANIFEST_URL",
        "PREFETCH_MODELS",
        "PREFETCH_LISTEN_BASIC",
        "PREFETCH_LISTEN_TOKEN",
        "PREFETCH_RUNPOD_ENDPOINT",
        "PREFETCH_TOKENS",
        "PREFETCH_UID",
        "PREFETCH_WEBHOOK_SECRET",
    }
)


def load_settings(given: Mapping[str, Any], *, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this run: ``given`` (by field name, from the command line) over the environment.

    Args:
        given: a text for each option, a list of texts for one that may be given again, True for a switch.

    Raises:
        UsageError: a value cannot be used; the sentence names the option or variable as the user wrote it.
    """
    found: dict[str, Any] = {}
    for name in option_names():
        if name in given:
            found[name] = _from_command_line(name, given[name])
        # An empty variable is one that was not set.
        elif text := environ.get(variable_of(name)):
            found[name] = _from_variable(name, text)
    return Settings(**found)


def _from_command_line(name: str, given: Any) -> Any:
    option = option_of(name)
    kind = option.kind
    if kind.is_switch:
        return given
    metavar = kind.metavar or ""
    before, example = (f"{metavar} ", "") if option.positional else (f"{flag_of(name)} ", f"{flag_of(name)} ")
    if kind.many:
        texts = [part.strip() for text in given for part in text.split(",")] if kind.commas else given
        return tuple(_read(kind, text, before, example) for text in texts)
    return _read(kind, given, before, example)


def _from_variable(name: str, text: str) -> Any:
    kind, before = option_of(name).kind, f"{variable_of(name)}="
    if not _reads(kind, text) and any(_reads(option_of(other).kind, text) for other in _sharing(name)):
        return default_of(name)
    if kind.many:
        return tuple(_read(kind, item.strip(), before, before) for item in text.split(",") if item.strip())
    return _read(kind, text, before, before)


def _sharing(name: str) -> list[str]:
    """The other options that have the same variable, of other commands."""
    return [other for other in option_names() if other != name and variable_of(other) == variable_of(name)]


def _reads(kind: Kind, text: str) -> bool:
    try:
        kind.read(text)
    except ValueError:
        return False
    return True


def _read(kind: Kind, text: str, before: str, example: str) -> Any:
    """The value of a text; ``before`` is what stands before it where it was written, and ``example`` where it may."""
    try:
        return kind.read(text)
    except ValueError:
        if is_unexpanded(text):
            raise UsageError(
                f"{before}{shown(text)} is not {kind.expects}: the shell did not expand ~.",
                remedy=f"Write the whole path: {example}{shown(_expanded(text))}",
            ) from None
        meant = nearest(text, kind.words)
        remedy = f"Did you mean {example}{meant}?" if meant else f"Write for example: {example}{kind.example}"
        raise UsageError(f"{before}{shown(text)} is not {kind.expects}.", remedy=remedy) from None


def _expanded(text: str) -> str:
    """The path with the home put in, where there is one."""
    from pathlib import Path

    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        return text


def misspelt_variables(environ: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """Variables that look like a setting's and are none, each with the nearest one that is."""
    known = {variable_of(name) for name in option_names()} | _READ_ELSEWHERE
    strangers = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    nearest = ((name, _nearest(name, known)) for name in strangers)
    return [(name, match) for name, match in nearest if match is not None]


def _nearest(name: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, n=1, cutoff=0.85)), None)
