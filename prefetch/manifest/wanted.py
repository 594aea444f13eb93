"""What all manifests of a run want together: one entry a path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prefetch.errors import PrefetchError, UnsourcedError, UsageError
from prefetch.inputs import Inputs
from prefetch.manifest.model import Folder, Model, OpenEntry
from prefetch.manifest.problems import Place, Problem, manifest_error, nearest, shown

__all__ = ["Entry", "FolderEntry", "Unsourced", "Wanted", "merge", "select", "unknown_group"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, and the line of the manifest that names it first.

    Attributes:
        commit: what a lock pins its source to.
        fetched: whether only manifests name it that were fetched, and so written by others.
    """

    model: Model
    place: Place
    commit: str | None = None
    fetched: bool = False


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A directory of files, and the line of the manifest that names it first."""

    folder: Folder
    place: Place


@dataclass(frozen=True, slots=True)
class Unsourced:
    """An entry whose source is not written yet, and its line of the manifest."""

    entry: OpenEntry
    place: Place

    @property
    def error(self) -> UnsourcedError:
        """Why it cannot be had."""
        return UnsourcedError(
            f"{self.entry.path} has no source yet.", remedy=f"Write one below {self.place}, or take the entry out."
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entries of a run in the manifests' order, no two with the same path.

    Attributes:
        folders: directories whose files are not among the entries yet.
        open: entries without a source, of which no other names the path with one.
        left_open: paths of entries that stand in the manifests as comments, for want of a source.
        unlisted: by path, directories whose files are not known and entries without a source, and why.
        directories: those whose files are among the entries.
        inputs: the files they were read from, None where they came from elsewhere.
        locked: whether a lock pins every one of them.
    """

    entries: tuple[Entry, ...]
    inputs: Inputs | None = None
    locked: bool = False
    folders: tuple[FolderEntry, ...] = ()
    open: tuple[Unsourced, ...] = ()
    left_open: tuple[str, ...] = ()
    unlisted: Mapping[str, PrefetchError] = field(default_factory=dict)
    directories: tuple[Folder, ...] = ()

    def whole(self) -> Wanted:
        """The same, for those who must know all that is wanted.

        Raises:
            PrefetchError: the files of a directory, or the source of a model, are not known.
        """
        for error in self.unlisted.values():
            raise error
        return self


def merge(entries: Iterable[Entry | FolderEntry | Unsourced]) -> Wanted:
    """One entry a path: equal entries become one with the groups of both, and so do equal directories.

    Raises:
        ManifestError: a path with two contents, or one that is a file here and a folder there.
    """
    merged: dict[str, Entry] = {}
    folders: dict[Folder, FolderEntry] = {}
    unsourced: list[Unsourced] = []
    problems: list[Problem] = []
    for entry in entries:
        if isinstance(entry, FolderEntry):
            _add_folder(folders, entry)
            continue
        if isinstance(entry, Unsourced):
            unsourced.append(entry)
            continue
        first = merged.setdefault(entry.model.path, entry)
        if first is entry:
            continue
        if problem := _contradiction(first, entry):
            problems.append(problem)
        else:
            merged[entry.model.path] = _united(first, entry)
    problems.extend(_files_as_folders(merged))
    problems.extend(_contents_of_two_sizes(merged.values()))
    if problems:
        raise manifest_error(problems)
    left_open = tuple(one for one in unsourced if one.entry.path not in merged)
    return Wanted(tuple(merged.values()), folders=tuple(folders.values()), open=left_open)


def select(wanted: Wanted, groups: Sequence[str]) -> Wanted:
    """The entries that are in any of ``groups``; all of them where none is given.

    Raises:
        UsageError: no entry has such a group.
    """
    if not groups:
        return _with_unlisted(wanted)
    known = {group for entry in wanted.entries for group in entry.model.groups}
    known |= {group for entry in wanted.folders for group in entry.folder.groups}
    known |= {group for one in wanted.open for group in one.entry.groups}
    for group in groups:
        if group not in known:
            raise unknown_group(group, sorted(known))
    chosen = tuple(entry for entry in wanted.entries if not set(groups).isdisjoint(entry.model.groups))
    folders = tuple(entry for entry in wanted.folders if not set(groups).isdisjoint(entry.folder.groups))
    left_open = tuple(one for one in wanted.open if not set(groups).isdisjoint(one.entry.groups))
    inputs = wanted.inputs and replace(wanted.inputs, groups=tuple(groups))
    return _with_unlisted(replace(wanted, entries=chosen, folders=folders, open=left_open, inputs=inputs))


def _with_unlisted(wanted: Wanted) -> Wanted:
    return replace(wanted, unlisted={**wanted.unlisted, **{one.entry.path: one.error for one in wanted.open}})


def _add_folder(folders: dict[Folder, FolderEntry], entry: FolderEntry) -> None:
    key = entry.folder.model_copy(update={"groups": ()})
    first = folders.setdefault(key, entry)
    united = tuple(dict.fromkeys((*first.folder.groups, *entry.folder.groups)))
    folders[key] = replace(first, folder=first.folder.model_copy(update={"groups": united}))


def _contradiction(first: Entry, second: Entry) -> Problem | None:
    names = [name for name in Model.model_fields if name != "groups"]
    others = [name for name in names if getattr(first.model, name) != getattr(second.model, name)]
    if not others:
        return None
    message = f"{shown(second.model.path)} is named in {first.place} too, with another {' and '.join(others)}."
    return Problem(second.place, message, "Make the two entries equal, or give one of them another path.")


def _united(first: Entry, second: Entry) -> Entry:
    groups = tuple(dict.fromkeys((*first.model.groups, *second.model.groups)))
    model = first.model.model_copy(update={"groups": groups})
    return replace(first, model=model, fetched=first.fetched and second.fetched)


def _files_as_folders(merged: dict[str, Entry]) -> Iterator[Problem]:
    for path, entry in merged.items():
        folder = path
        while folder := folder.rpartition("/")[0]:
            if file := merged.get(folder):
                message = f"{shown(path)} needs a folder where {file.place} names a file."
                yield Problem(entry.place, message, "Give one of the two another path.")


def _contents_of_two_sizes(entries: Iterable[Entry]) -> Iterator[Problem]:
    first: dict[str, Entry] = {}
    for entry in entries:
        model = entry.model
        if model.sha256 is None or model.size is None:
            continue
        other = first.setdefault(model.sha256, entry)
        if other.model.size != model.size:
            message = (
                f"{shown(model.path)} has the sha256 of {shown(other.model.path)}, which {other.place} names with "
                f"{other.model.size} bytes, and {model.size} bytes here."
            )
            yield Problem(entry.place, message, "One content has one size: correct the sha256 or the size of one.")


def unknown_group(group: str, known: Sequence[str]) -> UsageError:
    """The error where no model is in a group; ``known`` are those that there are."""
    if not known:
        return UsageError(f"No model is in a group {shown(group)}: the manifest has no groups.", remedy="Drop --group.")
    close = nearest(group, known)
    hint = f"Did you mean {shown(close)}? " if close else ""
    return UsageError(f"No model is in a group {shown(group)}.", remedy=f"{hint}The groups are {', '.join(known)}.")
