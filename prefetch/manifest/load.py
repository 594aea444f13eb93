"""Manifests → what they want together. Follows includes of files, and stays inside the first manifest's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prefetch.errors import ManifestError
from prefetch.given import Written
from prefetch.inputs import Included, Inputs, digest
from prefetch.manifest.comments import left_open
from prefetch.manifest.model import Folder, Manifest, OpenEntry
from prefetch.manifest.problems import Place, Problem, manifest_error, shown
from prefetch.manifest.strangers import check_fetched
from prefetch.manifest.validate import validate
from prefetch.manifest.wanted import Entry, FolderEntry, Unsourced, Wanted, merge, select
from prefetch.volume.reading import read_file
from prefetch.yamlfile import MAX_BYTES, YamlError, line_of, parse_yaml

__all__ = ["load_manifests"]

_MAX_DEPTH = 8
_MAX_FILES = 64


def load_manifests(
    manifests: Sequence[str | Path | Written], *, groups: Sequence[str] = (), allow_private: bool = False
) -> Wanted:
    """What the manifests, most of them files, and their includes want, or of that what is in any of ``groups``.

    Args:
        allow_private: whether one that was fetched may name addresses of this machine.

    Raises:
        ManifestError: a file cannot be read, breaks a rule, or contradicts another.
        UsageError: no model is in one of ``groups``.
    """
    loader = _Loader(allow_private=allow_private)
    roots = [manifest if isinstance(manifest, Written) else Path(manifest) for manifest in manifests]
    wanted = merge(entry for root in roots for entry in loader.entries(root))
    return select(replace(wanted, inputs=loader.inputs(roots), left_open=tuple(loader.left_open)), groups)


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

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._read: dict[str, str] = {}
        self._digests: dict[Path, str] = {}
        self._included: list[tuple[Path, Path]] = []
        self.left_open: list[str] = []

    def entries(self, root: Path | Written) -> Iterator[Entry | FolderEntry | Unsourced]:
        """The entries of a manifest, then those of its includes."""
        return self._of_text(root) if isinstance(root, Written) else self._of_file(root, ())

    def _of_text(self, text: Written) -> Iterator[Entry | FolderEntry | Unsourced]:
        document = _parsed(text.data, text.name)
        manifest = validate(document, text.name)
        for index, name in enumerate(manifest.include):
            place = Place(text.name, line_of(document, ("include", index)))
            problem = f"the include {shown(name)} is relative to a file, and this manifest is none."
            raise manifest_error([Problem(place, problem, "Put the entries of both into one manifest.")])
        if text.fetched:
            check_fetched(manifest, document, text.name, allow_private=self._allow_private)
        self._note_comments(manifest, text.data)
        yield from _entries(manifest, document, text.name, fetched=text.fetched)

    def _of_file(self, path: Path, chain: tuple[Path, ...]) -> Iterator[Entry | FolderEntry | Unsourced]:
        real = os.path.realpath(path)
        if real in self._read:
            self._digests.setdefault(path, self._read[real])
            return
        data = _read(path)
        self._read[real] = self._digests[path] = digest(data)
        if chain:
            self._included.append((chain[0], path))
        document = _parsed(data, str(path))
        manifest = validate(document, str(path))
        self._note_comments(manifest, data)
        yield from _entries(manifest, document, str(path), fetched=False)
        for include in _includes(manifest, document, (*chain, path)):
            self._check(include)
            yield from self._of_file(include.path, include.chain)

    def _note_comments(self, manifest: Manifest, data: bytes) -> None:
        self.left_open += left_open(data.decode(), anywhere=not manifest.models)

    def inputs(self, roots: Sequence[Path | Written]) -> Inputs:
        """The SHA-256 of everything that was read, once the entries of ``roots`` were asked for."""
        includes = (
            Included(roots.index(root), os.path.relpath(path, root.parent), self._digest(path))
            for root, path in self._included
        )
        addresses = tuple(root.address if isinstance(root, Written) else None for root in roots)
        return Inputs(tuple(map(self._digest, roots)), includes=tuple(includes), addresses=addresses)

    def _digest(self, root: Path | Written) -> str:
        # By the name it was read by: what that leads to may be another file by now, as where a ConfigMap is renewed.
        return digest(root.data) if isinstance(root, Written) else self._digests[root]

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


def _entries(
    manifest: Manifest, document: object, file: str, *, fetched: bool
) -> Iterator[Entry | FolderEntry | Unsourced]:
    for index, model in enumerate(manifest.models):
        place = Place(file, line_of(document, ("models", index)))
        if isinstance(model, Folder):
            yield FolderEntry(model, place)
        elif isinstance(model, OpenEntry):
            yield Unsourced(model, place)
        else:
            yield Entry(model, place, fetched=fetched)


def _includes(manifest: Manifest, document: object, chain: tuple[Path, ...]) -> Iterator[_Include]:
    for index, name in enumerate(manifest.include):
        yield _Include(Place(str(chain[-1]), line_of(document, ("include", index))), name, chain)


def _read(path: Path) -> bytes:
    try:
        return read_file(path, most=MAX_BYTES)
    except OSError as error:
        message = f"the manifest cannot be read: {error.strerror}."
        remedy = "Check its path and rights."
        if str(path).startswith(("https:/", "http:/", "hf:/")):
            remedy = "To fetch a manifest, set PREFETCH_MANIFEST_URL to its address."
        raise manifest_error([Problem(Place(str(path)), message, remedy)]) from None


def _parsed(data: bytes, file: str) -> object:
    try:
        return parse_yaml(data)
    except YamlError as error:
        remedy = f"Correct the file.{error.excerpt and chr(10)}{error.excerpt}"
        raise manifest_error([Problem(Place(file, error.line), error.message, remedy)]) from None
