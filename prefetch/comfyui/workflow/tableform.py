"""The form of a loader table, read as a person's text: a mistake is one sentence with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from prefetch.comfyui.workflow.downloads import Choice, Sets, read_downloads, read_sets
from prefetch.comfyui.workflow.entry import Entry, Kind, Widget
from prefetch.comfyui.workflow.naming import FORMS
from prefetch.comfyui.workflow.switches import Context, Split, Switch, read_contexts, read_splits, read_switches
from prefetch.comfyui.workflow.tablevalues import Values

__all__ = ["ROLES", "Table", "read_table"]

ROLES = ("reroutes", "constants", "numbers", "texts", "getters", "setters", "notes", "outputs", "inner", "bystanders")
_SECTIONS = ("kinds", "aliases", "none_values", "stand_ins", "families", "endings", "loaders", "prompts")
_DOWNLOADS = ("download_sets", "self_downloaded")
_SWITCHES = ("switches", "splits", "context_values", "contexts")
_KEYS = ("folder", "names", "endings", "count", "switch", "weight")
_KIND_KEYS = ("folder", "fixed", "from")
_KNOWN_FROM = re.compile(r"unverified|[\w.-]+/[\w.-]+@[0-9a-f]{7,40}:[^\s:]+:[0-9]+")
_DIRECTORY = re.compile(r"(?!\.{0,2}(?:/|$))[^\s@|\\]+(?<!/)")
_AT = re.compile(r"([^@\s]+)(?:\s*@\s*([0-9]{1,3})(?:\s*\+\s*([0-9]{1,2}))?)?")

_FOLDER_RULE = "a folder is written loras, or loras @ 2 with the widget's position"
_PROMPT_RULE = "a prompt is written tags-stem, or tags-stem @ 2 with the widget's position"


@dataclass(frozen=True, slots=True)
class Table:
    """One file's facts.

    Attributes:
        loaders: class → its inputs that name models.
        prompts: class → its inputs whose text is a prompt in which tags may load LoRAs.
        self_downloaded: class → what it fetches by itself.
        switches: class → which of its inputs it hands on.
        splits: class → by which of its outputs it hands its input on.
        contexts: class → where the values of its context come from.
    """

    kinds: Mapping[str, Kind]
    aliases: Mapping[str, str]
    none_values: tuple[str, ...]
    stand_ins: Mapping[str, str]
    families: Mapping[str, Mapping[str, str]]
    endings: tuple[str, ...]
    roles: Mapping[str, tuple[str, ...]]
    loaders: Mapping[str, tuple[Entry, ...]]
    prompts: Mapping[str, tuple[Entry, ...]]
    self_downloaded: Mapping[str, tuple[Choice, ...]]
    switches: Mapping[str, Switch]
    splits: Mapping[str, Split]
    contexts: Mapping[str, Context]


def read_table(document: object, file: str) -> Table:
    """The table in a parsed YAML document.

    Raises:
        UsageError: naming the line of the first mistake.
    """
    values = Values(document, file)
    top = values.mapping(document, ())
    known = ("version", *_SECTIONS, *_DOWNLOADS, *_SWITCHES, *ROLES)
    for key in top:
        if key not in known:
            raise values.error((key,), f'the key "{key}" is unknown', f"The keys are {', '.join(known)}.")
    if top.get("version") != 1:
        raise values.error(("version",), "a loader table begins with version: 1", "Write that as its first line.")
    families = values.mapping(top.get("families"), ("families",))
    kinds = values.mapping(top.get("kinds"), ("kinds",))
    sets = read_sets(values, top.get("download_sets"))
    return Table(
        kinds={key: _kind(values, value, ("kinds", key)) for key, value in kinds.items()},
        aliases=values.texts_by_name(top.get("aliases"), ("aliases",)),
        none_values=values.texts(top.get("none_values"), ("none_values",)),
        stand_ins=values.texts_by_name(top.get("stand_ins"), ("stand_ins",)),
        families={name: values.texts_by_name(value, ("families", name)) for name, value in families.items()},
        endings=values.texts(top.get("endings"), ("endings",)),
        roles={role: values.texts(top.get(role), (role,)) for role in ROLES},
        loaders=_classes(values, top, "loaders", _entry),
        prompts=_classes(values, top, "prompts", _prompt),
        self_downloaded=_self_downloaded(values, top, sets),
        switches=read_switches(values, top.get("switches")),
        splits=read_splits(values, top.get("splits")),
        contexts=read_contexts(values, top.get("contexts"), top.get("context_values")),
    )


def _kind(values: Values, value: object, at: tuple[str, ...]) -> Kind:
    fields = _fields(values, value, at, _KIND_KEYS)
    _check_known_from(values, fields, at)
    fixed = fields.get("fixed", False)
    if not isinstance(fixed, bool):
        raise values.error((*at, "fixed"), "true or false belongs here", "Write fixed: true, or leave it out.")
    folders = tuple(values.text(fields.get("folder"), (*at, "folder")).split("|"))
    if not all(map(_DIRECTORY.fullmatch, folders)):
        raise values.error(at, "a kind's folder is written LLM, or ultralytics/bbox, below models", "Correct it.")
    return Kind(folders, fixed)


def _check_known_from(values: Values, fields: Mapping[str, object], at: tuple[str, ...]) -> None:
    """A row may say where it is known from: for its readers, so only the form is checked."""
    if "from" in fields and not _KNOWN_FROM.fullmatch(values.text(fields["from"], (*at, "from"))):
        message = "where a row is known from is written owner/repository@commit:path:line, or unverified"
        raise values.error((*at, "from"), message, "Correct it, or leave it out.")


def _classes(
    values: Values, top: Mapping[str, Any], section: str, read: Callable[..., Iterator[Entry]]
) -> Mapping[str, tuple[Entry, ...]]:
    found: dict[str, tuple[Entry, ...]] = {}
    for kind, said in values.mapping(top.get(section), (section,)).items():
        row = values.mapping(said, (section, kind))
        _check_known_from(values, row, (section, kind))
        inputs = enumerate(item for item in row.items() if item[0] != "from")
        entries = (read(values, name, value, (section, kind, name), at) for at, (name, value) in inputs)
        found[kind] = tuple(chain.from_iterable(entries))
    return found


def _self_downloaded(values: Values, top: Mapping[str, Any], sets: Sets) -> Mapping[str, tuple[Choice, ...]]:
    at = "self_downloaded"
    classes = values.mapping(top.get(at), (at,))
    return {kind: read_downloads(values, value, (at, kind), sets) for kind, value in classes.items()}


def _entry(values: Values, name: str, said: object, at: tuple[str, ...], position: int) -> Iterator[Entry]:
    """An input that names a file: one entry for each place where its node needs it."""
    for place in said if isinstance(said, list) else [said]:
        yield _needed_at(values, name, _fields(values, place, at, _KEYS), at, position)


def _needed_at(values: Values, name: str, fields: Mapping[str, object], at: tuple[str, ...], position: int) -> Entry:
    folders, place, every = _placed(values, fields.get("folder"), at, _FOLDER_RULE)
    endings = values.text(fields["endings"], (*at, "endings")).split("|") if "endings" in fields else []
    return Entry(
        name,
        tuple(folders.split("|")),
        position if place is None else place,
        every,
        names=_form(values, fields.get("names", "file"), at),
        endings=tuple(endings),
        count=_widget(values, fields, "count", at),
        switch=_widget(values, fields, "switch", at),
        weight=_widget(values, fields, "weight", at),
    )


def _prompt(values: Values, name: str, said: object, at: tuple[str, ...], position: int) -> Iterator[Entry]:
    """An input that is a prompt: one entry for each form in which another widget has its text read."""
    for form in said if isinstance(said, list) else [said]:
        fields = _fields(values, form, at, ("text", "switch"))
        text, place, _ = _placed(values, fields.get("text"), at, _PROMPT_RULE)
        switch = _widget(values, fields, "switch", at)
        at_widget = position if place is None else place
        yield Entry(name, ("loras",), at_widget, names=_form(values, text, at), prompt=True, switch=switch)


def _widget(values: Values, fields: Mapping[str, object], key: str, at: tuple[str, ...]) -> Widget | None:
    return values.widget(fields[key], (*at, key)) if key in fields else None


def _fields(values: Values, said: object, at: tuple[str, ...], keys: Sequence[str]) -> Mapping[str, object]:
    fields = values.mapping(said, at) if isinstance(said, dict) else {keys[0]: said}
    for key in fields:
        if key not in keys:
            raise values.error((*at, key), f'the key "{key}" is unknown', f"The keys are {', '.join(keys)}.")
    return fields


def _placed(values: Values, text: object, at: tuple[str, ...], rule: str) -> tuple[str, int | None, int | None]:
    """What is written before ``@ 2 + 4``, and the two numbers."""
    match = _AT.fullmatch(values.text(text, at))
    if match is None:
        raise values.error(at, rule, "Correct it.")
    place, every = (int(number) if number else None for number in match.group(2, 3))
    return match[1], place, every


def _form(values: Values, form: object, at: tuple[str, ...]) -> str:
    text = values.text(form, at)
    if text not in FORMS:
        raise values.error(at, f'the form "{text}" of names is unknown', f"The forms are {', '.join(FORMS)}.")
    return text
