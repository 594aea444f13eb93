"""Manifest files → what they want together. Follows includes, and stays inside the first manifest's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prefetch.errors import ManifestError
from prefetch.inputs import Included, Inputs, digest
from prefetch.manifest.model import Manifest
from prefetch.manifest.problems import Place, Problem, manifest_error, shown
from prefetch.manifest.validate import validate
from prefetch.manifest.wanted import Entry, Wanted, merge, select
from prefetch.yamlfile import MAX_BYTES, YamlError, line_of, parse_yaml

__all__ = ["load_manifests"]

_MAX_DEPTH = 8
_MAX_FILES = 64


def load_manifests(paths: Sequence[str | Path], *, groups: Sequence[str] = ()) -> Wanted:
    """What the manifests at ``paths`` and their includes want, or of that what is in any of ``groups``.

    Raises:
        ManifestError: a file cannot be read, breaks a rule, or contradicts another.
        UsageError: no model is in one of ``groups``.
    """
    loader = _Loader()
    wanted = merge(entry for path in paths for entry in loader.entries(Path(path)))
    return select(replace(wanted, inputs=loader.inputs(list(map(Path, paths)))), groups)


@dataclass(frozen=True, slots=True)
class _Include:
    """A line that includes ``path``; ``chain`` holds the files that led to it, the first manifest first."""

    place: Place
    name: str
    chain: tuple[Path, ...]

    @property
    def path(self) -> Path:
        return Path(os.path.normpath(self.chain[-1].parent / self.name))

    def error(self, message: str, remedy: str) -> ManifestError:
        return manifest_error([Problem(self.place, message, remedy)])


class _Loader:
    """Reads every file once, however many others include it."""

    def __init__(self) -> None:
        self._read: dict[str, str] = {}
        self._included: list[tuple[Path, Path]] = []

    def entries(self, path: Path, chain: tuple[Path, ...] = ()) -> Iterator[Entry]:
        """The entries of ``path``, then those of its includes."""
        real = os.path.realpath(path)
        if real in self._read:
            return
        data = _read(path)
        self._read[real] = digest(data)
        if chain:
            self._included.append((chain[0], path))
        document = _parsed(data, path)
        manifest = validate(document, str(path))
        for index, model in enumerate(manifest.models):
            yield Entry(model, Place(str(path), line_of(document, ("models", index))))
        for include in _includes(manifest, document, (*chain, path)):
            self._check(include)
            yield from self.entries(include.path, include.chain)

    def inputs(self, roots: Sequence[Path]) -> Inputs:
        """The SHA-256 of every file that was read, once the entries of ``roots`` were asked for."""
        includes = (
            Included(roots.index(root), os.path.relpath(path, root.parent), self._digest(path))
            for root, path in self._included
        )
        return Inputs(manifests=tuple(map(self._digest, roots)), includes=tuple(includes))

    def _digest(self, path: Path) -> str:
        return self._read[os.path.realpath(path)]

    def _check(self, include: _Include) -> None:
        real = os.path.realpath(include.path)
        root = os.path.realpath(include.chain[0].parent)
        if os.path.commonpath((root, real)) != root:
            remedy = f"Keep included manifests in {include.chain[0].parent} or below it."
            raise include.error(f"the include {shown(include.name)} leaves the first manifest's folder.", remedy)
        loop = [file for file in include.chain if os.path.realpath(file) == real]
        if loop:
            names = " includes ".join(map(str, (*include.chain[include.chain.index(loop[0]) :], loop[0])))
            raise include.error(f"the includes run in a circle: {names}.", "Take one of these includes out.")
        if len(include.chain) > _MAX_DEPTH:
            raise include.error(f"includes are nested deeper than {_MAX_DEPTH} files.", "Include these files directly.")
        if len(self._read) >= _MAX_FILES and real not in self._read:
            raise include.error(f"more than {_MAX_FILES} manifests are included.", "Put several of them into one file.")
        if not os.path.isfile(real):  # noqa: PTH113 - never raises, whatever the name, and never waits for a pipe
            raise include.error(
                f"there is no file {shown(include.name)} to include.", "Correct its path, relative to this file."
            )


def _includes(manifest: Manifest, document: object, chain: tuple[Path, ...]) -> Iterator[_Include]:
    for index, name in enumerate(manifest.include):
        yield _Include(Place(str(chain[-1]), line_of(document, ("include", index))), name, chain)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the manifest cannot be read: {error.strerror}."
        raise manifest_error([Problem(Place(str(path)), message, "Check its path and rights.")]) from None


def _parsed(data: bytes, path: Path) -> object:
    try:
        return parse_yaml(data)
    except YamlError as error:
        remedy = "Correct the file, then run the command again."
        raise manifest_error([Problem(Place(str(path), error.line), error.message, remedy)]) from None
