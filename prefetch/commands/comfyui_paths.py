"""``prefetch comfyui paths``: the file that shows ComfyUI the models on the volumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prefetch.comfyui.misplaced import meant_folder
from prefetch.comfyui.paths import VOLUMES, ExtraKind, Kinds, extra_model_paths, unseen
from prefetch.comfyui.workflow.loaders import LoaderTable, load_table
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import printable
from prefetch.report.result import TextResult
from prefetch.settings import Settings

__all__ = ["main"]


def main(settings: Settings, listener: Listener) -> TextResult:
    """Print extra_model_paths.yaml for the volumes that were named, or for both places where RunPod mounts one.

    What ComfyUI does not see through it, of the volumes that are mounted here, is told.
    """
    table = load_table(settings.loaders)
    kinds = {key: kind.folders for key, kind in table.kinds.items() if not kind.fixed}
    volumes = [str(volume.absolute()) for volume in settings.volumes] or list(VOLUMES)
    for sentence in _warnings(map(Path, dict.fromkeys(volumes)), kinds, settings.kind, table):
        listener(Notice("warning", printable(sentence)))
    text = extra_model_paths(volumes, kinds=kinds, extra=settings.kind, unmapped=table.fixed)
    return TextResult(text.rstrip("\n"))


def _warnings(volumes: Iterable[Path], kinds: Kinds, extra: Sequence[ExtraKind], table: LoaderTable) -> Iterator[str]:
    for volume in volumes:
        try:
            unknown = list(unseen(volume, kinds=kinds, extra=extra, unmapped=table.fixed))
        except FileNotFoundError:
            continue  # it is mounted elsewhere, or nothing has been put there yet
        except OSError as error:
            yield f"{error.filename} cannot be read: {error.strerror}."
            continue
        yield from _unknown(volume, unknown, table)
        yield from _fixed(volume, kinds, table)
    for one in extra:
        if one.kind in table.kinds and one.kind not in kinds:
            only = ", ".join(f"models/{folder}" for folder in table.kinds[one.kind].folders)
            yield f"{one.kind}: its node pack sets {only} below ComfyUI's own folder alone, whatever this file says."


def _unknown(volume: Path, unknown: Iterable[str], table: LoaderTable) -> Iterator[str]:
    """Of each folder in which nobody looks, what to do."""
    for folder in unknown:
        other = meant_folder(folder.removeprefix("models/"), table)
        renamed = f"nodes look in models/{other}: rename the folder"
        remedy = renamed if other else f"if a node does, name its key: --kind KEY={folder}"
        yield f"ComfyUI does not look in {volume / folder}; {remedy}."


def _fixed(volume: Path, kinds: Kinds, table: LoaderTable) -> Iterator[str]:
    """Of each folder that is there and that nodes read below ComfyUI's own folder, whatever is mapped."""
    mapped = {folder for folders in kinds.values() for folder in folders}
    for below in sorted(table.fixed):
        folder = volume / "models" / below
        if folder.is_dir():
            who = "some nodes read" if below in mapped else "nodes read"
            yield f"{who} models/{below} below ComfyUI's own folder only, not {folder}: link it there."
