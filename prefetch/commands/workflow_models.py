"""``prefetch workflow models``: which model files workflows load."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefetch.comfyui.workflow import NeededFor, WorkflowModel, WorkflowModels, load_table, models_in
from prefetch.comfyui.workflow.loaders import LoaderTable
from prefetch.errors import UsageError
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import count, printable
from prefetch.settings import Settings

__all__ = ["Found", "main", "read_workflows"]

_ABOUT: Mapping[NeededFor, str] = {
    "run": "",
    "queue": "; not needed in every run: a switch leaves it out; but ComfyUI takes no workflow while it is missing",
    "choice": "; needed in the runs that choose it",
    "nothing": "; not needed: it leads to no output",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in each file, by the name it was given, and the files that could not be read."""

    workflows: Mapping[str, WorkflowModels]
    errors: Mapping[str, UsageError]

    @property
    def error(self) -> UsageError | None:
        """One error for all files that could not be read."""
        if len(self.errors) <= 1:
            return next(iter(self.errors.values()), None)
        first = next(iter(self.errors.values()))
        more = count(len(self.errors) - 1, "other file")
        return UsageError(f"{first.message} And {more} cannot be read either.", remedy=first.remedy)

    @property
    def exit_code(self) -> int:
        """0, or 2 where a file could not be read."""
        return UsageError.exit_code if self.errors else 0

    @property
    def text(self) -> str:
        """A paragraph for each workflow."""
        return "\n\n".join("\n".join(_lines(name, found)) for name, found in self.workflows.items())

    def to_json(self) -> str:
        """An object for each workflow, in a list."""
        return json.dumps([{"workflow": n, **f.to_json()} for n, f in self.workflows.items()], ensure_ascii=False)


def main(settings: Settings, listener: Listener) -> Found:
    """Read each workflow and tell what it loads."""
    return read_workflows(settings.workflow_files, load_table(settings.loaders), listener, command="models")


def read_workflows(files: Sequence[Path], table: LoaderTable, listener: Listener, *, command: str) -> Found:
    """What each file loads; odd things, and what cannot be decided, are told to ``listener``.

    Raises:
        UsageError: no file was named.
    """
    if not files:
        raise UsageError("No workflow was given.", remedy=f"Write for example: prefetch workflow {command} w.json")
    workflows: dict[str, WorkflowModels] = {}
    errors: dict[str, UsageError] = {}
    for file in files:
        try:
            found = workflows[str(file)] = models_in(file, table=table)
        except UsageError as error:
            errors[str(file)] = error
            continue
        for warning in found.warnings:
            listener(Notice("warning", printable(f"{file}: {warning}")))
        if found.unresolved:
            listener(Notice("warning", printable(f"{file}: {count(len(found.unresolved), 'input')} not resolved.")))
    return Found(workflows, errors)


def _lines(name: str, found: WorkflowModels) -> Iterator[str]:
    yield printable(f"{name}: {count(len(found.models), 'model')}")
    for model in found.models:
        yield printable(f"  {model.path:<60}  {_about(model)}")
    for item in found.self_downloaded:
        place = item.place if item.name is None or item.name in item.place else f"{item.name} at {item.place}"
        source = f", from {item.source}" if item.source else ""
        unused = "" if item.required else "; not needed: no output asks for it"
        yield printable(f"  {item.kind} (node {item.node}) fetches by itself: {place}{source}{unused}")
    for embedding in found.embeddings:
        yield printable(f"  a prompt names the embedding {embedding}")
    for unresolved in found.unresolved:
        what = unresolved.value or unresolved.input or ""
        yield printable(f"  NOT RESOLVED: {what} of {unresolved.kind} (node {unresolved.node}): {unresolved.reason}")


def _about(model: WorkflowModel) -> str:
    nodes = f"node {', '.join(model.nodes)}"
    anywhere = "; any sub-folder will do" if model.any_of else ""
    return f"{nodes}{anywhere}{_ABOUT[model.needed_for]}"
