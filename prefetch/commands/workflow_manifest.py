"""``prefetch workflow manifest``: the minimal manifest for workflows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prefetch.comfyui.editing import edited, new_text, write_text
from prefetch.comfyui.entries import Draft, draft
from prefetch.comfyui.lists import read_catalog
from prefetch.comfyui.workflow import load_table
from prefetch.commands.workflow_models import read_workflows
from prefetch.errors import PrefetchError
from prefetch.manifest import Folder, Model, load_manifests
from prefetch.manifest.model import OpenEntry
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import count, printable
from prefetch.settings import Settings
from prefetch.volume.reading import read_file
from prefetch.yamlfile import MAX_BYTES

__all__ = ["Written", "main"]


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest that was written, or is to be printed, and what it leaves open."""

    draft: Draft
    manifest: str
    output: Path | None
    error: PrefetchError | None
    text: str = field(default="")

    @property
    def exit_code(self) -> int:
        """0, 1 where a model has no source, 2 where a file could not be read."""
        return 0 if self.error is None else self.error.exit_code

    def to_json(self) -> str:
        """What was added and what is open, as one object."""
        document: Mapping[str, object] = {
            "ok": self.error is None,
            "exit_code": self.exit_code,
            "error": self.error and {"code": self.error.code, "message": str(self.error)},
            "output": None if self.output is None else str(self.output.absolute()),
            "added": list(self.draft.entries),
            "open": [
                {"name": o.name, "path": o.path, "node_path": o.node_path, "wanted_by": o.wanted_by, "reason": o.reason}
                for o in self.draft.open
            ],
        }
        return json.dumps(document, ensure_ascii=False)


def main(settings: Settings, listener: Listener) -> Written:
    """Find what the workflows load and where it is to be had, and write that down."""
    table = load_table(settings.loaders)
    found = read_workflows(settings.workflow_files, table, listener, command="manifest")
    if found.error is not None:
        raise found.error
    output = settings.output
    models, existing, unsourced = _existing(output)
    catalog = read_catalog(settings.catalog, table)
    for sentence in catalog.unusable:
        listener(Notice("warning", printable(sentence)))
    made = draft(found.workflows, catalog, table, existing=models)
    text = new_text(made, list(found.workflows)) if existing is None else edited(existing, made)
    if output is not None and text != existing:
        write_text(output, text)
    _tell(made, output, listener)
    needed = sum(item.needed for item in made.open) + unsourced
    error = _left_open(needed, output) if needed else None
    return Written(made, text, output, error, text="" if output is not None else text.rstrip("\n"))


def _existing(output: Path | None) -> tuple[list[Model | Folder | OpenEntry], str | None, int]:
    """What the manifest to add to holds, its text (None where there is none yet), and how many have no source."""
    if output is None or not output.is_file() or output.stat().st_size == 0:
        return [], None, 0
    # First, for the sentences: what is no manifest is not edited.
    wanted = load_manifests([output])
    models: list[Model | Folder | OpenEntry] = [
        *(entry.model for entry in wanted.entries),
        *(entry.folder for entry in wanted.folders),
        *(one.entry for one in wanted.open),
    ]
    return models, read_file(output, most=MAX_BYTES).decode("utf-8-sig"), len(wanted.open)


def _tell(made: Draft, output: Path | None, listener: Listener) -> None:
    for item in made.open:
        text = printable(f"{item.path or item.name}: {item.reason}; {', '.join(item.wanted_by)}")
        listener(Notice("warning" if item.needed else "info", text))
    if output is not None:
        added, had = count(len(made.entries), "model"), f", {made.present} were there" if made.present else ""
        listener(Notice("info", f"{output}: {added} added{had}."))


def _left_open(number: int, output: Path | None) -> PrefetchError:
    where = "the printed manifest" if output is None else str(output)
    return PrefetchError(
        f"{count(number, 'file')} without a source: see the comments in {where}.",
        remedy="Write their sources there, or give a --catalog that knows them.",
    )
