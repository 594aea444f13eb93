"""What is found in a workflow: the model files it loads, and what could not be decided."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from prefetch.comfyui.workflow.naming import AnyOf

__all__ = ["SelfDownloaded", "Unresolved", "WorkflowModel", "WorkflowModels"]


NeededFor = Literal["run", "queue", "choice", "nothing"]
"""``run``: every run loads it. ``queue``: a switch leaves out the node that loads it, always or in some runs, but
ComfyUI takes no workflow while a file is missing that a node names which is linked to an output, by whatever switch.
``choice``: a run chooses among several names. ``nothing``: its nodes lead to no output."""


@dataclass(frozen=True, slots=True)
class WorkflowModel:
    """One model file that a workflow loads.

    Attributes:
        folder: its folder below ComfyUI's ``models``, by its modern name; None where nobody knows (see `Unresolved`).
        name: the file below that folder, with forward slashes; or as much of it as its node is given.
        any_of: the files that will do, where the node is given less than a file's whole name.
        url: where the workflow's own metadata says it is to be had.
        sha256: 64 lower-case hex digits, where the metadata tell them.
        nodes: ids of the nodes that load it; ``66:58`` is node 58 inside the subgraph instance 66.
        needed_for: what it must be there for; see `NeededFor`.
    """

    folder: str | None
    name: str
    url: str | None
    sha256: str | None
    nodes: tuple[str, ...]
    needed_for: NeededFor
    any_of: AnyOf | None = None

    @property
    def required(self) -> bool:
        """Whether every run loads it."""
        return self.needed_for == "run"

    @property
    def path(self) -> str:
        """Where it stands below the volume: a file's path, or a pattern of several."""
        whole = self.any_of is None or self.any_of.is_whole
        return f"models/{self.folder or '?'}/{self.name if whole else self.any_of}"

    def to_json(self) -> dict[str, Any]:
        """The object of one model; ``any_of`` is a pattern below the folder, or null."""
        return {**asdict(self), "required": self.required, "any_of": None if self.any_of is None else str(self.any_of)}


@dataclass(frozen=True, slots=True)
class SelfDownloaded:
    """A file that a node fetches by itself, and the place below ComfyUI's folder where it looks first.

    Attributes:
        kind: the node's class.
        node: its id.
        name: the file, or the directory; None where neither the workflow nor the table tells it.
        place: where the node looks for it, below ComfyUI's folder; a directory ends with a slash, and ``<…>`` is a
            part that nobody knows.
        source: where the node fetches it from, as a manifest writes it; None where that is not known.
        required: whether the node leads to an output.
    """

    kind: str
    node: str
    name: str | None
    place: str
    source: str | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An input of a loader that may name a model, and why it could not be decided which.

    Attributes:
        value: what stands there; None where nothing does.
    """

    node: str
    kind: str
    input: str | None
    value: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class WorkflowModels:
    """Everything that was found in one workflow.

    Attributes:
        embeddings: textual inversions that prompts name, without their files' ending where the prompt has none.
        noted: web addresses in notes, by the file's name at their end, where all notes agree on one.
        warnings: sentences about what is odd in the file, though decided.
    """

    models: tuple[WorkflowModel, ...]
    self_downloaded: tuple[SelfDownloaded, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    embeddings: tuple[str, ...] = ()
    noted: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object of ``prefetch workflow models --json``, without the file's own name."""
        return {
            "models": [model.to_json() for model in self.models],
            "self_downloaded": [
                {
                    "class": item.kind,
                    "node": item.node,
                    "name": item.name,
                    "place": item.place,
                    "source": item.source,
                    "required": item.required,
                }
                for item in self.self_downloaded
            ],
            "unresolved": [
                {"node": u.node, "class": u.kind, "input": u.input, "value": u.value, "reason": u.reason}
                for u in self.unresolved
            ],
            "embeddings": list(self.embeddings),
        }
