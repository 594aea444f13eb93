"""Which of a node's widget values belongs to which of its inputs. Pure.

API inputs have names. In the page's form most values are a bare list: in the order of the node's widgets, with extra
ones in between (what a seed does after each run, an upload button). Newer files name the widgets beside their inputs;
for older ones the table tells the positions. Neither is believed where the value there is no file's name and another
one is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prefetch.comfyui.workflow.entry import Entry
from prefetch.comfyui.workflow.graph import Node
from prefetch.comfyui.workflow.loaders import Loader
from prefetch.comfyui.workflow.names import is_model_name, unwrapped
from prefetch.comfyui.workflow.naming import in_text, tags_in
from prefetch.comfyui.workflow.rows import is_switched_off, live_values

__all__ = ["Placed", "first_text", "leftovers", "named_values", "place_values"]

_AFTER_SEED = frozenset({"fixed", "randomize", "increment", "decrement"})
_MOST_ROWS = 128


@dataclass(frozen=True, slots=True)
class Placed:
    """A value that belongs to an input: the table's entry, the input's own name, and its row for a ``*``."""

    entry: Entry
    name: str
    row: str | None
    value: object


def first_text(node: Node) -> str:
    """The first text among a node's values: the name of a Get or Set node."""
    values = node.values.values() if isinstance(node.values, Mapping) else node.values
    return next((value for value in values if isinstance(value, str)), "")


def named_values(node: Node) -> Mapping[str, object]:
    """A node's values by their inputs' names, as far as the file itself names them."""
    if isinstance(node.values, Mapping):
        return node.values
    names = [slot.widget for slot in node.slots if slot.widget is not None]
    values = node.values
    if not values:
        return node.named
    if len(names) != len(values):
        values = _without_extras(values)
    return dict(zip(names, values, strict=True)) if len(names) == len(values) else {}


def _without_extras(values: Sequence[object]) -> list[object]:
    kept: list[object] = []
    for value in values:
        is_extra = kept and isinstance(kept[-1], int) and isinstance(value, str) and value in _AFTER_SEED
        if not is_extra:
            kept.append(value)
    return kept


def place_values(node: Node, loader: Loader, none_values: Collection[str]) -> list[Placed]:
    """The values of a loader's inputs: by name, else by position; a value that is no file's name gives way to one.

    Args:
        none_values: texts that mean no file: what holds one of them is in its right place.
    """
    named = named_values(node)
    placed = [found for entry in loader for found in _by_name(entry, named)]
    if not placed and isinstance(node.values, list):
        placed = [found for entry in loader for found in _by_position(entry, node.values)]
        placed += _tagged_elsewhere(placed, loader, node.values)
    sound = [found for found in placed if _is_sound(found, none_values)]
    return _mended(placed, sound, loader, node)


def _is_sound(found: Placed, none_values: Collection[str]) -> bool:
    if found.entry.names != "file" or is_model_name(found.value):
        return True
    return isinstance(found.value, str) and found.value in none_values


def _tagged_elsewhere(placed: list[Placed], loader: Loader, values: Sequence[object]) -> Iterator[Placed]:
    """Texts with tags where the table knows no input: a node's older form has its prompt at another position."""
    entry = next((entry for entry in loader if in_text(entry.names)), None)
    if entry is not None:
        known = [found.value for found in placed]
        loose = (value for value in values if isinstance(value, str) and value not in known and tags_in(value))
        yield from (Placed(entry, entry.name, None, value) for value in loose)


def _by_name(entry: Entry, named: Mapping[str, object]) -> Iterator[Placed]:
    if "*" not in entry.name:
        if entry.name in named:
            yield Placed(entry, entry.name, None, unwrapped(named[entry.name]))
        return
    pattern = entry.pattern
    for name, value in named.items():
        if match := pattern.fullmatch(name):
            yield Placed(entry, name, match[1], unwrapped(value))


def _by_position(entry: Entry, values: Sequence[object]) -> Iterator[Placed]:
    if "*" not in entry.name:
        if entry.at < len(values):
            yield Placed(entry, entry.name, None, unwrapped(values[entry.at]))
        return
    every = entry.every or 1
    for number, value in enumerate(values[entry.at :: every][:_MOST_ROWS], start=1):
        if every == 1 and entry.every and not isinstance(value, dict | list):
            continue  # a row in one widget is a mapping; beside it stand texts of other kinds
        yield Placed(entry, entry.name.replace("*", str(number)), str(number), unwrapped(value))


def _mended(placed: list[Placed], sound: list[Placed], loader: Loader, node: Node) -> list[Placed]:
    """Give file names that no input took to the inputs that took something else, where it is clear to which."""
    loose = [value for value in leftovers(node) if all(value != found.value for found in placed)]
    if not loose:
        return placed
    open_entries = [
        entry
        for entry in loader
        if entry.names == "file" and "*" not in entry.name and all(f.entry is not entry for f in sound)
    ]
    if len(open_entries) != len(loose) and len({entry.folders for entry in open_entries}) != 1:
        return placed
    return [
        *sound,
        *(Placed(entry, entry.name, None, value) for entry, value in zip(open_entries, loose, strict=False)),
    ]


def leftovers(node: Node) -> list[str]:
    """Every value that looks like a model file's name, rows that are switched off left out."""
    values = node.values.values() if isinstance(node.values, Mapping) else node.values
    return [found for value in values for found in _files_in(value, depth=3)]


def _files_in(value: object, *, depth: int) -> Iterator[str]:
    value = unwrapped(value)
    if isinstance(value, str):
        if is_model_name(value):
            yield value
    elif isinstance(value, dict) and depth and not is_switched_off(value):
        for inner in live_values(value):
            yield from _files_in(inner, depth=depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _files_in(inner, depth=depth - 1)
