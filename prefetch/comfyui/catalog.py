"""Where models are to be had, from lists that a person points at: manifests, tables of addresses, the Manager's list.

A list's own folders may be those of former days, and of the Manager's list neither sub-folders nor sizes are believed:
it rounds sizes, and saves into folders in which nobody looks.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefetch.comfyui.homes import home_of, model_path, node_home
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.naming import AnyOf
from prefetch.errors import UsageError
from prefetch.manifest import Model, Wanted, load_manifests
from prefetch.sources.refs.source import parse_source
from prefetch.volume.reading import read_file

__all__ = ["Catalog", "Offer", "read_catalog"]

_MAX_BYTES = 64 << 20
_GENERIC = frozenset({"diffusion_pytorch_model", "model", "pytorch_model", "pytorch_lora_weights"})
_MANIFEST = (re.compile(r"^version:", re.MULTILINE), re.compile(r"^(?:models|include):", re.MULTILINE))
_NAMES = ("model_file_name", "filename", "file_name", "file", "name")
_FOLDERS = ("models_folder", "folder", "directory", "save_path", "path")
_ADDRESSES = ("url", "source", "link", "download_url")
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
class Offer:
    """A file that a list knows a source of.

    Attributes:
        home: its path below the volume, by its folder's modern name; empty where only a node's folder is known.
        fields: the keys of a manifest's entry beside ``path``.
    """

    home: str
    fields: Mapping[str, Any]
    node_path: str | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that the lists know; the first list wins."""

    offers: Sequence[Offer] = field(default_factory=tuple)

    def model(self, home: str) -> Offer | None:
        """The file at a path, else the one of that name in that folder's other sub-folders, where all lists agree."""
        exact = next((offer for offer in self.offers if offer.home == home), None)
        if exact is not None:
            return exact
        folder, name = home.split("/")[1], home.rpartition("/")[2]
        if name.rpartition(".")[0].casefold() in _GENERIC:
            return None
        same = [o for o in self.offers if o.home.startswith(f"models/{folder}/") and o.home.rpartition("/")[2] == name]
        return same[0] if len({offer.fields["source"] for offer in same}) == 1 else None

    def any_of(self, folder: str, any_of: AnyOf) -> list[Offer]:
        """The files below a folder of ``models`` that a short name may mean, one for each source."""
        beginning = f"models/{folder}/"
        below = {o.home.removeprefix(beginning): o for o in reversed(self.offers) if o.home.startswith(beginning)}
        return list({below[name].fields["source"]: below[name] for name in any_of.choose(below)}.values())

    def content(self, sha256: str) -> Offer | None:
        """The file of that hash, 64 lower-case hex digits, whatever it is called."""
        return next((offer for offer in self.offers if offer.fields.get("sha256") == sha256), None)

    def node_file(self, node_path: str) -> Offer | None:
        """The file that a node looks for at a place below ComfyUI's folder."""
        home = node_home(node_path)
        return next((o for o in self.offers if o.node_path is not None and node_home(o.node_path) == home), None)

    def embedding(self, name: str) -> Offer | None:
        """The textual inversion of a name that may lack its ending."""
        home = f"models/embeddings/{name}"
        return next((o for o in self.offers if home in (o.home, o.home.rpartition(".")[0])), None)


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
    for path in paths:
        found = sorted(f for f in path.iterdir() if _may_be_list(f)) if path.is_dir() else [path]
        for file in found:
            offers.extend(_offers(file, table, load))
    return Catalog(tuple(offers))


def _may_be_list(file: Path) -> bool:
    """Whether a file of a directory is meant as a catalog: other YAML may lie there too."""
    if not file.is_file():
        return False
    if file.suffix in (".yaml", ".yml"):
        return all(key.search(_text(file)) for key in _MANIFEST)
    return file.suffix == ".csv" or file.name == "model-list.json"


def _offers(file: Path, table: LoaderTable, load: Callable[[Path], Wanted]) -> Iterator[Offer]:
    if file.suffix.lower() == ".csv":
        yield from _from_rows(csv.DictReader(io.StringIO(_text(file))), table)
    elif file.suffix.lower() == ".json":
        yield from _from_rows(_manager_rows(file), table)
    else:
        for entry in load(file).entries:
            yield _from_model(entry.model, table)


def _text(file: Path) -> str:
    try:
        return read_file(file, most=_MAX_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"The catalog {file} cannot be read: {reason}.", remedy="Check its path and rights.") from None


def _manager_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        document = json.loads(_text(file))
    except (ValueError, RecursionError):
        document = None
    rows = document.get("models") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise UsageError(
            f"{file}: this is no list of models.", remedy="A catalog is a manifest, a CSV table or a model-list.json."
        )
    for row in rows:
        if isinstance(row, dict):
            folder = str(row.get("save_path") or "default")
            kind = str(row.get("type") or "").casefold()
            yield {**row, "save_path": _KINDS.get(kind, "") if folder == "default" else folder}


def _from_model(model: Model, table: LoaderTable) -> Offer:
    fields = model.model_dump(exclude_defaults=True, exclude={"path", "groups", "node_path"}, mode="json")
    return Offer(home_of(model.path, table), fields, model.node_path)


def _from_rows(rows: Iterable[Mapping[str, Any]], table: LoaderTable) -> Iterator[Offer]:
    for row in rows:
        name, folder, address = (_cell(row, columns) for columns in (_NAMES, _FOLDERS, _ADDRESSES))
        source = _source(address)
        if not name or not folder or source is None:
            continue
        folder = folder.strip("/")
        if folder.startswith("custom_nodes/"):
            yield Offer("", {"source": source}, f"{folder}/{name}")
        else:
            # Lists name a kind by its key, or its directory.
            yield Offer(model_path(table.folder(folder.removeprefix("models/")), name), {"source": source})


def _cell(row: Mapping[str, Any], columns: Iterable[str]) -> str:
    found = (row[column] for column in columns if isinstance(row.get(column), str))
    return next((text.strip().replace("\\", "/") for text in found if text.strip()), "")


def _source(address: str) -> str | None:
    """The address as a manifest may hold it: no token, in its shortest form; None where it may not."""
    bare = address.partition("?")[0] if "token=" in address.lower() else address
    try:
        return str(parse_source(bare))
    except ValueError:
        return None
