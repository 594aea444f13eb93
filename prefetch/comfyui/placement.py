"""Paths where ComfyUI would find no model: a models folder in the place of a file, or a folder beside models/."""

from __future__ import annotations

from collections.abc import Iterable

from prefetch.comfyui.kinds import FOLDERS
from prefetch.manifest.problems import Problem, manifest_error, shown
from prefetch.manifest.wanted import Entry
from prefetch.report.humanize import enumerated
from prefetch.report.notice import Listener, Notice
from prefetch.sources.refs.source import file_name

__all__ = ["check_placement", "warn_outside_models"]

_FOLDERS = frozenset(folder for folders in FOLDERS.values() for folder in folders)


def check_placement(entries: Iterable[Entry]) -> None:
    """Raise ManifestError, with the paths that were meant, where a file would stand in the place of a models folder."""
    problems = []
    for entry in entries:
        path = entry.model.path
        if path == "models" or (path.removeprefix("models/") in _FOLDERS and path.startswith("models/")):
            message = f"{shown(path)} is a folder of models and cannot be a file."
            name = file_name(entry.model.source) or "NAME"
            remedy = f"Write {path}/{name}."
            if "." not in name:
                remedy += " For a directory, end both path and source with a slash."
            problems.append(Problem(entry.place, message, remedy))
    if problems:
        raise manifest_error(problems)


def warn_outside_models(paths: Iterable[str], listener: Listener) -> None:
    """Name the models whose path begins with a folder of models in place of ``models/``: ComfyUI looks nowhere else."""
    outside = [path for path in paths if path.partition("/")[0] in _FOLDERS]
    if outside:
        listener(
            Notice(
                "warning",
                f"ComfyUI looks below models/ only, and not for {enumerated(outside)}: write models/{outside[0]}.",
            )
        )
