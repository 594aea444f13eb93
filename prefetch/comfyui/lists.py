"""Lists that a person points at, read into a catalog: manifests, tables of addresses, the Manager's list.

A list's own folders may be those of former days, and of the Manager's list neither sub-folders nor sizes are believed:
it rounds sizes, and saves into folders in which nobody looks.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prefetch.comfyui.catalog import Catalog, Offer
from prefetch.comfyui.homes import home_of, model_path, path_beside
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.errors import UsageError
from prefetch.manifest import Model, Wanted, load_manifests
from prefetch.sources.refs.source import parse_listed_source
from prefetch.volume.reading import read_file

__all__ = ["read_catalog"]

_MAX_BYTES = 16 << 20
_MOST_VALUES = 500_000
_MOST_TOLD = 20  # rows of one list, each with its reason
_MANIFEST = (re.compile(r"^version:", re.MULTILINE), re.compile(r"^(?:models|include):", re.MULTILINE))
_NAMES = ("model_file_name", "filename", "file_name", "file", "name")
_FOLDERS = ("models_folder", "folder", "directory", "save_path", "path")
_ADDRESSES = ("url", "source", "link", "download_url")
_WHOLE_REPOSITORY = "<huggingface>"
_KINDS = {
    "checkpoint": "checkpoints",
    "checkpoints": "checkpoints",
    "clip": "text_encoders",
    "clip_vision": "clip_vision",
    "controlnet": "controlnet",
    "diffusion_model": "diffusion_models",
    "embedding": "embeddings",
    "embeddings": "embeddings",
    "gligen": "gligen",
    "ip-adapter": "ipadapter",
    "lora": "loras",
    "photomaker": "photomaker",
    "t2i-adapter": "controlnet",
    "taesd": "vae_approx",
    "unet": "diffusion_models",
    "upscale": "upscale_models",
    "vae": "vae",
}
"""The Manager's types whose ``save_path`` is ``default``."""


@dataclass(frozen=True, slots=True)
class _Unusable:
    """A row that is no offer: where it stands in its list, and why it is none."""

    where: str
    reason: str


def _alone(manifest: Path) -> Wanted:
    return load_manifests([manifest])


def read_catalog(paths: Iterable[Path], table: LoaderTable, *, load: Callable[[Path], Wanted] = _alone) -> Catalog:
    """The lists at ``paths``; of a directory, all manifests, CSV tables and model lists that lie in it.

    Args:
        load: reads a manifest; by default without the lock beside it.

    Raises:
        UsageError: one of them cannot be read, or is no list of models.
    """
    offers: list[Offer] = []
    unusable: list[str] = []
    for path in paths:
        found = sorted(f for f in path.iterdir() if _may_be_list(f)) if path.is_dir() else [path]
        for file in found:
            rows = list(_rows(file, table, load))
            offers.extend(row for row in rows if isinstance(row, Offer))
            unusable.extend(_told(file, [row for row in rows if isinstance(row, _Unusable)]))
    return Catalog(tuple(offers), tuple(unusable))


def _may_be_list(file: Path) -> bool:
    """Whether a file of a directory is meant as a catalog: other YAML may lie there too."""
    if not file.is_file():
        return False
    if file.suffix in (".yaml", ".yml"):
        return all(key.search(_text(file)) for key in _MANIFEST)
    return file.suffix == ".csv" or file.name == "model-list.json"


def _told(file: Path, rows: list[_Unusable]) -> Iterator[str]:
    for row in rows[:_MOST_TOLD]:
        yield f"{file}: {row.where} cannot be used: {row.reason.rstrip('.')}."
    if len(rows) > _MOST_TOLD:
        yield f"{file}: {len(rows) - _MOST_TOLD} more rows cannot be used."


def _rows(file: Path, table: LoaderTable, load: Callable[[Path], Wanted]) -> Iterator[Offer | _Unusable]:
    match file.suffix.lower():
        case ".csv":
            yield from (_offer(where, row, table) for where, row in _csv_rows(file))
        case ".json":
            yield from (_offer(where, row, table) for where, row in _manager_rows(file))
        case _:
            yield from (_from_model(entry.model, table) for entry in load(file).entries)


def _text(file: Path) -> str:
    try:
        return read_file(file, most=_MAX_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"The catalog {file} cannot be read: {reason}.", remedy="Check its path and rights.") from None


def _table(file: Path) -> str:
    """A table's text, or a model list's, whose values are counted before any is made of them."""
    text = _text(file)
    if sum(map(text.count, (",", "[", "{", "\n"))) > _MOST_VALUES:
        raise UsageError(
            f"The catalog {file} holds more than {_MOST_VALUES} values.",
            remedy="Keep what you have use for in a table.",
        )
    return text


def _csv_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(_table(file)))
    try:
        for row in reader:
            yield f"line {reader.line_num}", row
    except csv.Error as error:
        raise UsageError(
            f"The catalog {file} cannot be read: line {reader.line_num}: {error}.", remedy="Save it as a CSV table."
        ) from None


def _manager_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        document = json.loads(_table(file))
    except (ValueError, RecursionError):
        document = None
    rows = document.get("models") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise UsageError(
            f"{file}: this is no list of models.", remedy="A catalog is a manifest, a CSV table or a model-list.json."
        )
    for number, item in enumerate(rows, start=1):
        row = item if isinstance(item, dict) else {}
        folder = str(row.get("save_path") or "default")
        kind = str(row.get("type") or "").casefold()
        yield f"entry {number}", {**row, "save_path": _KINDS.get(kind, "") if folder == "default" else folder}


def _from_model(model: Model, table: LoaderTable) -> Offer:
    fields = model.model_dump(exclude_defaults=True, exclude={"path", "groups", "node_path"}, mode="json")
    return Offer(home_of(model.path, table), fields, model.node_path)


def _offer(where: str, row: Mapping[str, Any], table: LoaderTable) -> Offer | _Unusable:
    name, folder, address = (_cell(row, columns) for columns in (_NAMES, _FOLDERS, _ADDRESSES))
    where = f"{where} ({name[:80]!r})" if name else where
    lacking = [what for what, cell in (("name", name), ("folder", folder), ("address", address)) if not cell]
    if lacking:
        return _Unusable(where, f"it has no {' and no '.join(lacking)}")
    if name == _WHOLE_REPOSITORY:
        return _Unusable(where, "it is a whole repository; write it as a directory into a manifest")
    try:
        source = str(parse_listed_source(address))
        offer = _at(folder.strip("/"), name, source, table)
        # As a manifest would have it: what is none there is no offer here.
        Model(path=offer.home or path_beside(offer.node_path or ""), source=source, node_path=offer.node_path)
    except ValidationError as error:
        return _Unusable(where, error.errors(include_url=False)[0]["msg"].removeprefix("Value error, "))
    except ValueError as error:
        return _Unusable(where, str(error))
    return offer


def _at(folder: str, name: str, source: str, table: LoaderTable) -> Offer:
    if folder.startswith("custom_nodes/"):
        return Offer("", {"source": source}, f"{folder}/{name}")
    # Lists name a kind by its key, or its directory.
    return Offer(model_path(table.folder(folder.removeprefix("models/")), name), {"source": source})


def _cell(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    found = (row[column] for column in columns if isinstance(row.get(column), str))
    return next((text.strip().replace("\\", "/") for text in found if text.strip()), "")
