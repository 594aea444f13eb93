"""Models where custom nodes insist on them, once they stand on the volume."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prefetch.comfyui.nodes import NodeModel, link_models
from prefetch.report.notice import Listener, Notice
from prefetch.volume.layout import Volume

__all__ = ["link_nodes"]


def link_nodes(
    models: Iterable[tuple[str, str | None]], *, comfyui: Path | None, volume: Volume, listener: Listener
) -> None:
    """Link the models (path, node path) that stand and that a node insists on, if there is a ComfyUI."""
    wanted = [NodeModel(path, node) for path, node in models if node is not None and volume.stat(path) is not None]
    if wanted and comfyui is not None:
        link_models(
            wanted,
            comfyui=comfyui,
            volume=volume.root,
            tell=lambda sentence: listener(Notice("warning", sentence)),
        )
