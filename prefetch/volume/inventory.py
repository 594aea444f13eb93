"""What is known of each model that stands on the volume: one record a model, and the digests of its blocks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prefetch.volume import batches, documents, files
from prefetch.volume.applied import AppliedModel
from prefetch.volume.batches import Batches
from prefetch.volume.blocks import BLOCK_SIZE, DIGEST_SIZE, block_count
from prefetch.volume.documents import Kind, encode
from prefetch.volume.identity import Identity
from prefetch.volume.layout import Volume
from prefetch.volume.paths import is_model_path
from prefetch.volume.reading import Unfit, read_below
from prefetch.volume.untrusted import OPTIONAL_TEXT, Kinds, has_fields, is_text

__all__ = ["BATCHES", "DIGESTS", "RECORDS", "Inventory", "Record", "matches", "modified"]

_DIRECTORY = "inventory"
_MOST_DIGESTS = 64 << 20
"""Bytes of digests that are read: those of a model of 16 TiB."""
_FIELDS: dict[str, Kinds] = {
    "path": str,
    "size": int,
    "mtime": int,
    "sha256": str,
    "source": str,
    "url": OPTIONAL_TEXT,
    "commit": OPTIONAL_TEXT,
    "etag": OPTIONAL_TEXT,
    "pinned": bool,
    "placed": bool,
    "node_path": OPTIONAL_TEXT,
    "groups": list,
    "block_size": int,
    "suspect": bool,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A file that was verified once.

    Attributes:
        path: below the volume's root.
        size: bytes.
        mtime: when it was last modified, by the volume's clock, in whole seconds since 1970: more is not kept there.
        url: the pinned address it came from, without secrets; None for a file that was found on the volume.
        etag: the strong validator that its host gave with it; None where it gave none, and in records of versions
            that did not keep it.
        pinned: whether the manifest, its lock or the host told its hash beforehand.
        placed: whether we put it there; a file that was adopted stays its user's.
        block_size: bytes of the blocks whose digests are kept beside it.
        suspect: whether it was found damaged since.
    """

    path: str
    size: int
    mtime: int
    sha256: str
    source: str
    url: str | None
    commit: str | None
    pinned: bool
    placed: bool
    node_path: str | None
    groups: tuple[str, ...]
    block_size: int = BLOCK_SIZE
    suspect: bool = False
    etag: str | None = None

    @property
    def identity(self) -> Identity:
        """What its host named it by, without its hash."""
        return Identity(self.path, self.size, None, self.url or "", self.etag)

    @classmethod
    def from_applied(cls, model: AppliedModel) -> Record:
        """What is known of a model that was applied; of a file that was only adopted we must not think it ours."""
        return cls(
            path=model["path"],
            size=model["size"],
            mtime=model["mtime"],
            sha256=model["sha256"],
            source=model["source"],
            url=model["url"],
            commit=model["commit"],
            pinned=model["pinned"] or bool(model["told"]),
            placed=False,
            node_path=model["node_path"],
            groups=tuple(model["groups"]),
        )

    def to_applied(self, *, pinned: bool, node_path: str | None, groups: Iterable[str]) -> AppliedModel:
        """The part of it that says what was applied, with what the manifest says of the model now."""
        return AppliedModel(
            path=self.path,
            source=self.source,
            url=self.url,
            commit=self.commit,
            size=self.size,
            sha256=self.sha256,
            mtime=self.mtime,
            pinned=pinned,
            told=self.pinned,
            node_path=node_path,
            groups=list(groups),
        )


def modified(stat: os.stat_result) -> int:
    """The modification time in whole seconds. Rounded down: the float of `os.stat_result` can round up."""
    return stat.st_mtime_ns // 1_000_000_000


def matches(record: Record, stat: os.stat_result) -> bool:
    """Whether a file looks like the one that was recorded."""
    return (record.size, record.mtime) == (stat.st_size, modified(stat))


class Inventory:
    """The records of one volume. What anyone may have written there is no record unless all of it makes sense."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._batches = Batches(volume, BATCHES)
        self._ours: dict[str, Record] = {}

    def get(self, path: str) -> Record | None:
        """The record of the model at ``path``: the one that was put here last, else what is on the volume."""
        if (ours := self._ours.get(path)) is not None:
            return ours
        return documents.read(self._volume, RECORDS, f"{_stem(path)}.json") or self._batches.get(path)

    def put(self, record: Record, digests: bytes | None) -> None:
        """Record a model, with the digests of its blocks (16 bytes each) where they are known."""
        stem = _stem(record.path)
        with (
            files.os_errors(f"recording {record.path}"),
            self._volume.writing(_DIRECTORY) as directory,
            self._volume.writing("tmp") as temporary,
        ):
            if digests is None:
                files.remove(f"{stem}.blocks", dir_fd=directory)
            else:
                files.replace(f"{stem}.blocks", digests, dir_fd=directory, temporary=temporary)
            # After the digests: a record never stands beside those of an older file for longer than it takes to read.
            files.replace(f"{stem}.json", encode(asdict(record)), dir_fd=directory, temporary=temporary)
        self._ours[record.path] = record

    def put_small(self, records: Iterable[Record]) -> None:
        """Record models of one block, by `flush` at the latest: their records are lost with the process until then."""
        by_name = {f"{_stem(record.path)}.json": record for record in records}
        with files.os_errors("recording small models"), self._volume.reading(_DIRECTORY) as directory:
            if directory is not None:
                # An older record of its own would be found before the batch.
                for name in by_name.keys() & files.names(directory):
                    files.remove(name, dir_fd=directory)
        for record in by_name.values():
            self._batches.add(record)
            self._ours[record.path] = record

    def flush(self) -> None:
        """Write the records that are waiting for others."""
        self._batches.flush()

    def digests(self, path: str) -> bytes | None:
        """The digests of the blocks of the model at ``path``, if they are known and of `BLOCK_SIZE` each."""
        record = self.get(path)
        if record is None or record.block_size != BLOCK_SIZE:
            return None
        expected = DIGEST_SIZE * block_count(record.size)
        if expected > _MOST_DIGESTS:
            return None
        with files.os_errors(f"reading the record of {path}"), self._volume.reading(_DIRECTORY) as directory:
            if directory is None:
                return None
            try:
                found = read_below(f"{_stem(path)}.blocks", directory=directory, most=expected)
            except Unfit:
                # Those of another file, too: they are written before its record is.
                return None
        return found if found is not None and len(found) == expected else None

    def all(self) -> Iterator[Record]:
        """Every record, in no order."""
        own = set()
        for _, record in documents.read_all(self._volume, RECORDS):
            own.add(record.path)
            yield record
        yield from (record for path, record in self._batches.records().items() if path not in own)

    def remove(self, *paths: str) -> None:
        """Forget the models at ``paths``."""
        for path in paths:
            self._ours.pop(path, None)
        with files.os_errors("forgetting models"), self._volume.reading(_DIRECTORY) as directory:
            if directory is not None:
                for stem in map(_stem, paths):
                    files.remove(f"{stem}.json", dir_fd=directory)
                    files.remove(f"{stem}.blocks", dir_fd=directory)
        if not self._batches.records().keys().isdisjoint(paths):
            self._batches.remove(paths)


def _parse(name: str, document: Mapping[str, Any]) -> Record | None:
    record = _record(document)
    # Under another path's name it would be found twice, or never again.
    return record if record is not None and name == f"{_stem(record.path)}.json" else None


def _parse_batch(name: str, document: Mapping[str, Any]) -> Mapping[str, Record] | None:
    """What fits of a batch: one record that makes no sense says nothing about the others."""
    listed = document.get("records")
    if not isinstance(listed, list):
        return None
    found = [record for each in listed if isinstance(each, dict) and (record := _record(each)) is not None]
    return {record.path: record for record in found} if found or not listed else None


def _record(document: Mapping[str, Any]) -> Record | None:
    document = {"etag": None, **document}
    if not has_fields(document, _FIELDS) or not is_model_path(document["path"]):
        return None
    groups, node_path = document["groups"], document["node_path"]
    if not all(map(is_text, groups)) or not (node_path is None or is_model_path(node_path)):
        return None
    return Record(**{name: document[name] for name in _FIELDS if name != "groups"}, groups=tuple(groups))


def _stem(path: str) -> str:
    """A file name for a path of any length and any characters."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


RECORDS = Kind(_DIRECTORY, re.compile(r"[0-9a-f]{32}\.json"), _parse, most=1 << 20)
DIGESTS = re.compile(r"[0-9a-f]{32}\.blocks")
BATCHES = Kind(_DIRECTORY, batches.NAMES, _parse_batch)
