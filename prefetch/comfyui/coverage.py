"""Workflows beside manifests: what is missing, what is there for nothing. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prefetch.comfyui.homes import home_of, model_path, node_home, node_path_of
from prefetch.comfyui.workflow.findings import WorkflowModel, WorkflowModels
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.comfyui.workflow.naming import AnyOf
from prefetch.manifest import Folder, Model

__all__ = ["Coverage", "Missing", "cover"]


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that a workflow needs and no manifest names; ``path`` is below the volume, or as much as is known.

    Attributes:
        folder, any_of: which files would do, and below which folder of ``models``, where more than one may.
    """

    path: str
    wanted_by: tuple[str, ...]
    reason: str
    folder: str | None = None
    any_of: AnyOf | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How manifests and workflows fit together.

    Attributes:
        used: the manifests' entries that a workflow loads, or may load.
        unused: the others.
        undecided: sentences on inputs that no look at the file can decide.
        fetched: sentences on what nodes fetch by themselves, as no manifest brings it.
    """

    used: tuple[Model, ...]
    unused: tuple[Model, ...]
    missing: tuple[Missing, ...]
    undecided: tuple[str, ...]
    fetched: tuple[str, ...] = ()


def cover(
    found: Mapping[str, WorkflowModels],
    models: Sequence[Model],
    table: LoaderTable,
    *,
    directories: Sequence[Folder] = (),
) -> Coverage:
    """Compare what each workflow (by its file's name) loads with what the manifests hold.

    Args:
        directories: the manifests' directories whose files are not known.
    """
    known = _Known(models, table, directories)
    wants: dict[str, list[_Want]] = defaultdict(list)
    fetched: list[str] = []
    for file, item in found.items():
        for want in (*_models_wanted(file, item, known), *_others_wanted(file, item, known)):
            wants[want.path].append(want)
        fetched += _fetched(file, item, known)
    return Coverage(
        used=tuple(model for model in models if model.path in known.used),
        unused=tuple(model for model in models if model.path not in known.used),
        missing=tuple(_missing(path, same) for path, same in wants.items()),
        undecided=(*_undecided(found), *known.ambiguous),
        fetched=tuple(dict.fromkeys(fetched)),
    )


@dataclass(frozen=True, slots=True)
class _Want:
    path: str
    by: str
    reason: str = "no manifest names it"
    model: WorkflowModel | None = None


def _missing(path: str, wants: Sequence[_Want]) -> Missing:
    model, by = wants[0].model, tuple(want.by for want in wants)
    if model is None:
        return Missing(path, by, wants[0].reason)
    return Missing(path, by, wants[0].reason, model.folder, model.any_of)


def _models_wanted(file: str, item: WorkflowModels, known: _Known) -> Iterator[_Want]:
    for model in item.models:
        by = f"{file}: node {', '.join(model.nodes)}"
        if model.folder is None:
            known.has_name(model.name)
        elif not known.has_model(model, by) and model.needed_for in ("run", "queue"):
            yield _Want(model.path, by, model=model)


def _fetched(file: str, item: WorkflowModels, known: _Known) -> Iterator[str]:
    for one in item.self_downloaded:
        if not known.has_node_file(node_path_of(one)) and one.required:
            yield f"{file}: {one.kind} (node {one.node}) fetches by itself what no manifest brings: {one.place}"


def _others_wanted(file: str, item: WorkflowModels, known: _Known) -> Iterator[_Want]:
    for embedding in item.embeddings:
        if not known.has_embedding(embedding):
            yield _Want(f"models/embeddings/{embedding}", f"{file}: a prompt")
    for unresolved in item.unresolved:
        if unresolved.value is not None and not known.has_name(unresolved.value):
            yield _Want(unresolved.value, f"{file}: {unresolved.kind} (node {unresolved.node})", unresolved.reason)


def _undecided(found: Mapping[str, WorkflowModels]) -> Iterator[str]:
    for file, item in found.items():
        for open_input in item.unresolved:
            if open_input.value is None:
                where = f"{file}: {open_input.kind} (node {open_input.node})"
                yield f"{where}: {open_input.input}: {open_input.reason}"


class _Known:
    """The manifests' entries; what is asked for counts as used."""

    def __init__(self, models: Iterable[Model], table: LoaderTable, directories: Iterable[Folder]) -> None:
        self.used: set[str] = set()
        self.ambiguous: list[str] = []
        self._homes = [(home_of(model.path, table), model) for model in models]
        self._directories = [
            node_home(place) for folder in directories for place in (folder.path, folder.node_path or "")
        ]
        self._table = table

    def has_model(self, model: WorkflowModel, by: str) -> bool:
        folder = model_path(model.folder or "", "")
        if model.any_of is None:
            home = home_of(folder + model.name, self._table)
            return self._use(entry for known, entry in self._homes if known == home)
        below = {known.removeprefix(folder): entry for known, entry in self._homes if known.startswith(folder)}
        fitting = model.any_of.choose(below)
        if len(fitting) > 1:
            these = ", ".join(folder + name for name in fitting)
            self.ambiguous.append(f"{by}: {model.name} may be any of {these}; its node takes the first that it finds.")
        return self._use(below[name] for name in fitting)

    def has_name(self, name: str) -> bool:
        """Whether any entry ends in the name, or in the name without its ending."""
        end = f"/{name}"
        return self._use(model for known, model in self._homes if known.endswith(end) or _stem(known).endswith(end))

    def has_node_file(self, node_path: str | None) -> bool:
        if node_path is None:
            return False
        home = node_home(node_path)
        brought = any(directory and home.startswith(directory) for directory in self._directories)
        return brought | self._use(
            model
            for known, model in self._homes
            if _is_at(known, home) or (model.node_path is not None and _is_at(node_home(model.node_path), home))
        )

    def has_embedding(self, name: str) -> bool:
        home = f"models/embeddings/{name}"
        return self._use(model for known, model in self._homes if home in (known, _stem(known)))

    def _use(self, models: Iterable[Model]) -> bool:
        paths = {model.path for model in models}
        self.used |= paths
        return bool(paths)


def _is_at(path: str, place: str) -> bool:
    """Whether a path is the place, or below it where that is a directory."""
    return path.startswith(place) if place.endswith("/") else path == place


def _stem(path: str) -> str:
    return path.rpartition(".")[0]
