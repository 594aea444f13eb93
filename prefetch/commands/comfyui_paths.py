"""``prefetch comfyui paths``: the file that shows ComfyUI the models on the volumes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prefetch.comfyui.paths import VOLUMES, extra_model_paths, unseen
from prefetch.comfyui.workflow.loaders import LoaderTable, load_table
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import printable
from prefetch.report.result import TextResult
from prefetch.settings import Settings

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> TextResult:
    """Print extra_model_paths.yaml for the volumes that were named, or for both places where RunPod mounts one.

    What ComfyUI does not see through it, of the volumes that are mounted here, is said.
    """
    table = load_table(settings.loaders)
    kinds = {key: kind.folders for key, kind in table.kinds.items() if not kind.fixed}
    volumes = [str(volume.absolute()) for volume in settings.volumes] or list(VOLUMES)
    for volume in map(Path, dict.fromkeys(volumes)):
        try:
            found = list(unseen(volume, kinds=kinds, extra=settings.kind))
        except FileNotFoundError:
            continue  # it is mounted elsewhere, or nothing has been put there yet
        except OSError as error:
            listener(Notice("warning", printable(f"{error.filename} cannot be read: {error.strerror}.")))
            continue
        for sentence in (*_unseen(volume, found, table), *_fixed(volume, found, table)):
            listener(Notice("warning", printable(sentence)))
    text = extra_model_paths(volumes, kinds=kinds, extra=settings.kind, unmapped=table.fixed)
    return TextResult(text.rstrip("\n"))


def _unseen(volume: Path, found: list[str], table: LoaderTable) -> Iterator[str]:
    """Of each folder that no kind maps, why that is so and what to do."""
    known = {folder.casefold(): folder for kind in table.kinds.values() for folder in kind.folders}
    for folder in found:
        below = folder.removeprefix("models/")
        if below in table.fixed:
            continue
        if (other := known.get(below.casefold())) is not None:
            remedy = f"nodes look in models/{other}: rename the folder"
        else:
            remedy = f"if a node does, name its key: --kind KEY={folder}"
        yield f"ComfyUI does not look in {volume / folder}; {remedy}."


def _fixed(volume: Path, found: list[str], table: LoaderTable) -> Iterator[str]:
    """Of each folder that is there and that some nodes read below ComfyUI's own folder, whatever is mapped."""
    for below in sorted(table.fixed):
        folder = f"models/{below}"
        if (volume / folder).is_dir():
            who = "nodes read" if folder in found else "some nodes read"
            yield f"{who} {folder} below ComfyUI's own folder only, not {volume / folder}: link it there."
