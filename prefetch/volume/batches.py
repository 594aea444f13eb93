"""Records of small models, many to a document: a document each would cost a network file system more than the models.

A batch is only ever added or deleted whole, so any number of hosts may write them at once. One that is lost with its
process costs that the models in it are read once more.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from prefetch.volume import documents, files
from prefetch.volume.documents import Kind
from prefetch.volume.layout import Volume

if TYPE_CHECKING:
    from prefetch.volume.inventory import Record

__all__ = ["NAMES", "Batches"]

FULL = 64
"""Records that are written together at most."""
SPARE = 32
"""Batches beyond those that the records need, before they are written anew: each run may add one."""

NAMES = re.compile(r"batch\.([0-9]{12})\.[0-9a-f]{16}\.json")
"""A batch begins with its number: of two that know a model, the higher one is the newer."""


class Batches:
    """The batches of a volume. Safe to use from many threads.

    Args:
        kind: the document that a batch is: records by their models' paths.
    """

    def __init__(self, volume: Volume, kind: Kind[Mapping[str, Record]]) -> None:
        self._volume = volume
        self._kind = kind
        self._lock = threading.Lock()
        self._waiting: dict[str, Record] = {}
        self._known: dict[str, Record] | None = None

    def add(self, record: Record) -> None:
        """Have a record written with others, by `flush` at the latest."""
        with self._lock:
            self._waiting[record.path] = record
            if len(self._waiting) >= FULL:
                self._write_waiting()

    def flush(self) -> None:
        """Write what is waiting."""
        with self._lock:
            if self._waiting:
                self._write_waiting()
                if self._are_scattered():
                    self._rewrite(but=())

    def get(self, path: str) -> Record | None:
        """The record of the model at ``path``."""
        with self._lock:
            return self._waiting.get(path) or self._loaded().get(path)

    def records(self) -> Mapping[str, Record]:
        """Every record by its model's path, the newest where there are several."""
        with self._lock:
            return {**self._loaded(), **self._waiting}

    def remove(self, paths: Collection[str]) -> None:
        """Forget the models at ``paths``."""
        with self._lock:
            self._rewrite(but=paths)

    def _are_scattered(self) -> bool:
        count = len(self._names())
        return count > SPARE and count > SPARE + -(-len(self._loaded()) // FULL)

    def _rewrite(self, *, but: Collection[str]) -> None:
        """Write the records anew, ``but`` those of these paths, in as few batches as they need."""
        with files.os_errors("rewriting records"):
            # What another host writes from now on is left as it is, and so is what cannot be read.
            found = [*documents.read_all(self._volume, self._kind, self._names())]
            records = {**_together(found), **self._waiting}
            self._waiting, self._known = {}, {path: record for path, record in records.items() if path not in but}
            kept = [*self._known.values()]
            for start in range(0, len(kept), FULL):
                self._write(kept[start : start + FULL])
            # After the new ones: killed in between, both are there, and the newer are believed.
            with self._volume.writing(self._kind.directory) as directory:
                for name, _ in found:
                    files.remove(name, dir_fd=directory)

    def _write_waiting(self) -> None:
        self._write(self._waiting.values())
        if self._known is not None:
            self._known.update(self._waiting)
        self._waiting = {}

    def _write(self, records: Iterable[Record]) -> None:
        number = max((int(match[1]) for name in self._names() if (match := NAMES.fullmatch(name))), default=0) + 1
        # A stranger's may have the last number there is: then which of two is newer is a matter of luck.
        name = f"batch.{min(number, 10**12 - 1):012}.{secrets.token_hex(8)}.json"
        documents.write(self._volume, self._kind, name, {"records": list(map(asdict, records))}, what="models")

    def _loaded(self) -> Mapping[str, Record]:
        if self._known is None:
            self._known = _together(documents.read_all(self._volume, self._kind, self._names()))
        return self._known

    def _names(self) -> list[str]:
        return sorted(documents.names(self._volume, self._kind))


def _together(batches: Iterable[tuple[str, Mapping[str, Record]]]) -> dict[str, Record]:
    """The records of batches in their order: of several of one model, the last."""
    return {path: record for _, records in batches for path, record in records.items()}
