"""From a workflow's graph to the files it loads. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prefetch.comfyui.workflow.arriving import Arriving
from prefetch.comfyui.workflow.documents import read_document
from prefetch.comfyui.workflow.findings import NeededFor, SelfDownloaded, Unresolved, WorkflowModel, WorkflowModels
from prefetch.comfyui.workflow.following import Wires
from prefetch.comfyui.workflow.graph import Graph, Node
from prefetch.comfyui.workflow.loaders import LoaderTable, load_table
from prefetch.comfyui.workflow.metadata import Metadata
from prefetch.comfyui.workflow.names import is_model_name
from prefetch.comfyui.workflow.naming import AnyOf
from prefetch.comfyui.workflow.needs import Need, Needs, Remark
from prefetch.comfyui.workflow.prompts import embeddings_in, noted_in
from prefetch.comfyui.workflow.runs import Runs

__all__ = ["models_in"]


def models_in(file: Path | bytes, *, table: LoaderTable | None = None) -> WorkflowModels:
    """What the workflow in a file, or in a file's bytes, loads; ``table`` is `load_table` 's by default.

    Raises:
        UsageError: it cannot be read, or holds no workflow.
    """
    document = read_document(file)
    table = table or load_table()
    found = _Resolution(document.graph, table).result()
    if document.beside is None:
        return found
    made_by = {model.name for model in _Resolution(document.beside, table).result().models}
    others = sorted(made_by ^ {model.name for model in found.models})
    return replace(found, warnings=(*found.warnings, *([_other_made_it(others)] if others else [])))


_A_PART = "it looks like a part of a workflow: no node around it is known as an output; what its ends need is needed."


class _Resolution:
    """One workflow on its way from nodes to files."""

    def __init__(self, graph: Graph, table: LoaderTable) -> None:
        self._graph, self._table = graph, table
        self._wires = Wires(table)
        self._metadata = Metadata(graph, table)

    def result(self) -> WorkflowModels:
        arriving = Arriving(self._table, self._wires)
        needs = Needs(self._table, self._wires, arriving)
        active = [node for node in self._graph.top.walk() if node.active]
        findings = [finding for node in active for finding in needs.of(node)]
        runs = Runs(self._graph, self._wires, self._table, arriving.branches)
        running = {node.id for node in runs.sometimes}
        models = self._models([finding for finding in findings if isinstance(finding, Need)], runs)
        placed = {(node, model.name) for model in models if model.folder is not None for node in model.nodes}
        return WorkflowModels(
            models=models,
            self_downloaded=tuple(
                dict.fromkeys(replace(f, required=f.node in running) for f in findings if isinstance(f, SelfDownloaded))
            ),
            unresolved=tuple(
                dict.fromkeys(f for f in findings if isinstance(f, Unresolved) and (f.node, f.value) not in placed)
            ),
            embeddings=embeddings_in(active, self._table),
            noted=noted_in(self._graph, self._table),
            warnings=(
                *self._graph.warnings,
                *map(_disagreement, filter(_disagrees, active)),
                *dict.fromkeys(f.text for f in findings if isinstance(f, Remark)),
                *([_A_PART] if runs.assumed and models else []),
            ),
        )

    def _models(self, needs: Sequence[Need], runs: Runs) -> tuple[WorkflowModel, ...]:
        by_file: dict[tuple[str | None, str, AnyOf | None], list[Need]] = defaultdict(list)
        for need in needs:
            by_file[self._metadata.folder_of(need), need.name, need.any_of].append(need)
        models = [self._model(folder, same, _needed_for(same, runs)) for (folder, *_), same in by_file.items()]
        return tuple(sorted(models, key=lambda model: (model.folder or "", model.name)))

    def _model(self, folder: str | None, needs: Sequence[Need], needed_for: NeededFor) -> WorkflowModel:
        stated = next(filter(None, (self._metadata.of(need, folder) for need in needs)), None)
        return WorkflowModel(
            folder=folder,
            name=needs[0].name,
            url=None if stated is None else stated.url,
            sha256=None if stated is None else stated.sha256,
            nodes=tuple(dict.fromkeys(need.node.id for need in needs)),
            needed_for=needed_for,
            any_of=needs[0].any_of,
        )


def _needed_for(needs: Sequence[Need], runs: Runs) -> NeededFor:
    """What a file must be there for that these nodes name."""
    if any(need.certain and runs.always(need.node) for need in needs):
        return "run"
    if any(need.certain and need.node in runs.linked for need in needs):
        return "queue"
    return "choice" if any(need.node in runs.sometimes for need in needs) else "nothing"


def _other_made_it(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"the workflow that opens from this picture is not quite the one that made it; they differ in {shown}."


def _disagrees(node: Node) -> bool:
    """Whether a node's values by position and by name, which newer files hold both, differ in a file's name."""
    if not node.named or not isinstance(node.values, list):
        return False
    named = [value for value in node.named.values() if is_model_name(value)]
    return sorted(map(str, named)) != sorted(str(value) for value in node.values if is_model_name(value))


def _disagreement(node: Node) -> str:
    return (
        f"{node.kind} (node {node.id}): its values by name differ from those by position, which are what ComfyUI reads."
    )
