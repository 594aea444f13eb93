"""What all manifests of a run want together: one entry a path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from prefetch.errors import UsageError
from prefetch.inputs import Inputs
from prefetch.manifest.model import Model
from prefetch.manifest.problems import Place, Problem, manifest_error, nearest, shown

__all__ = ["Entry", "Wanted", "merge", "select"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, and the line of the manifest that names it first; ``commit`` is what a lock pins its source to."""

    model: Model
    place: Place
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entries of a run in the manifests' order, no two with the same path.

    Attributes:
        inputs: the files they were read from, None where they came from elsewhere.
        locked: whether a lock pins every one of them.
    """

    entries: tuple[Entry, ...]
    inputs: Inputs | None = None
    locked: bool = False


def merge(entries: Iterable[Entry]) -> Wanted:
    """One entry a path: equal entries become one with the groups of both.

    Raises:
        ManifestError: a path with two contents, or one that is a file here and a folder there.
    """
    merged: dict[str, Entry] = {}
    problems: list[Problem] = []
    for entry in entries:
        first = merged.setdefault(entry.model.path, entry)
        if first is entry:
            continue
        if problem := _contradiction(first, entry):
            problems.append(problem)
        else:
            merged[entry.model.path] = _united(first, entry.model.groups)
    problems.extend(_files_as_folders(merged))
    if problems:
        raise manifest_error(problems)
    return Wanted(tuple(merged.values()))


def select(wanted: Wanted, groups: Sequence[str]) -> Wanted:
    """The entries that are in any of ``groups``; all of them where none is given.

    Raises:
        UsageError: no entry has such a group.
    """
    if not groups:
        return wanted
    known = {group for entry in wanted.entries for group in entry.model.groups}
    for group in groups:
        if group not in known:
            raise _unknown_group(group, sorted(known))
    chosen = tuple(entry for entry in wanted.entries if not set(groups).isdisjoint(entry.model.groups))
    inputs = wanted.inputs and replace(wanted.inputs, groups=tuple(groups))
    return replace(wanted, entries=chosen, inputs=inputs)


def _contradiction(first: Entry, second: Entry) -> Problem | None:
    names = [name for name in Model.model_fields if name != "groups"]
    others = [name for name in names if getattr(first.model, name) != getattr(second.model, name)]
    if not others:
        return None
    message = f"{shown(second.model.path)} is named in {first.place} too, with another {' and '.join(others)}."
    return Problem(second.place, message, "Make the two entries equal, or give one of them another path.")


def _united(first: Entry, groups: Iterable[str]) -> Entry:
    united = tuple(dict.fromkeys((*first.model.groups, *groups)))
    return replace(first, model=first.model.model_copy(update={"groups": united}))


def _files_as_folders(merged: dict[str, Entry]) -> Iterator[Problem]:
    for path, entry in merged.items():
        folder = path
        while folder := folder.rpartition("/")[0]:
            if file := merged.get(folder):
                message = f"{shown(path)} needs a folder where {file.place} names a file."
                yield Problem(entry.place, message, "Give one of the two another path.")


def _unknown_group(group: str, known: Sequence[str]) -> UsageError:
    if not known:
        return UsageError(f"No model is in a group {shown(group)}: the manifest has no groups.", remedy="Drop --group.")
    close = nearest(group, known)
    hint = f"Did you mean {shown(close)}? " if close else ""
    return UsageError(f"No model is in a group {shown(group)}.", remedy=f"{hint}The groups are {', '.join(known)}.")
