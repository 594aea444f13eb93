"""What is wanted, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from prefetch import values
from prefetch.settings.option import option, switch

__all__ = ["Wanted"]


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Wanted:
    """Which models, and the volume and the folders that they are put on."""

    __slots__ = ()

    manifest: tuple[Path, ...] = field(
        default=(),
        metadata=option(
            values.several(values.path("a file's path", "models.yaml", "MANIFEST")),
            "YAML files that name the models; without one, all commands but lock take the first that exists of "
            "<volume>/prefetch.yaml and /etc/prefetch/manifest.yaml",
            positional=True,
        ),
    )
    group: tuple[str, ...] = field(
        default=(),
        metadata=option(
            values.several(values.name("a group's name", "i2v", "GROUP")),
            "only the models of this group; may be given more than once",
        ),
    )
    volume: Path | None = field(
        default=None,
        metadata=option(
            values.path("a directory's path", "/workspace", "DIR"),
            "the directory models are put below; without it, the first mount point of /runpod-volume and /workspace "
            "(for demo: ./volume)",
        ),
    )
    require_mount: bool = field(
        default=False,
        metadata=switch("refuse a --volume that is no mount point: what is put there would go with the container"),
    )
    layout: Literal["modern", "worker-comfyui"] = field(
        default="modern",
        metadata=option(
            values.choice("modern", "worker-comfyui"),
            "where diffusion models and text encoders are put: as the manifest says, or in models/unet and "
            "models/clip, where the stock runpod/worker-comfyui image looks",
        ),
    )
    comfyui: Path | None = field(
        default=None,
        metadata=option(
            values.path("a directory's path", "/comfyui", "DIR"),
            "ComfyUI's folder, where models are linked that have a node_path (for hook: without it, the first that is "
            "there of /comfyui and /workspace/ComfyUI)",
        ),
    )
    refresh: bool = field(
        default=False,
        metadata=switch(
            "ask the hosts again: what a branch such as @main stands for, and for files that had another hash"
        ),
    )
    locked: bool = field(default=False, metadata=switch("refuse models that no lock beside their manifest pins"))
