"""The wanted models where ``--layout`` has them: as the manifest says, or where RunPod's stock image looks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prefetch.comfyui.stock import is_seen, stock_path
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import enumerated

if TYPE_CHECKING:
    from prefetch.manifest import Wanted

__all__ = ["arranged", "tell_unseen"]


def arranged(wanted: Wanted, layout: str) -> Wanted:
    """The same models at the paths of ``layout``: ``modern`` or ``worker-comfyui``.

    Raises:
        ManifestError: two models with different content would come to one path.
    """
    if layout == "modern":
        return wanted
    from prefetch.manifest.wanted import merge

    models = ((entry, stock_path(entry.model.path)) for entry in wanted.entries)
    moved = merge(
        entry if path == entry.model.path else replace(entry, model=entry.model.model_copy(update={"path": path}))
        for entry, path in models
    )
    return replace(wanted, entries=moved.entries, inputs=wanted.inputs and replace(wanted.inputs, layout=layout))


def tell_unseen(paths: Iterable[str], listener: Listener) -> None:
    """Name the models that the stock image will not find, whatever the layout."""
    unseen = [path for path in paths if not is_seen(path)]
    if unseen:
        named = enumerated(unseen)
        listener(Notice("warning", f"The stock runpod/worker-comfyui image does not look for {named}."))
