"""The loader table: which inputs of which node classes name a model, and in which folder. Facts in ``loaders.yaml``.

A user's own tables are laid over it, class by class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from importlib.resources import files
from pathlib import Path

from prefetch.comfyui.workflow.tableform import Entry, Place, Table, read_table
from prefetch.errors import UsageError
from prefetch.yamlfile import MAX_BYTES, YamlError, parse_yaml

__all__ = ["Loader", "LoaderTable", "Places", "load_table"]

Loader = tuple[Entry, ...]
"""The inputs of one class that name models."""

Places = tuple[Place, ...]
"""Where nodes of one class look for what they fetch by themselves."""


@dataclass(frozen=True, slots=True)
class LoaderTable:
    """What is known of node classes. Made by `load_table`.

    Attributes:
        aliases: a models folder's other names → the modern one.
        none_values: widget values that mean no file.
        stand_ins: widget values that stand for files of other names → a sentence that says which.
        families: for a folder, beginnings of names whose files stand in another one.
    """

    aliases: Mapping[str, str]
    none_values: frozenset[str]
    stand_ins: Mapping[str, str]
    families: Mapping[str, Mapping[str, str]]
    endings: tuple[str, ...]
    roles: Mapping[str, re.Pattern[str]]
    _loaders: Mapping[str, Loader]
    _places: Mapping[str, Places]
    _place_patterns: tuple[tuple[re.Pattern[str], Places], ...]

    def loader(self, kind: str) -> Loader | None:
        """The inputs of this class that name models; None for a class that is not in the table."""
        found = self._loaders.get(kind)
        if found is None:
            found = next((self._loaders.get(kind.removesuffix(e)) for e in self.endings if kind.endswith(e)), None)
        return found

    def places(self, kind: str) -> Places | None:
        """Where a node of this class looks for what it fetches by itself; None if it fetches nothing."""
        found = self._places.get(kind)
        if found is None:
            found = next((place for pattern, place in self._place_patterns if pattern.fullmatch(kind)), None)
        return found

    def home(self, folder: str, name: str) -> str:
        """The folder where a file of this name really stands that a loader lists under ``folder``."""
        known = self.families.get(folder, {})
        return next((other for beginning, other in known.items() if name.startswith(beginning)), folder)

    def plays(self, role: str, kind: str) -> bool:
        """Whether a class is one of those listed under ``role``: reroutes, constants, getters, setters, …"""
        return self.roles[role].fullmatch(kind) is not None

    def modern(self, folder: str) -> str:
        """The modern name of a models folder."""
        first, slash, rest = folder.strip("/").partition("/")
        return self.aliases.get(first, first) + slash + rest


def load_table(extra: Sequence[Path] = ()) -> LoaderTable:
    """The package's table with the user's own laid over it, in their order.

    Raises:
        UsageError: a file cannot be read or is no table; the sentence names file, line and what to do.
    """
    own = files("prefetch.comfyui.workflow").joinpath("loaders.yaml").read_bytes()
    return _united([_parsed(own, "loaders.yaml"), *(_parsed(_read(path), str(path)) for path in extra)])


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
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
    places = {kind: place for table in tables for kind, place in table.self_downloaded.items()}
    roles = {role: [kind for table in tables for kind in table.roles.get(role, ())] for role in tables[0].roles}
    return LoaderTable(
        aliases={name: folder for table in tables for name, folder in table.aliases.items()},
        none_values=frozenset(value for table in tables for value in table.none_values),
        stand_ins={name: said for table in tables for name, said in table.stand_ins.items()},
        families={folder: known for table in tables for folder, known in table.families.items()},
        endings=tuple(ending for table in tables for ending in table.endings),
        roles={role: _pattern(kinds) for role, kinds in roles.items()},
        _loaders={kind: loader for table in tables for kind, loader in table.loaders.items()},
        _places=places,
        _place_patterns=tuple((_pattern([kind]), place) for kind, place in places.items() if "*" in kind),
    )


def _pattern(kinds: Iterable[str]) -> re.Pattern[str]:
    # Only the star is special: class names hold brackets and question marks.
    return re.compile("|".join(translate(re.sub(r"[\[?]", r"[\g<0>]", kind)) for kind in kinds) or r"(?!)")
