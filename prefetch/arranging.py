"""The wanted models where ``--layout`` has them: as the manifest says, or where RunPod's stock image looks."""

from __future__ import annotations

from dataclasses import replace

from prefetch.comfyui.stock import is_seen, stock_path
from prefetch.manifest import Wanted
from prefetch.manifest.wanted import merge
from prefetch.report.events import Listener, Notice

__all__ = ["arranged", "tell_unseen"]

_MOST_NAMED = 5


def arranged(wanted: Wanted, layout: str) -> Wanted:
    """The same models at the paths of ``layout``: ``modern`` or ``worker-comfyui``.

    Raises:
        ManifestError: two models with different content would come to one path.
    """
    if layout == "modern":
        return wanted
    models = ((entry, stock_path(entry.model.path)) for entry in wanted.entries)
    return merge(
        entry if path == entry.model.path else replace(entry, model=entry.model.model_copy(update={"path": path}))
        for entry, path in models
    )


def tell_unseen(wanted: Wanted, layout: str, listener: Listener) -> None:
    """Name the models that the layout's image will not find, whatever their path."""
    if layout == "modern":
        return
    unseen = [entry.model.path for entry in wanted.entries if not is_seen(entry.model.path)]
    if unseen:
        more = f" and {len(unseen) - _MOST_NAMED} more" if len(unseen) > _MOST_NAMED else ""
        named = ", ".join(unseen[:_MOST_NAMED])
        listener(Notice("warning", f"The stock runpod/worker-comfyui image does not look for {named}{more}."))
