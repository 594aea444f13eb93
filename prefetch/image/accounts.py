"""Layers laid over one another: what is seen in the end, what is hidden, and what is stored more than once. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from prefetch.image.contents import Contents, Directory, Link, Stored, SymbolicLink, Whiteout
from prefetch.image.links import linked
from prefetch.image.recognise import model_format
from prefetch.image.tree import Copy, Symlink, Tree

__all__ = ["Accounts", "LayerAccount", "ModelAccount", "account"]


@dataclass(slots=True)
class LayerAccount:
    """One layer's bytes: those of its regular files, uncompressed.

    Attributes:
        stored: all of them.
        hidden: those that a later layer overwrites or deletes.
        duplicated: those of content that was stored before, in this layer or an earlier one.
        wasted: those that are hidden or duplicated.
        models: those of model files.
    """

    files: int = 0
    stored: int = 0
    hidden: int = 0
    duplicated: int = 0
    wasted: int = 0
    models: int = 0

    def enter(self, copy: Copy, *, repeated: bool) -> None:
        """Count one file in."""
        size = copy.file.size
        self.files += 1
        self.stored += size
        self.hidden += size if copy.hidden else 0
        self.duplicated += size if repeated else 0
        self.wasted += size if copy.hidden or repeated else 0
        self.models += size if copy.file.format is not None else 0


@dataclass(slots=True)
class ModelAccount:
    """One model's content, wherever it is stored.

    Attributes:
        sha256: 32 bytes.
        size: bytes of one copy.
        stored_at: every place that stores it, as (layer number from 0, path): one for each copy.
        paths: where it is seen in the end, sorted; empty where all of it is hidden.
        links: where symbolic links show it besides, sorted.
    """

    sha256: bytes
    size: int
    format: str
    stored_at: list[tuple[int, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Bytes of all its copies."""
        return self.size * len(self.stored_at)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Each layer's account, the lowest first, and each model's, the one that takes the most bytes first."""

    layers: list[LayerAccount]
    models: list[ModelAccount]


def account(layers: Sequence[Contents]) -> Accounts:
    """What the layers come to, one laid over the other."""
    tree = Tree()
    copies = list(_lay(tree, layers))
    links = list(linked(tree.root))
    for path, copy in links:
        _name(copy, path)
    models = _models(copies)
    for path, copy in tree.seen():
        if copy.file.format is not None:
            models[copy.file.sha256].paths.append(path)
    for path, copy in links:
        if copy.file.format is not None:
            models[copy.file.sha256].links.append(path)
    for model in models.values():
        model.paths.sort()
        model.links.sort()
    return Accounts(
        layers=_layers(copies, len(layers)),
        models=sorted(models.values(), key=lambda model: (-model.stored, model.sha256)),
    )


def _lay(tree: Tree, layers: Sequence[Contents]) -> Iterator[Copy]:
    for number, contents in enumerate(layers):
        # A layer deletes what lower ones have, never its own, wherever in it its whiteouts stand.
        for entry in contents:
            if isinstance(entry, Whiteout):
                tree.delete(entry.path, opaque=entry.opaque)
        for entry in contents:
            if isinstance(entry, Stored):
                yield tree.store(Copy(number, entry))
            elif isinstance(entry, Link):
                tree.link(entry.path, entry.target)
            elif isinstance(entry, SymbolicLink):
                tree.replace(entry.path, Symlink(entry.target))
            elif isinstance(entry, Directory):
                tree.make_directory(entry.path)
            elif not isinstance(entry, Whiteout):
                tree.replace(entry.path)


def _name(copy: Copy, path: str) -> None:
    """The Hub's cache keeps files under their hashes: where only a suffix tells a model, it is the link's."""
    if copy.file.format is None and (kind := model_format(path, b"", copy.file.size)):
        copy.file = replace(copy.file, format=kind)


def _layers(copies: Sequence[Copy], count: int) -> list[LayerAccount]:
    accounts = [LayerAccount() for _ in range(count)]
    known: set[bytes] = set()
    for copy in copies:
        accounts[copy.layer].enter(copy, repeated=copy.file.sha256 in known)
        known.add(copy.file.sha256)
    return accounts


def _models(copies: Sequence[Copy]) -> dict[bytes, ModelAccount]:
    models: dict[bytes, ModelAccount] = {}
    for copy in copies:
        file = copy.file
        if file.format is not None:
            model = models.setdefault(file.sha256, ModelAccount(file.sha256, file.size, file.format))
            model.stored_at.append((copy.layer, file.path))
    return models
