"""Paths at which no model can stand: a folder of models, or one whose folder was left open."""

from __future__ import annotations

from collections.abc import Iterable

from prefetch.comfyui.kinds import FOLDERS
from prefetch.manifest.problems import Problem, manifest_error, shown
from prefetch.manifest.wanted import Entry
from prefetch.sources.refs.source import file_name

__all__ = ["check_placement"]

_LEFT_OPEN = "models/FOLDER/"
"""How drafts write a folder that nobody knows."""

_FOLDERS = frozenset(folder for folders in FOLDERS.values() for folder in folders)


def check_placement(entries: Iterable[Entry]) -> None:
    """Raise ManifestError, with the paths that were meant, where a file would stand in the place of a models folder, or
    in the one that a draft left open.
    """
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
        elif path.startswith(_LEFT_OPEN):
            message = f"{shown(path)} says FOLDER where the folder belongs in which its loader looks."
            problems.append(Problem(entry.place, message, f"Write it, as in models/loras/{path.rpartition('/')[2]}."))
    if problems:
        raise manifest_error(problems)
