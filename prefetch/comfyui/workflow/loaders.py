"""The loader table: which inputs of which node classes name models, and in which folder.

Facts in ``loaders.yaml``, ``prompts.yaml`` (texts that load LoRAs), ``downloads.yaml`` (what nodes fetch by
themselves) and ``switches.yaml`` (nodes that hand on one of their inputs). A user's own tables are laid over them,
class by class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from importlib.resources import files
from pathlib import Path, PurePosixPath

from prefetch.comfyui.kinds import FOLDERS
from prefetch.comfyui.workflow.downloads import Choice
from prefetch.comfyui.workflow.entry import Entry, Kind
from prefetch.comfyui.workflow.switches import Context, Split, Switch
from prefetch.comfyui.workflow.tableform import Table, read_table
from prefetch.errors import UsageError
from prefetch.volume.reading import read_file
from prefetch.yamlfile import MAX_BYTES, YamlError, parse_yaml

__all__ = ["Loader", "LoaderTable", "load_table"]

_OWN = ("loaders.yaml", "prompts.yaml", "downloads.yaml", "switches.yaml")

Loader = tuple[Entry, ...]
"""The inputs of one class that name models."""

_PLACE = re.compile(r"models/([^{<]+)/[^/]")


@dataclass(frozen=True, slots=True)
class LoaderTable:
    """What is known of node classes. Made by `load_table`.

    Attributes:
        kinds: what nodes ask ComfyUI for, its own and those of node packs, by key.
        aliases: a models folder's other names → the modern one.
        none_values: widget values that mean no file.
        stand_ins: widget values that stand for files of other names → a sentence that says which.
        fixed: directories below ``models`` that some nodes read below ComfyUI's own folder only, mapped or not.
        families: for a folder, beginnings of names whose files stand in another one.
        switches: class → which of its inputs it hands on.
        splits: class → by which of its outputs it hands its input on.
        contexts: class → where the values of its context come from.
    """

    kinds: Mapping[str, Kind]
    aliases: Mapping[str, str]
    none_values: frozenset[str]
    stand_ins: Mapping[str, str]
    families: Mapping[str, Mapping[str, str]]
    fixed: frozenset[str]
    endings: tuple[str, ...]
    roles: Mapping[str, re.Pattern[str]]
    switches: Mapping[str, Switch]
    splits: Mapping[str, Split]
    contexts: Mapping[str, Context]
    _loaders: Mapping[str, Loader]
    _prompts: Mapping[str, Loader]
    _downloads: Mapping[str, tuple[Choice, ...]]
    _download_patterns: tuple[tuple[re.Pattern[str], tuple[Choice, ...]], ...]

    @property
    def classes(self) -> frozenset[str]:
        """Every class that names files in its inputs or fetches some, as the tables write it."""
        return frozenset({*self._loaders, *self._prompts, *self._downloads})

    def loader(self, kind: str) -> Loader | None:
        """The inputs of this class that name models; None for a class that is not in the table."""
        return next((self._loaders[name] for name in self._names(kind) if name in self._loaders), None)

    def inputs(self, kind: str) -> Loader:
        """Every input of this class that names files: those of a loader, and prompts in which tags load LoRAs."""
        return (*(self.loader(kind) or ()), *self._prompts.get(kind, ()))

    def downloads(self, kind: str) -> tuple[Choice, ...] | None:
        """What a node of this class fetches by itself; None if it is not known to fetch anything."""
        found = next((self._downloads[name] for name in self._names(kind) if name in self._downloads), None)
        if found is None:
            found = next((said for pattern, said in self._download_patterns if pattern.fullmatch(kind)), None)
        return found

    def _names(self, kind: str) -> Iterator[str]:
        """A class, and those without one of the endings that leave its inputs as they are."""
        yield kind
        yield from (kind.removesuffix(ending) for ending in self.endings if kind.endswith(ending))

    def chooses(self, kind: str) -> bool:
        """Whether a class only hands on what others make: a switch, a split, or a context."""
        return kind in self.switches or kind in self.splits or kind in self.contexts

    def home(self, folder: str, name: str) -> str:
        """The folder where a file of this name really stands that a loader lists under ``folder``."""
        known = self.families.get(folder, {})
        return next((other for beginning, other in known.items() if name.startswith(beginning)), folder)

    def plays(self, role: str, kind: str) -> bool:
        """Whether a class is one of those listed under ``role``: reroutes, constants, getters, setters, …"""
        return self.roles[role].fullmatch(kind) is not None

    def folder(self, said: str) -> str:
        """The directory below ``models`` that is meant where either a kind's key or a directory may stand."""
        kind = self.kinds.get(said.strip("/"))
        return self.modern(said) if kind is None else kind.folders[0]

    def modern(self, folder: str) -> str:
        """The modern name of a models folder."""
        first, slash, rest = folder.strip("/").partition("/")
        return self.aliases.get(first, first) + slash + rest


def load_table(extra: Sequence[Path] = ()) -> LoaderTable:
    """The package's table with the user's own laid over it, in their order.

    Raises:
        UsageError: a file cannot be read or is no table; the sentence names file, line and what to do.
    """
    folder = files("prefetch.comfyui.workflow")
    own = [_parsed(folder.joinpath(name).read_bytes(), name) for name in _OWN]
    return _united([*own, *(_parsed(_read(path), str(path)) for path in extra)])


def _read(path: Path) -> bytes:
    try:
        return read_file(path, most=MAX_BYTES)
    except OSError as error:
        raise UsageError(
            f"The loader table {path} cannot be read: {error.strerror}.", remedy="Check its path and rights."
        ) from None


def _parsed(data: bytes, name: str) -> Table:
    try:
        return read_table(parse_yaml(data), name)
    except YamlError as error:
        where = name if error.line is None else f"{name}:{error.line}"
        raise UsageError(f"{where}: {error.message}", remedy="Correct the loader table.") from None


def _united(tables: Sequence[Table]) -> LoaderTable:
    kinds = {key: Kind(folders) for key, folders in FOLDERS.items()}
    kinds |= {key: kind for table in tables for key, kind in table.kinds.items()}
    downloads = {kind: said for table in tables for kind, said in table.self_downloaded.items()}
    roles = {role: [kind for table in tables for kind in table.roles.get(role, ())] for role in tables[0].roles}
    return LoaderTable(
        kinds=kinds,
        aliases={name: folder for table in tables for name, folder in table.aliases.items()},
        none_values=frozenset(value for table in tables for value in table.none_values),
        stand_ins={name: said for table in tables for name, said in table.stand_ins.items()},
        families={folder: known for table in tables for folder, known in table.families.items()},
        fixed=_outermost(_fixed(kinds, tables)),
        endings=tuple(ending for table in tables for ending in table.endings),
        roles={role: _pattern(kinds) for role, kinds in roles.items()},
        _loaders={
            kind: tuple(replace(entry, folders=_directories(entry, kinds)) for entry in loader)
            for table in tables
            for kind, loader in table.loaders.items()
        },
        _prompts={kind: inputs for table in tables for kind, inputs in table.prompts.items()},
        _downloads=downloads,
        switches={kind: rule for table in tables for kind, rule in table.switches.items()},
        splits={kind: rule for table in tables for kind, rule in table.splits.items()},
        contexts={kind: rule for table in tables for kind, rule in table.contexts.items()},
        _download_patterns=tuple((_pattern([kind]), said) for kind, said in downloads.items() if "*" in kind),
    )


def _directories(entry: Entry, kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    """Where an input's file stands below ``models``; what is neither a kind nor written as a path is a directory."""
    return tuple(kinds[said].folders[0] if said in kinds else said.removeprefix("models/") for said in entry.folders)


def _fixed(kinds: Mapping[str, Kind], tables: Iterable[Table]) -> Iterator[str]:
    """Folders that packs set themselves, those that rows join, and those of downloads that no kind has."""
    for kind in kinds.values():
        yield from kind.folders if kind.fixed else ()
    asked = {folder for kind in kinds.values() for folder in kind.folders}
    for table in tables:
        joined = (said for loader in table.loaders.values() for entry in loader for said in entry.folders)
        yield from (said.removeprefix("models/") for said in joined if said.startswith("models/"))
        chosen = (
            said for choices in table.self_downloaded.values() for choice in choices for said in choice.of.values()
        )
        places = (download.place for downloads in chosen for download in downloads)
        directories = (match[1] for place in places if (match := _PLACE.match(place)))
        yield from (directory for directory in directories if directory not in asked)


def _outermost(folders: Iterable[str]) -> frozenset[str]:
    """Those that lie below none of the others."""
    known = set(folders)
    return frozenset(folder for folder in known if known.isdisjoint(map(str, PurePosixPath(folder).parents)))


def _pattern(kinds: Iterable[str]) -> re.Pattern[str]:
    # Only the star is special: class names hold brackets and question marks.
    return re.compile("|".join(translate(re.sub(r"[\[?]", r"[\g<0>]", kind)) for kind in kinds) or r"(?!)")
