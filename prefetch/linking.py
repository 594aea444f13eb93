"""Models where custom nodes insist on them, once they stand on the volume."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from prefetch.comfyui.nodes import NodeModel, link_models
from prefetch.errors import PrefetchError
from prefetch.report.humanize import enumerated, printable
from prefetch.report.notice import Listener, Notice
from prefetch.volume.content import HEAD, check_content, content_of
from prefetch.volume.files import os_errors
from prefetch.volume.layout import Volume

__all__ = ["link_nodes"]


def link_nodes(
    models: Iterable[tuple[str, str | None]], *, comfyui: Path | None, volume: Volume, listener: Listener
) -> None:
    """Link the models (path, node path) that stand and that a node insists on; say what is linked, and what is not."""
    wanted = [NodeModel(path, node) for path, node in models if node is not None and volume.stat(path) is not None]
    if comfyui is None:
        if wanted:
            listener(Notice("info", _unlinked(wanted)))
        return
    made = link_models(
        [model for model in wanted if _goes_with(model.path, model.node_path, volume, listener)],
        comfyui=comfyui,
        volume=volume.root,
        tell=lambda sentence: listener(Notice("warning", sentence)),
    )
    if made:
        links = enumerated([place.relative_to(comfyui).as_posix() for place in made])
        listener(Notice("info", f"linked in {printable(str(comfyui))}: {links}"))


def _unlinked(wanted: Sequence[NodeModel]) -> str:
    paths = enumerated([model.node_path for model in wanted])
    return f"no ComfyUI is known here, so its nodes do not find {paths}: name its folder with --comfyui"


def _goes_with(path: str, node_path: str, volume: Volume, listener: Listener) -> bool:
    """Whether the model at ``path`` may have the name that its node insists on; if not, that is told."""
    if _ending(path) == _ending(node_path):
        # Then it was compared when it was placed, and most starts of a container can be spared a look at it.
        return True
    try:
        with os_errors(f"reading {path}"):
            number = volume.open_file(path)
            try:
                head, size = os.pread(number, HEAD, 0), os.fstat(number).st_size
            finally:
                os.close(number)
        check_content(node_path, content_of(head), size, known=True)
    except PrefetchError as error:
        listener(Notice("warning", f"{node_path} is not linked to {path}. {error}"))
        return False
    return True


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
