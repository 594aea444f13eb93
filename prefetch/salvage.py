"""From the models that an image carries to a manifest of them, the way out of a fat image. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefetch.comfyui.catalog import Catalog, Offer
from prefetch.comfyui.homes import home_of, path_beside
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.image.accounts import ModelAccount
from prefetch.manifest.comments import BEGIN, END
from prefetch.sources.refs.cached import cached_file, is_cached
from prefetch.volume.paths import check_model_path

__all__ = ["Left", "Salvage", "manifest_text", "salvage"]

_PACKAGES = frozenset({"site-packages", "dist-packages"})
_NODE_FILE = 3
"""How many parts a path has at least that leads into a node's folder: custom_nodes, the node, the file."""

_PLAIN = re.compile(r"[A-Za-z][\w.+()/:@%-]*/[\w.+()/:@%-]*\w|[0-9a-f]{64}|[0-9]+", re.ASCII)
"""Texts that YAML reads as themselves without quotes."""

_LEFT = f"""\
{BEGIN}the image has these models too, and this manifest does not bring them to the volume yet. Uncomment
# # each, and write what is missing: a copy on the Hub, at an https:// address, or file:// where prefetch runs. The
# # SHA-256 tells whether it is the same. Delete the lines of what nobody needs."""

_PACKAGED = "# # Of Python packages, which bring them along into any image:"


@dataclass(frozen=True, slots=True)
class Left:
    """A model of the image that a person has to see to.

    Attributes:
        found: its path in the image, or that of a link to it.
        entry: what its entry in a manifest would be, as far as it is known.
        reason: why it is none.
    """

    found: str
    entry: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Salvage:
    """The models that are seen in an image.

    Attributes:
        entries: those that a manifest can name, as mappings.
        left: those that it cannot yet.
        packaged: paths of those that belong to Python packages and are of no use on a volume.
    """

    entries: tuple[Mapping[str, Any], ...]
    left: tuple[Left, ...]
    packaged: tuple[str, ...]


def salvage(models: Iterable[ModelAccount], catalog: Catalog, table: LoaderTable) -> Salvage:
    """What an image's models are as a manifest, each with its source where the catalog or the Hub's cache knows it."""
    state = _Sorting(catalog, table)
    seen = [(path, model, cached) for model in models for cached in [_by_cache(model)] for path in _names(model)]
    for path, model, cached in sorted(seen, key=lambda each: each[0]):
        state.take(path, model, cached)
    return Salvage(tuple(state.entries.values()), tuple(state.left), tuple(state.packaged))


def _names(model: ModelAccount) -> list[str]:
    """The names by which a model is wanted: those in a cache of the Hub only where none outside leads there."""
    outside = [path for path in model.paths if not is_cached(path)]
    outside += [link for link in model.links if not is_cached(link) and _top(link.split("/")) is not None]
    return outside or sorted(_snapshots(model))[:1] or model.paths[:1]


def _snapshots(model: ModelAccount) -> Iterator[str]:
    return (name for name in (*model.paths, *model.links) if cached_file(name) is not None)


@dataclass(slots=True)
class _Sorting:
    catalog: Catalog
    table: LoaderTable
    entries: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    open: set[tuple[str | None, str | None, str]] = field(default_factory=set)
    packaged: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)

    def take(self, found: str, model: ModelAccount, cached: Mapping[str, Any]) -> None:
        parts = found.split("/")
        if not _PACKAGES.isdisjoint(parts):
            self.packaged.append(found)
            return
        sha256 = model.sha256.hex()
        offer = self.catalog.content(sha256)
        place = dict(_place(parts, offer))
        proven = offer.fields if offer else cached
        known = proven or self._by_name(place)
        entry = {**place, **known, "sha256": sha256, "size": model.size}
        if self.entries.get(place.get("path", "")) == entry:
            return
        if reason := self._hindrance(found, place) or ("" if proven else _unknown(known)):
            where = (place.get("path"), place.get("node_path"), sha256)
            if where not in self.open:
                self.open.add(where)
                self.left.append(Left(found, entry, reason))
        else:
            self.entries[place["path"]] = entry
            self.folders.update(_above(place["path"]))

    def _by_name(self, place: Mapping[str, str]) -> Mapping[str, Any]:
        """The source of a file of that name whose hash nobody has told: perhaps the same file."""
        path = place.get("path", "")
        offer = self.catalog.model(home_of(path, self.table)) if path.startswith("models/") else None
        if offer is None or "sha256" in offer.fields:
            return {}
        return {"source": offer.fields["source"]}

    def _hindrance(self, found: str, place: Mapping[str, str]) -> str:
        """Why no entry can be at this place whatever its source; empty where one can."""
        if "path" not in place and is_cached(found):
            return (
                "it lies in a cache of the Hub, and no link in a folder of models leads there to tell where it belongs"
            )
        if "path" not in place:
            return "it lies in no folder of models, so nothing tells where it belongs"
        path = place["path"]
        try:
            for text in place.values():
                check_model_path(text)
        except ValueError as error:
            return str(error)
        if path in self.entries:
            return "another model of the image has this path above; give one of them another"
        if path in self.folders or not self.entries.keys().isdisjoint(_above(path)):
            return "a model above has a file where this one has a folder, or the other way round"
        return ""


def _place(parts: Sequence[str], offer: Offer | None) -> Iterator[tuple[str, str]]:
    """Where a file of the image belongs: its path below the volume, and where its node insists on it."""
    top = None if is_cached("/".join(parts)) else _top(parts)
    if top is not None and parts[top] == "models":
        yield "path", "/".join(parts[top:])
    elif top is not None and len(parts) - top >= _NODE_FILE:
        node_path = "/".join(parts[top:])
        yield "path", offer.home if offer and offer.home else path_beside(node_path)
        yield "node_path", node_path
    elif offer is not None and offer.home:
        yield "path", offer.home
        if offer.node_path is not None:
            yield "node_path", offer.node_path


def _top(parts: Sequence[str]) -> int | None:
    """At which part the path is that of a model or of a node's file."""
    return next((number for number, part in enumerate(parts[:-1]) if part in ("models", "custom_nodes")), None)


def _by_cache(model: ModelAccount) -> Mapping[str, Any]:
    """The source as a cache of the Hub names it; its hash is that of the very bytes that were read."""
    return next(({"source": str(cached_file(name))} for name in sorted(_snapshots(model))), {})


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _unknown(known: Mapping[str, Any]) -> str:
    if known:
        return "this source is known by its name only; 'prefetch lock' tells whether it has the same file"
    return "no source of this file is known"


def manifest_text(found: Salvage, image: str) -> str:
    """The manifest: its entries, and as comments what a person has to see to; ``image`` is the archive's name."""
    lines = [f"# The models of {_escaped(image)}, by prefetch image audit.", "version: 1"]
    lines.append("models:")
    for entry in found.entries:
        lines += _entry_lines(entry)
    if found.left:
        lines += ["", _LEFT]
    for left in found.left:
        lines += ["#", f"#   # {_escaped(left.found)}: {_escaped(left.reason)}"]
        lines += (f"# {line}" for line in _entry_lines({"path": "", "source": "", **left.entry}))
    if found.left:
        lines.append(END)
    if found.packaged:
        lines += ["", _PACKAGED, *(f"#   # {_escaped(path)}" for path in found.packaged)]
    return "\n".join(lines) + "\n"


def _entry_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    dash = "-"
    for key in ("path", "source", "mirrors", "sha256", "size", "node_path"):
        if key in entry:
            value = entry[key]
            text = f"[{', '.join(map(_scalar, value))}]" if isinstance(value, list) else _scalar(value)
            yield f"  {dash} {key}: {text}".rstrip()
            dash = " "


def _scalar(value: str | int) -> str:
    text = str(value)
    if not text or _PLAIN.fullmatch(text):
        return text
    return '"' + "".join(f"\\{c}" if c in '"\\' else _escaped(c) for c in text) + '"'


def _escaped(text: str) -> str:
    """The text on one line, whatever is in it: what does not print as YAML's double quotes have it."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
