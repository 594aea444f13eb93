"""From what workflows load, and what is known of sources, to the entries of a minimal manifest. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from prefetch.comfyui.catalog import Catalog, Offer
from prefetch.comfyui.homes import home_of, model_path, node_home, node_path_of, path_beside, unmapped_place
from prefetch.comfyui.nodes import may_be_linked
from prefetch.comfyui.workflow.findings import WorkflowModel, WorkflowModels
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.names import ending_of
from prefetch.comfyui.workflow.naming import AnyOf
from prefetch.manifest import Folder, Model
from prefetch.manifest.model import OpenEntry
from prefetch.sources.refs.source import parse_listed_source

__all__ = ["Draft", "Open", "draft"]

_OF_ITSELF = "its node fetches it by itself, and no source is known to bring it before"
_PROGRAM = "its node fetches it by itself, and a link of such a name could be run as a program"


@dataclass(frozen=True, slots=True)
class Open:
    """A file that no source is known of: what a person has to fill in.

    Attributes:
        path: where it belongs; None where not even that is known.
        needed: whether a run of the workflow fails without it; a node's own download is not.
    """

    name: str
    path: str | None
    wanted_by: tuple[str, ...]
    reason: str
    needed: bool = True
    node_path: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """The entries of a manifest as mappings, and what stays open."""

    entries: tuple[Mapping[str, Any], ...]
    open: tuple[Open, ...]
    present: int = 0


@dataclass(slots=True)
class _Drafting:
    catalog: Catalog
    table: LoaderTable
    homes: set[str]
    node_homes: set[str]
    entries: list[Mapping[str, Any]] = field(default_factory=list)
    open: dict[str, Open] = field(default_factory=dict)
    present: int = 0

    def add(self, path: str, fields: Mapping[str, Any], node_path: str | None = None) -> None:
        node_path = node_path or unmapped_place(path, self.table)
        entry = {"path": path, **fields, **({"node_path": node_path} if node_path else {})}
        self.homes.add(home_of(path, self.table))
        if node_path:
            self.node_homes.add(node_home(node_path))
        self.entries.append(entry)

    def leave_open(self, item: Open) -> None:
        self.open.setdefault(item.path or item.name, item)

    def model(self, model: WorkflowModel, noted: Mapping[str, str], file: str) -> None:
        if model.folder is None:
            return
        if model.any_of is not None:
            self.any_of(model, model.any_of, noted, file)
            return
        path = model_path(model.folder, model.name)
        home = home_of(path, self.table)
        if home in self.homes:
            self.present += 1
            return
        offer = self.catalog.model(home)
        fields = offer.fields if offer else _stated(model, noted)
        if fields is None:
            place = unmapped_place(path, self.table)
            why = _why_none(model, noted)
            self.leave_open(Open(model.name, path, _wanted_by(model, file), why, node_path=place))
        else:
            self.add(path, fields, offer.node_path if offer else None)

    def any_of(self, model: WorkflowModel, any_of: AnyOf, noted: Mapping[str, str], file: str) -> None:
        """A file whose name its node is given without ending or folder."""
        folder = model_path(model.folder or "", "")
        known = (*self.homes, *self.open)
        if any_of.choose(path.removeprefix(folder) for path in known if path.startswith(folder)):
            self.present += 1
            return
        offers = self.catalog.any_of(model.folder or "", any_of)
        if len(offers) == 1:
            self.add(offers[0].home, offers[0].fields, offers[0].node_path)
            return
        names = any_of.choose(noted)
        fields = _stated(replace(model, name=names[0]), noted) if not offers and len(names) == 1 else None
        if fields is not None:
            self.add(folder + names[0], fields)
            return
        path = folder + (model.name if ending_of(model.name) else f"{model.name}.safetensors")
        these = ", ".join(sorted(offer.home for offer in offers))
        reason = f"the catalogs have several: {these}" if offers else "no source is known"
        self.leave_open(Open(model.name, path, _wanted_by(model, file), f"{reason}; any of {folder}{any_of} will do"))

    def node_files(self, found: WorkflowModels, file: str) -> None:
        for item in found.self_downloaded:
            place = node_path_of(item)
            if place is None or not item.required:
                continue
            if node_home(place) in self.node_homes or home_of(place, self.table) in self.homes:
                self.present += 1
                continue
            offer = self.catalog.node_file(place)
            if offer is not None:
                self.add(_path_for(offer, place), offer.fields, offer.node_path or place)
                continue
            path = path_beside(place)
            linked = place.endswith("/") or may_be_linked(place)
            if item.source is not None and linked and _is_entry(path, item.source, place):
                self.add(path, {"source": item.source}, place)
                continue
            reason = _OF_ITSELF if linked else _PROGRAM
            wanted = (f"{file}: {item.kind} (node {item.node})",)
            self.leave_open(Open(item.name or "", path, wanted, reason, needed=False, node_path=place))

    def embeddings(self, found: WorkflowModels, file: str) -> None:
        for name in found.embeddings:
            home = f"models/embeddings/{name}"
            if any(home in (known, known.rpartition(".")[0]) for known in self.homes):
                self.present += 1
            elif offer := self.catalog.embedding(name):
                self.add(offer.home, offer.fields)
            else:
                self.leave_open(_open_embedding(name, file))

    def unresolved(self, found: WorkflowModels, file: str) -> None:
        for item in found.unresolved:
            wanted = (f"{file}: {item.kind} (node {item.node})",)
            self.leave_open(Open(item.value or f"{item.input} of node {item.node}", None, wanted, item.reason))


def draft(
    found: Mapping[str, WorkflowModels],
    catalog: Catalog,
    table: LoaderTable,
    *,
    existing: Sequence[Model | Folder | OpenEntry] = (),
) -> Draft:
    """The entries that ``existing`` lacks for what was found in each workflow, by its file's name."""
    state = _Drafting(
        catalog,
        table,
        homes={home_of(model.path, table) for model in existing},
        node_homes={node_home(model.node_path) for model in existing if model.node_path},
    )
    for file, models in found.items():
        noted = dict(models.noted)
        # A short name is content with a file that another node names whole.
        for model in sorted(models.models, key=lambda model: model.any_of is not None):
            if model.needed_for in ("run", "queue"):
                state.model(model, noted, file)
        state.node_files(models, file)
        state.embeddings(models, file)
        state.unresolved(models, file)
    return Draft(tuple(state.entries), tuple(state.open.values()), state.present)


def _open_embedding(name: str, file: str) -> Open:
    """A textual inversion without a source. ComfyUI chooses its reader by the ending, which a prompt need not name."""
    reason, path = "no source is known of this embedding", f"models/embeddings/{name}"
    if not ending_of(name):
        path += ".safetensors"
        reason += "; the prompt names no ending: write that of the file you find"
    return Open(name, path, (f"{file}: a prompt",), reason)


def _wanted_by(model: WorkflowModel, file: str) -> tuple[str, ...]:
    return tuple(f"{file}: node {node}" for node in model.nodes)


def _stated(model: WorkflowModel, noted: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The source that the workflow itself tells: its metadata first, then a note for people."""
    for address in _addresses(model, noted):
        sha256 = {"sha256": model.sha256} if model.sha256 and address == model.url else {}
        with suppress(ValueError):
            source = parse_listed_source(address)
            if sha256 or not source.needs_sha256:
                return {"source": str(source), **sha256}
    return None


def _why_none(model: WorkflowModel, noted: Mapping[str, str]) -> str:
    """Why `_stated` has none."""
    for address in _addresses(model, noted):
        try:
            parse_listed_source(address)
        except ValueError as error:
            return f"the address in the workflow cannot be used: {str(error).rstrip('.')}"
        return "the address in the workflow is plain http, and no hash of the file is known"
    return "no source is known"


def _addresses(model: WorkflowModel, noted: Mapping[str, str]) -> Iterator[str]:
    yield from filter(None, (model.url, noted.get(model.name.rpartition("/")[2])))


def _is_entry(path: str, source: str, node_path: str) -> bool:
    """Whether these are an entry of a manifest: the source may hold what a workflow says, such as a repository."""
    try:
        (Folder if path.endswith("/") else Model)(path=path, source=source, node_path=node_path)
    except ValueError:
        return False
    return True


def _path_for(offer: Offer, place: str) -> str:
    return offer.home or path_beside(place)
