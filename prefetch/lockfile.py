"""A lock: what each model of a manifest resolved to, so that the same manifest gives the same bytes for ever.

``NAME.lock.json`` stands beside ``NAME.yaml``. Pure: bytes in, a lock or a sentence out, and back to the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from prefetch.errors import ManifestError
from prefetch.inputs import MAX_BYTES, digest
from prefetch.sources.listing import Listed, Listing
from prefetch.sources.refs.folder import parse_folder
from prefetch.sources.refs.source import parse_source
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.paths import check_model_path
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, decode, has_fields, is_text

if TYPE_CHECKING:
    from prefetch.blockfile import BlockDigests
    from prefetch.manifest import Folder, Model, Wanted

__all__ = ["Disagreement", "Lock", "LockedDirectory", "LockedModel", "compare", "compare_blocks", "parse_lock"]

_VERSION = 1
_FIELDS: dict[str, Kinds] = {
    "path": str,
    "source": str,
    "url": OPTIONAL_TEXT,
    "commit": OPTIONAL_TEXT,
    "size": int,
    "sha256": str,
}
_DIRECTORY: dict[str, Kinds] = {"path": str, "source": str, "include": list, "exclude": list}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REMEDY = "Restore it from your version control, or delete it and run prefetch lock again."


@dataclass(frozen=True, slots=True)
class LockedModel:
    """One model as it was resolved.

    Attributes:
        path: below the volume's root.
        source: the manifest's own text.
        url: the pinned address, without secrets.
        commit: 40 hex digits, for a host that has commits.
        size: bytes.
        sha256: 64 lower-case hex digits.
    """

    path: str
    source: str
    url: str | None
    commit: str | None
    size: int
    sha256: str

    def agrees(self, model: Model) -> bool:
        """Whether it may stand for what the manifest says now."""
        return not self.differences(model)

    def differences(self, model: Model) -> list[str]:
        """In which keys the manifest says something else."""
        pairs = (
            ("source", model.source, self.source),
            ("sha256", model.sha256, self.sha256),
            ("size", model.size, self.size),
        )
        return [name for name, wanted, locked in pairs if wanted is not None and wanted != locked]


@dataclass(frozen=True, slots=True)
class LockedDirectory:
    """A directory of the manifest, whose files are among the models: what it was when they were listed."""

    path: str
    source: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]

    @classmethod
    def of(cls, folder: Folder) -> LockedDirectory:
        """What a lock keeps of a directory of the manifest."""
        return cls(folder.path, folder.source, folder.include, folder.exclude)


@dataclass(frozen=True, slots=True)
class Lock:
    """The models of a lock by their path; ``sha256`` is the file's own, where it was read from one."""

    models: Mapping[str, LockedModel]
    sha256: str | None = field(default=None, compare=False)
    directories: tuple[LockedDirectory, ...] = ()

    def listing(self, folder: Folder) -> Listing | None:
        """What the directory held when it was locked; None where it is not locked as it is now."""
        if LockedDirectory.of(folder) not in self.directories:
            return None
        ref, start = parse_folder(folder.source), len(folder.path)
        below = [model for path, model in self.models.items() if path.startswith(folder.path)]
        files = [model for model in below if model.source == str(ref.file(model.path[start:]))]
        commits = {model.commit for model in files}
        commit = commits.pop() if len(commits) == 1 else None
        return Listing.of(commit, (Listed(model.path[start:], model.size, model.sha256) for model in files))

    @classmethod
    def of(cls, models: Iterable[LockedModel]) -> Lock:
        """The lock of these models."""
        return cls({model.path: model for model in models})

    def to_bytes(self) -> bytes:
        """The file: sorted by path, the same bytes for the same models."""
        document: dict[str, Any] = {"version": _VERSION}
        document["models"] = [asdict(self.models[path]) for path in sorted(self.models)]
        if self.directories:
            ordered = sorted(self.directories, key=lambda each: (each.path, each.source))
            document["directories"] = [asdict(directory) for directory in ordered]
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One way in which a manifest and its lock differ: ``what`` happened to the manifest since."""

    path: str
    what: Literal["changed", "missing", "extra"]
    message: str


def parse_lock(data: bytes, *, file: str) -> Lock:
    """The lock in ``data``, trusted in nothing.

    Raises:
        ManifestError: it is none, or any part of it makes no sense; ``file`` is its name in the sentence.
    """
    document = decode(data) if len(data) <= MAX_BYTES else None
    if document is None or not isinstance(document.get("models"), list):
        raise ManifestError(f"{file}: this is not a lock.", remedy=_REMEDY)
    if type(document.get("version")) is not int or document["version"] != _VERSION:
        raise ManifestError(
            f"{file}: the lock's version is not {_VERSION}.", remedy="Install a prefetch that reads it."
        )
    models = [_model(item, f"{file}: entry {index + 1}") for index, item in enumerate(document["models"])]
    directories = tuple(_directories(document.get("directories", []), file))
    lock = replace(Lock.of(models), sha256=digest(data), directories=directories)
    if len(lock.models) != len(models):
        raise ManifestError(f"{file}: a path stands in it twice.", remedy=_REMEDY)
    return lock


def compare(wanted: Wanted, lock: Lock) -> list[Disagreement]:
    """Every disagreement of a whole manifest with its lock, by path."""
    models = {entry.model.path: entry.model for entry in wanted.entries}
    unlisted = [Disagreement(path, "changed", error.message) for path, error in wanted.unlisted.items()]
    found = [_disagreement(model, lock.models.get(path)) for path, model in models.items()]
    extra = [
        Disagreement(path, "extra", f"{path} is in the lock and not in the manifest.")
        for path in lock.models.keys() - models.keys()
        if not path.startswith(tuple(wanted.unlisted))
    ]
    return sorted([*filter(None, found), *unlisted, *extra], key=lambda item: item.path)


def compare_blocks(lock: Lock, blocks: BlockDigests, *, file: str) -> list[Disagreement]:
    """Every disagreement of a lock with the block digests beside it, which stand in ``file``."""
    pinned = {model.sha256: model for model in lock.models.values()}
    lacking = [
        Disagreement(model.path, "missing", f"{model.path} is in the lock and not in {file}.")
        for sha256, model in pinned.items()
        if model.size > BLOCK_SIZE and sha256 not in blocks.files
    ]
    extra = [
        Disagreement(sha256, "extra", f"{file} has digests of {sha256}, which the lock does not pin.")
        for sha256 in blocks.files.keys() - pinned.keys()
    ]
    return sorted([*lacking, *extra], key=lambda item: item.path)


def _disagreement(model: Model, locked: LockedModel | None) -> Disagreement | None:
    if locked is None:
        return Disagreement(model.path, "missing", f"{model.path} is in the manifest and not in the lock.")
    if different := locked.differences(model):
        keys = " and ".join(different)
        return Disagreement(model.path, "changed", f"{model.path} has another {keys} in the manifest than in the lock.")
    return None


def _directories(items: Any, file: str) -> Iterator[LockedDirectory]:
    if not isinstance(items, list):
        raise ManifestError(f"{file}: directories is no list.", remedy=_REMEDY)
    for index, item in enumerate(items):
        if not isinstance(item, dict) or not has_fields(item, _DIRECTORY) or not _are_patterns(item):
            raise ManifestError(f"{file}: directories[{index}] is not whole.", remedy=_REMEDY)
        yield LockedDirectory(item["path"], item["source"], tuple(item["include"]), tuple(item["exclude"]))


def _are_patterns(item: Mapping[str, Any]) -> bool:
    return all(is_text(pattern) for pattern in (*item["include"], *item["exclude"]))


def _model(item: Any, where: str) -> LockedModel:
    if not isinstance(item, dict) or not has_fields(item, _FIELDS):
        raise ManifestError(f"{where} is not whole.", remedy=_REMEDY)
    model = LockedModel(**{name: item[name] for name in _FIELDS})
    if not _SHA256.fullmatch(model.sha256) or (model.commit is not None and not _COMMIT.fullmatch(model.commit)):
        raise ManifestError(f"{where} has a hash that is none.", remedy=_REMEDY)
    try:
        check_model_path(model.path)
        parse_source(model.source)
    except ValueError as error:
        raise ManifestError(f"{where}: {str(error).rstrip('.')}.", remedy=_REMEDY) from None
    return model
