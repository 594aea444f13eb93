"""Records of small models, many to a document: a document each would cost a network file system more than the models.

A batch is only ever added or deleted whole, so any number of hosts may write them at once. One that is lost with its
process costs that the models in it are read once more.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Collection, Mapping
from typing import Any

from prefetch.volume import files
from prefetch.volume.documents import encode, read_document
from prefetch.volume.layout import Volume

__all__ = ["Batches"]

FULL = 64
"""Records that are written together at the latest."""

_NAME = re.compile(r"batch\.([0-9]{12})\.[0-9a-f]{16}\.json")


class Batches:
    """The batches in one directory of a volume's state. Safe to use from many threads."""

    def __init__(self, volume: Volume, directory: str) -> None:
        self._volume = volume
        self._directory = directory
        self._lock = threading.Lock()
        self._waiting: dict[str, Mapping[str, Any]] = {}
        self._known: dict[str, Mapping[str, Any]] | None = None

    def add(self, path: str, document: Mapping[str, Any]) -> None:
        """Have the record of the model at ``path`` written with others, by `flush` at the latest."""
        with self._lock:
            self._waiting[path] = document
            if len(self._waiting) >= FULL:
                self._write()

    def flush(self) -> None:
        """Write what is waiting."""
        with self._lock:
            if self._waiting:
                self._write()

    def get(self, path: str) -> Mapping[str, Any] | None:
        """The record of the model at ``path``; nothing in it is checked."""
        with self._lock:
            return self._waiting.get(path) or self._loaded().get(path)

    def records(self) -> Mapping[str, Mapping[str, Any]]:
        """Every record by its model's path, the newest where there are several; nothing in it is checked."""
        with self._lock:
            return {**self._loaded(), **self._waiting}

    def remove(self, paths: Collection[str]) -> None:
        """Forget the models at ``paths``."""
        kept = {path: record for path, record in self.records().items() if path not in paths}
        with self._lock, files.os_errors("rewriting records"):
            old = self._names()
            self._waiting, self._known = kept, {}
            if kept:
                self._write()
            # After the new one: killed in between, both are there, and the newer is believed.
            with self._volume.writing(self._directory) as directory:
                for name in old:
                    files.remove(name, dir_fd=directory)

    def _write(self) -> None:
        number = max((int(match[1]) for name in self._names() if (match := _NAME.fullmatch(name))), default=0) + 1
        name = f"batch.{number:012}.{secrets.token_hex(8)}.json"
        document = encode({"records": list(self._waiting.values())})
        with (
            files.os_errors("recording models"),
            self._volume.writing(self._directory) as directory,
            self._volume.writing("tmp") as temporary,
        ):
            files.replace(name, document, dir_fd=directory, temporary=temporary)
        if self._known is not None:
            self._known.update(self._waiting)
        self._waiting = {}

    def _loaded(self) -> Mapping[str, Mapping[str, Any]]:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _names(self) -> list[str]:
        with files.os_errors("reading the inventory"), self._volume.reading(self._directory) as directory:
            return [] if directory is None else _batches(directory)

    def _read(self) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for name in self._names():
            document = read_document(self._volume, self._directory, name) or {}
            records = document.get("records")
            for record in records if isinstance(records, list) else ():
                if isinstance(record, dict) and isinstance(record.get("path"), str):
                    found[record["path"]] = record
        return found


def _batches(directory: int) -> list[str]:
    return sorted(name for name in files.names(directory) if _NAME.fullmatch(name))
